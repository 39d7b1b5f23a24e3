"""Looks at photographs and films of people as the robot does, and makes the people talk."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.emotion import UNKNOWN
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.perception.face_crop import SIDE, crop_matrix, visible_crop
from emotion_estimator.perception.image import rgb_from_file
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator.perception.landmarks.source import Choice, find_faces, open_landmarker
from emotion_estimator.perception.primary_face import turned_away
from emotion_estimator.sources.video import VideoFile
from emotion_estimator.worker_pool import runner_of
from emotion_estimator_training.data.photographs import (
    DataProblem,
    Photographs,
    name_share,
    split_by_person,
)
from emotion_estimator_training.data.stills import FER_CLASSES, PUBLIC_TEST, TRAINING
from emotion_estimator_training.evaluation.film_reading import FILMS_FILE, labelled_films
from emotion_estimator_training.features.features import (
    LANDMARKER,
    MESH,
    SOURCES,
    Places,
    Processes,
    available,
)
from emotion_estimator_training.features.people import CHIP, CHIP_TO_CROP, PeopleSet
from emotion_estimator_training.features.talking import (
    LentMouth,
    MouthLenders,
    TalkingPlan,
    mouth_in,
    talking,
)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Rows = NDArray[np.bool_]
Arrays = dict[str, NDArray[Any]]

#: Photographs looked at by a task.
_CHUNK = 64
#: Increment when the pictures made here change, so that old chunks are not reused.
_VERSION = 2
_NEUTRAL = FER_CLASSES.index('neutral')
_EXAMPLES = 3


def people_set(
    photographs: Photographs,
    films: Mapping[Path, bool],
    places: Places,
    plan: TalkingPlan,
    seed: int,
    processes: Processes = None,
    sources: Sequence[str] = SOURCES,
) -> tuple[PeopleSet, list[DataProblem]]:
    """Look at photographs of people and at films of people who talk, and make people talk.

    Chunks that an earlier run finished are read from ``places.cache``, so an interrupted run
    continues.

    :param photographs: all; a fifth of the people is held out, and so are their mouths.
    :param films: of people who talk with a neutral face, and whether each is held out.
    :param seed: for choosing faces and mouths.
    :returns: the faces, and what is left out.
    :raises InputError: no photograph shows a face, or no source is available.
    """
    names = available(sources, places)
    teacher = places.teacher.absolute() if places.teacher and LANDMARKER in names else None
    look = _Look(teacher, MESH in names)
    head = BlendshapeHead.load(places.models / 'blendshape_head.json') if look.mesh else None
    content = b'' if teacher is None else _content(teacher)
    held = _held_out(photographs)
    encoded = [photographs.encoded(row) for row in range(len(photographs))]
    key = _digest(_VERSION, look.names, content, *encoded)
    plain = _chunks(
        [look.at(encoded[at : at + _CHUNK]) for at in range(0, len(encoded), _CHUNK)],
        places.cache / f'people-{key}',
        'photographs',
        processes,
        head,
    )
    seen = plain['known'].any(axis=1)
    if not seen.any():
        raise InputError(
            f'{photographs.path}: no face is found in any photograph; give photographs of faces'
        )
    numbers = {name: n for n, name in enumerate(dict.fromkeys(photographs.person))}
    person = np.array([numbers[name] for name in photographs.person], np.int64)
    emotion = photographs.emotion
    row_of = np.cumsum(seen) - 1
    landmarks = _best_landmarks(plain)
    read, left_out = _read_films(films, look, head)
    parts = [_kept(plain, seen, emotion, held, person)]
    for out in (False, True):
        pictures = MouthLenders(
            lambda row: rgb_from_file(encoded[row]),
            landmarks,
            emotion,
            person,
            seen & (held == out),
            [mouth for film, (_, mouths) in read.items() if films[film] == out for mouth in mouths],
        ).plan(plan, np.random.default_rng(seed))
        if not pictures:
            continue
        tasks = [
            look.at(
                [encoded[row] for row, _ in some],
                [landmarks[row] for row, _ in some],
                [mouth for _, mouth in some],
                seed + number,
            )
            for number, some in enumerate(
                pictures[at : at + _CHUNK] for at in range(0, len(pictures), _CHUNK)
            )
        ]
        bases = np.array([row for row, _ in pictures], np.int64)
        # What decides the pictures, apart from the photographs.
        mouths = [one and (one.grey.tobytes(), one.landmarks.tobytes()) for _, one in pictures]
        found = _chunks(
            tasks,
            places.cache / f'people-{key}-talking-{_digest(seed, bases.tobytes(), *mouths)}',
            'people who talk',
            processes,
            head,
        )
        good = found['known'].any(axis=1)
        part = _kept(found, good, emotion[bases], held[bases], person[bases])
        parts.append({**part, 'base': row_of[bases[good]]})
    at = sum(len(part['base']) for part in parts)
    for number, (film, (found, _)) in enumerate(read.items()):
        count = len(found['known'])
        part = _kept(
            found,
            found['known'].any(axis=1),
            np.full(count, _NEUTRAL),
            np.full(count, films[film]),
            np.full(count, len(numbers) + number),
        )
        frames = len(part['base'])
        parts.append({**part, 'film': np.ones(frames, bool), 'base': np.full(frames, at)})
        at += len(part['base'])
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    faceless = [photographs.names[row] for row in np.flatnonzero(~seen)]
    return PeopleSet(sources=look.names, **joined), [
        *_problem('photographs are left out, no face is found in them', faceless),
        *left_out,
    ]


def neutral_films(folder: Path) -> tuple[dict[Path, bool], list[str]]:
    """Return the films of people with a neutral face, and what is left out.

    :param folder: films and ``clips.csv``, see :func:`~.labelled_films`.
    :returns: for each film whether it is held out: those of a fifth of the people, by a hash of
        their names, of one person at least if there are two; and a line for each film without use.
    :raises InputError: there are no films, or the CSV cannot be read.
    """
    films, lines = labelled_films(folder)
    used = [film for film in films if film.label == UNKNOWN]
    lines += [
        f'{film.path.name} is left out: {FILMS_FILE} does not say that the face is neutral'
        for film in films
        if film.label != UNKNOWN
    ]
    people = sorted({film.person for film in used}, key=name_share)
    out = people[: max(round(len(people) / 5), 1)] if len(people) > 1 else []
    return {film.path: film.person in out for film in used}, lines


@dataclass(frozen=True)
class _Look:
    """Which sources look."""

    teacher: Path | None
    mesh: bool

    @property
    def names(self) -> tuple[str, ...]:
        return ((LANDMARKER,) if self.teacher else ()) + ((MESH,) if self.mesh else ())

    def open(self, *, static: bool) -> list[Landmarker]:
        choices = [Choice(LANDMARKER, '', self.teacher)] if self.teacher else []
        choices += [Choice(MESH, '')] if self.mesh else []
        return [open_landmarker(one, max_faces=2, static=static) for one in choices]

    def at(
        self,
        encoded: Sequence[bytes],
        landmarks: Sequence[Floats] = (),
        mouths: Sequence[LentMouth | None] = (),
        seed: int = 0,
    ) -> _Task:
        return _Task(self, tuple(encoded), tuple(landmarks), tuple(mouths), seed)


@dataclass(frozen=True, eq=False)
class _Task:
    """Pictures to look at.

    :param encoded: image files.
    :param landmarks: of each; needed with ``mouths``.
    :param mouths: for each the mouth to set in; None moves the face's own. Empty leaves the
        pictures as they are.
    """

    look: _Look
    encoded: tuple[bytes, ...]
    landmarks: tuple[Floats, ...]
    mouths: tuple[LentMouth | None, ...]
    seed: int


#: Each thread's landmark sources, kept open: opening them takes longer than using them.
_opened = threading.local()


def _sources(look: _Look) -> list[Landmarker]:
    if getattr(_opened, 'look', None) != look:
        cv2.setNumThreads(1)
        _opened.sources = look.open(static=True)
        _opened.look = look
    found: list[Landmarker] = _opened.sources
    return found


def _found_in(task: _Task) -> Arrays:
    """Return what the sources find in one task's pictures: the largest face of each."""
    seen = []
    for number, encoded in enumerate(task.encoded):
        image = rgb_from_file(encoded)
        if task.mouths:
            rng = np.random.default_rng([task.seed, number])
            grey = talking(image, task.landmarks[number], task.mouths[number], rng)
            image = np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
        faces = [find_faces(source, image)[:1] for source in _sources(task.look)]
        seen.append(_arrays(image, faces))
    return {name: np.stack([one[name] for one in seen]) for name in seen[0]}


def _arrays(image: NDArray[np.uint8], faces: Sequence[Sequence[Any]]) -> Arrays:
    """Return what is kept of a picture, given each source's faces in it."""
    count = len(faces)
    landmarks = np.zeros((count, 478, 3), np.float32)
    scores, known = np.zeros((count, 52), np.float32), np.zeros(count, bool)
    crops, chip = np.zeros((count, SIDE, SIDE), np.uint8), np.zeros((CHIP, CHIP), np.uint8)
    for k, found in enumerate(faces):
        crop = visible_crop(image, found[0].landmarks) if found else None
        if crop is not None:
            landmarks[k], scores[k] = found[0].landmarks, found[0].blendshapes
            known[k], crops[k] = True, crop
            # The last source's, the mesh's, as FER2013's crops are cut.
            chip = _chip(image, found[0].landmarks)
    return {
        'landmarks': landmarks,
        'scores': scores,
        'known': known,
        'crops': crops,
        'chips': chip,
    }


def _chip(image: NDArray[np.uint8], landmarks: Floats) -> NDArray[np.uint8]:
    """Cut a face out upright, with what is around it."""
    to_crop = crop_matrix(landmarks)
    scale = 1 / float(CHIP_TO_CROP[0, 0])
    matrix = scale * to_crop
    matrix[:, 2] += (CHIP - 1) / 2 - scale * (SIDE - 1) / 2
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    shrinks = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrinks < 0.6:
        # Against aliasing.
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.4 / shrinks), np.uint8)
    cut = cv2.warpAffine(grey, matrix, (CHIP, CHIP), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


def _chunks(
    tasks: Sequence[_Task],
    folder: Path,
    title: str,
    processes: Processes,
    head: BlendshapeHead | None,
) -> Arrays:
    """Run the tasks that have no file in ``folder`` yet; return the arrays of all, joined."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f'{number:05d}.npz' for number in range(len(tasks))]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    with tqdm(
        total=len(tasks),
        initial=len(tasks) - len(missing),
        unit='chunk',
        desc=title,
        disable=not missing,
    ) as bar:
        todo = [tasks[number] for number in missing]
        for index, arrays in runner_of(processes)(_found_in, todo):
            with atomic_write(paths[missing[index]]) as partial:
                np.savez(partial, **arrays)
            bar.update()
    parts = []
    for path in paths:
        try:
            with np.load(path) as data:
                parts.append({name: data[name] for name in data.files})
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f'{path} is damaged; delete it and run again') from error
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _read_by(head, joined)


def _read_by(head: BlendshapeHead | None, found: Arrays) -> Arrays:
    """Return what was found with the mesh's blendshapes, the last source's, by another head."""
    if head is not None:
        for row in np.flatnonzero(found['known'][:, -1]):
            found['scores'][row, -1] = head(found['landmarks'][row, -1])
    return found


def _digest(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
        digest.update(b'|')
    return digest.hexdigest()[:16]


def _content(model: Path) -> bytes:
    try:
        return model.read_bytes()
    except OSError as error:
        raise ModelError(
            f'face landmarker model {model} cannot be read ({error.strerror}); run '
            '"emotion-estimator models fetch", or leave --teacher out'
        ) from error


def _held_out(photographs: Photographs) -> Rows:
    """Return which photographs (N,) are of held-out people."""
    out = set(split_by_person(photographs)[1].names)
    return np.array([name in out for name in photographs.names], bool)


def _best_landmarks(found: Arrays) -> Floats:
    """Return the landmarks (N, 478, 3) of the first source that found each face."""
    first = found['known'][:, 0, None, None]
    return np.where(first, found['landmarks'][:, 0], found['landmarks'][:, -1])


def _kept(found: Arrays, good: Rows, emotion: Ints, held: Rows, person: Ints) -> Arrays:
    """Return the arrays of :class:`PeopleSet` for the pictures with a face, each its own base."""
    return {
        **{name: found[name][good] for name in ('scores', 'known', 'crops', 'chips')},
        'turned': np.array([turned_away(one) for one in _best_landmarks(found)[good]], np.float32),
        'emotion': emotion[good].astype(np.int64),
        'usage': np.where(held[good], PUBLIC_TEST, TRAINING),
        'person': person[good],
        'film': np.zeros(int(good.sum()), bool),
        'base': np.arange(int(good.sum())),
    }


def _read_films(
    films: Mapping[Path, bool], look: _Look, head: BlendshapeHead | None
) -> tuple[dict[Path, tuple[Arrays, list[LentMouth]]], list[DataProblem]]:
    """Return what is found in each film's frames and the mouths in them, and what is left out."""
    read, unreadable, faceless = {}, [], []
    for film in tqdm(films, desc='films', unit='film', disable=not films):
        try:
            found, mouths = _frames(film, look)
        except InputError:
            unreadable.append(film.name)
            continue
        if mouths:
            read[film] = _read_by(head, found), mouths
        else:
            faceless.append(film.name)
    return read, [
        *_problem('films are left out, they cannot be read', unreadable),
        *_problem('films are left out, no face is found in them', faceless),
    ]


def _frames(film: Path, look: _Look) -> tuple[Arrays, list[LentMouth]]:
    """Return what each source finds in a film's frames, tracking, and the mouths in them."""
    sources = look.open(static=False)
    seen, mouths = [], []
    try:
        with contextlib.closing(VideoFile(film)) as frames:
            for frame in frames:
                seen.append(_arrays(frame.image, [source(frame)[:1] for source in sources]))
                points = seen[-1]['landmarks']
                if seen[-1]['known'].any():
                    mouths.append(
                        mouth_in(frame.image, points[0] if points[0].any() else points[-1])
                    )
    finally:
        for source in sources:
            source.close()
    return {name: np.stack([one[name] for one in seen]) for name in seen[0]}, mouths


def _problem(kind: str, names: Sequence[str]) -> list[DataProblem]:
    return [DataProblem(kind, len(names), tuple(names[:_EXAMPLES]))] if names else []
