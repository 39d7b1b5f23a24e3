"""Chooses the stills that become the people of a made set, and finds their faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import NEUTRAL
from emotion_estimator.errors import InputError
from emotion_estimator.worker_pool import Runner
from emotion_estimator_training.data.augment import Enlargement
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    FERPLUS_CLASSES,
    TRAINING,
    Stills,
)
from emotion_estimator_training.features.crops import landmarks_in_stills
from emotion_estimator_training.features.extract import extract, extract_outlines
from emotion_estimator_training.zoo.data.made_faces import Shapes

#: Stills of each class from which movements are learned.
_SHAPES = 60
#: Candidates per wanted person: in some stills no face is found.
_SPARE = 1.3
#: Columns of FER+'s votes for each of ``FER_CLASSES``.
_VOTES = [FERPLUS_CLASSES.index(name) for name in FER_CLASSES]
_NEUTRAL = FER_CLASSES.index(NEUTRAL)
#: Share of people with a neutral still, who show all expressions.
_NEUTRAL_SHARE = 1 / 3


@dataclass(frozen=True, eq=False)
class Person:
    """A still that is animated.

    :param row: of the still, which also names the person in the set.
    :param label: class of the still.
    :param still: uint8 (48, 48), grey.
    :param landmarks: float32 (478, 3), in pixels of the still.
    """

    row: int
    label: str
    still: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


def choose_people(
    stills: Stills,
    count: int,
    seed: int,
    teacher: Path | None,
    cache: Path,
    processes: int | Runner | None = None,
) -> tuple[list[Person], Shapes]:
    """Choose people from the test splits, and learn from Training how faces move.

    No model that was trained on FER2013's Training has seen these people. If FER+'s votes are
    known, only stills are used whose FER2013 label most annotators agree with.

    :param count: of people: a third neutral, the others of the six classes in turn.
    :param seed: determines the choice.
    :param teacher: ``face_landmarker.task``; None uses the bundled face mesh.
    :param cache: folder for landmarks.
    :raises InputError: too few stills have a face.
    """
    rng = np.random.default_rng(seed)
    agreed = _agreed(stills)
    tested = agreed & (stills.usage != TRAINING) & ~stills.duplicate
    wanted = _wanted(count)
    people_rows = _drawn(stills, tested, [round(_SPARE * n + 1) for n in wanted], rng)
    shape_rows = _drawn(stills, agreed & (stills.usage == TRAINING), [_SHAPES] * len(wanted), rng)
    rows = np.concatenate([people_rows, shape_rows])
    landmarks, found = _outlines(stills, rows, teacher, cache, processes)
    people: list[Person] = []
    left = list(wanted)
    for row, points, seen in zip(people_rows, landmarks, found):
        code = int(stills.emotion[row])
        if seen and left[code]:
            left[code] -= 1
            people.append(Person(int(row), FER_CLASSES[code], stills.pixels[row], points))
    if not any(person.label == NEUTRAL for person in people):
        raise InputError(
            'no neutral face is found in the test splits; pass FER2013, or omit --data'
        )
    seen = found[len(people_rows) :]
    labels = [FER_CLASSES[code] for code in stills.emotion[shape_rows][seen]]
    return people, Shapes.of(landmarks[len(people_rows) :][seen], labels)


def _wanted(count: int) -> list[int]:
    """Return the wanted number of people of each class."""
    neutral = max(round(_NEUTRAL_SHARE * count), 1)
    others = [code for code in range(len(FER_CLASSES)) if code != _NEUTRAL]
    wanted = [0] * len(FER_CLASSES)
    wanted[_NEUTRAL] = neutral
    for number in range(count - neutral):
        wanted[others[number % len(others)]] += 1
    return wanted


def _agreed(stills: Stills) -> NDArray[np.bool_]:
    """Return the stills (N,) whose label more than half of the annotators agree with."""
    if stills.ferplus_votes is None:
        return np.ones(len(stills), bool)
    votes = stills.ferplus_votes
    for_label = votes[np.arange(len(stills)), np.array(_VOTES)[stills.emotion]]
    return np.asarray(2 * for_label.astype(int) > votes.sum(axis=1))


def _drawn(
    stills: Stills, usable: NDArray[np.bool_], counts: list[int], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return rows of usable stills, up to ``counts`` of each class."""
    chosen = []
    for code, count in enumerate(counts):
        rows = np.flatnonzero(usable & (stills.emotion == code))
        chosen.append(rng.permutation(rows)[:count])
    return np.concatenate(chosen)


def _outlines(
    stills: Stills,
    rows: NDArray[np.int64],
    teacher: Path | None,
    cache: Path,
    processes: int | Runner | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return landmarks (N, 478, 3) in pixels of the stills, and whether a face was found (N,)."""
    if teacher is None:
        seen = extract(stills, rows, None, cache, processes=processes)
        landmarks, found = seen.mesh, seen.mesh_found
    else:
        outlines = extract_outlines(stills, rows, teacher, cache, processes)
        landmarks, found = outlines.landmarks, outlines.found
    depth = landmarks[..., 2:] / np.float32(Enlargement().scale)
    return np.concatenate([landmarks_in_stills(landmarks), depth], axis=-1), found
