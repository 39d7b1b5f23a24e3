"""For which share of the last seconds each label was seen, in memory that does not grow."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field

from emotion_estimator.dialogue.window import TOLERANCE

#: Length of a bin in seconds; a window begins at a bin.
_BIN = 0.5

#: Labels in an answer; models have three to eight.
_MOST = 8


@dataclass
class _Bin:
    begin: float
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


class LabelShares:
    """Seconds by label in bins on the stamps' own grid, so that the message rate does not matter.

    >>> shares = LabelShares(60.0)
    >>> shares.add('sad', 100.0, 103.0)
    >>> shares.add('happy', 103.0, 104.0)
    >>> shares.shares(10.0, 104.0)
    {'sad': 0.75, 'happy': 0.25}
    >>> shares.seconds(10.0, 104.0)
    4.0
    """

    def __init__(self, length: float) -> None:
        """:param length: seconds that are remembered."""
        self._length = length
        self._bins: deque[_Bin] = deque()

    def clear(self) -> None:
        """Forget everything: time went backwards."""
        self._bins.clear()

    def add(self, label: str, begin: float, end: float) -> None:
        """Note that ``label`` was seen from stamp ``begin`` to ``end``; in the stamps' order."""
        begin = max(begin, end - self._length)
        while begin < end:
            start = math.floor(begin / _BIN) * _BIN
            if not self._bins or self._bins[-1].begin < start:
                self._bins.append(_Bin(start))
            until = min(end, start + _BIN)
            if until <= begin:
                break  # Stamps so great that a float no longer tells them apart.
            self._bins[-1].seconds[label] += until - begin
            begin = until
        while self._bins and self._bins[0].begin < end - self._length - _BIN:
            self._bins.popleft()

    def _sums(self, window: float, now: float) -> dict[str, float]:
        sums: defaultdict[str, float] = defaultdict(float)
        for part in self._bins:
            if part.begin >= now - window - TOLERANCE:
                for label, seconds in part.seconds.items():
                    sums[label] += seconds
        return sums

    def seconds(self, window: float, now: float) -> float:
        """Return how many of the last ``window`` seconds before stamp ``now`` were observed."""
        return round(sum(self._sums(window, now).values(), 0.0), 1)

    def shares(self, window: float, now: float) -> dict[str, float]:
        """Return each label's share (0 to 1, sum 1) of what was observed, the greatest first."""
        sums = self._sums(window, now)
        total = sum(sums.values())
        # Rounded first: of equals, the order is that of the labels and not of a float's last digit.
        parts = {label: round(part / total, 2) for label, part in sums.items()}
        ranked = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
        return dict(ranked[:_MOST])
