"""Report a comparison: as a table for the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.replay.alignment import ROUNDING
from emotion_estimator.replay.comparison import Comparison, Tally
from emotion_estimator.replay.limits import (
    BrokenLimit,
    describe_face_counts,
    describe_labels,
    describe_onset,
)


def as_dict(comparison: Comparison, broken: Sequence[BrokenLimit] = ()) -> dict[str, Any]:
    """Return the comparison as JSON objects: times in seconds, shares 0 to 1, null if undefined."""
    shifts = np.array(comparison.shifts)
    differences, most = comparison.differences, comparison.most_different
    worst = comparison.most_shifted
    first = next(iter(comparison.differing), None)
    return {
        'expected': comparison.expected.as_dict(),
        'actual': comparison.actual.as_dict(),
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
            'mean': round(float(np.mean(differences)), 6),
            'p95': _percentile(np.array(differences)),
            'max': round(most.difference or 0.0, 6),
            'max_at': round(most.stamp, 6),
        },
        'miscounted_faces': len(comparison.miscounted),
        'misread_others': len(comparison.misread_others),
        'first_difference': first
        and {
            'stamp': round(first.stamp, 6),
            'lap': first.lap + 1,
            'expected': first.labels[0],
            'actual': first.labels[1],
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
            for each in broken
        ],
    }


def _percentile(values: NDArray[np.float64]) -> float | None:
    return round(float(np.percentile(values, 95)), 6) if values.size else None


def _tally(tally: Tally) -> dict[str, Any]:
    share = None if tally.share is None else round(tally.share, 6)
    return {'frames': tally.frames, 'agreed': tally.agreed, 'share': share}


def where(comparison: Comparison, lap: int, stamp: float) -> str:
    """Return a stamp as text, ``1700000003.250 (3.250 s after the first frame)``."""
    begin = comparison.expected.begin
    words = f'{stamp:.3f}'
    notes = [] if begin == 0 or lap else [f'{stamp - begin:.3f} s after the first frame']
    if comparison.expected.laps > 1 or comparison.actual.laps > 1:
        notes.append(f'lap {lap + 1}')
    return f'{words} ({", ".join(notes)})' if notes else words


def broken_line(comparison: Comparison, each: BrokenLimit) -> str:
    """Return a broken limit as one line, with the first frame that breaks it."""
    place = where(comparison, each.lap, each.stamp)
    return (
        f'{each.limit} {each.allowed:g} is broken: {each.value:.4g}; first at {place}: {each.place}'
    )


def table(comparison: Comparison) -> list[str]:
    """Return the lines for the terminal."""
    lines = [*_frames(comparison), *_agreement(comparison), *_onsets(comparison)]
    lines += [*_probabilities(comparison), *_faces(comparison)]
    if comparison.differing:
        first = comparison.differing[0]
        place = where(comparison, first.lap, first.stamp)
        lines.append(f'first          difference at {place}: {describe_labels(first)}')
    else:
        lines.append('first          no label differs')
    return lines


def _frames(comparison: Comparison) -> list[str]:
    lines = []
    for name, counted in (('expected', comparison.expected), ('actual', comparison.actual)):
        line = (
            f'{name:<14} {counted.count} frames in {counted.seconds:.2f} s, '
            f'{counted.flips} label changes ({counted.flip_rate:.2f} per second)'
        )
        lines.append(line if counted.laps == 1 else f'{line}, {counted.laps} laps')
    lines.append(
        f'paired         {len(comparison.pairs)} frames within {comparison.tolerance:g} s; '
        f'{len(comparison.missing)} missing, {len(comparison.extra)} extra'
    )
    for what, frames in (('missing', comparison.missing), ('extra', comparison.extra)):
        if frames:
            place = where(comparison, frames[0].lap, frames[0].stamp)
            lines.append(f'               first {what} at {place}')
    ours, theirs = comparison.vocabularies
    for name, alone in (('expected', ours - theirs), ('actual', theirs - ours)):
        if ours and theirs and alone:
            lines.append(f'               only {name} has {", ".join(sorted(alone))}')
    return lines


def _agreement(comparison: Comparison) -> list[str]:
    rows = [('agreement', 'all', comparison.overall)]
    rows += [('', label, tally) for label, tally in comparison.per_label.items()]
    width = max(len(label) for _, label, _ in rows)
    return [
        f'{head:<14} {label:<{width}}  {tally.share or 0.0:.4f}  ({tally.agreed} of '
        f'{tally.frames} frames)'
        for head, label, tally in rows
    ]


def _onsets(comparison: Comparison) -> list[str]:
    shifts = np.array(comparison.shifts)
    counts = (
        f'{len(comparison.onsets)} label changes expected, {len(comparison.lost)} lost, '
        f'{len(comparison.added)} added'
    )
    lines = [f'onsets         {counts}']
    worst = comparison.most_shifted
    if worst is not None:
        lines.append(
            f'               median shift {np.median(shifts):+.3f} s, 95th percentile '
            f'{np.percentile(np.abs(shifts), 95):.3f} s'
        )
        if worst.shift:
            place = where(comparison, worst.change.lap, worst.change.stamp)
            lines.append(f'               most at {place}: {describe_onset(worst)}')
    for onset in comparison.lost[:1]:
        place = where(comparison, onset.change.lap, onset.change.stamp)
        lines.append(f'               first lost at {place}: {describe_onset(onset)}')
    return lines


def _faces(comparison: Comparison) -> list[str]:
    if not comparison.miscounted and not comparison.misread_others:
        return []
    lines = [
        f'faces          different number in {len(comparison.miscounted)} frames, different labels '
        f'besides the primary face in {len(comparison.misread_others)}'
    ]
    if comparison.miscounted:
        first = comparison.miscounted[0]
        place = where(comparison, first.lap, first.stamp)
        lines.append(f'               first at {place}: {describe_face_counts(first)}')
    return lines


def _probabilities(comparison: Comparison) -> list[str]:
    differences, worst = comparison.differences, comparison.most_different
    if worst is None:
        return ['probabilities  no frame with a face in both']
    lines = [
        f'probabilities  differ by {np.mean(differences):.4f} on average, 95th percentile '
        f'{np.percentile(differences, 95):.4f}'
    ]
    if worst.difference is not None and worst.difference > ROUNDING:
        place = where(comparison, worst.lap, worst.stamp)
        lines.append(f'               most by {worst.difference:.4f} at {place}')
    return lines
