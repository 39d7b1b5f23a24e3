"""What is known of one rule: its evidence, and when it acted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emotion_estimator.dialogue.rules import Rule
from emotion_estimator.dialogue.window import TOLERANCE, Evidence, EvidenceWindow


@dataclass(frozen=True)
class Place:
    """Where the conversation is.

    :param mode: waiting (for the first face), running, paused or ended.
    :param asked: whether a service brought it there, so that no rule leads it out again.
    """

    mode: str
    asked: bool
    topic: str
    approach: str


class Watch:
    """What is known of one rule."""

    def __init__(self, rule: Rule, hold: float) -> None:
        self.rule = rule
        self.window = EvidenceWindow(rule.held_for, hold)
        self.restless = self.window
        if rule.restless_for != rule.held_for:
            self.restless = EvidenceWindow(rule.restless_for, hold)
        self.acted = -math.inf
        self._answered: float | None = None
        self._answered_of = ''
        self.applied = False

    def take_over(self, past: Watch) -> None:
        """Know what is known of the rule as it was before; evidence where it is of the same."""
        self.acted, self.applied = past.acted, past.applied
        self._answered, self._answered_of = past._answered, past._answered_of
        rule, before = self.rule, past.rule
        if (rule.emotion, rule.min_confidence) == (before.emotion, before.min_confidence):
            for window in self.windows:
                # The longer one: what it knows beyond a window's length is forgotten there.
                window.take_over(past.restless)

    def enter(self, place: Place, since: float) -> None:
        """Take where the conversation has been since ``since`` seconds.

        Where the rule applies now and did not before, only what is seen from there on counts.
        """
        rule = self.rule
        applies = not elsewhere(rule, place)
        if applies and not self.applied and (rule.topics or rule.approaches):
            for window in self.windows:
                window.forget(since)
        self.applied = applies

    @property
    def answered(self) -> float | None:
        """Return when what is seen of this person was answered, by whichever rule; None: not yet.

        Others who are seen in between take nothing from that.
        """
        same = self._answered_of in ('', self.window.person)
        return self._answered if same else None

    def answer(self, now: float, face_id: str) -> None:
        """Note that what is seen of a face, or nobody (empty), was answered at ``now`` seconds."""
        self._answered, self._answered_of = now, face_id

    @property
    def windows(self) -> tuple[EvidenceWindow, ...]:
        """Return the different windows."""
        return (self.window,) if self.restless is self.window else (self.window, self.restless)

    def evidence(self, flickers: bool) -> Evidence:
        """Return the evidence now, of a calm course or of one that flickers."""
        return (self.restless if flickers else self.window).evidence()

    def complete(self, flickers: bool) -> bool:
        """Tell whether the evidence suffices now; a rule that acted may become ready again."""
        evidence = self.evidence(flickers)
        released = evidence.held < self.rule.release * evidence.span - TOLERANCE
        if released and self.answered is not None:
            self._answered = None
        return self.window.holds and evidence.held >= self.rule.share * evidence.span - TOLERANCE


def elsewhere(rule: Rule, place: Place) -> str:
    """Return in words why a rule does not apply here, nothing where it does."""
    if rule.topics and place.topic not in rule.topics:
        return 'not in this topic'
    if rule.approaches and place.approach not in rule.approaches:
        return 'not in this approach'
    return ''
