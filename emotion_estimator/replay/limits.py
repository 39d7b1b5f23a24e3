"""How far a course may differ from the expected one, and which limits a comparison breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as declared
from pathlib import Path

from emotion_estimator import strict_yaml
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.replay.comparison import Comparison, Pair
from emotion_estimator.replay.course import ROUNDING, Onset, facts, label_changes
from emotion_estimator.resources import resource_dir

_SHARE = strict_yaml.number(0, 1)
_SECONDS = strict_yaml.number(0, 3600)


@dataclass(frozen=True)
class Limits:
    """What a comparison may show; a limit that is None is not looked at.

    :param min_agreement: least share of the frames of both with the same label, 0 to 1.
    :param min_agreement_per_label: the same of the frames in which the expected label is one; for
        each label, or by label.
    :param min_settled_agreement: the same of the frames more than ``margin`` seconds away from a
        change of the expected label.
    :param max_probability_difference: greatest difference of a probability in any frame, 0 to 1.
    :param max_mean_probability_difference: mean over the frames of their greatest difference.
    :param max_onset_shift: seconds by which a label may begin later or earlier.
    :param max_lost_onsets: share of the expected label's changes that may have no counterpart.
    :param max_flip_rate_increase: label changes per second more than expected.
    :param max_missing: share of the expected frames that may be absent.
    :param max_extra: share of the actual frames that may not be expected.
    :param max_miscounted_faces: share of the frames in which the number of faces may differ.
    :param max_misread_others: share of the frames with as many faces in which the labels of others
        than the primary may differ.
    :raises InputError: a limit is no number in its range.
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
        for item in declared(self):
            value = getattr(self, item.name)
            if value is not None:
                _READERS[item.name](value, f'limits: {item.name}')

    def least_for(self, label: str) -> float | None:
        """Return ``min_agreement_per_label`` of one label."""
        least = self.min_agreement_per_label
        return least.get(label) if isinstance(least, Mapping) else least


def _per_label(value: object, where: str) -> float | Mapping[str, float]:
    if not isinstance(value, Mapping):
        return _SHARE(value, where)
    return {
        strict_yaml.text(label, f'{where}: a label'): _SHARE(share, f'{where}: {label}')
        for label, share in value.items()
    }


_READERS: dict[str, strict_yaml.Reader] = {
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
    """Return the path of the limits that hold where no others are named."""
    return resource_dir('config') / 'replay_limits.yaml'


def load_limits(path: Path) -> Limits:
    """Read and check a file of limits.

    :raises InputError: unreadable, not YAML, without a limit, or one is unknown or out of range;
        names file and field.
    """
    return parse_limits(strict_yaml.read_yaml(path), str(path))


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
        raise InputError(
            f'{origin} names no limit, so nothing could break one; known are {", ".join(_READERS)}'
        )
    return Limits(**named)


def check_labels(limits: Limits, known: frozenset[str]) -> None:
    """Return when each label that the limits name is one of ``known``, or nobody's.

    :param known: empty where no face was seen, and so nothing is known.
    :raises InputError: one is not; a limit on it would never be broken.
    """
    named = limits.min_agreement_per_label
    for label in named if isinstance(named, Mapping) and known else ():
        if label not in known | {NONE}:
            raise InputError(
                f'limits: min_agreement_per_label names {label!r}; the recordings know '
                f'{", ".join(sorted(known | {NONE}))}'
            )


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
            'max_miscounted_faces',
            limits.max_miscounted_faces,
            comparison.miscounted,
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
