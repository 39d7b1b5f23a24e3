"""Images of a live stream that did not arrive, counted by the stamps of those that did."""

from __future__ import annotations

from collections import deque

import numpy as np

#: Seconds of the stream that are looked at, and the least number of images in them.
_WINDOW, _LEAST = 5.0, 8
#: Images remembered at most, more than any camera sends in that time.
_MOST = 5000
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
    of it, as in poor light with automatic exposure, stamps say nothing. The middleware's own count
    of lost messages, where it has one, tells more: also where hardly any image arrives.

    >>> lost = LostImages()
    >>> for n in range(60):
    ...     if n % 3:
    ...         lost.add(n / 15)
    >>> round(lost.share(), 2)
    0.33
    """

    def __init__(self) -> None:
        """Start a stream."""
        self._stamps: deque[float] = deque(maxlen=_MOST)
        #: When images arrived, and when some were reported lost, and how many.
        self._arrived: deque[float] = deque(maxlen=_MOST)
        self._reported: deque[tuple[float, int]] = deque(maxlen=_MOST)

    def report(self, count: int, now: float) -> None:
        """Take a report of the middleware.

        :param count: of images lost since the last report.
        :param now: seconds on a clock that never goes back.
        """
        if count > 0:
            self._reported.append((now, count))
            self._forget(now)

    def _forget(self, now: float) -> None:
        while self._arrived and self._arrived[0] < now - _WINDOW:
            self._arrived.popleft()
        while self._reported and self._reported[0][0] < now - _WINDOW:
            self._reported.popleft()

    def _reported_share(self, now: float) -> float:
        self._forget(now)
        lost = sum(count for _, count in self._reported)
        count = lost + len(self._arrived)
        return lost / count if count >= _LEAST else 0.0

    def add(self, stamp: float, now: float = 0.0) -> None:
        """Take the stamp of an image that arrived, in seconds.

        :param now: as for :meth:`report`.
        """
        self._arrived.append(now)
        self._forget(now)
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

    def share(self, now: float = 0.0) -> float:
        """Return the share of the last seconds' images that did not arrive, 0 to 1.

        :param now: as for :meth:`report`.
        """
        return max(self._share_by_stamps(), self._reported_share(now))

    def _share_by_stamps(self) -> float:
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
