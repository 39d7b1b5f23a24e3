"""How far a course may differ from the expected one: limits in a YAML file, and what breaks them.

``config/replay_limits.yaml`` is the shipped file and documents each limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields as declared
from pathlib import Path

from emotion_estimator import fields
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.resources import resource_dir

_SHARE = fields.number(0, 1)
_SECONDS = fields.number(0, 3600)


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
        fields.text(label, f'{where}: a label'): _SHARE(share, f'{where}: {label}')
        for label, share in value.items()
    }


_READERS: dict[str, fields.Reader] = {
    'min_agreement': _SHARE,
    'min_agreement_per_label': _per_label,
    'min_settled_agreement': _SHARE,
    'margin': _SECONDS,
    'max_probability_difference': _SHARE,
    'max_mean_probability_difference': _SHARE,
    'max_onset_shift': _SECONDS,
    'max_lost_onsets': _SHARE,
    'max_flip_rate_increase': fields.number(0, 1000),
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
    return parse_limits(fields.read_yaml(path), str(path))


def parse_limits(raw: object, origin: str) -> Limits:
    """Check limits already read from YAML or JSON.

    :param origin: what to call the document in errors.
    :raises InputError: see :func:`load_limits`.
    """
    table = fields.Table(raw, origin)
    given = {name: table.take(name, reader, default=None) for name, reader in _READERS.items()}
    table.finish()
    named = {name: value for name, value in given.items() if value is not None}
    if not set(named) - {'margin'}:
        raise InputError(f'{origin} names no limit, so nothing could break one; known are '
                         f'{", ".join(_READERS)}')
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
