"""Rates, latencies, silences and pauses between attempts, by stamps that the caller gives."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np


class SlidingWindow:
    """The samples of the last ``length`` seconds; one thread may add while another reads.

    >>> window = SlidingWindow(length=2.0)
    >>> for tick in range(5):
    ...     window.add(stamp=0.5 * tick, value=tick)
    >>> window.rate()
    2.0
    """

    def __init__(self, length: float = 5.0) -> None:
        self._length = length
        self._samples: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()

    def add(self, stamp: float, value: float = 0.0) -> None:
        """Add ``value`` at ``stamp`` seconds; a stamp before the last one empties the window."""
        with self._lock:
            if self._samples and stamp < self._samples[-1][0]:
                self._samples.clear()
            self._samples.append((stamp, value))
            while self._samples[0][0] < stamp - self._length:
                self._samples.popleft()

    def _until(self, now: float | None) -> list[tuple[float, float]]:
        with self._lock:
            oldest = float('-inf') if now is None else now - self._length
            return [sample for sample in self._samples if sample[0] >= oldest]

    def rate(self, now: float | None = None) -> float:
        """Return samples per second from the first to the last; 0 below two samples.

        :param now: the time, where samples may have ceased to come; None is the last one's.
        """
        samples = self._until(now)
        if len(samples) < 2:
            return 0.0
        span = samples[-1][0] - samples[0][0]
        return (len(samples) - 1) / span if span > 0 else 0.0

    def percentile(self, percent: float, now: float | None = None) -> float:
        """Return the ``percent`` (0 to 100) percentile of the values; 0 without samples.

        :param now: as for :meth:`rate`.
        """
        samples = self._until(now)
        if not samples:
            return 0.0
        return float(np.percentile([value for _, value in samples], percent))


class Silence:
    """Says what has not come for too long, by the monotonic clock."""

    def __init__(self, what: str, patience: float = 3.0) -> None:
        """Begin to wait for ``what``; after ``patience`` seconds without it there is a problem."""
        self._what = what
        self._patience = patience
        self._last = time.monotonic()

    def end(self) -> None:
        """Note that it came."""
        self._last = time.monotonic()

    def problem(self) -> str:
        """Return a line where it has not come for too long, else an empty text."""
        silent = time.monotonic() - self._last
        return f'no {self._what} for {silent:.0f} s' if silent > self._patience else ''


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


class Backoff:
    """Waits that double from ``minimum`` to ``maximum`` seconds until :meth:`reset`.

    >>> backoff = Backoff(0.5, 3.0)
    >>> [backoff.next() for _ in range(4)]
    [0.5, 1.0, 2.0, 3.0]
    """

    def __init__(self, minimum: float, maximum: float) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._next = minimum

    def next(self) -> float:
        """Return the seconds to wait this time."""
        wait = self._next
        self._next = min(2 * wait, self._maximum)
        return wait

    def reset(self) -> None:
        """Begin anew: the device worked."""
        self._next = self._minimum
