"""Laps one after another on one axis of time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from emotion_estimator.replay.facts import Laps
from emotion_estimator.result import FrameResult

#: Seconds between two laps, enough to interrupt curves and bands.
_BREAK = 1.0


class TimeAxis:
    """Turns a stamp and its lap into seconds since the first frame.

    :ivar begins: where each lap begins, in those seconds.
    :ivar end: of the last lap, in those seconds.
    """

    def __init__(self, *courses: Laps) -> None:
        """:param courses: of one recording; laps of the same number go to the same place."""
        self._offsets: list[float] = []
        self.begins: list[float] = []
        end = -_BREAK
        for laps in zip_longest(*courses, fillvalue=()):
            stamps = [stamp for lap in laps if lap for stamp in (lap[0].stamp, lap[-1].stamp)]
            self.begins.append(end + _BREAK)
            self._offsets.append(self.begins[-1] - min(stamps))
            end = self._offsets[-1] + max(stamps)
        self.end = max(end, 0.1)

    def __call__(self, lap: int, stamp: float) -> float:
        """Return the seconds since the first frame."""
        return self._offsets[lap] + stamp

    def of_stamp(self, stamp: float, course: Laps) -> float:
        """Return the same where the lap is not known: that of the first one that holds it."""
        return next(
            (self(n, stamp) for n, lap in enumerate(course) if _holds(lap, stamp)),
            self(0, stamp),
        )


def _holds(lap: Sequence[FrameResult], stamp: float) -> bool:
    return lap[0].stamp <= stamp <= lap[-1].stamp
