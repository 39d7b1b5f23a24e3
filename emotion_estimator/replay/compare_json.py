"""A comparison in numbers, for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emotion_estimator.replay.agreement import Tally
from emotion_estimator.replay.broken import Broken
from emotion_estimator.replay.comparison import Comparison
from emotion_estimator.replay.facts import facts


def as_dict(comparison: Comparison, found: Sequence[Broken] = ()) -> dict[str, Any]:
    """Return what JSON shows; seconds, shares 0 to 1, null where there is nothing to count."""
    shifts = np.array(comparison.shifts)
    apart, most = comparison.differences, comparison.most_different
    worst = comparison.most_shifted
    first = next(iter(comparison.differing), None)
    return {
        'expected': facts(comparison.expected).as_dict(),
        'actual': facts(comparison.actual).as_dict(),
        'tolerance': comparison.tolerance,
        'paired': len(comparison.pairs),
        'missing': len(comparison.missing),
        'extra': len(comparison.extra),
        'agreement': _tally(comparison.overall),
        'agreement_per_label': {
            label: _tally(tally) for label, tally in comparison.per_label.items()
        },
        'onsets': {
            'count': len(comparison.onsets),
            'lost': len(comparison.lost),
            'added': len(comparison.added),
            'median_shift': round(float(np.median(shifts)), 6) if shifts.size else None,
            'p95_shift': _percentile(np.abs(shifts)),
            'worst_shift': None if worst is None else round(worst.shift or 0.0, 6),
        },
        'probability_difference': None
        if most is None
        else {
            'mean': round(float(np.mean(apart)), 6),
            'p95': _percentile(np.array(apart)),
            'max': round(most.difference or 0.0, 6),
            'max_at': round(most.stamp, 6),
        },
        'miscounted_faces': len(comparison.miscounted),
        'misread_others': len(comparison.misread_others),
        'first_difference': first
        and {
            'stamp': round(first.stamp, 6),
            'lap': first.lap + 1,
            'expected': first.expected.label,
            'actual': first.actual.label,
        },
        'broken': [
            {
                'limit': each.limit,
                'allowed': each.allowed,
                'value': round(each.value, 6),
                'stamp': round(each.stamp, 6),
                'lap': each.lap + 1,
                'place': each.place,
            }
            for each in found
        ],
    }


def _percentile(values: np.ndarray) -> float | None:
    return round(float(np.percentile(values, 95)), 6) if values.size else None


def _tally(tally: Tally) -> dict[str, Any]:
    share = None if tally.share is None else round(tally.share, 6)
    return {'frames': tally.frames, 'agreed': tally.agreed, 'share': share}
