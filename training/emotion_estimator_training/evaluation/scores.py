"""Metrics of classification and regression, as plain numbers.

Expected calibration error: Naeini et al. 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def confusion(truth: Ints, guess: Ints, classes: int = len(LABELS)) -> Ints:
    """Return the confusion matrix (classes, classes), rows truth, columns prediction."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (truth, guess), 1)
    return matrix


def macro_f1(matrix: Ints) -> float:
    """Return the mean F1 over the classes of a confusion matrix."""
    right = np.diag(matrix)
    return float(np.mean(2 * right / np.maximum(matrix.sum(axis=0) + matrix.sum(axis=1), 1)))


def reliability(probabilities: Floats, truth: Ints, bins: int = 15) -> list[dict[str, Any]]:
    """Return accuracy against confidence of the top label, in equal-width bins.

    :param probabilities: (N, L).
    :param truth: (N,), index of the right label.
    :returns: mean ``confidence``, ``accuracy`` and ``n`` of each bin that is not empty.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            'confidence': float(confidence[bin_of == b].mean()),
            'accuracy': float(right[bin_of == b].mean()),
            'n': int((bin_of == b).sum()),
        }
        for b in range(bins)
        if (bin_of == b).any()
    ]


def calibration_error(probabilities: Floats, truth: Ints, bins: int = 15) -> float:
    """Return the expected calibration error of the top label (equal-width bins).

    The parameters are those of :func:`reliability`.
    """
    rows = reliability(probabilities, truth, bins)
    gaps = sum(abs(row['accuracy'] - row['confidence']) * row['n'] for row in rows)
    return float(gaps / max(len(truth), 1))


def cross_entropy(probabilities: Floats, truth: Ints) -> float:
    """Return the mean categorical cross-entropy in nats; probabilities are at least 1e-7.

    :param probabilities: (N, L).
    :param truth: (N,), index of the right label.
    """
    if not len(truth):
        return 0.0
    right = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(right, 1e-7)).mean())


def classification(
    probabilities: Floats, truth: Ints, labels: Sequence[str] = LABELS
) -> dict[str, Any]:
    """Return every metric of still faces.

    :param probabilities: (N, L) over ``labels``.
    :param truth: (N,), index into ``labels``.
    :returns: ``n``, ``cross_entropy``, ``accuracy``, ``macro_f1``, ``precision``, ``recall`` and
        ``f1`` by label, ``ece`` and ``confusion_matrix``, rows truth. The precision of a label that
        is never predicted is 0.
    """
    matrix = confusion(truth, probabilities.argmax(axis=1), len(labels))
    right, actual, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    by_label = {
        'precision': right / np.maximum(predicted, 1),
        'recall': right / np.maximum(actual, 1),
        'f1': 2 * right / np.maximum(actual + predicted, 1),
    }
    return {
        'n': len(truth),
        'cross_entropy': round(cross_entropy(probabilities, truth), 4),
        'accuracy': round(float(right.sum() / max(len(truth), 1)), 4),
        'macro_f1': round(macro_f1(matrix), 4),
        **{
            name: {label: round(float(one), 4) for label, one in zip(labels, values)}
            for name, values in by_label.items()
        },
        'ece': round(calibration_error(probabilities, truth), 4),
        'confusion_matrix': matrix.tolist(),
    }


def correlations(guess: Floats, truth: Floats) -> NDArray[np.float64]:
    """Return Pearson's correlation (K,) of each column; 0 for a column that does not vary.

    :param guess: (N, K).
    :param truth: (N, K).
    """
    a, b = guess - guess.mean(axis=0), truth - truth.mean(axis=0)
    spread = np.sqrt((a**2).sum(axis=0, dtype=float) * (b**2).sum(axis=0, dtype=float))
    return np.where(spread > 1e-9, (a * b).sum(axis=0) / np.maximum(spread, 1e-9), 0.0)


def moving(truth: Floats) -> NDArray[np.bool_]:
    """Return which blendshapes (52,) move: standard deviation over 0.05, or over 0.4 in 100 rows.

    :param truth: (N, 52), the teacher's scores.
    """
    return np.asarray((truth.std(axis=0) > 0.05) | ((truth > 0.4).sum(axis=0) > 100))
