"""How often the label was right, where the truth is known frame by frame."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

#: Seconds around each change of the truth that a fair count leaves out: the portrait's change
#: takes that long, and no observer could tell at once.
MARGIN = 0.3


@dataclass(frozen=True)
class Tally:
    """Frames counted, and those in which the label was the truth."""

    frames: int = 0
    agreed: int = 0

    @property
    def share(self) -> float | None:
        """Share of agreement, 0 to 1; None without frames."""
        return self.agreed / self.frames if self.frames else None


@dataclass(frozen=True)
class Agreement:
    """Labels against the truth.

    :param overall: all frames whose truth is known.
    :param settled: those more than the margin away from a change of the truth.
    :param per_label: the settled frames by their truth.
    """

    overall: Tally
    settled: Tally
    per_label: Mapping[str, Tally]


def changes_of(truth: Sequence[tuple[float, str]]) -> list[float]:
    """Return the stamps at which the truth changes, in the middle between the two frames."""
    return [
        (before[0] + after[0]) / 2 for before, after in pairwise(truth) if before[1] != after[1]
    ]


def agreement(
    truth: Sequence[tuple[float, str]],
    labels: Sequence[tuple[float, str]],
    margin: float = MARGIN,
) -> Agreement | None:
    """Compare labels with the truth of the same frames.

    :param truth: (stamp in seconds, label) in order of time.
    :param labels: the same of what was estimated; a frame is found by its stamp.
    :param margin: seconds on both sides of a change that ``settled`` leaves out.
    :return: None where no frame has both.
    """
    known = {_key(stamp): label for stamp, label in truth}
    changes = changes_of(truth)
    pairs = [(stamp, known[_key(stamp)], label) for stamp, label in labels if _key(stamp) in known]
    if not pairs:
        return None
    settled = [pair for pair in pairs if distance(changes, pair[0]) > margin]
    names = dict.fromkeys(right for _, right, _ in settled)
    return Agreement(
        overall=_tally(pairs),
        settled=_tally(settled),
        per_label={name: _tally([pair for pair in settled if pair[1] == name]) for name in names},
    )


def _key(stamp: float) -> int:
    """Name a frame by its stamp in whole microseconds, safe from rounding on the way."""
    return round(stamp * 1e6)


def distance(changes: Sequence[float], stamp: float) -> float:
    """Return the seconds to the nearest of ``changes`` (ascending); very many without any."""
    at = bisect_left(changes, stamp)
    return min((abs(stamp - change) for change in changes[max(0, at - 1) : at + 1]), default=1e9)


def _tally(pairs: Sequence[tuple[float, str, str]]) -> Tally:
    return Tally(len(pairs), sum(right == label for _, right, label in pairs))
