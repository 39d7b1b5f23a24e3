"""Faces that hold their expression, and how often a recognizer's label of them changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.evaluation.recognizer import Floats, Recognizer
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.sequences.constructed import Course, course

#: Which faces are held.
HELD_SEED = 31
#: Seconds after a face appeared, in which a label may still settle and flips do not count.
_SETTLING = 1.0


def flips(answers: Floats) -> NDArray[np.int64]:
    """Return how often the label of each face changes from one frame to the next.

    :param answers: (B, T, L), probabilities.
    :returns: (B,).
    """
    return (np.diff(answers.argmax(axis=-1), axis=1) != 0).sum(axis=1)


def held_rows(features: FeatureSet, faces: int = 200, seed: int = HELD_SEED) -> NDArray[np.int64]:
    """Return which faces are held: random ones, the same for every recognizer.

    :raises InputError: there is none.
    """
    if not len(features):
        raise InputError('no faces to hold: this split of the data has none; choose another')
    return np.random.default_rng(seed).permutation(len(features))[:faces]


def held_faces(
    features: FeatureSet,
    rate: float = 30.0,
    seconds: float = 5.0,
    faces: int = 200,
    seed: int = HELD_SEED,
    strength: float = 1.0,
) -> Course:
    """Let faces hold their expressions for ``seconds``, after a second to settle.

    :param features: faces of one source and of a test split, of which ``faces`` are taken at
        random; the same for every recognizer.
    :param rate: frames per second.
    :param strength: times the movement measured on tracked video.
    :raises InputError: there is no face.
    """
    rows = held_rows(features, faces, seed)
    return course(
        [features.vectors[rows]], [], features.source, rate, _SETTLING + seconds, seed,
        strength=strength, moves=[None if features.moves is None else features.moves[rows]],
    )


def held_figures(
    recognizer: Recognizer, held: Course, label: NDArray[np.int64]
) -> dict[str, float]:
    """Return what a recognizer says of held faces, once a second has passed.

    :param held: of :func:`held_faces`; ``label`` (B,), the true label of each.
    :returns: ``flips_per_s``, and ``right_while_held``, the share of frames with the true label,
        which steadiness may not cost.
    """
    settled = int(np.searchsorted(held.times, _SETTLING - 1e-6))
    answers = recognizer.sequences(held.vectors, held.dt)[:, settled:]
    seconds = float(held.dt[0, settled:].sum(dtype=np.float64))
    return {
        'flips_per_s': float(flips(answers).mean() / seconds),
        'right_while_held': float((answers.argmax(axis=-1) == label[:, None]).mean()),
    }


def held_flips(
    recognizer: Recognizer, features: FeatureSet, rate: float = 30.0, **how: Any
) -> float:
    """Return label flips per second on expressions that are held; see :func:`held_faces`."""
    held = held_faces(features, rate, **how)
    return held_figures(recognizer, held, np.zeros(len(held.dt), np.int64))['flips_per_s']
