"""The state of one rule: its evidence, its last action, whether it was answered or waits."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from emotion_estimator.dialogue.evidence import TOLERANCE, Evidence, EvidenceWindow
from emotion_estimator.dialogue.policy_file import Rule

#: A label flickers when it changed this often within so many seconds. Faces change less often; the
#: output of an estimator that is wrong 10 % of the time changes more often.
_FLICKER_CHANGES = 5
_FLICKER_SECONDS = 10.0


class ConversationState(NamedTuple):
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


#: Windows by the emotions that they watch for, the least confidence, and their length.
SharedWindows = dict[tuple[tuple[str, ...], float, float], EvidenceWindow]


class RuleState:
    """One rule's evidence, its last action and whether it has been answered."""

    def __init__(self, rule: Rule, hold: float, shared: SharedWindows | None = None) -> None:
        """:param hold: maximum seconds for which one message counts.

        :param shared: windows of other rules that begin at the same time, to use those of the same
            condition and length; None uses no other's.
        """
        self.rule = rule
        # Only of rules that apply everywhere: others forget evidence when they begin to apply.
        alone = shared is None or rule.topics or rule.approaches
        known: SharedWindows = {} if alone or shared is None else shared

        def window(span: float) -> EvidenceWindow:
            key = rule.emotion, rule.min_confidence, span
            return known.setdefault(key, EvidenceWindow(span, hold))

        self.window, self.restless = window(rule.held_for), window(rule.restless_for)
        #: The distinct windows.
        self.windows = tuple(dict.fromkeys((self.window, self.restless)))
        #: When the rule last acted, in seconds.
        self.acted = -math.inf
        #: Seconds of the person's current turn during which its emotion was seen.
        self.in_turn = 0.0
        self._waiting: tuple[float, Evidence] | None = None
        self._answered: float | None = None
        self._answered_face = ''
        #: Whether the rule applies where the conversation is, as last entered.
        self.applies = False

    def take_over(self, past: RuleState) -> None:
        """Take over the state of an earlier version of the rule.

        The evidence only if both versions watch for the same emotion and confidence.
        """
        self.acted, self.applies = past.acted, past.applies
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
        if applies and not self.applies and (rule.topics or rule.approaches):
            for window in self.windows:
                window.forget(since)
        self.applies = applies

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

    @property
    def dormant(self) -> bool:
        """Return whether the evidence cannot be complete, and nothing remains of earlier one."""
        return self._answered is None and self._waiting is None and not self.window.holds

    def evidence(self, flickers: bool) -> Evidence:
        """Return the current evidence, from the longer window while the label flickers.

        While the rule waits for the floor, what it was when it began to wait.
        """
        if self._waiting is not None:
            return self._waiting[1]
        return (self.restless if flickers else self.window).evidence()

    def complete(self, flickers: bool) -> bool:
        """Return whether the evidence is complete now; rearm a rule whose evidence has faded."""
        window = self.restless if flickers else self.window
        seconds, span = window.seconds, window.span
        if self._answered is not None:
            faded = seconds < self.rule.release * span - TOLERANCE
            if faded and self.answered is not None:
                self._answered = None
        return self.window.holds and seconds >= self.rule.share * span - TOLERANCE


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
