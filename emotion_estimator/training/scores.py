"""Figures of merit, each as plain numbers."""

from __future__ import annotations

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


def calibration_error(probabilities: Floats, truth: Ints, bins: int = 15) -> float:
    """Return the expected calibration error of the top label (equal-width bins)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(right[place == b].mean() - confidence[place == b].mean()) * (place == b).mean()
        for b in range(bins) if (place == b).any()
    ]
    return float(sum(gaps))


def classification(probabilities: Floats, truth: Ints) -> dict[str, Any]:
    """Return accuracy, macro-F1, recall of each label, ECE, confusion matrix and count.

    :param probabilities: (N, 3) over ``LABELS``; ``truth`` (N,), index into ``LABELS``.
    """
    matrix = confusion(truth, probabilities.argmax(axis=1))
    recall = np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1)
    return {
        'n': len(truth),
        'accuracy': round(float(np.diag(matrix).sum() / max(len(truth), 1)), 4),
        'macro_f1': round(macro_f1(matrix), 4),
        'recall': {label: round(float(r), 4) for label, r in zip(LABELS, recall)},
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
