"""Which limits a comparison breaks, and where first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from emotion_estimator.replay.align import ROUNDING
from emotion_estimator.replay.comparison import Comparison, Pair
from emotion_estimator.replay.facts import facts, label_changes
from emotion_estimator.replay.limits import Limits, check_labels
from emotion_estimator.replay.onsets import Onset


@dataclass(frozen=True)
class Broken:
    """A limit that is broken.

    :param limit: its name.
    :param allowed: what the limit says.
    :param value: what was found.
    :param lap: of the first place that breaks it, from 0.
    :param stamp: of that place, in seconds.
    :param place: what is there, in words.
    """

    limit: str
    allowed: float
    value: float
    lap: int
    stamp: float
    place: str


def broken(comparison: Comparison, limits: Limits) -> list[Broken]:
    """Return the limits that the comparison breaks, each with the first place; none is good.

    A limit is kept where the value equals it; numbers are compared to six decimals, as many as
    files of results hold.

    :raises InputError: the limits name a label that neither course knows.
    """
    known = frozenset[str]().union(*comparison.vocabularies)
    # What is told below abstain_below, unknown, is in no vocabulary but that of three.
    check_labels(limits, known and known | comparison.per_label.keys())
    return [
        *_agreement(comparison, limits),
        *_probabilities(comparison, limits),
        *_onsets(comparison, limits),
        *_frames(comparison, limits),
    ]


def _agreement(comparison: Comparison, limits: Limits) -> Iterator[Broken]:
    groups: list[tuple[str, float | None, Sequence[Pair]]] = [
        ('min_agreement', limits.min_agreement, comparison.pairs),
    ]
    for label in comparison.per_label:
        named = [pair for pair in comparison.pairs if pair.expected.label == label]
        groups.append((f'min_agreement_per_label of {label}', limits.least_for(label), named))
    if limits.min_settled_agreement is not None:
        settled = comparison.settled(limits.margin)
        groups.append(('min_settled_agreement', limits.min_settled_agreement, settled))
    for name, least, pairs in groups:
        share = sum(pair.agrees for pair in pairs) / len(pairs) if pairs else 1.0
        if least is not None and share < least - ROUNDING:
            first = next(pair for pair in pairs if not pair.agrees)
            yield Broken(name, least, share, first.lap, first.stamp, label_words(first))


def _probabilities(comparison: Comparison, limits: Limits) -> Iterator[Broken]:
    apart = comparison.differences
    if not apart:
        return
    for name, most, value in (
        ('max_probability_difference', limits.max_probability_difference, max(apart)),
        (
            'max_mean_probability_difference',
            limits.max_mean_probability_difference,
            sum(apart) / len(apart),
        ),
    ):
        if most is not None and value > most + ROUNDING:
            # Where the mean lies above the limit, so does one of the frames.
            first = next(
                pair
                for pair in comparison.pairs
                if pair.difference is not None and pair.difference > most + ROUNDING
            )
            words = f'{first.difference:.3f} between the probabilities'
            yield Broken(name, most, value, first.lap, first.stamp, words)


def _onsets(comparison: Comparison, limits: Limits) -> Iterator[Broken]:
    most = limits.max_onset_shift
    late = [] if most is None else [o for o in comparison.onsets if _beyond(o, most)]
    if most is not None and late:
        worst = max(abs(onset.shift or 0.0) for onset in late)
        yield _onset('max_onset_shift', most, worst, late[0])
    most, lost = limits.max_lost_onsets, comparison.lost
    if most is not None and lost and len(lost) / len(comparison.onsets) > most + ROUNDING:
        yield _onset('max_lost_onsets', most, len(lost) / len(comparison.onsets), lost[0])
    most = limits.max_flip_rate_increase
    expected, actual = facts(comparison.expected), facts(comparison.actual)
    more = actual.flip_rate - expected.flip_rate
    if most is not None and more > most + ROUNDING:
        # The same changes in a shorter time are more often, too.
        first = (comparison.added or label_changes(comparison.actual))[0]
        words = f'actual changes to {first.label}'
        yield Broken('max_flip_rate_increase', most, more, first.lap, first.stamp, words)


def _frames(comparison: Comparison, limits: Limits) -> Iterator[Broken]:
    paired = len(comparison.pairs)
    for name, most, lone, words in (
        ('max_missing', limits.max_missing, comparison.missing, 'a frame that actual lacks'),
        ('max_extra', limits.max_extra, comparison.extra, 'a frame that only actual has'),
    ):
        share = len(lone) / (paired + len(lone))
        if most is not None and share > most + ROUNDING:
            yield Broken(name, most, share, lone[0].lap, lone[0].stamp, words)
    for name, most, wrong, say in (
        (
            'max_miscounted_faces', limits.max_miscounted_faces, comparison.miscounted,
            faces_words,
        ),
        ('max_misread_others', limits.max_misread_others, comparison.misread_others, others_words),
    ):
        share = len(wrong) / paired
        if most is not None and share > most + ROUNDING:
            yield Broken(name, most, share, wrong[0].lap, wrong[0].stamp, say(wrong[0]))


def _beyond(onset: Onset, most: float) -> bool:
    return onset.shift is not None and abs(onset.shift) > most + ROUNDING


def _onset(name: str, most: float, value: float, onset: Onset) -> Broken:
    change = onset.change
    return Broken(name, most, value, change.lap, change.stamp, onset_words(onset))


def label_words(pair: Pair) -> str:
    """Return both labels in words."""
    return f'expected {pair.expected.label}, actual {pair.actual.label}'


def faces_words(pair: Pair) -> str:
    """Return both numbers of faces in words."""
    return f'faces: expected {len(pair.expected.faces)}, actual {len(pair.actual.faces)}'


def others_words(pair: Pair) -> str:
    """Return the labels of the faces beside the primary one in words."""
    expected, actual = (
        ' and '.join(face.label for face in frame.faces[1:])
        for frame in (pair.expected, pair.actual)
    )
    return f'expected {expected} beside the primary face, actual {actual}'


def onset_words(onset: Onset) -> str:
    """Return what became of an expected change, in words."""
    if onset.shift is None:
        return f'expected changes to {onset.change.label}, actual does not'
    when = 'later' if onset.shift > 0 else 'earlier'
    return f'actual changes to {onset.change.label} {abs(onset.shift):.3f} s {when} than expected'
