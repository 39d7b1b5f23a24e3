"""Photographs and films of people as the robot sees them, and the same faces talking."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import UNKNOWN
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import Frame
from emotion_estimator.perception.face_crop import SIDE, crop_matrix, visible_crop
from emotion_estimator.perception.image import rgb_from_file
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator.perception.landmarks.source import Choice, find_faces, open_landmarker
from emotion_estimator.perception.primary_face import turned_away
from emotion_estimator.sources.video import VideoFile
from emotion_estimator.worker_pool import runner_of
from emotion_estimator_training.data.mouths import direction, with_mouth_of, with_syllable
from emotion_estimator_training.data.photographs import (
    Photographs,
    name_share,
    split_by_person,
)
from emotion_estimator_training.data.stills import FER_CLASSES, PUBLIC_TEST, TRAINING
from emotion_estimator_training.evaluation.film_reading import FILMS_FILE, labelled_films
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.features import LANDMARKER, MESH, Places, Processes

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Rows = NDArray[np.bool_]

#: Side in pixels of a face that crops are cut from in training, and its width in crops.
CHIP, _CHIP_CROPS = 96, 1.5
#: From pixels of such a face to those of its crop.
CHIP_TO_CROP: Floats = np.array(
    [[_CHIP_CROPS * SIDE / CHIP, 0, 0], [0, _CHIP_CROPS * SIDE / CHIP, 0]], np.float32
)
CHIP_TO_CROP[:, 2] = (SIDE - 1) / 2 - CHIP_TO_CROP[0, 0] * (CHIP - 1) / 2
#: Photographs looked at by a task.
_CHUNK = 64
#: Increment when the pictures made here change, so that old chunks are not reused.
_VERSION = 1
_NEUTRAL, _HAPPY = FER_CLASSES.index('neutral'), FER_CLASSES.index('happy')
#: How much a face of each class counts: of some there are few.
_CLASS_WEIGHTS = np.array(
    [{'happy': 0.8, 'neutral': 1.2, 'sad': 4.0}.get(name, 2.0) for name in FER_CLASSES]
)
_DOWN = tuple(BLENDSHAPE_NAMES.index(f'eyeLookDown{side}') for side in ('Left', 'Right'))
#: Blendshape and degrees from which a face looks down, and is turned.
_LOOKS_DOWN, _TURNED = 0.25, 25.0
#: Face width in pixels from which a mouth is good enough for another face.
_LEAST_MOUTH = 70
#: Difference of :func:`direction` up to which two faces are turned alike; of mouths from films,
#: which are few, a little more.
_ALIKE, _ALIKE_IN_FILMS = 0.15, 0.25
#: By class, the share of mouths taken from photographs, from films, and of moved own mouths. People
#: who smile lend theirs to people who smile; nobody lends a mouth to the sad, of whom the mouth is
#: half the expression.
_MOUTHS = {_NEUTRAL: (0.5, 0.3, 0.2), _HAPPY: (0.6, 0.0, 0.4)}
_OWN_MOUTH = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class TalkingPlan:
    """How many faces are made to talk.

    :param mouths: pictures of each face with another mouth.
    :param each: faces of one person at most.
    :param faces: neutral faces at most; half as many happy ones and an eighth of each other class,
        of the sad as many as of the happy.
    """

    mouths: int = 4
    each: int = 6
    faces: int = 1600

    def most(self, emotion: int) -> int:
        """Return the number of faces of a class at most."""
        if emotion == _NEUTRAL:
            return self.faces
        few = emotion not in (_HAPPY, FER_CLASSES.index('sad'))
        return self.faces // (8 if few else 2)


@dataclass(frozen=True, eq=False)
class PeopleSet:
    """Faces of photographs and films, and the same ones talking, by K landmark sources.

    :param sources: names of the landmark sources.
    :param scores: float32 (N, K, 52), blendshapes; zeros if the source found no face.
    :param known: bool (N, K), whether it found one.
    :param crops: uint8 (N, K, 48, 48), by the source's landmarks; zeros if there is none.
    :param chips: uint8 (N, 96, 96), the face upright with what is around it, to cut varied crops
        from with ``CHIP_TO_CROP``.
    :param emotion: int64 (N,), index into ``FER_CLASSES``.
    :param usage: int64 (N,), ``TRAINING``, or ``PUBLIC_TEST`` of held-out people.
    :param person: int64 (N,), number of the person.
    :param turned: float32 (N,), degrees by which the face is turned away from the camera.
    :param base: int64 (N,), the row of which this is a picture with another mouth, or of a film the
        row of its first frame; its own row for the others.
    """

    sources: tuple[str, ...]
    scores: Floats
    known: Rows
    crops: NDArray[np.uint8]
    chips: NDArray[np.uint8]
    emotion: Ints
    usage: Ints
    person: Ints
    turned: Floats
    base: Ints

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.scores)

    @property
    def talking(self) -> Rows:
        """Return (N,), whether the face was made to talk or is a later frame of a film."""
        return np.asarray(self.base != np.arange(len(self)))

    @property
    def weight(self) -> Floats:
        """Return (N,), how much each face counts to learn from.

        Of a person with more than eight pictures each counts less; all mouths of a face together
        count as much as the face itself. Rare classes count more, and so do neutral faces that look
        down or are turned, which are easily taken for sad ones.
        """
        number = Counter(self.person[~self.talking].tolist())
        each = np.array(
            [min(1.0, (8 / max(number[one], 1)) ** 0.7) for one in self.person.tolist()]
        )
        mouths = Counter(self.base[self.talking].tolist())
        shared = np.array([1 / max(mouths[one], 1) for one in self.base.tolist()])
        hard = 1.0 + (self.looking_down > _LOOKS_DOWN) + 0.5 * (self.turned > _TURNED)
        lot = each * np.where(self.talking, shared, 1) * _CLASS_WEIGHTS[self.emotion]
        return np.where(self.emotion == _NEUTRAL, hard * lot, lot).astype(np.float32)

    @property
    def looking_down(self) -> Floats:
        """Return (N,), 0 to 1, the blendshape of looking down, of the sources that see the face."""
        both = self.scores[..., list(_DOWN)].mean(axis=-1)
        return np.asarray(
            (both * self.known).sum(axis=1) / np.maximum(self.known.sum(axis=1), 1), np.float32
        )

    def of(self, source: str) -> tuple[FeatureSet, Ints]:
        """Return the faces that a source found, and their rows here."""
        k = self.sources.index(source)
        rows = np.flatnonzero(self.known[:, k])
        nothing = np.zeros(len(rows), bool)
        return FeatureSet(
            source=source,
            blendshapes=self.scores[rows, k],
            emotion=self.emotion[rows],
            usage=self.usage[rows],
            image_id=rows,
            duplicate=nothing,
            augmented=nothing,
            crops=self.crops[rows, k],
        ), rows


def people_path(run: Path) -> Path:
    """Return the file of people's faces in a run folder."""
    return run / 'people' / 'people.npz'


def save_people(people: PeopleSet, path: Path) -> Path:
    """Write a file that :func:`load_people` reads, and its folder; return ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        np.savez(partial, **{one.name: getattr(people, one.name) for one in fields(people)})
    return path


def load_people(run: Path) -> PeopleSet | None:
    """Read the faces of people in a run folder; None if there are none.

    :raises InputError: the file is damaged.
    """
    path = people_path(run)
    if not path.exists():
        return None
    try:
        with np.load(path) as data:
            arrays = {one.name: data[one.name] for one in fields(PeopleSet)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f'{path} is damaged ({first_line(error)}); run "emotion-estimator training people"'
        ) from error
    return PeopleSet(**{**arrays, 'sources': tuple(arrays['sources'].tolist())})


@dataclass(frozen=True, eq=False)
class _Mouth:
    """A face whose mouth others can have."""

    grey: NDArray[np.uint8]
    landmarks: Floats


@dataclass(frozen=True, eq=False)
class _Task:
    """Pictures to look at.

    :param encoded: image files, or uint8 (H, W) grey pictures.
    :param landmarks: of each; needed with ``mouths``.
    :param mouths: for each the mouth to set in; None moves the face's own.
    """

    encoded: tuple[Any, ...]
    teacher: Path | None
    mesh: bool
    landmarks: tuple[Floats, ...] = ()
    mouths: tuple[_Mouth | None, ...] = ()
    seed: int = 0


#: Each thread's landmark sources, kept open: opening them takes longer than using them.
_opened = threading.local()


def _sources(task: _Task) -> list[Landmarker]:
    if getattr(_opened, 'key', None) != (task.teacher, task.mesh):
        cv2.setNumThreads(1)
        _opened.sources = _open(task.teacher, task.mesh, static=True)
        _opened.key = (task.teacher, task.mesh)
    found: list[Landmarker] = _opened.sources
    return found


def _open(teacher: Path | None, mesh: bool, *, static: bool) -> list[Landmarker]:
    choices = [Choice(LANDMARKER, '', teacher)] if teacher else []
    choices += [Choice(MESH, '')] if mesh else []
    return [open_landmarker(one, max_faces=2, static=static) for one in choices]


def _look(task: _Task) -> dict[str, NDArray[Any]]:
    """Return what the sources find in one task's pictures: the largest face of each."""
    seen = []
    for number, encoded in enumerate(task.encoded):
        image = rgb_from_file(encoded) if isinstance(encoded, bytes) else encoded
        if task.landmarks:
            image = _talks(image, task, number)
        if image.ndim == 2:
            image = np.ascontiguousarray(np.repeat(image[..., None], 3, axis=2))
        faces = [find_faces(source, image)[:1] for source in _sources(task)]
        seen.append(_arrays(image, faces))
    return {name: np.stack([one[name] for one in seen]) for name in seen[0]}


def _talks(image: NDArray[np.uint8], task: _Task, number: int) -> NDArray[np.uint8]:
    grey = np.asarray(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image, np.uint8
    )
    landmarks, mouth = task.landmarks[number], task.mouths[number]
    made = None
    if mouth is not None:
        made = with_mouth_of(grey, landmarks, mouth.grey, mouth.landmarks)
    if made is None:
        made = with_syllable(grey, landmarks, np.random.default_rng([task.seed, number]))
    return made


def _arrays(image: NDArray[np.uint8], faces: Sequence[Sequence[Any]]) -> dict[str, NDArray[Any]]:
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
    tasks: Sequence[_Task], folder: Path, title: str, processes: Processes
) -> dict[str, NDArray[Any]]:
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
        for index, arrays in runner_of(processes)(_look, [tasks[number] for number in missing]):
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
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def people_set(
    photographs: Photographs,
    films: Mapping[Path, bool],
    places: Places,
    plan: TalkingPlan,
    seed: int,
    processes: Processes = None,
    sources: Sequence[str] = (LANDMARKER, MESH),
) -> PeopleSet:
    """Look at photographs of people and at films of people who talk, and make people talk.

    Chunks that an earlier run finished are read from ``places.cache``, so an interrupted run
    continues.

    :param photographs: all; a fifth of the people is held out, and so are their mouths.
    :param films: of people who talk with a neutral face, and whether each is held out.
    :param seed: for choosing faces and mouths.
    :raises InputError: no photograph shows a face.
    """
    teacher = places.teacher.absolute() if places.teacher and LANDMARKER in sources else None
    mesh = MESH in sources
    names = ([LANDMARKER] if teacher else []) + ([MESH] if mesh else [])
    held = _held_out(photographs)
    rows = np.arange(len(photographs))
    encoded = [photographs.encoded(int(row)) for row in rows]
    digest = hashlib.sha256(repr((_VERSION, names, seed, plan)).encode())
    for one in encoded:
        digest.update(one)
    cache = places.cache / f'people-{digest.hexdigest()[:16]}'
    plain = _chunks(
        [
            _Task(tuple(encoded[at : at + _CHUNK]), teacher, mesh)
            for at in range(0, len(encoded), _CHUNK)
        ],
        cache / 'plain',
        'photographs',
        processes,
    )
    seen = plain['known'].any(axis=1)
    if not seen.any():
        raise InputError(f'{photographs.path}: no face is found in any photograph')
    numbers = {name: n for n, name in enumerate(dict.fromkeys(photographs.person))}
    person = np.array([numbers[name] for name in photographs.person], np.int64)
    parts = [_kept(plain, seen, photographs.emotion, held, person)]
    row_of = np.cumsum(seen) - 1
    landmarks = plain['landmarks'][:, 0].copy()
    unseen = ~plain['known'][:, 0]
    landmarks[unseen] = plain['landmarks'][unseen, -1]
    frames = {film: _frames(film, teacher, mesh) for film in tqdm(films, desc='films', unit='film')}
    for out in (False, True):
        chosen = [frames[film] for film, apart in films.items() if apart == out]
        made = _talking(
            encoded,
            landmarks,
            photographs.emotion,
            person,
            seen & (held == out),
            chosen,
            plan,
            seed,
        )
        if made is None:
            continue
        bases, tasks = made
        for number, task in enumerate(tasks):
            tasks[number] = _Task(
                task.encoded, teacher, mesh, task.landmarks, task.mouths, seed + number
            )
        found = _chunks(tasks, cache / f'talking-{int(out)}', 'people who talk', processes)
        good = found['known'].any(axis=1)
        part = _kept(found, good, photographs.emotion[bases], held[bases], person[bases])
        part['base'] = row_of[bases[good]]
        parts.append(part)
    at = sum(len(part['base']) for part in parts)
    for number, (film, out) in enumerate(films.items()):
        count = len(frames[film][0]['known'])
        part = _kept(
            frames[film][0],
            frames[film][0]['known'].any(axis=1),
            np.full(count, _NEUTRAL),
            np.full(count, out),
            np.full(count, len(numbers) + number),
        )
        part['base'] = np.full(len(part['base']), at)
        at += len(part['base'])
        parts.append(part)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return PeopleSet(sources=tuple(names), **joined)


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


def _held_out(photographs: Photographs) -> Rows:
    """Return which photographs (N,) are of held-out people."""
    out = set(split_by_person(photographs)[1].names)
    return np.array([name in out for name in photographs.names], bool)


def _kept(
    found: Mapping[str, NDArray[Any]], good: Rows, emotion: Ints, held: Rows, person: Ints
) -> dict[str, NDArray[Any]]:
    part = {name: found[name][good] for name in ('scores', 'known', 'crops', 'chips')}
    points = np.where(
        found['known'][:, :1, None], found['landmarks'][:, 0], found['landmarks'][:, -1]
    )
    return {
        **part,
        'turned': np.array([turned_away(one) for one in points[good]], np.float32),
        'emotion': emotion[good].astype(np.int64),
        'usage': np.where(held[good], PUBLIC_TEST, TRAINING),
        'person': person[good],
        'base': np.arange(int(good.sum())),
    }


def _frames(
    film: Path, teacher: Path | None, mesh: bool
) -> tuple[dict[str, NDArray[Any]], list[_Mouth]]:
    """Return what each source finds in a film's frames, tracking, and the mouths in them."""
    sources = _open(teacher, mesh, static=False)
    seen, mouths = [], []
    try:
        with contextlib.closing(VideoFile(film)) as frames:
            for frame in frames:
                faces = [source(Frame(frame.image, frame.stamp))[:1] for source in sources]
                seen.append(_arrays(frame.image, faces))
                if seen[-1]['known'].any():
                    mouths.append(_mouth(frame.image, seen[-1]['landmarks']))
    finally:
        for source in sources:
            source.close()
    if not seen:
        raise InputError(f'{film} has no frames; give films of people who talk')
    return {name: np.stack([one[name] for one in seen]) for name in seen[0]}, mouths


def _mouth(image: NDArray[np.uint8], landmarks: Floats) -> _Mouth:
    """Return the part of an image that shows the face, of at most 256 pixels."""
    points = landmarks[0] if landmarks[0].any() else landmarks[-1]
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    margin = (high - low) / 2
    left, top = np.maximum(low - margin, 0).astype(int).tolist()
    right, bottom = (high + margin).astype(int).tolist()
    grey = cv2.cvtColor(np.ascontiguousarray(image[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    scale = min(1.0, 256 / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    moved = (points - np.array([left, top, 0], np.float32)) * np.float32(scale)
    return _Mouth(np.asarray(small, np.uint8), moved.astype(np.float32))


def _talking(
    encoded: Sequence[bytes],
    landmarks: Floats,
    emotion: Ints,
    person: Ints,
    usable: Rows,
    films: Sequence[tuple[dict[str, NDArray[Any]], list[_Mouth]]],
    plan: TalkingPlan,
    seed: int,
) -> tuple[Ints, list[_Task]] | None:
    """Choose which faces of one part talk and whose mouth each gets.

    :returns: the photograph of each picture to make, and the tasks; None if there is nothing.
    """
    rng = np.random.default_rng(seed)
    turned = np.zeros((len(encoded), 2), np.float32)
    for row in np.flatnonzero(usable):
        turned[row] = direction(landmarks[row])
    large = usable & (np.ptp(landmarks[..., 0], axis=1) > _LEAST_MOUTH)
    lenders = {code: np.flatnonzero(large & (emotion == code)) for code in (_NEUTRAL, _HAPPY)}
    filmed = [mouth for _, mouths in films for mouth in mouths]
    filmed_turned = np.array([direction(one.landmarks) for one in filmed]).reshape(-1, 2)
    of_person: Counter[int] = Counter()
    of_class: Counter[int] = Counter()
    greys: dict[int, _Mouth] = {}

    def photographed(row: int) -> _Mouth:
        if row not in greys:
            grey = cv2.cvtColor(rgb_from_file(encoded[row]), cv2.COLOR_RGB2GRAY)
            greys[row] = _Mouth(np.asarray(grey, np.uint8), landmarks[row])
        return greys[row]

    def lent(row: int) -> _Mouth | None:
        code = int(emotion[row])
        way = rng.choice(3, p=_MOUTHS.get(code, _OWN_MOUTH))
        if way == 0:
            others = lenders[code]
            near = np.abs(turned[others] - turned[row]).max(axis=1) < _ALIKE
            others = others[near & (person[others] != person[row])]
            return photographed(int(rng.choice(others))) if len(others) else None
        if way == 1 and filmed:
            near = np.abs(filmed_turned - turned[row]).max(axis=1) < _ALIKE_IN_FILMS
            return filmed[int(rng.choice(np.flatnonzero(near)))] if near.any() else None
        return None

    bases, mouths = [], []
    for row in rng.permutation(np.flatnonzero(usable)).tolist():
        of_person[int(person[row])] += 1
        of_class[int(emotion[row])] += 1
        if of_person[int(person[row])] > plan.each or of_class[int(emotion[row])] > plan.most(
            int(emotion[row])
        ):
            continue
        for _ in range(plan.mouths):
            bases.append(row)
            mouths.append(lent(row))
    if not bases:
        return None
    tasks = [
        _Task(
            tuple(encoded[row] for row in bases[at : at + _CHUNK]),
            None,
            True,
            tuple(landmarks[row] for row in bases[at : at + _CHUNK]),
            tuple(mouths[at : at + _CHUNK]),
        )
        for at in range(0, len(bases), _CHUNK)
    ]
    return np.array(bases, np.int64), tasks
