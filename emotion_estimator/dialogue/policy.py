"""The policy: which rule acts now, and what keeps the others from acting (cooldown, rate limit)."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from emotion_estimator.dialogue.action import Suppressed
from emotion_estimator.dialogue.evidence import TOLERANCE, Evidence, EvidenceWindow, StreamClock
from emotion_estimator.dialogue.observation import Observation, observe
from emotion_estimator.dialogue.policy_file import FACE, FACE_LOST, FACE_RETURNED, PolicyFile, Rule
from emotion_estimator.emotion import NONE, FaceEmotion

#: A label flickers when it changed this often within so many seconds. Faces change less often; the
#: output of an estimator that is wrong 10 % of the time changes more often.
_FLICKER_CHANGES = 5
_FLICKER_SECONDS = 10.0

#: Fraction of ``lost_after`` that must be without a face: detectors see faces in empty rooms.
_ABSENT_SHARE = 0.8

#: Modes of the conversation in which an action is allowed; others only while it is running.
_MODES = {
    'resume': ('waiting', 'paused', 'ended'),
    'end': ('running', 'paused'),
}


@dataclass(frozen=True)
class ConversationState:
    """The state of the conversation that the rules depend on.

    :param mode: ``waiting`` (for the first face), ``running``, ``paused`` or ``ended``.
    :param by_service: whether a service paused or ended it, so that no rule may resume it.
    :param topic: id of the current topic.
    :param approach: current approach.
    """

    mode: str
    by_service: bool
    topic: str
    approach: str


@dataclass(frozen=True)
class Decision:
    """A rule that acts.

    :param evidence: what completed it.
    :param seen: the observation that was in force when the evidence was complete.
    :param suppressed: the other rules with complete evidence.
    """

    rule: Rule
    evidence: Evidence
    seen: Observation
    suppressed: tuple[Suppressed, ...]


class DialoguePolicy:
    """Decides with each message which rule acts; time is the messages' stamps and nothing else.

    Stamps that go backwards, or pause for longer than ``max_step``, discard the evidence. Cooldowns
    and the rate limit survive both: after a jump backwards, their remaining seconds still have to
    pass.
    """

    def __init__(self, file: PolicyFile) -> None:
        """:param file: a checked policy, see :func:`policy_file.load_policy`."""
        self.file = file
        self.suppressed: tuple[Suppressed, ...] = ()
        self._clock = StreamClock()
        self._speech = UserSpeech()
        self._presence = Presence(file)
        self._flicker = FlickerDetector()
        self._rules = [RuleState(rule, file.hold) for rule in _by_priority(file)]
        self._seen: Observation | None = None
        self._person = ''
        self._last_action = -math.inf

    def reload(self, file: PolicyFile) -> None:
        """Switch to another policy file; rules of the same name keep their state."""
        known = {state.rule.name: state for state in self._rules}
        self._rules = [RuleState(rule, file.hold) for rule in _by_priority(file)]
        for state in self._rules:
            past = known.get(state.rule.name)
            if past is not None:
                state.take_over(past)
        self._presence = self._presence.under(file)
        self.file = file

    def hear(self, speaking: bool, stamp: float) -> None:
        """Note whether the person is speaking, as reported at ``stamp`` seconds."""
        self._speech.hear(speaking, self._clock.at(stamp, self.file.max_step))

    def speaking(self) -> bool:
        """Return whether the person is speaking, according to the latest report."""
        return self._speech.active(self._clock.now, self.file)

    def act(self, stamp: float) -> None:
        """Note an action that no rule decided, so that the rate limit counts from it."""
        self._last_action = self._clock.at(stamp, self.file.max_step)

    def __call__(
        self, face: FaceEmotion | None, stamp: float, conversation: ConversationState
    ) -> Decision | None:
        """Process one message and return the rule that acts, usually None.

        :param face: the primary face; None for nobody.
        :param stamp: seconds; a message whose stamp is not finite is ignored.
        """
        if not math.isfinite(stamp):
            return None
        if not self._clock.advance(stamp, self.file.max_step):
            self._presence.clear()
            self._flicker.clear()
            for state in self._rules:
                for window in state.windows:
                    window.clear()
        since = min(self._last_action, self._clock.now)
        for state in self._rules:
            state.enter(conversation, since)
        decision = None
        for now in self._clock.ticks():
            self._advance(now)
            flickers = self._seen is not None and self._flicker.update(self._seen.label, now)
            if decision is None:
                decision = self._decide(now, conversation, flickers)
        self._advance(self._clock.now)
        self._observe(face)
        return decision

    def _advance(self, now: float) -> None:
        self._presence.advance(now)
        for state in self._rules:
            for window in state.windows:
                window.advance(now)

    def _observe(self, face: FaceEmotion | None) -> None:
        seen = observe(face)
        events = self._presence.observe(seen.present, self._clock.now)
        if seen.present:
            self._person = seen.face_id
        for state in self._rules:
            sure = seen.label in state.rule.emotion
            sure = sure and seen.confidence >= state.rule.min_confidence
            event = any(event in state.rule.emotion for event in events)
            confidence = seen.confidence if sure else 1.0
            for window in state.windows:
                window.observe(sure or event, confidence, seen.face_id, self._person)
        self._seen = seen

    def _decide(
        self, now: float, conversation: ConversationState, flickers: bool
    ) -> Decision | None:
        chosen: RuleState | None = None
        suppressed: list[Suppressed] = []
        complete: list[RuleState] = []
        for state in self._rules:
            rule = state.rule
            pointless = rule.action == 'resume' and conversation.mode == 'running'
            if not state.complete(flickers) or pointless:
                continue
            complete.append(state)
            why = self._why_not(state, now, conversation)
            if why is None and chosen is not None:
                why = f'lower priority than {chosen.rule.name}'
            if why is None:
                chosen = state
            else:
                suppressed.append(Suppressed(rule.name, why))
        self.suppressed = tuple(suppressed)
        if chosen is None or self._seen is None:
            return None
        # The action is published with this message, so its limits count from the message's stamp.
        chosen.acted = self._last_action = self._clock.now
        # Two answers to one sight would contradict each other: the rules below count as answered.
        for state in complete[complete.index(chosen) :]:
            if set(state.rule.emotion) & set(chosen.rule.emotion):
                state.answer(self._clock.now, self._seen.face_id)
        return Decision(chosen.rule, chosen.evidence(flickers), self._seen, self.suppressed)

    def _why_not(self, state: RuleState, now: float, conversation: ConversationState) -> str | None:
        """Return why a rule with complete evidence may not act; None when it may."""
        rule = state.rule
        if conversation.mode not in _MODES.get(rule.action, ('running',)):
            return f'the conversation is {conversation.mode}'
        if rule.action == 'resume' and conversation.by_service:
            return f'the conversation was {conversation.mode} by a service'
        if elsewhere := _out_of_scope(rule, conversation):
            return elsewhere
        spoken = self._speech.why_not(now, self.file)
        if spoken is not None and not rule.while_speaking:
            return spoken
        if (left := state.acted + rule.cooldown - now) > TOLERANCE:
            return f'cooldown, {left:.1f} s left'
        if state.answered is not None and rule.repeat is None:
            return 'this was answered already'
        if state.answered is not None and rule.repeat is not None:
            left = state.answered + rule.repeat - now
            if left > TOLERANCE:
                return f'this was answered already, repeats in {left:.1f} s'
        if (left := self._last_action + self.file.min_gap - now) > TOLERANCE:
            return f'rate limit, {left:.1f} s left'
        return None


def _by_priority(file: PolicyFile) -> list[Rule]:
    return sorted(file.rules, key=lambda rule: -rule.priority)


def _out_of_scope(rule: Rule, conversation: ConversationState) -> str:
    """Return why a rule does not apply in this topic or approach; empty when it does."""
    if rule.topics and conversation.topic not in rule.topics:
        return 'not in this topic'
    if rule.approaches and conversation.approach not in rule.approaches:
        return 'not in this approach'
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
        #: When the rule last acted, in seconds.
        self.acted = -math.inf
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
        applies = not _out_of_scope(rule, conversation)
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

    @property
    def windows(self) -> tuple[EvidenceWindow, ...]:
        """Return the distinct windows."""
        return (self.window,) if self.restless is self.window else (self.window, self.restless)

    def evidence(self, flickers: bool) -> Evidence:
        """Return the current evidence, from the longer window while the label flickers."""
        return (self.restless if flickers else self.window).evidence()

    def complete(self, flickers: bool) -> bool:
        """Return whether the evidence is complete now; rearm a rule whose evidence has faded."""
        evidence = self.evidence(flickers)
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


class UserSpeech:
    """Whether the person is speaking; a report that is not repeated expires."""

    def __init__(self) -> None:
        self._speaking = False
        self._reported = -math.inf
        self._ended = -math.inf

    def hear(self, speaking: bool, now: float) -> None:
        """Take a report made at ``now`` seconds."""
        if speaking:
            self._reported = now
        elif self._speaking:
            self._ended = now
        self._speaking = speaking

    def active(self, now: float, file: PolicyFile) -> bool:
        """Return whether the person is speaking."""
        return self._speaking and now <= self._reported + file.speaking_timeout

    def why_not(self, now: float, file: PolicyFile) -> str | None:
        """Return why the robot should not speak now; None when it may."""
        if self.active(now, file):
            return 'the person is speaking'
        left = self._ended + file.after_speaking - now
        if not self._speaking and left > TOLERANCE:
            return f'the person has just spoken, {left:.1f} s left'
        return None


class Presence:
    """Turns faces that come and go into the events ``face_lost`` and ``face_returned``."""

    def __init__(self, file: PolicyFile) -> None:
        """:param file: gives ``lost_after``, ``returned_for`` and ``hold``."""
        self._needed = _ABSENT_SHARE * file.lost_after
        self._returned_for = file.returned_for
        self._absent = EvidenceWindow(file.lost_after, file.hold)
        self._known = False
        self._lost = False
        self._returned = -math.inf

    def under(self, file: PolicyFile) -> Presence:
        """Return a copy of this state that uses another policy file."""
        following = Presence(file)
        following._absent.take_over(self._absent)
        following._known, following._lost = self._known, self._lost
        following._returned = self._returned
        return following

    def clear(self) -> None:
        """Discard the evidence, since time jumped; whether somebody was there stays known."""
        self._absent.clear()

    def advance(self, now: float) -> None:
        """Advance time to ``now`` seconds."""
        self._absent.advance(now)
        if self._known and self._absent.evidence().seconds >= self._needed - TOLERANCE:
            self._lost = True

    def observe(self, present: bool, now: float) -> tuple[str, ...]:
        """Take a message; return which of ``none``, ``face`` and the two events are true now."""
        if present and (self._lost or not self._known):
            # The absence that has just ended is not the beginning of another one.
            self._absent.clear()
        self._absent.observe(not present, 1.0, '', '')
        if not present:
            return (NONE, FACE_LOST) if self._known else (NONE,)
        if self._lost:
            self._lost, self._returned = False, now
        self._known = True
        return (FACE, FACE_RETURNED) if now - self._returned <= self._returned_for else (FACE,)
