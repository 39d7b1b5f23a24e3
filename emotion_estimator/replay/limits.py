"""Limits on how far results may differ from the expected ones, and which ones are broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from emotion_estimator import strict_yaml
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.replay.alignment import ROUNDING, Onset
from emotion_estimator.replay.comparison import Comparison
from emotion_estimator.replay.pairs import Pair, Pairs
from emotion_estimator.resources import resource_dir
from emotion_estimator.untrusted import quote

_SHARE = strict_yaml.number(0, 1)
_SECONDS = strict_yaml.number(0, 3600)


@dataclass(frozen=True)
class Limits:
    """How far results may differ; a limit of None is not checked.

    :param min_agreement: smallest share of paired frames with the same label, 0 to 1.
    :param min_agreement_per_label: the same for the frames with each expected label: one value for
        all labels, or one by label.
    :param min_settled_agreement: the same for the frames more than ``margin`` seconds away from a
        change of the expected label.
    :param max_probability_difference: largest difference of a probability in any frame, 0 to 1.
    :param max_mean_probability_difference: mean over the frames of each frame's largest difference.
    :param max_onset_shift: seconds by which a label may begin later or earlier.
    :param max_lost_onsets: share of the expected label changes that may be absent.
    :param max_flip_rate_increase: label changes per second above the expected ones.
    :param max_missing: share of the expected frames that may be absent.
    :param max_extra: share of the actual frames that may be unexpected.
    :param max_miscounted_faces: share of the frames in which the number of faces may differ.
    :param max_misread_others: share of the frames in which labels of equally many faces may differ
        beyond the primary one.
    :raises InputError: a limit is not a number within its range.
    """

    min_agreement: float | None = None
    min_agreement_per_label: float | Mapping[str, float] | None = None
    min_settled_agreement: float | None = None
    margin: float = 0.2
    max_probability_difference: float | None = None
    max_mean_probability_difference: float | None = None
    max_onset_shift: float | None = None
    max_lost_onsets: float | None = None
    max_flip_rate_increase: float | None = None
    max_missing: float | None = None
    max_extra: float | None = None
    max_miscounted_faces: float | None = None
    max_misread_others: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None:
                _READERS[item.name](value, f'limits: {item.name}')

    def least_for(self, label: str) -> float | None:
        """Return ``min_agreement_per_label`` for one label."""
        least = self.min_agreement_per_label
        return least.get(label) if isinstance(least, Mapping) else least


def _per_label(value: object, where: str) -> float | Mapping[str, float]:
    if not isinstance(value, Mapping):
        return _SHARE(value, where)
    return {
        strict_yaml.text(label, f'{where}: a label'): _SHARE(share, f'{where}: {label}')
        for label, share in value.items()
    }


_READERS: dict[str, strict_yaml.Reader[Any]] = {
    'min_agreement': _SHARE,
    'min_agreement_per_label': _per_label,
    'min_settled_agreement': _SHARE,
    'margin': _SECONDS,
    'max_probability_difference': _SHARE,
    'max_mean_probability_difference': _SHARE,
    'max_onset_shift': _SECONDS,
    'max_lost_onsets': _SHARE,
    'max_flip_rate_increase': strict_yaml.number(0, 1000),
    'max_missing': _SHARE,
    'max_extra': _SHARE,
    'max_miscounted_faces': _SHARE,
    'max_misread_others': _SHARE,
}


def shipped_limits() -> Path:
    """Return the path of the default limits."""
    return resource_dir('config') / 'replay_limits.yaml'


def load_limits(path: Path) -> Limits:
    """Load limits from a YAML file.

    :raises InputError: the file is unreadable, not YAML or without limits, or a limit is unknown or
        out of range; names file and field.
    """
    return parse_limits(strict_yaml.read_yaml(path), quote(path))


def parse_limits(raw: object, origin: str) -> Limits:
    """Check limits already read from YAML or JSON.

    :param origin: what to call the document in errors.
    :raises InputError: see :func:`load_limits`.
    """
    table = strict_yaml.Table(raw, origin)
    given = {name: table.take(name, reader, default=None) for name, reader in _READERS.items()}
    table.finish()
    named = {name: value for name, value in given.items() if value is not None}
    if not set(named) - {'margin'}:
        raise InputError(f'{origin} sets no limit; choose from {", ".join(_READERS)}')
    return Limits(**named)


def check_labels(limits: Limits, known: frozenset[str]) -> None:
    """Check that the limits name only labels in ``known``, or ``none``.

    :param known: the labels of both results; empty if no face was seen, which skips the check.
    :raises InputError: a label is unknown, so its limit could never be broken.
    """
    named = limits.min_agreement_per_label
    for label in named if isinstance(named, Mapping) and known else ():
        if label not in known | {NONE}:
            raise InputError(
                f'limits: min_agreement_per_label names {label!r}; the recordings know '
                f'{", ".join(sorted(known | {NONE}))}'
            )


@dataclass(frozen=True)
class BrokenLimit:
    """A limit that is broken, and the first frame that breaks it.

    :param limit: the limit's name.
    :param allowed: its value.
    :param value: the measured value.
    :param lap: the frame's lap, from 0.
    :param stamp: the frame's stamp, in seconds.
    :param place: what differs there, in words.
    """

    limit: str
    allowed: float
    value: float
    lap: int
    stamp: float
    place: str


def broken_limits(comparison: Comparison, limits: Limits) -> list[BrokenLimit]:
    """Return the limits that the comparison breaks; an empty list is a pass.

    A value equal to its limit is within it. Numbers are compared to six decimals, as results files
    have them.

    :raises InputError: the limits name a label unknown to both results.
    """
    known = frozenset[str]().union(*comparison.vocabularies)
    # Below abstain_below the label is `unknown`, which the seven expressions do not include.
    check_labels(limits, known and known | comparison.per_label.keys())
    return [
        *_agreement(comparison, limits),
        *_probabilities(comparison, limits),
        *_onsets(comparison, limits),
        *_frames(comparison, limits),
    ]


def _agreement(comparison: Comparison, limits: Limits) -> Iterator[BrokenLimit]:
    groups: list[tuple[str, float | None, Pairs]] = [
        ('min_agreement', limits.min_agreement, comparison.pairs),
    ]
    for label in comparison.per_label:
        named = comparison.pairs.with_label(label)
        groups.append((f'min_agreement_per_label of {label}', limits.least_for(label), named))
    if limits.min_settled_agreement is not None:
        settled = comparison.settled(limits.margin)
        groups.append(('min_settled_agreement', limits.min_settled_agreement, settled))
    for name, least, pairs in groups:
        share = pairs.agreed / len(pairs) if pairs else 1.0
        if least is not None and share < least - ROUNDING:
            first = pairs.where(~pairs.agree)[0]
            yield BrokenLimit(name, least, share, first.lap, first.stamp, describe_labels(first))


def _probabilities(comparison: Comparison, limits: Limits) -> Iterator[BrokenLimit]:
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
            # If the mean is above the limit, so is one of the frames.
            first = comparison.seen.where(comparison.seen.differences > most + ROUNDING)[0]
            words = f'{first.difference:.3f} between the probabilities'
            yield BrokenLimit(name, most, value, first.lap, first.stamp, words)


def _onsets(comparison: Comparison, limits: Limits) -> Iterator[BrokenLimit]:
    most = limits.max_onset_shift
    late = [] if most is None else [o for o in comparison.onsets if _beyond(o, most)]
    if most is not None and late:
        worst = max(abs(onset.shift or 0.0) for onset in late)
        yield _onset('max_onset_shift', most, worst, late[0])
    most, lost = limits.max_lost_onsets, comparison.lost
    if most is not None and lost and len(lost) / len(comparison.onsets) > most + ROUNDING:
        yield _onset('max_lost_onsets', most, len(lost) / len(comparison.onsets), lost[0])
    most = limits.max_flip_rate_increase
    more = comparison.actual.flip_rate - comparison.expected.flip_rate
    if most is not None and more > most + ROUNDING:
        # Without an added change, the same changes happened in a shorter time.
        first = comparison.added[0] if comparison.added else comparison.actual.first_change
        assert first is not None
        words = f'actual changes to {first.label}'
        yield BrokenLimit('max_flip_rate_increase', most, more, first.lap, first.stamp, words)


def _frames(comparison: Comparison, limits: Limits) -> Iterator[BrokenLimit]:
    paired = len(comparison.pairs)
    for name, most, unpaired, words in (
        ('max_missing', limits.max_missing, comparison.missing, 'a frame that actual lacks'),
        ('max_extra', limits.max_extra, comparison.extra, 'a frame that only actual has'),
    ):
        share = len(unpaired) / (paired + len(unpaired))
        if most is not None and share > most + ROUNDING:
            first = unpaired[0]
            yield BrokenLimit(name, most, share, first.lap, first.stamp, words)
    for name, most, pairs, describe in (
        (
            'max_miscounted_faces',
            limits.max_miscounted_faces,
            comparison.miscounted,
            describe_face_counts,
        ),
        (
            'max_misread_others',
            limits.max_misread_others,
            comparison.misread_others,
            describe_other_labels,
        ),
    ):
        share = len(pairs) / paired
        if most is not None and share > most + ROUNDING:
            words = describe(pairs[0])
            yield BrokenLimit(name, most, share, pairs[0].lap, pairs[0].stamp, words)


def _beyond(onset: Onset, most: float) -> bool:
    return onset.shift is not None and abs(onset.shift) > most + ROUNDING


def _onset(name: str, most: float, value: float, onset: Onset) -> BrokenLimit:
    change = onset.change
    return BrokenLimit(name, most, value, change.lap, change.stamp, describe_onset(onset))


def describe_labels(pair: Pair) -> str:
    """Return both labels as a phrase."""
    expected, actual = pair.labels
    return f'expected {expected}, actual {actual}'


def describe_face_counts(pair: Pair) -> str:
    """Return both numbers of faces as a phrase."""
    return f'faces: expected {len(pair.expected)}, actual {len(pair.actual)}'


def describe_other_labels(pair: Pair) -> str:
    """Return the labels of the faces other than the primary one as a phrase."""
    expected, actual = (' and '.join(faces[1:]) for faces in (pair.expected, pair.actual))
    return f'expected {expected} besides the primary face, actual {actual}'


def describe_onset(onset: Onset) -> str:
    """Return how an expected change was matched, as a phrase."""
    if onset.shift is None:
        return f'expected changes to {onset.change.label}, actual does not'
    when = 'later' if onset.shift > 0 else 'earlier'
    return f'actual changes to {onset.change.label} {abs(onset.shift):.3f} s {when} than expected'
