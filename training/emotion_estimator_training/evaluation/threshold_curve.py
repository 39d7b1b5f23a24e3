"""What each value of ``sad_threshold`` and ``happy_threshold`` gives, on any set of faces.

The robot's rule for the label is :func:`emotion_estimator.perception.label_choice.choose_label`;
here it runs on many faces at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import HAPPY, SAD
from emotion_estimator.errors import InputError
from emotion_estimator_training.evaluation.scores import confusion, macro_f1

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Metrics = dict[str, Any]
#: By label, the rows of :func:`threshold_curve`.
Curves = Mapping[str, Sequence[Metrics]]

#: Labels with a threshold.
WITH_THRESHOLD = (SAD, HAPPY)
#: Values of a threshold in curves; 0 is the model's own operating point.
STEPS = tuple(round(0.05 * step, 2) for step in range(21))
#: Neutral faces that a robot may take for sad, as a share.
MOST_NEUTRAL = 0.03


def chosen_labels(
    probabilities: Floats,
    labels: Sequence[str],
    sad_threshold: float = 0.0,
    happy_threshold: float = 0.0,
) -> Ints:
    """Return the index of each face's label (N,), as the robot chooses it without abstaining.

    :param probabilities: (N, L), 0 to 1.
    :param labels: L names, at least one of them neither sad nor happy.
    :param sad_threshold: 0 to 1; 0 leaves the label at the model's own operating point.
    :param happy_threshold: likewise.
    :raises InputError: there is no other label.
    """
    thresholds = {SAD: sad_threshold, HAPPY: happy_threshold}
    others = [index for index, label in enumerate(labels) if label not in thresholds]
    if not others:
        raise InputError(f'labels {", ".join(labels)}: one other than sad and happy is needed')
    values = np.asarray(probabilities, np.float32).reshape(-1, len(labels))
    best = values.argmax(axis=1)
    reached = np.zeros(values.shape, bool)
    for index, label in enumerate(labels):
        if threshold := thresholds.get(label, 0.0):
            reached[:, index] = values[:, index] >= np.float32(threshold)
        elif label in thresholds:
            reached[:, index] = best == index
    rest = np.where(np.isin(np.arange(len(labels)), others), values, -1.0).argmax(axis=1)
    acted_on = np.where(reached, values, -1.0).argmax(axis=1)
    return np.where(reached.any(axis=1), acted_on, rest).astype(np.int64)


def threshold_curve(
    probabilities: Floats,
    labels: Sequence[str],
    truth: Ints,
    neutral: Bools,
    label: str = SAD,
    *,
    other: float = 0.0,
    steps: Sequence[float] = STEPS,
) -> list[Metrics]:
    """Return what each value of a label's threshold gives.

    :param probabilities: (N, L), 0 to 1, as the robot publishes them.
    :param labels: L names, in the order of the probabilities.
    :param truth: (N,), index of the right label.
    :param neutral: (N,), whether the face is at rest; of three labels, ``unknown`` has others too.
    :param label: ``sad`` or ``happy``, whose threshold varies.
    :param other: the threshold of the other one.
    :param steps: values of the threshold, 0 to 1; 0 is the model's own operating point.
    :returns: for each value ``threshold``, ``recall`` and ``precision`` of the label,
        ``neutral_told`` (share of neutral faces for which it is chosen), ``accuracy`` and
        ``macro_f1`` of all labels; and the numbers of faces ``n``, ``n_label`` (whose right label
        it is) and ``n_neutral``. A share of no faces is None.
    :raises InputError: there are no faces, the shapes differ, a probability is not finite, the
        truth is outside the labels, or the model lacks ``label``.
    """
    values = _checked(probabilities, labels, truth, neutral, label)
    index = list(labels).index(label)
    wanted = truth == index
    rows = []
    for step in steps:
        thresholds = {SAD: other, HAPPY: other, label: step}
        chosen = chosen_labels(values, labels, thresholds[SAD], thresholds[HAPPY])
        told = chosen == index
        matrix = confusion(truth, chosen, len(labels))
        rows.append(
            {
                'threshold': float(step),
                'recall': _share(told[wanted]),
                'precision': _share(wanted[told]),
                'neutral_told': _share(told[neutral]),
                'accuracy': round(float(np.diag(matrix).sum() / len(truth)), 4),
                'macro_f1': round(macro_f1(matrix), 4),
                'n': len(truth),
                'n_label': int(wanted.sum()),
                'n_neutral': int(np.sum(neutral)),
            }
        )
    return rows


def threshold_curves(
    probabilities: Floats, labels: Sequence[str], truth: Ints, neutral: Bools
) -> dict[str, list[Metrics]]:
    """Return :func:`threshold_curve` of sad and of happy, the other's threshold at 0."""
    return {
        label: threshold_curve(probabilities, labels, truth, neutral, label)
        for label in WITH_THRESHOLD
    }


def best_within(rows: Sequence[Metrics], most_neutral: float = MOST_NEUTRAL) -> Metrics | None:
    """Return the row with the highest recall that keeps neutral faces from the label.

    :param rows: of :func:`threshold_curve`; of equal ones, the lowest threshold.
    :param most_neutral: share of neutral faces that may be given the label.
    :returns: None if no row does.
    """
    allowed = [
        row
        for row in rows
        if row['recall'] is not None
        and row['neutral_told'] is not None
        and row['neutral_told'] <= most_neutral
    ]
    return max(allowed, key=lambda row: (row['recall'], -row['threshold']), default=None)


def _checked(
    probabilities: Floats, labels: Sequence[str], truth: Ints, neutral: Bools, label: str
) -> Floats:
    values = np.asarray(probabilities, np.float32)
    if label not in WITH_THRESHOLD or label not in labels:
        raise InputError(
            f'no threshold for {label!r}: the labels are {", ".join(labels)}, and '
            f'{" and ".join(WITH_THRESHOLD)} can have one'
        )
    if not len(truth):
        raise InputError('a curve of thresholds needs faces, and there are none')
    shapes = values.shape, np.shape(truth), np.shape(neutral)
    n = len(truth)
    if shapes != ((n, len(labels)), (n,), (n,)):
        raise InputError(
            f'probabilities, truth and neutral must be of shapes ({n}, {len(labels)}), ({n},) and '
            f'({n},), got {", ".join(map(str, shapes))}'
        )
    if not np.isfinite(values).all():
        wrong = int((~np.isfinite(values)).any(axis=1).sum())
        raise InputError(
            f'{wrong} of {n} faces have probabilities that are not finite; remove them'
        )
    if truth.min() < 0 or truth.max() >= len(labels):
        raise InputError(f'truth must be from 0 to {len(labels) - 1}, the index of a label')
    return values


def _share(chosen: Bools) -> float | None:
    return round(float(chosen.mean()), 4) if len(chosen) else None
