"""Rates, latencies, rate limits, retry delays, and a watchdog."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np

#: Tolerance in seconds for sums of float stamps.
_TOLERANCE = 1e-6


class SlidingWindow:
    """Rate and percentiles of the samples of the last ``length`` seconds.

    One thread may add samples while another reads.

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
        """Add a sample.

        :param stamp: seconds; if it is before the last one, the window is emptied first.
        """
        with self._lock:
            if self._samples and stamp < self._samples[-1][0]:
                self._samples.clear()
            self._samples.append((stamp, value))
            while self._samples[0][0] < stamp - self._length:
                self._samples.popleft()

    def rate(self, now: float | None = None) -> float:
        """Return the mean number of samples per second; 0 if there are fewer than two.

        :param now: end of the window in seconds, in case samples have stopped arriving; None takes
            the last sample's stamp.
        """
        samples = self._until(now)
        if len(samples) < 2:
            return 0.0
        span = samples[-1][0] - samples[0][0]
        return (len(samples) - 1) / span if span > 0 else 0.0

    def count(self, now: float | None = None) -> int:
        """Return the number of samples.

        :param now: as for :meth:`rate`.
        """
        return len(self._until(now))

    def percentile(self, percent: float, now: float | None = None) -> float:
        """Return the ``percent`` (0 to 100) percentile of the values; 0 without samples.

        :param now: as for :meth:`rate`.
        """
        samples = self._until(now)
        if not samples:
            return 0.0
        return float(np.percentile([value for _, value in samples], percent))

    def _until(self, now: float | None) -> list[tuple[float, float]]:
        with self._lock:
            oldest = float('-inf') if now is None else now - self._length
            return [sample for sample in self._samples if sample[0] >= oldest]


class RateLimit:
    """Selects items so that their mean rate does not exceed a limit.

    Due times advance by full periods: a stream slightly above the limit is not halved, and jitter
    of the stamps does not add up.

    >>> limit = RateLimit()
    >>> [tick for tick in range(7) if limit(tick / 30, 15.0)]
    [0, 2, 4, 6]
    """

    def __init__(self) -> None:
        self._due = float('-inf')
        self._last = float('-inf')

    def __call__(self, stamp: float, rate: float) -> bool:
        """Return whether to take an item.

        :param stamp: the item's time in seconds; going back in time restarts the limit.
        :param rate: maximum items per second, which may change between calls; 0 takes all.
        """
        backwards = stamp < self._last
        self._last = stamp
        if rate <= 0:
            self._due = float('-inf')
            return True
        period = 1.0 / rate
        if backwards or self._due > stamp + period:
            # Another stream, or a raised limit: the old due time is meaningless.
            self._due = stamp
        if stamp < self._due - _TOLERANCE:
            return False
        late = stamp - self._due
        self._due = self._due + period if late < period else stamp + period
        return True


class Backoff:
    """Delays that double from ``minimum`` to ``maximum`` seconds until :meth:`reset`.

    >>> backoff = Backoff(0.5, 3.0)
    >>> [backoff.next() for _ in range(4)]
    [0.5, 1.0, 2.0, 3.0]
    """

    def __init__(self, minimum: float, maximum: float) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._next = minimum

    def next(self) -> float:
        """Return the delay before the next attempt, in seconds."""
        delay = self._next
        self._next = min(2 * delay, self._maximum)
        return delay

    def reset(self) -> None:
        """Start again from ``minimum``, after a success."""
        self._next = self._minimum


class Watchdog:
    """Reports that something expected has not arrived for too long, by the monotonic clock."""

    def __init__(self, expected: str, timeout: float = 3.0) -> None:
        """Start waiting.

        :param expected: what should arrive, for the report: "message on /emotion".
        :param timeout: seconds after which its absence is a problem.
        """
        self._expected = expected
        self._timeout = timeout
        self._last = time.monotonic()

    def reset(self) -> None:
        """Note that it has arrived."""
        self._last = time.monotonic()

    def problem(self) -> str:
        """Return a line if it has not arrived for too long, otherwise an empty text."""
        silence = time.monotonic() - self._last
        return f'no {self._expected} for {silence:.0f} s' if silence > self._timeout else ''
