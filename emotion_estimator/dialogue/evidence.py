"""Evidence over time: for how many of the last seconds a rule's condition was true."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

#: Slack in seconds for sums of float stamps (Unix times resolve to about 0.2 microseconds).
TOLERANCE = 1e-4

#: Seconds between two evaluations of the rules. They follow the dialogue's own clock rather than
#: the messages, so decisions do not depend on the message rate.
TICK = 0.05

#: Maximum seconds for which a pause counts, so that no stamp makes time infinite.
_MAX_STEP = 1e6


@dataclass(frozen=True)
class Evidence:
    """What a window knows about its condition.

    :param seconds: time within the window during which the condition was true.
    :param span: length of the window in seconds.
    :param confidence: mean confidence over ``seconds``, 0 to 1.
    """

    seconds: float
    span: float
    confidence: float


@dataclass(slots=True)
class _Run:
    """A period during which the condition was true for one face."""

    start: float
    end: float
    face_id: str
    weight: float  # integral of the confidence over the period


#: Periods kept at most: of faces that change places in every message at 30 Hz, a minute's.
_MOST_RUNS = 2000


class EvidenceWindow:
    """The last ``span`` seconds of one condition, weighted by time rather than by messages.

    An observation counts until the next one, but for ``hold`` seconds at most: one wrong message
    before a pause of the stream is no evidence. The evidence is therefore the same at any rate
    above one message per ``hold`` seconds. Stores periods instead of messages.
    """

    def __init__(self, span: float, hold: float) -> None:
        """:param span: length in seconds, above 0. :param hold: seconds, above 0."""
        self._span = span
        self._hold = hold
        self._runs: deque[_Run] = deque()
        self._now = 0.0
        self._person = ''
        self._seconds = 0.0
        self._weight = 0.0
        self._matched = False
        self._confidence = 0.0
        self._until = 0.0

    def clear(self) -> None:
        """Forget everything, since time jumped."""
        self._runs.clear()
        self._matched = False
        self._seconds = self._weight = 0.0

    def take_over(self, past: EvidenceWindow) -> None:
        """Take over the evidence of another window of the same condition, up to this span."""
        self._runs = deque(replace(run) for run in past._runs)
        self._now, self._person = past._now, past._person
        self._seconds, self._weight = past._seconds, past._weight
        self._matched, self._confidence = past._matched, past._confidence
        self._until = min(past._until, past._now + self._hold)
        self.forget(self._now - self._span)

    def advance(self, now: float) -> None:
        """Advance time, during which the last observation still counts.

        :param now: seconds, not before the previous call's.
        """
        self._now = now
        runs = self._runs
        if not runs:
            return
        if self._matched:
            run = runs[-1]
            passed = (now if now < self._until else self._until) - run.end
            if passed > 0:
                weight = passed * self._confidence
                run.end += passed
                run.weight += weight
                if run.face_id == self._person or not run.face_id:
                    self._seconds += passed
                    self._weight += weight
        begin = now - self._span
        if runs[0].start < begin:
            self.forget(begin)

    def observe(self, matched: bool, confidence: float, face_id: str, person: str) -> None:
        """Take an observation, which counts from now on.

        :param matched: whether the condition is true.
        :param confidence: 0 to 1.
        :param face_id: face that was observed; empty for no face.
        :param person: id of the face seen last; evidence from other faces does not count.
        """
        if person != self._person:
            self._person = person
            mine = [run for run in self._runs if run.face_id in ('', person)]
            self._seconds = sum(run.end - run.start for run in mine)
            self._weight = sum(run.weight for run in mine)
        # Continues the last period unless something else was observed in between.
        begun = self._now - TOLERANCE if self._matched else self._now
        self._matched, self._confidence = matched, confidence
        self._until = self._now + self._hold
        if not matched:
            return
        last = self._runs[-1] if self._runs else None
        if last is None or last.face_id != face_id or last.end < begun:
            if len(self._runs) >= _MOST_RUNS:
                oldest = self._runs.popleft()
                self._count(oldest, oldest.start - oldest.end, -oldest.weight)
            self._runs.append(_Run(self._now, self._now, face_id, 0.0))

    @property
    def idle(self) -> bool:
        """Return whether there is no evidence, nor will be before the condition becomes true."""
        return not (self._matched or self._runs)

    @property
    def seconds(self) -> float:
        """Return for how many of the last seconds the condition was true."""
        return max(0.0, self._seconds)

    @property
    def span(self) -> float:
        """Return the length in seconds."""
        return self._span

    @property
    def person(self) -> str:
        """Return the id of the face that the evidence belongs to; empty before any."""
        return self._person

    @property
    def holds(self) -> bool:
        """Return whether the condition is true now."""
        return self._matched and self._now <= self._until + TOLERANCE

    def evidence(self) -> Evidence:
        """Return the evidence up to now."""
        seconds = self.seconds
        confidence = self._weight / seconds if seconds > TOLERANCE else 0.0
        return Evidence(seconds, self._span, confidence)

    def forget(self, begin: float) -> None:
        """Discard what was observed before ``begin`` seconds."""
        runs = self._runs
        while runs and (run := runs[0]).start < begin:
            start, end = run.start, run.end
            gone = (begin if begin < end else end) - start
            lost = run.weight * gone / (end - start) if start < end else 0.0
            if run.face_id == self._person or not run.face_id:
                self._seconds -= gone
                self._weight -= lost
            run.start = start + gone
            run.weight -= lost
            if end > begin or (self._matched and len(runs) == 1):
                return
            runs.popleft()
        if not runs:
            # Only rounding errors are left in the sums.
            self._seconds = self._weight = 0.0

    def _count(self, run: _Run, seconds: float, weight: float) -> None:
        if run.face_id in ('', self._person):
            self._seconds += seconds
            self._weight += weight


class StreamClock:
    """Seconds since the first message; never runs backwards.

    When stamps jump backwards no time passes: what was left of a cooldown is still left.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._stamp: float | None = None
        self._ticks = 0

    def advance(self, stamp: float, max_step: float) -> bool:
        """Advance to a message's stamp.

        :param stamp: seconds, finite.
        :return: whether the stream continued; False after a jump backwards, or forward by more
            than ``max_step`` seconds.
        """
        before, self._stamp = self._stamp, stamp
        if before is None:
            return True
        step = stamp - before
        self.now += min(max(step, 0.0), _MAX_STEP)
        if 0 <= step <= max_step:
            return True
        self._ticks = int((self.now + TOLERANCE) / TICK)
        return False

    def ticks(self) -> Iterator[float]:
        """Yield the times since the last call at which to evaluate the rules."""
        while (self._ticks + 1) * TICK <= self.now + TOLERANCE:
            self._ticks += 1
            yield min(self._ticks * TICK, self.now)

    def at(self, stamp: float, max_step: float) -> float:
        """Return the time of something other than a message.

        :param stamp: seconds; NaN, or more than ``max_step`` from the last message, counts as now.
        """
        ahead = stamp - self._stamp if self._stamp is not None else 0.0
        return self.now + ahead if 0 <= ahead <= max_step else self.now
