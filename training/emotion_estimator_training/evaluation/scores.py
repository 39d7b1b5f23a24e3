"""Figures of merit, each as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def confusion(truth: Ints, guess: Ints, classes: int = len(LABELS)) -> Ints:
    """Return the confusion matrix (classes, classes), rows truth, columns guess."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (truth, guess), 1)
    return matrix


def macro_f1(matrix: Ints) -> float:
    """Return the mean F1 over the classes of a confusion matrix."""
    right = np.diag(matrix)
    return float(np.mean(2 * right / np.maximum(matrix.sum(axis=0) + matrix.sum(axis=1), 1)))


def reliability(probabilities: Floats, truth: Ints, bins: int = 15) -> list[dict[str, Any]]:
    """Return how often the top label is right where it is how sure: a row for each bin in use.

    :param probabilities: (N, L); ``truth`` (N,), index of the right one.
    :returns: mean ``confidence``, ``accuracy`` and ``n`` of the equal-width bins that hold any.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            'confidence': float(confidence[place == b].mean()),
            'accuracy': float(right[place == b].mean()),
            'n': int((place == b).sum()),
        }
        for b in range(bins)
        if (place == b).any()
    ]


def calibration_error(probabilities: Floats, truth: Ints, bins: int = 15) -> float:
    """Return the expected calibration error of the top label (equal-width bins)."""
    rows = reliability(probabilities, truth, bins)
    return sum(abs(row['accuracy'] - row['confidence']) * row['n'] for row in rows) / max(
        len(truth), 1
    )


def cross_entropy(probabilities: Floats, truth: Ints) -> float:
    """Return the mean categorical cross-entropy in nats; probabilities under 1e-7 count as that.

    :param probabilities: (N, L); ``truth`` (N,).
    """
    if not len(truth):
        return 0.0
    right = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(right, 1e-7)).mean())


def classification(
    probabilities: Floats, truth: Ints, labels: Sequence[str] = LABELS
) -> dict[str, Any]:
    """Return every figure of merit of still faces.

    :param probabilities: (N, L) over ``labels``; ``truth`` (N,), index into ``labels``.
    :returns: n, cross-entropy, accuracy, macro-F1, ECE, precision, recall and F1 of each label,
        and the confusion matrix, rows truth. A label that is never said has a precision of 0.
    """
    matrix = confusion(truth, probabilities.argmax(axis=1), len(labels))
    right, actual, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    by_label = {
        'precision': right / np.maximum(said, 1),
        'recall': right / np.maximum(actual, 1),
        'f1': 2 * right / np.maximum(actual + said, 1),
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
    """Return Pearson's correlation of each column, 0 where a column does not vary.

    :param guess: (N, K); ``truth`` alike.
    """
    a, b = guess - guess.mean(axis=0), truth - truth.mean(axis=0)
    spread = np.sqrt((a**2).sum(axis=0, dtype=float) * (b**2).sum(axis=0, dtype=float))
    return np.where(spread > 1e-9, (a * b).sum(axis=0) / np.maximum(spread, 1e-9), 0.0)


def moving(truth: Floats) -> NDArray[np.bool_]:
    """Say which blendshapes move in a set: standard deviation over 0.05, or over 0.4 in 100 rows.

    :param truth: (N, 52), the teacher's scores.
    """
    return (truth.std(axis=0) > 0.05) | ((truth > 0.4).sum(axis=0) > 100)
