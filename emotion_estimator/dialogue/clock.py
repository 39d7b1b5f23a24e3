"""The dialogue's own time, made from the stamps of a stream that may jump."""

from __future__ import annotations

from collections.abc import Iterator

from emotion_estimator.dialogue.window import TOLERANCE

#: Seconds between two looks at the rules. They lie on the dialogue's own time and not on that of
#: the messages, which is why a decision does not depend on how many of these there are.
TICK = 0.05

#: No pause counts for more seconds than this, so that no stamp makes time infinite.
_LONGEST = 1e6


class StreamClock:
    """Seconds since the first message, that only go on.

    A jump of the stamps back passes no time: what was left of a cooldown is still left.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._stamp: float | None = None
        self._ticks = 0

    def advance(self, stamp: float, max_step: float) -> bool:
        """Go on to a message's stamp.

        :param stamp: seconds, finite.
        :return: whether the stream went on; false after a jump back, or on by over ``max_step``.
        """
        before, self._stamp = self._stamp, stamp
        if before is None:
            return True
        step = stamp - before
        self.now += min(max(step, 0.0), _LONGEST)
        if 0 <= step <= max_step:
            return True
        self._ticks = int((self.now + TOLERANCE) / TICK)
        return False

    def ticks(self) -> Iterator[float]:
        """Yield the times since the last call at which to look at the rules."""
        while (self._ticks + 1) * TICK <= self.now + TOLERANCE:
            self._ticks += 1
            yield min(self._ticks * TICK, self.now)

    def at(self, stamp: float, max_step: float) -> float:
        """Return the time of something that is no message.

        :param stamp: seconds; what is no number, or far from the last message's, counts as now.
        """
        ahead = stamp - self._stamp if self._stamp is not None else 0.0
        return self.now + ahead if 0 <= ahead <= max_step else self.now
