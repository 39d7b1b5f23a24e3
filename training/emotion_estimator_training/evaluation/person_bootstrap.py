"""Figures of labelled people with confidence intervals: people, not pictures, are drawn.

Pictures of one person are alike, so an interval that took them for independent would be too narrow.
The bootstrap's percentile interval (Efron and Tibshirani 1993) over whole people (the cluster
bootstrap of Field and Welsh 2007). Every figure here is a function of sums over pictures, so a draw
is a weighted sum of the people's sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS, NEUTRAL
from emotion_estimator_training.data.stills import FER_CLASSES, TO_LABEL
from emotion_estimator_training.evaluation.scores import calibration_error

Sums: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.bool_]

#: Draws, and the share of them that an interval holds.
DRAWS, COVERED = 1000, 0.95
_SEED = 17

_HAPPY, _UNKNOWN, _SAD = range(len(LABELS))
_NEUTRAL = FER_CLASSES.index(NEUTRAL)
_CLASSES = len(FER_CLASSES)


class PersonBootstrap:
    """Draws people with replacement, the same for every model, so that differences have intervals.

    :ivar people: number of people.
    """

    def __init__(self, person: Sequence[str], draws: int = DRAWS) -> None:
        """Take who is shown in each picture (N,)."""
        names, self._person = np.unique(np.asarray(person, str), return_inverse=True)
        self.people = len(names)
        rng = np.random.default_rng(_SEED)
        drawn = rng.multinomial(self.people, np.full(self.people, 1 / max(self.people, 1)), draws)
        #: How often each person is drawn; first, as they are.
        self._times = np.concatenate([np.ones((1, self.people)), drawn]).astype(np.float64)

    def sums(self, columns: NDArray[Any]) -> Sums:
        """Return the sums (1 + draws, K) of columns (N, K): the data's own, then each draw's."""
        by_person = np.zeros((self.people, columns.shape[1]))
        np.add.at(by_person, self._person, columns)
        return np.asarray(self._times @ by_person)


def with_interval(values: Sums) -> list[float | None] | None:
    """Return [value, low, high] of a figure's own value and its draws.

    None if it has no value; low and high are None if it has no draws.
    """
    if not len(values) or not np.isfinite(values[0]):
        return None
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return [round(float(values[0]), 4), None, None]
    low, high = np.quantile(drawn, ((1 - COVERED) / 2, (1 + COVERED) / 2))
    return [round(float(one), 4) for one in (values[0], low, high)]


def share(part: NDArray[Any], whole: NDArray[Any]) -> Sums:
    """Return a share; NaN where there is no whole."""
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


def figures(
    bootstrap: PersonBootstrap,
    emotion: NDArray[np.int64],
    label: NDArray[np.int64],
    three: NDArray[np.float64],
    seven: NDArray[np.float64],
    rows: Rows,
) -> dict[str, Sums]:
    """Return a model's figures for some pictures, each (1 + draws,), for :func:`with_interval`.

    :param bootstrap: of all N pictures.
    :param emotion: (N,), index into ``FER_CLASSES``: what is right.
    :param label: (N,), index into ``LABELS``: what the model reports.
    :param three: (N, 3), its probabilities of ``LABELS``.
    :param seven: (N, 7), its probabilities of ``FER_CLASSES``.
    :param rows: (N,), which pictures count.
    :returns: ``n``, ``neutral`` (how many of them are), ``accuracy``, ``macro_f1``, ``recall_*``
        and ``precision_*`` by label, ``neutral_sad`` and ``neutral_happy`` (shares of the neutral
        that are reported so), ``seven_accuracy``, ``seven_recall_neutral``; and ``ece``, the
        expected calibration error of the three labels (Naeini et al. 2015), which is (1,): draws
        of a sample have a greater one than the sample, so their interval may miss it. NaN where
        there is nothing to count.
    """
    chosen = np.flatnonzero(rows)
    truth, said = emotion[chosen], label[chosen]
    counts = np.zeros((len(rows), _CLASSES * len(LABELS)))
    counts[chosen, truth * len(LABELS) + said] = 1
    table = bootstrap.sums(counts).reshape(-1, _CLASSES, len(LABELS))
    matrix = np.zeros((len(table), len(LABELS), len(LABELS)))
    for code, right in enumerate(TO_LABEL):
        matrix[:, right] += table[:, code]
    right = np.asarray(np.diagonal(matrix, axis1=1, axis2=2), np.float64)
    actual, reported, total = matrix.sum(axis=2), matrix.sum(axis=1), matrix.sum(axis=(1, 2))
    neutral = table[:, _NEUTRAL]
    best = np.zeros((len(rows), 3))
    best[chosen, 0] = seven[chosen].argmax(axis=1) == truth
    best[chosen, 1] = best[chosen, 0] * (truth == _NEUTRAL)
    sums = bootstrap.sums(best)
    f1 = share(2 * right, actual + reported)
    return {
        'n': total,
        'accuracy': share(right.sum(axis=1), total),
        # As everywhere here, a label that is neither shown nor reported counts as 0.
        'macro_f1': np.where(total > 0, np.nan_to_num(f1).mean(axis=1), np.nan),
        **{f'recall_{name}': share(right[:, k], actual[:, k]) for k, name in enumerate(LABELS)},
        **{
            f'precision_{name}': share(right[:, k], reported[:, k]) for k, name in enumerate(LABELS)
        },
        'neutral': neutral.sum(axis=1),
        'neutral_sad': share(neutral[:, _SAD], neutral.sum(axis=1)),
        'neutral_happy': share(neutral[:, _HAPPY], neutral.sum(axis=1)),
        'ece': np.array(
            [
                calibration_error(three[chosen].astype(np.float32), TO_LABEL[truth])
                if len(chosen)
                else np.nan
            ]
        ),
        'seven_accuracy': share(sums[:, 0], total),
        'seven_recall_neutral': share(sums[:, 1], neutral.sum(axis=1)),
    }


def difference(ours: Mapping[str, Sums], theirs: Mapping[str, Sums]) -> dict[str, Any]:
    """Return ours minus theirs with intervals, for the figures of both.

    Both are of the same people in each draw.
    """
    return {
        name: with_interval(ours[name] - theirs[name])
        for name in ours
        if name in theirs and name not in ('n', 'neutral', 'ece')
    }
