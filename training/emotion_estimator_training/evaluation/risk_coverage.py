"""What is gained by saying nothing when unsure: error against the share of faces answered."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.evaluation.scores import confusion, macro_f1

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: Thresholds of the table, for ``abstain_below``.
THRESHOLDS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def at_thresholds(
    probabilities: Floats, truth: Ints, thresholds: tuple[float, ...] = THRESHOLDS
) -> list[dict[str, Any]]:
    """Return what remains when answers whose top probability is under a threshold are withheld.

    :param probabilities: (N, L); ``truth`` (N,), index of the right one.
    :returns: of each threshold ``abstain_below``, ``answered`` (share), and ``accuracy`` and
        ``macro_f1`` of the answered; null where none is.
    """
    rows = []
    for threshold in thresholds:
        answered = probabilities.max(axis=1) >= threshold
        matrix = confusion(
            truth[answered], probabilities[answered].argmax(axis=1), probabilities.shape[1]
        )
        some = bool(answered.any())
        rows.append({
            'abstain_below': threshold,
            'answered': round(float(answered.mean()), 4) if len(truth) else 0.0,
            'accuracy': round(float(np.diag(matrix).sum() / matrix.sum()), 4) if some else None,
            'macro_f1': round(macro_f1(matrix), 4) if some else None,
        })
    return rows


def curve(probabilities: Floats, truth: Ints) -> tuple[Floats, Floats]:
    """Return coverage and risk (N,): of the k surest answers their share, and how many are wrong.

    El-Yaniv and Wiener, On the Foundations of Noise-free Selective Classification, 2010. Answers
    as sure as each other are taken together, since no threshold parts them.

    :param probabilities: (N, L), N at least 1; ``truth`` (N,).
    """
    sure = probabilities.max(axis=1)
    order = np.argsort(-sure, kind='stable')
    wrong = (probabilities.argmax(axis=1) != truth)[order]
    count = np.arange(1, len(truth) + 1)
    risk = np.cumsum(wrong) / count
    # The last of equals stands for all of them.
    last = np.searchsorted(-sure[order], -sure[order], side='right') - 1
    return (count / len(truth)).astype(np.float32), risk[last].astype(np.float32)


def area(probabilities: Floats, truth: Ints) -> float:
    """Return the mean risk over all coverages (AURC): less is better, 0 where nothing is wrong."""
    return float(curve(probabilities, truth)[1].mean())
