"""The papers' claims on the test clips: yes, no, or cannot be told, each with its evidence.

Bootstrap over test subjects: Efron 1979.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.zoo.metrics import Result

#: Models of each level, from the lowest (Terbouche and Chaoui, 3.3).
LEVELS = (
    ('per frame', ('frame',)),
    (
        'aggregation',
        (
            'mean',
            'weighted',
            'statistics',
            'statistics:mlp',
            'statistics:covariance',
            'statistics:eigenvector',
            'statistics:gaussian',
        ),
    ),
    ('sequence', ('lstm', 'deep-lstm', 'bi-lstm')),
)
#: Claims about two models: the first is above the second.
_PAIRS = (
    ('full face above parts (Pua et al., table 5)', 'microx:face', 'microx:parts'),
    ('parts and full face above the full face (Pua et al., table 5)', 'microx', 'microx:face'),
    ('colour above grey (Pua et al., table 4)', 'microx', 'microx:grey'),
)
#: Models that the paper covered the mouth for, and the per-frame one beside them.
_COVERED = ('microx', 'microx:face', 'frame')
#: Metric that chooses the best model of a level.
_VALIDATION = 'validation_macro_f1'
#: Bootstrap resamples of the test subjects, and the share of them within an interval.
_RESAMPLES, _CONFIDENCE = 2000, 0.95


def paper_ordering(results: Mapping[str, Result]) -> dict[str, Any] | None:
    """Check whether sequence models beat aggregation, and aggregation single frames, by macro-F1.

    The best model of each level is chosen by ``validation_macro_f1`` if all results have it, else
    by macro-F1 on the test clips.

    :param results: by model.
    :returns: None if a level was not run, else ``levels``: the best model of each and its
        macro-F1; ``chosen_on``: ``validation`` or ``test``; ``holds``; ``steps``: from each level
        to the next, the ``difference`` in accuracy, the bounds ``low`` and ``high`` of its 95 %
        bootstrap interval over the test subjects, and the ``verdict``.
    """
    run = {
        level: [name for name in names if 'macro_f1' in results.get(name, {})]
        for level, names in LEVELS
    }
    if not all(run.values()):
        return None
    validated = all(_VALIDATION in results[name] for names in run.values() for name in names)
    metric = _VALIDATION if validated else 'macro_f1'
    best: dict[str, dict[str, Any]] = {}
    for level, names in run.items():
        _, name = max((results[name][metric], name) for name in names)
        best[level] = {'model': name, 'macro_f1': results[name]['macro_f1']}
    scores = [one['macro_f1'] for one in best.values()]
    steps = []
    for (lower, first), (upper, second) in pairwise(best.items()):
        difference = _difference(results[first['model']], results[second['model']])
        if difference is not None:
            verdict = _verdict(difference['low'], difference['high'])
            steps.append({'from': lower, 'to': upper, **difference, 'verdict': verdict})
    return {
        'levels': best,
        'chosen_on': 'validation' if validated else 'test',
        'holds': scores[0] < scores[1] < scores[2],
        'steps': steps,
    }


def describe_ordering(ordering: Mapping[str, Any]) -> str:
    """Return the result of :func:`paper_ordering` as Markdown text."""
    levels = ', '.join(
        f'{level} {one["macro_f1"]:.3f} ({one["model"]})'
        for level, one in ordering['levels'].items()
    )
    verdict = 'holds here' if ordering['holds'] else 'does **not** hold here'
    chosen = (
        'chosen on the validation clips'
        if ordering['chosen_on'] == 'validation'
        else 'chosen on the test clips themselves, which favours levels with several models'
    )
    text = (
        f"Terbouche and Chaoui's ordering {verdict}. "
        f"Macro-F1 of each level's best model, {chosen}: {levels}."
    )
    for step in ordering['steps']:
        significant = step['low'] > 0 or step['high'] < 0
        text += (
            f' From {step["from"]} to {step["to"]}, accuracy changes by '
            f'{step["difference"]:+.3f} (95 % bootstrap interval over test subjects '
            f'{step["low"]:+.3f} to {step["high"]:+.3f}'
            + ('' if significant else '; **not significant on these clips**')
            + ').'
        )
    return text


def paper_claims(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """Return each claim of the papers whose models were run.

    :param results: by model.
    :returns: of each ``claim``, ``verdict`` (``yes``, ``no`` or ``cannot be told``), and the
        ``evidence``: models, difference in accuracy and its 95 % bootstrap interval over test
        subjects.
    """
    claims = []
    ordering: dict[str, Any] = paper_ordering(results) or {'steps': []}
    for step in ordering['steps']:
        first, second = (ordering['levels'][step[end]]['model'] for end in ('from', 'to'))
        claims.append(
            {
                'claim': f'{step["to"]} above {step["from"]} (Terbouche and Chaoui)',
                'verdict': step['verdict'],
                'evidence': _evidence(second, first, step),
            }
        )
    for claim, higher, lower in _PAIRS:
        found = _difference(results.get(lower, {}), results.get(higher, {}))
        if found is not None:
            verdict = _verdict(found['low'], found['high'])
            evidence = _evidence(higher, lower, found)
            claims.append({'claim': claim, 'verdict': verdict, 'evidence': evidence})
    for name, one in results.items():
        covered = {**one, 'by_clip': one['covered_by_clip']} if 'covered_by_clip' in one else {}
        found = _difference(covered, one)
        if found is not None and name in _COVERED:
            claims.append(
                {
                    'claim': f'{name}: covering the mouth costs accuracy (Pua et al., table 3)',
                    'verdict': _verdict(found['low'], found['high']),
                    'evidence': _evidence('uncovered', 'covered', found),
                }
            )
    return claims


def _verdict(low: float, high: float) -> str:
    return 'yes' if low > 0 else 'no' if high < 0 else 'cannot be told'


def _evidence(higher: str, lower: str, found: Mapping[str, Any]) -> str:
    return (
        f'{higher} minus {lower}: {found["difference"]:+.3f} '
        f'[{found["low"]:+.3f}, {found["high"]:+.3f}]'
    )


def _difference(first: Result, second: Result) -> dict[str, float] | None:
    """Return the gain in accuracy of the second model on the same clips, with its interval."""
    if 'by_clip' not in first or 'by_clip' not in second:
        return None
    subjects = np.array([subject for subject, _ in first['by_clip']])
    gain = np.array(
        [after - before for (_, before), (_, after) in zip(first['by_clip'], second['by_clip'])]
    )
    names, which = np.unique(subjects, return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(
        len(names), np.full(len(names), 1 / len(names)), _RESAMPLES
    )
    # A drawn subject brings all of its clips.
    weights: NDArray[np.int64] = drawn[:, which]
    means = (weights * gain).sum(axis=1) / weights.sum(axis=1)
    low, high = np.quantile(means, ((1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2))
    return {
        'difference': round(float(gain.mean()), 4),
        'low': round(float(low), 4),
        'high': round(float(high), 4),
    }
