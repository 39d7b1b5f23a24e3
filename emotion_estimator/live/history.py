"""The last minute of what was seen, and what was said; written and read by different threads."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque

from emotion_estimator.live.moment import Moment
from emotion_estimator.live.remark import Remark

#: Seconds that can be scrubbed back.
MINUTE = 60.0
#: Moments and lines kept at most, whatever their stamps say.
_MOST_MOMENTS, _MOST_REMARKS = 7_200, 500


class History:
    """Keeps moments and remarks in memory, and nothing of them longer than needed.

    :param seconds: of moments that are kept.
    """

    def __init__(self, seconds: float = MINUTE) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._moments: deque[Moment] = deque(maxlen=_MOST_MOMENTS)
        self._remarks: deque[Remark] = deque(maxlen=_MOST_REMARKS)
        self._said = 0

    def add(self, moment: Moment) -> None:
        """Add a moment; one before the last begins a new minute."""
        with self._lock:
            if self._moments and moment.stamp < self._moments[-1].stamp:
                self._moments.clear()
            self._moments.append(moment)
            while self._moments[0].stamp < moment.stamp - self._seconds:
                self._moments.popleft()

    def say(self, remark: Remark) -> None:
        """Add a line of the conversation."""
        with self._lock:
            self._remarks.append(remark)
            self._said += 1

    def clear(self) -> None:
        """Forget the moments, as when another source is chosen; the conversation stays."""
        with self._lock:
            self._moments.clear()

    @property
    def newest(self) -> Moment | None:
        """Return the last moment, if there is one."""
        with self._lock:
            return self._moments[-1] if self._moments else None

    def at(self, stamp: float) -> Moment | None:
        """Return what was seen last until then: the oldest one if ``stamp`` is before it."""
        moments = self.moments()
        if not moments:
            return None
        index = bisect_right(moments, stamp, key=lambda moment: moment.stamp)
        return moments[max(index - 1, 0)]

    def beside(self, stamp: float, steps: int) -> Moment | None:
        """Return the moment so many images after the one at ``stamp``; before it if negative."""
        moments = self.moments()
        if not moments:
            return None
        index = bisect_right(moments, stamp, key=lambda moment: moment.stamp) - 1 + steps
        return moments[min(max(index, 0), len(moments) - 1)]

    def moments(self) -> tuple[Moment, ...]:
        """Return all that are kept, oldest first."""
        with self._lock:
            return tuple(self._moments)

    def remarks(self, after: int = 0) -> tuple[tuple[Remark, ...], int]:
        """Return the lines after the first ``after``, as far as they are kept, and their number."""
        with self._lock:
            new = min(self._said - after, len(self._remarks))
            return tuple(self._remarks)[len(self._remarks) - new :] if new > 0 else (), self._said

    def rate(self, seconds: float = 3.0) -> float:
        """Return the number of moments per second over the last ``seconds``."""
        moments = self.moments()
        if len(moments) < 2:
            return 0.0
        recent = [each.stamp for each in moments if each.stamp > moments[-1].stamp - seconds]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0
