"""Evidence over time: for how much of the last seconds a rule's condition held."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

#: Slack in seconds for sums of float stamps (Unix times resolve to about 0.2 microseconds).
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Evidence:
    """What a window knows of its condition.

    :param held: seconds within the window in which the condition held.
    :param span: length of the window in seconds.
    :param confidence: mean confidence over ``held``, 0 to 1.
    """

    held: float
    span: float
    confidence: float


@dataclass
class _Run:
    """A stretch of time in which the condition held for one face."""

    start: float
    end: float
    face_id: str
    weight: float  # integral of the confidence over the stretch


class EvidenceWindow:
    """The last ``span`` seconds of one condition, weighted by time and not by messages.

    An observation holds until the next one, but for ``hold`` seconds at most: one wrong message
    before a pause of the stream is no evidence. The same course thus gives the same evidence at
    any rate of more than one message in ``hold`` seconds. Stretches are kept instead of messages.
    """

    def __init__(self, span: float, hold: float) -> None:
        """:param span: length in seconds, above 0. :param hold: seconds, above 0."""
        self._span = span
        self._hold = hold
        self._runs: deque[_Run] = deque()
        self._now = 0.0
        self._person = ''
        self._held = 0.0
        self._weight = 0.0
        self._matched = False
        self._confidence = 0.0
        self._until = 0.0

    def clear(self) -> None:
        """Forget everything: time jumped."""
        self._runs.clear()
        self._matched = False
        self._held = self._weight = 0.0

    def take_over(self, past: EvidenceWindow) -> None:
        """Know what another window of the same condition knows, as far as this one reaches."""
        self._runs = deque(replace(run) for run in past._runs)
        self._now, self._person = past._now, past._person
        self._held, self._weight = past._held, past._weight
        self._matched, self._confidence = past._matched, past._confidence
        self._until = min(past._until, past._now + self._hold)
        self.forget(self._now - self._span)

    def advance(self, now: float) -> None:
        """Move time on; the last observation still holds.

        :param now: seconds, not before the previous call's.
        """
        if self._matched and self._runs:
            run = self._runs[-1]
            passed = min(now, self._until) - run.end
            if passed > 0:
                run.end += passed
                run.weight += passed * self._confidence
                self._count(run, passed, passed * self._confidence)
        self._now = now
        self.forget(now - self._span)

    def observe(self, matched: bool, confidence: float, face_id: str, person: str) -> None:
        """Take an observation, which holds from now on.

        :param matched: whether the condition holds.
        :param confidence: 0 to 1.
        :param face_id: whose face it is; empty for no face.
        :param person: id of the face last seen; what other faces did does not count.
        """
        if person != self._person:
            self._person = person
            mine = [run for run in self._runs if run.face_id in ('', person)]
            self._held = sum(run.end - run.start for run in mine)
            self._weight = sum(run.weight for run in mine)
        # Of one stretch with the last one, unless anything else was seen in between.
        begun = self._now - TOLERANCE if self._matched else self._now
        self._matched, self._confidence = matched, confidence
        self._until = self._now + self._hold
        if not matched:
            return
        last = self._runs[-1] if self._runs else None
        if last is None or last.face_id != face_id or last.end < begun:
            self._runs.append(_Run(self._now, self._now, face_id, 0.0))

    @property
    def person(self) -> str:
        """Return the id of the face that the evidence is of; empty before any."""
        return self._person

    @property
    def holds(self) -> bool:
        """Tell whether the condition holds now."""
        return self._matched and self._now <= self._until + TOLERANCE

    def evidence(self) -> Evidence:
        """Return the evidence up to now."""
        held = max(0.0, self._held)
        return Evidence(held, self._span, self._weight / held if held > TOLERANCE else 0.0)

    def forget(self, begin: float) -> None:
        """Leave out what was before ``begin`` seconds."""
        while self._runs and self._runs[0].start < begin:
            run = self._runs[0]
            length, gone = run.end - run.start, min(run.end, begin) - run.start
            lost = run.weight * gone / length if length > 0 else 0.0
            self._count(run, -gone, -lost)
            run.start += gone
            run.weight -= lost
            if run.end > begin or (self._matched and len(self._runs) == 1):
                return
            self._runs.popleft()
        if not self._runs:
            # Nothing is left of the sums but what rounding made of them.
            self._held = self._weight = 0.0

    def _count(self, run: _Run, seconds: float, weight: float) -> None:
        if run.face_id in ('', self._person):
            self._held += seconds
            self._weight += weight


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
