"""Baselines for the dialogue policy: the same rules without its evidence over time."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from emotion_estimator.emotion import NONE

#: What an intervention is about, besides the labels: somebody came back.
RETURNED = 'returned'


@dataclass(frozen=True)
class Trigger:
    """When a label may cause an intervention.

    :param priority: of several, the highest acts.
    :param cooldown: minimum seconds between two interventions of this trigger.
    """

    priority: int
    cooldown: float


class EachMessage:
    """Acts on each message at once, within cooldown and rate limit.

    Like the dialogue manager, it pauses when nobody is in view and does nothing else until it
    resumes with the next face.
    """

    def __init__(self, triggers: Mapping[str, Trigger], min_gap: float) -> None:
        """:param triggers: by label (``none`` for nobody), and ``returned``.

        :param min_gap: minimum seconds between any two interventions.
        """
        self._ranked = sorted(triggers.items(), key=lambda item: -item[1].priority)
        self._min_gap = min_gap
        self._last = -math.inf
        self._acted: dict[str, float] = {}
        self._paused = False

    def __call__(self, label: str, stamp: float) -> str | None:
        """Take a message's label; return what to act on, usually None."""
        if stamp < self._last + self._min_gap - 1e-4:
            return None
        for kind, trigger in self._ranked:
            if kind == RETURNED:
                wanted = self._paused and label != NONE
            else:
                wanted = not self._paused and label == kind
            ready = self._acted.get(kind, -math.inf) + trigger.cooldown
            if wanted and stamp >= ready - 1e-4:
                self._acted[kind] = self._last = stamp
                self._paused = kind == NONE
                return kind
        return None


class Majority:
    """Acts on the most frequent label of the last seconds."""

    def __init__(self, decide: Callable[[str, float], str | None], span: float = 10.0) -> None:
        """:param decide: takes that label and the stamp. :param span: seconds."""
        self._decide = decide
        self._span = span
        self._seen: deque[tuple[float, str]] = deque()
        self._counts: Counter[str] = Counter()

    def __call__(self, label: str, stamp: float) -> str | None:
        """Take a message's label; return what to act on, usually None."""
        self._seen.append((stamp, label))
        self._counts[label] += 1
        while self._seen[0][0] <= stamp - self._span:
            self._counts[self._seen.popleft()[1]] -= 1
        return self._decide(self._counts.most_common(1)[0][0], stamp)
