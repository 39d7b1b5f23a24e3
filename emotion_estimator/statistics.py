"""Rates and latencies over a sliding window, on stamps given by the caller."""

from __future__ import annotations

import threading
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

    def _now(self) -> list[tuple[float, float]]:
        with self._lock:
            return list(self._samples)

    def rate(self) -> float:
        """Return samples per second from the first to the last; 0 below two samples."""
        samples = self._now()
        if len(samples) < 2:
            return 0.0
        span = samples[-1][0] - samples[0][0]
        return (len(samples) - 1) / span if span > 0 else 0.0

    def percentile(self, percent: float) -> float:
        """Return the ``percent`` (0 to 100) percentile of the values; 0 without samples."""
        samples = self._now()
        if not samples:
            return 0.0
        return float(np.percentile([value for _, value in samples], percent))
