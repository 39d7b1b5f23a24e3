"""Images of a live stream that did not arrive, counted by the stamps of those that did."""

from __future__ import annotations

from collections import deque

import numpy as np

#: Seconds of the stream that are looked at, and the least number of images in them.
_WINDOW, _LEAST = 5.0, 8
#: An interval is so many periods of the camera, plus or minus this share of one.
_OFF = 0.2
#: Share of the intervals that must be such for the camera to have a steady rate.
_STEADY = 0.9
#: Longest interval in periods; beyond, the stream has paused.
_PAUSE = 30


class LostImages:
    """Estimates the share of images lost between camera and node.

    A camera with a steady rate leaves intervals of one period, and of two or three where images are
    missing. The period is the shortest interval that is not rare. Where intervals are no multiples
    of it, as in poor light with automatic exposure, nothing can be said, and nothing is.

    >>> lost = LostImages()
    >>> for n in range(60):
    ...     if n % 3:
    ...         lost.add(n / 15)
    >>> round(lost.share(), 2)
    0.33
    """

    def __init__(self) -> None:
        """Start a stream."""
        self._stamps: deque[float] = deque()

    def add(self, stamp: float) -> None:
        """Take the stamp of an image that arrived, in seconds."""
        stamps = self._stamps
        if stamps and stamp == stamps[-1]:
            # Nothing to count, and a stamp that stands still would be kept for ever.
            return
        if stamps and not 0.0 <= stamp - stamps[-1] <= _WINDOW:
            if -_WINDOW <= stamp - stamps[-1] < 0.0:
                # A late one: in its place, it is not lost.
                self._insert(stamp)
                return
            stamps.clear()
        stamps.append(stamp)
        while stamps[0] < stamp - _WINDOW:
            stamps.popleft()

    def _insert(self, stamp: float) -> None:
        ordered = sorted((*self._stamps, stamp))
        self._stamps.clear()
        self._stamps.extend(ordered)

    def share(self) -> float:
        """Return the share of the last seconds' images that did not arrive, 0 to 1."""
        intervals = np.diff(np.array(self._stamps))
        intervals = intervals[intervals > 0.0]
        if len(intervals) < _LEAST:
            return 0.0
        # Rarer ones are jitter.
        period = float(np.quantile(intervals, 0.1))
        near = intervals[intervals < 1.5 * period]
        period = float(np.median(near))
        periods = np.round(intervals / period)
        counted = periods <= _PAUSE
        off = np.abs(intervals / period - periods) > _OFF * np.sqrt(np.maximum(periods, 1.0))
        if np.mean(off[counted]) > 1.0 - _STEADY:
            return 0.0
        missing = float(np.sum(periods[counted] - 1.0))
        return missing / (missing + float(np.sum(counted)))
