"""Stamps of a film's frames out of the times in its container, which need not increase."""

from __future__ import annotations

import math

#: Longest pauses in seconds. The clock of a transport stream wraps around after 95,443 s and
#: starts again where recordings are joined; MP4 and Matroska note pauses, but hardly of a day.
PAUSE_OF_A_CLOCK, PAUSE_OF_A_FILE = 10.0, 86_400.0
#: Stamps in seconds from which on they are wrong: ROS counts them in an int32.
_LATEST = 1e9


class FilmStamps:
    """Turns times into stamps that increase strictly.

    A time that is missing, does not increase, or jumps too far ahead, gives the previous stamp plus
    the duration of a frame. From a second one in a row on, and after any jump ahead, later times
    count from there, so that joined recordings go on without a gap.

    :param start: the first stamp, in seconds.
    :param step: seconds of a frame whose time is not known, above 0.
    :param pause: longest believed seconds from one frame to the next.
    """

    def __init__(self, start: float, step: float, pause: float = PAUSE_OF_A_FILE) -> None:
        self._last = start
        self._step = step
        self._pause = pause
        #: Stamp of the time 0; None before the first known time.
        self._zero: float | None = None
        self._before: float | None = None
        self._wrong = 0
        self._begun = False

    def stamp(self, time: float | None) -> float:
        """Return the stamp of the next frame.

        :param time: in seconds, by the container; None or not finite if it does not say.
        """
        known = time if time is not None and math.isfinite(time) else None
        before, self._before = self._before, known
        if not self._begun:
            self._begun = True
            self._zero = None if known is None else self._last - known
            return self._last
        guess = self._last + self._step
        if known is None:
            self._last = guess
            return guess
        if self._zero is None:
            self._zero = guess - known
        stamp = self._zero + known
        too_far = stamp - self._last > self._pause or stamp >= _LATEST
        if too_far or not stamp > self._last:
            self._wrong += 1
            moved = None if before is None else known - before
            # As far as from the time before, unless that was the wrong one.
            if self._wrong > 1 and moved is not None and 0.0 < moved <= self._pause:
                guess = max(self._last + moved, math.nextafter(self._last, math.inf))
            if too_far or self._wrong > 1:
                self._zero = guess - known
            stamp = guess
        else:
            self._wrong = 0
        self._last = stamp
        return stamp
