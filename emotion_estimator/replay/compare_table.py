"""A comparison in words, for the terminal."""

from __future__ import annotations

import numpy as np

from emotion_estimator.replay.align import ROUNDING
from emotion_estimator.replay.broken import Broken, faces_words, label_words, onset_words
from emotion_estimator.replay.comparison import Comparison
from emotion_estimator.replay.facts import facts


def where(comparison: Comparison, lap: int, stamp: float) -> str:
    """Return a place in words, ``1700000003.250 (3.250 s after the first frame)``."""
    begin = comparison.expected[0][0].stamp
    words = f'{stamp:.3f}'
    notes = [] if begin == 0 or lap else [f'{stamp - begin:.3f} s after the first frame']
    if len(comparison.expected) > 1 or len(comparison.actual) > 1:
        notes.append(f'lap {lap + 1}')
    return f'{words} ({", ".join(notes)})' if notes else words


def broken_line(comparison: Comparison, each: Broken) -> str:
    """Return a broken limit as one line, with the first place that breaks it."""
    place = where(comparison, each.lap, each.stamp)
    return (
        f'{each.limit} {each.allowed:g} is broken: {each.value:.4g}; '
        f'first at {place}: {each.place}'
    )


def table(comparison: Comparison) -> list[str]:
    """Return what the terminal shows, line by line."""
    lines = [*_courses(comparison), *_agreement(comparison), *_onsets(comparison)]
    lines += [*_probabilities(comparison), *_faces(comparison)]
    if comparison.differing:
        first = comparison.differing[0]
        place = where(comparison, first.lap, first.stamp)
        lines.append(f'first          difference at {place}: {label_words(first)}')
    else:
        lines.append('first          no label differs')
    return lines


def _courses(comparison: Comparison) -> list[str]:
    lines = []
    for name, laps in (('expected', comparison.expected), ('actual', comparison.actual)):
        course = facts(laps)
        line = (
            f'{name:<14} {course.count} frames in {course.seconds:.2f} s, '
            f'{course.flips} label changes ({course.flip_rate:.2f} per second)'
        )
        lines.append(line if course.laps == 1 else f'{line}, {course.laps} laps')
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
            lines.append(f'               only {name} knows {", ".join(sorted(alone))}')
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
            f'               shifted by {np.median(shifts):+.3f} s in the median, 95th percentile '
            f'{np.percentile(np.abs(shifts), 95):.3f} s'
        )
        if worst.shift:
            place = where(comparison, worst.change.lap, worst.change.stamp)
            lines.append(f'               most at {place}: {onset_words(worst)}')
    for onset in comparison.lost[:1]:
        place = where(comparison, onset.change.lap, onset.change.stamp)
        lines.append(f'               first lost at {place}: {onset_words(onset)}')
    return lines


def _faces(comparison: Comparison) -> list[str]:
    if not comparison.miscounted and not comparison.misread_others:
        return []
    lines = [
        f'faces          another number of them in {len(comparison.miscounted)} frames, other '
        f'labels beside the primary face in {len(comparison.misread_others)}'
    ]
    if comparison.miscounted:
        first = comparison.miscounted[0]
        place = where(comparison, first.lap, first.stamp)
        lines.append(f'               first at {place}: {faces_words(first)}')
    return lines


def _probabilities(comparison: Comparison) -> list[str]:
    apart, worst = comparison.differences, comparison.most_different
    if worst is None:
        return ['probabilities  no frame with a face in both']
    lines = [
        f'probabilities  differ by {np.mean(apart):.4f} in the mean, 95th percentile '
        f'{np.percentile(apart, 95):.4f}'
    ]
    if worst.difference is not None and worst.difference > ROUNDING:
        place = where(comparison, worst.lap, worst.stamp)
        lines.append(f'               most by {worst.difference:.4f} at {place}')
    return lines
