"""Metrics of a model's probabilities on the test clips: accuracy, confusions, label changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.zoo.data.windows import Windows

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
#: Metrics of one model, as ``zoo.json`` has them.
Result = dict[str, Any]


def classification_metrics(
    probabilities: Floats, truth: Ints, classes: Sequence[str]
) -> dict[str, Any]:
    """Return accuracy, precision, recall and F1, over all classes and of each, and confusions.

    :param probabilities: (N, C).
    :param truth: (N,), index into ``classes``.
    :returns: the metrics of :func:`~.evaluation.scores.classification`, and ``macro_precision``,
        ``macro_recall``, ``one_against_rest`` (see :func:`one_against_rest`) and ``second`` (see
        :func:`second_most_likely`).
    """
    metrics = classification(probabilities, truth, classes)
    matrix = np.array(metrics['confusion_matrix'])
    return {
        **metrics,
        'macro_precision': round(float(np.mean(list(metrics['precision'].values()))), 4),
        'macro_recall': round(float(np.mean(list(metrics['recall'].values()))), 4),
        'one_against_rest': one_against_rest(matrix, classes),
        'second': second_most_likely(probabilities, classes),
    }


def one_against_rest(matrix: Ints, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the 2 x 2 confusions of each class against all others (Pua et al., figures 11 to 14).

    :param matrix: confusion matrix (C, C), rows truth, columns prediction.
    """
    total = int(matrix.sum())
    confusions = {}
    for index, name in enumerate(classes):
        right = int(matrix[index, index])
        missed = int(matrix[index].sum()) - right
        wrong = int(matrix[:, index].sum()) - right
        confusions[name] = {
            'true_negative': total - right - missed - wrong,
            'false_positive': wrong,
            'false_negative': missed,
            'true_positive': right,
        }
    return confusions


def second_most_likely(probabilities: Floats, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count, for each predicted class, which class was second (Pua et al., figure 15).

    :param probabilities: (N, C).
    """
    order = np.argsort(-probabilities, axis=1, kind='stable')[:, :2]
    return {
        first: {
            second: int(((order[:, 0] == i) & (order[:, 1] == j)).sum())
            for j, second in enumerate(classes)
            if j != i
        }
        for i, first in enumerate(classes)
    }


def flips_per_second(probabilities: Floats, queries: Windows) -> float:
    """Return how often the predicted label changes within a track, per second.

    A clip has one label, so at most the first change can be right.

    :param probabilities: (N, C) of ``queries``, which are ordered by time within each track.
    """
    predicted = probabilities.argmax(axis=1)
    flips, seconds = 0, 0.0
    for track in np.unique(queries.track):
        rows = np.flatnonzero(queries.track == track)
        times = queries.tracks[track].times[queries.frames[rows, -1]]
        flips += int((np.diff(predicted[rows]) != 0).sum())
        seconds += float(times[-1] - times[0])
    return flips / seconds if seconds > 0 else 0.0


def expression_strengths(queries: Windows) -> Floats:
    """Return the strength (N,) of the expression in each window's last frame; NaN if unknown."""
    strengths = []
    for track, last in zip(queries.track, queries.frames[:, -1]):
        strength = queries.tracks[track].strength
        strengths.append(np.nan if strength is None else strength[last])
    return np.array(strengths, np.float32)
