"""A made set of labelled clips: animated stills of FER2013, and the animated portrait.

It is a stand-in for sets of labelled video, none of which is openly available; docs/zoo.md says how
it differs from real faces.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.emotion import NEUTRAL
from emotion_estimator.errors import InputError
from emotion_estimator.perception.landmarks.source import Choice, choose
from emotion_estimator.worker_pool import Runner, runner_of
from emotion_estimator_training.data.made_set import MadeFace
from emotion_estimator_training.data.stills import FER_CLASSES, Stills
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.zoo.data.clips import STRENGTH, TABLE
from emotion_estimator_training.zoo.data.face_shapes import Shapes, in_picture
from emotion_estimator_training.zoo.data.face_tracks import landmarker_of
from emotion_estimator_training.zoo.data.made_faces import PortraitFace, StillFace
from emotion_estimator_training.zoo.data.made_people import Person, choose_people
from emotion_estimator_training.zoo.data.made_video import (
    Face,
    FilmCourse,
    film,
    make_course,
    write_video,
)
from emotion_estimator_training.zoo.data.readable_clips import read_label
from emotion_estimator_training.zoo.data.recorded_motion import RecordedMotion, recorded_rise
from emotion_estimator_training.zoo.data.set_films import Films, SeenFilm, read_films

_One = TypeVar('_One')
#: File of the settings of a set.
SETTINGS = 'made.json'
#: Increase it when the same settings make other clips.
_VERSION = 2
#: Clips of each expression of the portrait.
_CLIPS_OF_PORTRAIT = 2
#: Factor on movements, since means of faces are milder than single faces.
_EXAGGERATION = 1.4
_COLUMNS = (
    'clip',
    'label',
    'subject',
    'kind',
    'usage',
    'speaks',
    'hidden',
    'onset',
    'apex',
    'offset',
    'end_of_it',
)


@dataclass(frozen=True)
class MadeSettings:
    """What a made set consists of.

    :param people: number of animated stills besides the portrait, at least 3.
    :param moved: number of people with a neutral still who also show the other expressions.
    :param seconds: duration of a clip, 0.5 to 60.
    :param rate: frames per second, 1 to 60.
    :param size: side of the frames in pixels, 96 to 1024.
    :param seed: determines the entire set.
    :raises InputError: a value is out of range.
    """

    people: int = 1500
    seconds: float = 3.0
    rate: float = 15.0
    size: int = 192
    moved: int = 0
    seed: int = SEED

    def __post_init__(self) -> None:
        if not (
            self.people >= 3
            and self.moved >= 0
            and 0.5 <= self.seconds <= 60
            and 1 <= self.rate <= 60
            and 96 <= self.size <= 1024
        ):
            raise InputError(
                f'{self.people} people in clips of {self.seconds:g} s at {self.rate:g} frames per '
                f'second and {self.size} pixels: out of range; give at least 3 people, 0.5 to '
                '60 s, 1 to 60 frames per second, 96 to 1024 pixels'
            )


@dataclass(frozen=True, eq=False)
class _Task:
    """All clips of one subject.

    :param person: None is the portrait.
    """

    person: Person | None
    moved: bool
    shapes: Shapes
    motions: tuple[RecordedMotion, ...]
    rises: tuple[NDArray[np.float64], ...]
    settings: MadeSettings
    choice: Choice
    folder: Path


@dataclass(frozen=True, eq=False)
class _Made:
    """A clip of the set.

    :param course: None if the clip was cut from a film.
    """

    name: str
    label: str
    who: str
    kind: str
    usage: str
    speaks: bool
    times: NDArray[np.float64]
    course: FilmCourse | None = None

    @property
    def row(self) -> list[object]:
        """The clip's row in the table."""
        phases = self.course.phases if self.course is not None else ()
        # An expression that stays until the end has no offset.
        last = self.times[-1]
        cells = [f'{at:.2f}' if at < last else '' for at in phases] or [''] * 4
        hidden = f'{self.course.hidden if self.course is not None else 0:.2f}'
        about = [self.name, self.label, self.who, self.kind, self.usage]
        return [*about, int(self.speaks), hidden, *cells]

    @property
    def strengths(self) -> list[list[str]]:
        """The clip's rows in the table of strengths."""
        still = np.zeros_like(self.times)
        intensity = still if self.course is None else self.course.intensity
        return [
            [self.name, f'{time:.4f}', f'{strength:.3f}']
            for time, strength in zip(self.times, intensity)
        ]


@dataclass(frozen=True)
class MadeSet:
    """What :func:`make_set` wrote.

    :param table: its path.
    :param kinds: number of clips of each kind.
    :param unread: number of ``moved`` clips that cannot be read, and are left out.
    :param left_out: films that cannot be used, and why.
    """

    table: Path
    kinds: dict[str, int]
    unread: int
    left_out: tuple[str, ...]


def make_set(
    stills: Stills,
    folder: Path,
    settings: MadeSettings,
    cache: Path,
    teacher: Path | None = None,
    processes: int | Runner | None = None,
    films: Films | None = None,
) -> MadeSet:
    """Write clips and their table; an interrupted call resumes when run again.

    Each person shows one clip: the expression of the still, from nearly neutral to the still itself
    and back, or none if the still is neutral. The portrait shows all expressions, in colour. Kinds
    of clips are ``shown``, ``neutral``, ``portrait``, ``talking`` (films of real people) and
    ``moved`` (expressions of others on a neutral still, see :mod:`~.readable_clips`).

    :param stills: FER2013, or the set of ``training make-set``.
    :param folder: gets ``clips/*.mp4``, ``clips.csv`` (label, subject, kind, FER2013's split of the
        still, speech, share of frames with a hand, seconds of onset, apex, offset and end),
        ``strength.csv`` (of the expression in each frame) and ``made.json`` (the settings).
    :param cache: folder for the landmarks of the stills.
    :param teacher: ``face_landmarker.task``; None uses the bundled face mesh.
    :param processes: worker processes (None: one a core), or a runner of
        :mod:`~emotion_estimator.worker_pool`.
    :raises InputError: the folder holds something else or cannot be written, there are too few
        stills with a face, no film of a kind can be used, or two talking films have one name.
    """
    films = films or Films()
    _check_names(films.talking)
    facts = {
        'version': _VERSION,
        **asdict(settings),
        'stills': len(stills),
        'landmarks': 'face_mesh' if teacher is None else 'face_landmarker',
        'talking': [path.name for path in films.talking],
        'onsets': [path.name for path in films.onsets],
    }
    _begin(folder, facts)
    choice = choose('face_mesh') if teacher is None else choose('face_landmarker', str(teacher))
    talking, left_out = read_films(films.talking, choice)
    onsets, unusable = read_films(films.onsets, choice)
    left_out += unusable
    rises = []
    for one in onsets:
        rise = recorded_rise(one.motion)
        if rise is None:
            left_out.append(f'{one.name} shows no movement that comes from rest')
        else:
            rises.append(rise)
    people, shapes = choose_people(
        stills, settings.people, settings.seed, teacher, cache, processes
    )
    neutral = [person for person in people if person.label == NEUTRAL]
    moving = {person.row for person in neutral[: settings.moved]}
    tasks = [
        _Task(
            person,
            person is not None and person.row in moving,
            shapes,
            tuple(one.motion for one in talking),
            tuple(rises),
            settings,
            choice,
            folder,
        )
        for person in (None, *people)
    ]
    of_task: dict[int, tuple[list[_Made], int]] = {}
    with tqdm(total=len(tasks), unit='person', desc='clips') as bar:
        for index, clips in runner_of(processes)(_make, tasks):
            of_task[index] = clips
            bar.update()
    made = [clip for one in talking for clip in _cut(one, settings, folder)]
    made += [clip for index in sorted(of_task) for clip in of_task[index][0]]
    strengths = [row for clip in made for row in clip.strengths]
    _write(folder / STRENGTH, ('clip', 'time', 'strength'), strengths)
    table = _write(folder / TABLE, _COLUMNS, [clip.row for clip in made])
    unread = sum(count for _, count in of_task.values())
    return MadeSet(table, dict(Counter(clip.kind for clip in made)), unread, tuple(left_out))


def _check_names(films: Sequence[Path]) -> None:
    """Refuse films whose clips would have the names of others."""
    names = [path.stem for path in films]
    for name in names:
        if names.count(name) > 1 or name == 'portrait':
            raise InputError(
                f'clips are named after their film, and {name} names others too; rename the film, '
                'or pass it once'
            )


def _write(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with (
        atomic_write(path) as partial,
        partial.open('w', newline='', encoding='utf-8') as file,
    ):
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(head)
        writer.writerows(rows)
    return path


def _begin(folder: Path, facts: dict[str, object]) -> None:
    """Create the folder, or check that it holds a set with the same settings."""
    note = folder / SETTINGS
    try:
        (folder / 'clips').mkdir(parents=True, exist_ok=True)
        if note.is_file():
            if json.loads(note.read_text()) != facts:
                raise InputError(
                    f'{folder} holds a set with other settings ({note}); choose another folder'
                )
            return
        if any((folder / 'clips').iterdir()):
            raise InputError(f'{folder / "clips"} holds other files; choose another folder')
        note.write_text(json.dumps(facts, indent=2) + '\n')
    except OSError as error:
        raise InputError(
            f'{folder} cannot be written ({error.strerror}); choose another folder'
        ) from error
    except ValueError as error:
        raise InputError(f'{note} is damaged; delete {folder} and repeat the command') from error


def _make(task: _Task) -> tuple[list[_Made], int]:
    """Write the missing clips of a subject; return all of them, and how many cannot be read."""
    cv2.setNumThreads(1)
    made: list[_Made] = []
    settings, person = task.settings, task.person
    face, unread = None, 0
    for number, (label, kind) in enumerate(_labels(task)):
        who = 'portrait' if person is None else f'still{person.row:05d}'
        name = f'{who}-{number}-{label}'
        rng = np.random.default_rng(
            [settings.seed, 0 if person is None else person.row + 1, number]
        )
        motion = rise = None
        if person is not None:
            motion = _any(task.motions, rng)
            rise = _any(task.rises, rng)
        neutral = label == NEUTRAL
        course = make_course(neutral, settings.seconds, settings.rate, rng, motion, rise)
        path = task.folder / 'clips' / f'{name}.mp4'
        if not path.is_file():
            if person is None:
                face = face or MadeFace()
            frames = film(_actor(task, label, face, motion, rng), course, rng)
            if kind == 'moved':
                landmarker = landmarker_of(task.choice, 1)
                if label != read_label(
                    frames, course.times, course.intensity, task.shapes, landmarker
                ):
                    unread += 1
                    continue
            write_video(frames, path, settings.rate)
        usage = '' if person is None else person.usage
        made.append(
            _Made(f'clips/{name}.mp4', label, who, kind, usage, course.speaks, course.times, course)
        )
    return made, unread


def _labels(task: _Task) -> Iterator[tuple[str, str]]:
    """Return label and kind of a subject's clips."""
    person = task.person
    if person is None:
        return ((label, 'portrait') for label in FER_CLASSES * _CLIPS_OF_PORTRAIT)
    own = [(person.label, NEUTRAL if person.label == NEUTRAL else 'shown')]
    others = [(label, 'moved') for label in FER_CLASSES if label != NEUTRAL]
    return iter(own + others if task.moved else own)


def _any(choices: Sequence[_One], rng: np.random.Generator) -> _One | None:
    return choices[int(rng.integers(len(choices)))] if choices else None


def _actor(
    task: _Task,
    label: str,
    face: MadeFace | None,
    motion: RecordedMotion | None,
    rng: np.random.Generator,
) -> Face:
    person, size = task.person, task.settings.size
    if person is None:
        assert face is not None
        return PortraitFace(face, label, size)
    own = person.label != NEUTRAL
    if own:
        movement = task.shapes.own_movement(person.landmarks)
    elif label == NEUTRAL:
        movement = np.zeros((478, 2), np.float32)
    else:
        movement = _EXAGGERATION * task.shapes.movement(label, rng)
    basis = None
    if motion is not None:
        basis = np.stack([in_picture(one, person.landmarks) for one in motion.basis])
    movement = in_picture(movement, person.landmarks)
    return StillFace(person.still, person.landmarks, movement, own, size, basis)


def _cut(film_of: SeenFilm, settings: MadeSettings, folder: Path) -> list[_Made]:
    """Write the missing clips of a film of a neutral person; return all of them."""
    made: list[_Made] = []
    clips = film_of.clips(settings.seconds, settings.rate, settings.size)
    for number, (times, speaks, frames) in enumerate(clips):
        name = f'{film_of.name}-{number}-{NEUTRAL}'
        path = folder / 'clips' / f'{name}.mp4'
        if not path.is_file():
            write_video(frames, path, settings.rate)
        made.append(_Made(f'clips/{name}.mp4', NEUTRAL, film_of.name, 'talking', '', speaks, times))
    return made
