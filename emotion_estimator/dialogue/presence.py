"""Whether somebody is there, has gone, or has come back."""

from __future__ import annotations

import math

from emotion_estimator.dialogue.rules import FACE, FACE_LOST, FACE_RETURNED, PolicyRules
from emotion_estimator.dialogue.window import TOLERANCE, EvidenceWindow
from emotion_estimator.emotion import NONE

#: Part of ``lost_after`` without a face that makes somebody gone; faces are seen in empty rooms.
_SHARE = 0.8


class Presence:
    """What the coming and going of faces amounts to."""

    def __init__(self, rules: PolicyRules) -> None:
        """:param rules: say after which time somebody is gone, and for how long just back."""
        self._needed = _SHARE * rules.lost_after
        self._returned_for = rules.returned_for
        self._absent = EvidenceWindow(rules.lost_after, rules.hold)
        self._known = False
        self._lost = False
        self._returned = -math.inf

    def under(self, rules: PolicyRules) -> Presence:
        """Return what goes on with other rules, knowing what this one knows."""
        following = Presence(rules)
        following._absent.take_over(self._absent)
        following._known, following._lost = self._known, self._lost
        following._returned = self._returned
        return following

    def clear(self) -> None:
        """Void the evidence: time jumped. Whom it knew it still knows."""
        self._absent.clear()

    def advance(self, now: float) -> None:
        """Move time on to ``now`` seconds."""
        self._absent.advance(now)
        if self._known and self._absent.evidence().held >= self._needed - TOLERANCE:
            self._lost = True

    def observe(self, present: bool, now: float) -> tuple[str, ...]:
        """Take a message; return which of ``none``, ``face`` and the two events hold now."""
        if present and (self._lost or not self._known):
            # The absence that has ended is not the beginning of another.
            self._absent.clear()
        self._absent.observe(not present, 1.0, '', '')
        if not present:
            return (NONE, FACE_LOST) if self._known else (NONE,)
        if self._lost:
            self._lost, self._returned = False, now
        self._known = True
        return (FACE, FACE_RETURNED) if now - self._returned <= self._returned_for else (FACE,)
