"""Figures of merit of single frames, for any grouping of the classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotion_estimator.training.scores import calibration_error, confusion, macro_f1
from emotion_estimator.training.still_data import Floats, Ints


def still_metrics(found: Floats, truth: Ints, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return cross-entropy, accuracy, macro-F1, ECE, and recall of each label.

    :param found: probabilities (N, L) over ``labels``; ``truth`` (N,), index into them.
    """
    matrix = confusion(truth, found.argmax(axis=1), len(labels))
    recall = np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1)
    right = found[np.arange(len(truth)), truth]
    return {
        'n': len(truth),
        'crossentropy': round(float(-np.log(np.maximum(right, 1e-7)).mean()), 4),
        'accuracy': round(float(np.diag(matrix).sum() / max(len(truth), 1)), 4),
        'macro_f1': round(macro_f1(matrix), 4),
        'ece': round(calibration_error(found, truth), 4),
        'recall': {label: round(float(one), 4) for label, one in zip(labels, recall)},
    }
