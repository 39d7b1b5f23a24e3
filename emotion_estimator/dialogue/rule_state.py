"""The state of one rule: its evidence, its last action, whether it was answered or waits."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from emotion_estimator.dialogue.evidence import TOLERANCE, Evidence, EvidenceWindow
from emotion_estimator.dialogue.policy_file import Rule

#: A label flickers when it changed this often within so many seconds. Faces change less often; the
#: output of an estimator that is wrong 10 % of the time changes more often.
_FLICKER_CHANGES = 5
_FLICKER_SECONDS = 10.0


@dataclass(frozen=True)
class ConversationState:
    """The state of the conversation that the rules depend on.

    :param mode: ``waiting`` (for the first face), ``running``, ``paused`` or ``ended``.
    :param by_service: whether a service paused or ended it, so that no rule may resume it.
    :param topic: id of the current topic.
    :param approach: current approach.
    :param line: kind of line that the robot said last.
    """

    mode: str
    by_service: bool
    topic: str
    approach: str
    line: str = ''


def out_of_scope(rule: Rule, conversation: ConversationState) -> str:
    """Return why a rule does not apply in this topic or approach; empty when it does."""
    if rule.topics and conversation.topic not in rule.topics:
        return 'not in this topic'
    if rule.approaches and conversation.approach not in rule.approaches:
        return 'not in this approach'
    if rule.follows and conversation.line not in rule.follows:
        return f'not after {conversation.line or "nothing"}'
    if conversation.line in rule.not_follows:
        return f'not after {conversation.line}'
    return ''


class RuleState:
    """One rule's evidence, its last action and whether it has been answered."""

    def __init__(self, rule: Rule, hold: float) -> None:
        """:param hold: maximum seconds for which one message counts."""
        self.rule = rule
        self.window = EvidenceWindow(rule.held_for, hold)
        self.restless = self.window
        if rule.restless_for != rule.held_for:
            self.restless = EvidenceWindow(rule.restless_for, hold)
        #: The distinct windows.
        self.windows = tuple(dict.fromkeys((self.window, self.restless)))
        #: When the rule last acted, in seconds.
        self.acted = -math.inf
        #: Seconds of the person's current turn during which its emotion was seen.
        self.in_turn = 0.0
        self._waiting: tuple[float, Evidence] | None = None
        self._answered: float | None = None
        self._answered_face = ''
        self._applied = False

    def take_over(self, past: RuleState) -> None:
        """Take over the state of an earlier version of the rule.

        The evidence only if both versions watch for the same emotion and confidence.
        """
        self.acted, self._applied = past.acted, past._applied
        self._answered, self._answered_face = past._answered, past._answered_face
        rule, before = self.rule, past.rule
        if (rule.emotion, rule.min_confidence) == (before.emotion, before.min_confidence):
            for window in self.windows:
                # The longer of the past windows: each new one forgets what exceeds its length.
                window.take_over(past.restless)

    def enter(self, conversation: ConversationState, since: float) -> None:
        """Note where the conversation has been since ``since`` seconds.

        When the rule starts to apply, evidence from before ``since`` is forgotten.
        """
        rule = self.rule
        applies = not out_of_scope(rule, conversation)
        if applies and not self._applied and (rule.topics or rule.approaches):
            for window in self.windows:
                window.forget(since)
        self._applied = applies

    @property
    def answered(self) -> float | None:
        """Return when any rule answered what is seen of this person, in seconds; None: not yet.

        Other people who come into view in between do not reset it.
        """
        same = self._answered_face in ('', self.window.person)
        return self._answered if same else None

    def answer(self, now: float, face_id: str) -> None:
        """Note that what is seen of a face (empty: nobody) was answered at ``now`` seconds."""
        self._answered, self._answered_face = now, face_id

    def waits(self, now: float, flickers: bool) -> None:
        """Note that the rule could act at ``now`` seconds but for somebody who speaks.

        Rules on events do not wait themselves: their event lasts.
        """
        if not self.rule.event and self.complete(flickers):
            self._waiting = now, self.evidence(flickers)

    def still_waits(self, now: float) -> bool:
        """Return whether the rule has waited for the floor, and not for too long."""
        if self._waiting is not None and now - self._waiting[0] > self.rule.wait + TOLERANCE:
            self._waiting = None
        return self._waiting is not None

    def stop_waiting(self) -> None:
        """Forget that the rule waits: something was said about it."""
        self._waiting = None

    def evidence(self, flickers: bool) -> Evidence:
        """Return the current evidence, from the longer window while the label flickers.

        While the rule waits for the floor, what it was when it began to wait.
        """
        if self._waiting is not None:
            return self._waiting[1]
        return (self.restless if flickers else self.window).evidence()

    def complete(self, flickers: bool) -> bool:
        """Return whether the evidence is complete now; rearm a rule whose evidence has faded."""
        evidence = (self.restless if flickers else self.window).evidence()
        faded = evidence.seconds < self.rule.release * evidence.span - TOLERANCE
        if faded and self.answered is not None:
            self._answered = None
        needed = self.rule.share * evidence.span
        return self.window.holds and evidence.seconds >= needed - TOLERANCE


class FlickerDetector:
    """Detects a label that changes too often to be an expression."""

    def __init__(self) -> None:
        self._changes: deque[float] = deque(maxlen=_FLICKER_CHANGES)
        self._label: str | None = None

    def clear(self) -> None:
        """Forget everything, since time jumped."""
        self._changes.clear()
        self._label = None

    def update(self, label: str, now: float) -> bool:
        """Take the label at ``now`` seconds; return whether it flickers."""
        if self._label is not None and label != self._label:
            self._changes.append(now)
        self._label = label
        oldest = now - _FLICKER_SECONDS - TOLERANCE
        return len(self._changes) == _FLICKER_CHANGES and self._changes[0] > oldest
