"""Chooses the stills that become the people of a made set, and finds their faces."""

from __future__ import annotations

from collections.abc import Sequence
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
    SPLITS,
    TRAINING,
    Stills,
)
from emotion_estimator_training.features.crops import landmarks_in_stills
from emotion_estimator_training.features.extract import extract, extract_outlines
from emotion_estimator_training.zoo.data.face_shapes import Shapes

#: Stills of each class from which movements are learned.
_SHAPES = 60
#: Candidates per wanted person: in some stills no face is found.
_SPARE = 1.3
#: Columns of FER+'s votes for each of ``FER_CLASSES``.
_VOTES = [FERPLUS_CLASSES.index(name) for name in FER_CLASSES]
#: Classes of which the test splits have few stills with an agreed label: those of Training are held
#: out of pretraining and fill them up.
_RARE_CODES = [FER_CLASSES.index(name) for name in ('disgust', 'fear')]


@dataclass(frozen=True, eq=False)
class Person:
    """A still that is animated.

    :param row: of the still, which also names the person in the set.
    :param label: class of the still.
    :param usage: one of FER2013's ``SPLITS``.
    :param still: uint8 (48, 48), grey.
    :param landmarks: float32 (478, 3), in pixels of the still.
    """

    row: int
    label: str
    usage: str
    still: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


def held_out(stills: Stills) -> NDArray[np.bool_]:
    """Return which stills (N,) of Training the people of made sets are also chosen from.

    What is to be measured on a made set must not learn from them. They are those of disgust and
    fear whose label most annotators agree with; none without FER+'s votes.
    """
    if stills.ferplus_votes is None:
        return np.zeros(len(stills), bool)
    rare = np.isin(stills.emotion, _RARE_CODES)
    return np.asarray(rare & (stills.usage == TRAINING) & _agreed(stills))


def choose_people(
    stills: Stills,
    count: int,
    seed: int,
    teacher: Path | None,
    cache: Path,
    processes: int | Runner | None = None,
) -> tuple[list[Person], Shapes]:
    """Choose people from the test splits, and learn from Training how faces move.

    No model that was trained on FER2013's Training has seen these people, but those of
    :func:`held_out`. If FER+'s votes are known, only stills are used whose FER2013 label most
    annotators agree with.

    :param count: of people, as many of each class as there are.
    :param seed: determines the choice.
    :param teacher: ``face_landmarker.task``; None uses the bundled face mesh.
    :param cache: folder for landmarks.
    :raises InputError: too few stills have a face.
    """
    rng = np.random.default_rng(seed)
    agreed, held = _agreed(stills), held_out(stills)
    tested = agreed & (stills.usage != TRAINING) & ~stills.duplicate
    of_class = [stills.emotion == code for code in range(len(FER_CLASSES))]
    wanted = shares_of(count, [int(((tested | held) & one).sum()) for one in of_class])
    people_rows = np.concatenate(
        [
            # Those of the test splits first.
            np.concatenate([_shuffled(part & one, rng) for part in (tested, held)])[
                : round(_SPARE * number + 1)
            ]
            for one, number in zip(of_class, wanted)
        ]
    )
    rare = np.isin(stills.emotion, _RARE_CODES)
    learned = (stills.usage == TRAINING) & ~held & (agreed | rare)
    shape_rows = np.concatenate([_shuffled(learned & one, rng)[:_SHAPES] for one in of_class])
    rows = np.concatenate([people_rows, shape_rows])
    landmarks, found = _outlines(stills, rows, teacher, cache, processes)
    people: list[Person] = []
    left = list(wanted)
    for row, points, seen in zip(people_rows, landmarks, found):
        code = int(stills.emotion[row])
        if seen and left[code]:
            left[code] -= 1
            usage = SPLITS[int(stills.usage[row])]
            people.append(Person(int(row), FER_CLASSES[code], usage, stills.pixels[row], points))
    if not any(person.label == NEUTRAL for person in people):
        raise InputError(
            'no neutral face is found in the test splits; pass FER2013, or omit --data'
        )
    seen = found[len(people_rows) :]
    labels = [FER_CLASSES[code] for code in stills.emotion[shape_rows][seen]]
    return people, Shapes.of(landmarks[len(people_rows) :][seen], labels)


def shares_of(count: int, there: Sequence[int]) -> list[int]:
    """Return how many people of each class make ``count``, as evenly as ``there`` allows.

    What cannot be shared evenly goes to the last classes: to ``neutral`` first.

    :param there: of each class.
    :returns: at most ``there`` of each; their sum is ``count`` if that many are there.
    """
    taken = [0] * len(there)
    left = count
    while left and any(one < most for one, most in zip(taken, there)):
        for code in reversed(range(len(there))):
            if left and taken[code] < there[code]:
                taken[code] += 1
                left -= 1
    return taken


def _agreed(stills: Stills) -> NDArray[np.bool_]:
    """Return the stills (N,) whose label more than half of the annotators agree with."""
    if stills.ferplus_votes is None:
        return np.ones(len(stills), bool)
    votes = stills.ferplus_votes
    for_label = votes[np.arange(len(stills)), np.array(_VOTES)[stills.emotion]]
    return np.asarray(2 * for_label.astype(int) > votes.sum(axis=1))


def _shuffled(usable: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the rows of usable stills in random order."""
    return np.asarray(rng.permutation(np.flatnonzero(usable)), np.int64)


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
