"""Evidence over time: for how much of the last seconds a rule's condition held."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

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
    """Observations in a row with the same outcome for the same face."""

    start: float
    end: float
    matched: bool
    face_id: str
    weight: float  # integral of the confidence over the run


class EvidenceWindow:
    """The last ``span`` seconds of one condition, weighted by time and not by frames.

    An observation holds until the next one, so the same course gives the same evidence at any
    frame rate. Runs are kept instead of frames: memory does not grow with the rate.
    """

    def __init__(self, span: float) -> None:
        """:param span: length in seconds, above 0."""
        self._span = span
        self._runs: deque[_Run] = deque()
        self._confidence = 0.0

    def clear(self) -> None:
        """Forget everything: time jumped."""
        self._runs.clear()

    def add(self, stamp: float, matched: bool, confidence: float, face_id: str) -> None:
        """Take one observation.

        :param stamp: seconds, not before the previous call's.
        :param matched: whether the condition holds now.
        :param confidence: 0 to 1.
        :param face_id: whose face it is; empty for no face.
        """
        if self._runs:
            last = self._runs[-1]
            last.weight += (stamp - last.end) * self._confidence
            last.end = stamp
        self._confidence = confidence
        if not self._runs or (last.matched, last.face_id) != (matched, face_id):
            self._runs.append(_Run(stamp, stamp, matched, face_id, 0.0))
        while len(self._runs) > 1 and self._runs[0].end <= stamp - self._span:
            self._runs.popleft()

    def evidence(self, person: str) -> Evidence | None:
        """Return the evidence now; None while the window is not full or the condition is over.

        :param person: id of the face last seen; what other faces did does not count.
        """
        if not self._runs or not self._runs[-1].matched:
            return None
        begin = self._runs[-1].end - self._span
        if self._runs[0].start > begin + TOLERANCE:
            return None
        held = weight = 0.0
        for run in self._runs:
            inside = run.end - max(run.start, begin)
            if run.matched and run.face_id in ('', person) and inside > 0:
                held += inside
                weight += run.weight * inside / (run.end - run.start)
        return Evidence(held, self._span, weight / held if held > 0 else 0.0)
