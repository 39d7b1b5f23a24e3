"""Whether the person speaks, as somebody else says."""

from __future__ import annotations

import math

from emotion_estimator.dialogue.rules import PolicyRules
from emotion_estimator.dialogue.window import TOLERANCE


class Speech:
    """Remembers who said when that the person speaks, and for how long to believe it."""

    def __init__(self) -> None:
        self._said = -math.inf
        self._ended = -math.inf
        self._speaking = False

    def hear(self, speaking: bool, now: float) -> None:
        """Take what was said at ``now`` seconds."""
        if speaking:
            self._said = now
        elif self._speaking:
            self._ended = now
        self._speaking = speaking

    def active(self, now: float, rules: PolicyRules) -> bool:
        """Tell whether the person speaks; what is not said again is not believed for ever."""
        return self._speaking and now <= self._said + rules.speaking_timeout

    def why_not(self, now: float, rules: PolicyRules) -> str | None:
        """Return why nothing should be said now, None where something may be."""
        if self.active(now, rules):
            return 'the person is speaking'
        left = self._ended + rules.after_speaking - now
        if not self._speaking and left > TOLERANCE:
            return f'the person has just spoken, {left:.1f} s left'
        return None
