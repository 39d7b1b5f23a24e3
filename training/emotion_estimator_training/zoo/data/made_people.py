"""Which stills become people of a made set, and where their faces are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.worker_pool import Runner
from emotion_estimator_training.data.augment import Enlargement
from emotion_estimator_training.data.stills import FER_CLASSES, TRAINING, Stills
from emotion_estimator_training.features.crops import landmarks_in_stills
from emotion_estimator_training.features.extract import extract, extract_outlines
from emotion_estimator_training.zoo.data.made_faces import Shapes

#: Stills of each class whose points say how faces move.
_SHAPES = 60
#: More people than wanted are looked at: in some no face is found.
_SPARE = 1.3
#: The columns of FER+'s votes, for each of ``FER_CLASSES``.
_VOTES = (4, 5, 6, 1, 3, 2, 0)
_NEUTRAL = FER_CLASSES.index('neutral')
#: Share of the people who are neutral in their stills and show all expressions.
_NEUTRAL_SHARE = 1 / 3


@dataclass(frozen=True, eq=False)
class Person:
    """A still that is animated.

    :param row: in the stills, and the person's name in the set.
    :param label: what the still shows.
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

    No model that was trained on FER2013's Training has seen these people. Where FER+'s votes are
    known, only stills are taken that most annotators see as FER2013 labels them.

    :param count: people; a third of them neutral, the others of the six classes in turn.
    :param seed: decides who.
    :param teacher: ``face_landmarker.task``; None takes the bundled face mesh.
    :param cache: folder for what the landmark source sees.
    :raises InputError: there are not enough stills with a face.
    """
    rng = np.random.default_rng(seed)
    agreed = _agreed(stills)
    tested = agreed & (stills.usage != TRAINING) & ~stills.duplicate
    wanted = _wanted(count)
    people_rows = _some(stills, tested, [round(_SPARE * n + 1) for n in wanted], rng)
    shape_rows = _some(stills, agreed & (stills.usage == TRAINING), [_SHAPES] * len(wanted), rng)
    rows = np.concatenate([people_rows, shape_rows])
    landmarks, found = _outlines(stills, rows, teacher, cache, processes)
    people: list[Person] = []
    left = list(wanted)
    for row, points, seen in zip(people_rows, landmarks, found):
        code = int(stills.emotion[row])
        if seen and left[code]:
            left[code] -= 1
            people.append(Person(int(row), FER_CLASSES[code], stills.pixels[row], points))
    if not people or not any(person.label == 'neutral' for person in people):
        raise InputError(
            'the test splits have no neutral face that is found; give FER2013, or leave --data out'
        )
    seen = found[len(people_rows) :]
    labels = [FER_CLASSES[code] for code in stills.emotion[shape_rows][seen]]
    return people, Shapes.of(landmarks[len(people_rows) :][seen], labels)


def _wanted(count: int) -> list[int]:
    """Return how many people of each class are wanted."""
    neutral = max(round(_NEUTRAL_SHARE * count), 1)
    others = [code for code in range(len(FER_CLASSES)) if code != _NEUTRAL]
    wanted = [0] * len(FER_CLASSES)
    wanted[_NEUTRAL] = neutral
    for place in range(count - neutral):
        wanted[others[place % len(others)]] += 1
    return wanted


def _agreed(stills: Stills) -> NDArray[np.bool_]:
    if stills.ferplus_votes is None:
        return np.ones(len(stills), bool)
    votes = stills.ferplus_votes
    own = votes[np.arange(len(stills)), np.array(_VOTES)[stills.emotion]]
    # More than half of the ten annotators.
    return 2 * own.astype(int) > votes.sum(axis=1)


def _some(
    stills: Stills, usable: NDArray[np.bool_], counts: list[int], rng: np.random.Generator
) -> NDArray[np.int64]:
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
    """Return landmarks (N, 478, 3) in pixels of the stills, and which were found."""
    if teacher is None:
        seen = extract(stills, rows, None, cache, processes=processes)
        landmarks, found = seen.mesh, seen.mesh_found
    else:
        outlines = extract_outlines(stills, rows, teacher, cache, processes)
        landmarks, found = outlines.landmarks, outlines.found
    depth = landmarks[..., 2:] / np.float32(Enlargement().scale)
    return np.concatenate([landmarks_in_stills(landmarks), depth], axis=-1), found
