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
#: What the models of a level are chosen by.
_VALIDATION = 'validation_macro_f1'
#: Resamplings of the test's subjects, and the share of them that an interval holds.
_DRAWS, _SHARE = 2000, 0.95


def papers_order(results: Mapping[str, Result]) -> dict[str, Any] | None:
    """Say whether sequence models are above aggregation above single frames, by macro-F1.

    Each level is its best model on the validation clips, where all results have their
    ``validation_macro_f1``; where one has not, on the test clips.

    :param results: by model.
    :returns: ``levels``: the model of each and its macro-F1; ``chosen_on``: ``validation`` or
        ``test``; ``holds``; ``steps``: from each
        level to the next the difference in accuracy, and between which values 95 % of the
        differences lie when the test's subjects are drawn anew. None where a level was not run.
    """
    run = {
        level: [name for name in names if 'macro_f1' in results.get(name, {})]
        for level, names in ORDER
    }
    if not all(run.values()):
        return None
    validated = all(
        _VALIDATION in results[name] for names in run.values() for name in names
    )
    by = _VALIDATION if validated else 'macro_f1'
    best: dict[str, dict[str, Any]] = {}
    for level, names in run.items():
        _, name = max((results[name][by], name) for name in names)
        best[level] = {'model': name, 'macro_f1': results[name]['macro_f1']}
    scores = [one['macro_f1'] for one in best.values()]
    steps = []
    for (lower, first), (upper, second) in pairwise(best.items()):
        difference = _difference(results[first['model']], results[second['model']])
        if difference is not None:
            steps.append({'from': lower, 'to': upper, **difference})
    return {
        'levels': best, 'chosen_on': 'validation' if validated else 'test',
        'holds': scores[0] < scores[1] < scores[2], 'steps': steps,
    }


def in_words(order: Mapping[str, Any]) -> str:
    """Return what :func:`papers_order` found, in Markdown."""
    levels = ', '.join(
        f'{level} {one["macro_f1"]:.3f} ({one["model"]})' for level, one in order['levels'].items()
    )
    says = 'holds here' if order['holds'] else 'does **not** hold here'
    chosen = (
        'which the validation clips chose' if order['chosen_on'] == 'validation'
        else 'picked on the test clips themselves, which flatters levels of several models'
    )
    text = f"Seed 004's ordering {says}; macro-F1 of each level's best model, {chosen}: {levels}."
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
