"""Whether sequence models are above aggregation above single frames, as seed 004 found."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Result = dict[str, Any]

#: Models of each level that the paper puts in order (seed 004, 3.3).
ORDER = (
    ('per frame', ('frame',)),
    ('aggregation', ('mean', 'weighted', 'statistics', 'statistics:mlp')),
    ('sequence', ('lstm', 'deep-lstm', 'bi-lstm')),
)
#: Resamplings of the test's subjects, and the share of them that an interval holds.
_DRAWS, _SHARE = 2000, 0.95


def papers_order(results: Mapping[str, Result]) -> dict[str, Any] | None:
    """Say whether sequence models are above aggregation above single frames, by macro-F1.

    :param results: by model.
    :returns: ``levels``: the best macro-F1 of each and its model; ``holds``; ``steps``: from each
        level to the next the difference in accuracy, and between which values 95 % of the
        differences lie when the test's subjects are drawn anew. None where a level was not run.
    """
    best: dict[str, dict[str, Any]] = {}
    for level, names in ORDER:
        run = [(results[name]['macro_f1'], name) for name in names
               if 'macro_f1' in results.get(name, {})]
        if not run:
            return None
        score, name = max(run)
        best[level] = {'model': name, 'macro_f1': score}
    scores = [one['macro_f1'] for one in best.values()]
    steps = []
    for (lower, first), (upper, second) in pairwise(best.items()):
        difference = _difference(results[first['model']], results[second['model']])
        if difference is not None:
            steps.append({'from': lower, 'to': upper, **difference})
    return {'levels': best, 'holds': scores[0] < scores[1] < scores[2], 'steps': steps}


def in_words(order: Mapping[str, Any]) -> str:
    """Return what :func:`papers_order` found, in Markdown."""
    levels = ', '.join(
        f'{level} {one["macro_f1"]:.3f} ({one["model"]})' for level, one in order['levels'].items()
    )
    says = 'holds here' if order['holds'] else 'does **not** hold here'
    text = f"Seed 004's ordering {says}; best macro-F1 of each level: {levels}."
    for one in order['steps']:
        sure = one['low'] > 0 or one['high'] < 0
        text += (
            f' From {one["from"]} to {one["to"]} accuracy changes by {one["difference"]:+.3f} '
            f'({one["low"]:+.3f} to {one["high"]:+.3f} in 95 % of the draws of test subjects'
            + ('' if sure else ': **these clips do not tell the two apart**') + ').'
        )
    return text


def _difference(first: Result, second: Result) -> dict[str, float] | None:
    """Return how much more accurate the second is, over the same clips, and how sure that is."""
    if 'by_clip' not in first or 'by_clip' not in second:
        return None
    subjects = np.array([subject for subject, _ in first['by_clip']])
    more = np.array([
        after - before for (_, before), (_, after) in zip(first['by_clip'], second['by_clip'])
    ])
    names, which = np.unique(subjects, return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(
        len(names), np.full(len(names), 1 / len(names)), _DRAWS
    )
    # A subject that is drawn brings all of its clips.
    weights: NDArray[np.int64] = drawn[:, which]
    means = (weights * more).sum(axis=1) / weights.sum(axis=1)
    low, high = np.quantile(means, ((1 - _SHARE) / 2, (1 + _SHARE) / 2))
    return {
        'difference': round(float(more.mean()), 4), 'low': round(float(low), 4),
        'high': round(float(high), 4),
    }
