"""A made set of labelled clips: animated stills of FER2013, and the animated portrait.

It is a stand-in for sets of labelled video, none of which is openly available; docs/zoo.md says how
it differs from real faces.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.emotion import NEUTRAL
from emotion_estimator.errors import InputError
from emotion_estimator.worker_pool import Runner, runner_of
from emotion_estimator_training.data.made_set import MadeFace
from emotion_estimator_training.data.stills import FER_CLASSES, Stills
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.zoo.data.clips import STRENGTH, TABLE
from emotion_estimator_training.zoo.data.made_faces import (
    PortraitFace,
    Shapes,
    StillFace,
    in_picture,
)
from emotion_estimator_training.zoo.data.made_people import Person, choose_people
from emotion_estimator_training.zoo.data.made_video import (
    Face,
    FilmCourse,
    film,
    make_course,
    write_video,
)

#: File of the settings of a set.
SETTINGS = 'made.json'
#: Increase it when the same settings make other clips.
_VERSION = 1
#: Clips of a person whose still shows an expression, and of each expression of the portrait.
_CLIPS_OF_PERSON, _CLIPS_OF_PORTRAIT = 2, 2
#: Factor on movements, since means of faces are milder than single faces.
_EXAGGERATION = 1.4
_COLUMNS = (
    'clip',
    'label',
    'subject',
    'kind',
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
    :param seconds: duration of a clip, 0.5 to 60.
    :param rate: frames per second, 1 to 60.
    :param size: side of the frames in pixels, 96 to 1024.
    :param seed: determines the entire set.
    :raises InputError: a value is out of range.
    """

    people: int = 120
    seconds: float = 3.0
    rate: float = 15.0
    size: int = 192
    seed: int = SEED

    def __post_init__(self) -> None:
        if not (
            self.people >= 3
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
    shapes: Shapes
    settings: MadeSettings
    folder: Path


@dataclass(frozen=True, eq=False)
class _Made:
    """A clip of the set."""

    name: str
    label: str
    who: str
    person: Person | None
    course: FilmCourse

    @property
    def row(self) -> list[object]:
        """The clip's row in the table."""
        course, person = self.course, self.person
        kind = 'portrait' if person is None else 'moved' if person.label == NEUTRAL else 'shown'
        # An expression that stays until the end has no offset.
        last = course.times[-1]
        phases = [f'{at:.2f}' if at < last else '' for at in course.phases] or [''] * 4
        return [
            self.name,
            self.label,
            self.who,
            kind,
            int(course.speaks),
            f'{course.hidden:.2f}',
            *phases,
        ]


def make_set(
    stills: Stills,
    folder: Path,
    settings: MadeSettings,
    cache: Path,
    teacher: Path | None = None,
    processes: int | Runner | None = None,
) -> Path:
    """Write clips and their table; an interrupted call resumes when run again.

    A person with a neutral still shows all seven expressions once each, with movements learned from
    other faces. A person with another still shows its expression, from nearly neutral to the still
    itself and back. The portrait shows all expressions, in colour.

    :param stills: FER2013, or the set of ``training make-set``.
    :param folder: gets ``clips/*.mp4``, ``clips.csv`` (label, subject, speech, share of frames with
        a hand, seconds of onset, apex, offset and end), ``strength.csv`` (of the expression in each
        frame) and ``made.json`` (the settings).
    :param cache: folder for the landmarks of the stills.
    :param teacher: ``face_landmarker.task``; None uses the bundled face mesh.
    :param processes: worker processes (None: one a core), or a runner of
        :mod:`~emotion_estimator.worker_pool`.
    :returns: path of the table.
    :raises InputError: the folder holds something else or cannot be written, or there are too few
        stills with a face.
    """
    facts = {
        'version': _VERSION,
        **asdict(settings),
        'stills': len(stills),
        'landmarks': 'face_mesh' if teacher is None else 'face_landmarker',
    }
    _begin(folder, facts)
    people, shapes = choose_people(
        stills, settings.people, settings.seed, teacher, cache, processes
    )
    tasks = [_Task(person, shapes, settings, folder) for person in (None, *people)]
    made: dict[int, list[_Made]] = {}
    with tqdm(total=len(tasks), unit='person', desc='clips') as bar:
        for index, clips in runner_of(processes)(_make, tasks):
            made[index] = clips
            bar.update()
    clips = [clip for index in sorted(made) for clip in made[index]]
    _write(
        folder / STRENGTH,
        ('clip', 'time', 'strength'),
        [
            [clip.name, f'{time:.4f}', f'{strength:.3f}']
            for clip in clips
            for time, strength in zip(clip.course.times, clip.course.intensity)
        ],
    )
    return _write(folder / TABLE, _COLUMNS, [clip.row for clip in clips])


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


def _make(task: _Task) -> list[_Made]:
    """Write the missing clips of a subject; return all of them."""
    cv2.setNumThreads(1)
    made: list[_Made] = []
    settings = task.settings
    face = None
    for number, label in enumerate(_labels(task.person)):
        who = 'portrait' if task.person is None else f'still{task.person.row:05d}'
        name = f'{who}-{number}-{label}'
        rng = np.random.default_rng([settings.seed, _number(task.person), number])
        course = make_course(label == NEUTRAL, settings.seconds, settings.rate, rng)
        path = task.folder / 'clips' / f'{name}.mp4'
        if not path.is_file():
            if task.person is None:
                face = face or MadeFace()
            actor = _actor(task, label, face, rng)
            write_video(film(actor, course, rng), path, settings.rate)
        made.append(_Made(f'clips/{name}.mp4', label, who, task.person, course))
    return made


def _labels(person: Person | None) -> Iterator[str]:
    if person is None:
        return iter(FER_CLASSES * _CLIPS_OF_PORTRAIT)
    if person.label == NEUTRAL:
        return iter(FER_CLASSES)
    return iter([person.label] * _CLIPS_OF_PERSON)


def _number(person: Person | None) -> int:
    return 0 if person is None else person.row + 1


def _actor(task: _Task, label: str, face: MadeFace | None, rng: np.random.Generator) -> Face:
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
    movement = in_picture(movement, person.landmarks)
    return StillFace(person.still, person.landmarks, movement, own, size)
