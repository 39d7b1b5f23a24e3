"""Thin out a stream of stamped items to a rate, by their stamps alone."""

from __future__ import annotations

#: Slack in seconds for sums of float stamps.
_TOLERANCE = 1e-6


class RateLimit:
    """Chooses which items to take so that their mean rate stays at or below a limit.

    Due times advance by whole periods, so that a stream just faster than the limit is not thinned
    to half of it, and jitter of the stamps does not add up.

    >>> limit = RateLimit()
    >>> [tick for tick in range(7) if limit(tick / 30, 15.0)]
    [0, 2, 4, 6]
    """

    def __init__(self) -> None:
        self._due = float('-inf')
        self._last = float('-inf')

    def __call__(self, stamp: float, rate: float) -> bool:
        """Say whether to take the item of ``stamp``.

        :param stamp: seconds; where it goes backwards, time begins anew.
        :param rate: most items per second, which may differ from call to call; 0 takes all.
        """
        backwards = stamp < self._last
        self._last = stamp
        if rate <= 0:
            self._due = float('-inf')
            return True
        period = 1.0 / rate
        if backwards or self._due > stamp + period:
            # Another stream, or the limit was raised: the old due time means nothing.
            self._due = stamp
        if stamp < self._due - _TOLERANCE:
            return False
        late = stamp - self._due
        self._due = self._due + period if late < period else stamp + period
        return True
