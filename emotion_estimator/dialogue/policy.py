"""The policy: which rule acts now, and what keeps the others from acting (turns, cooldowns)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from emotion_estimator.dialogue.action import Suppressed
from emotion_estimator.dialogue.evidence import TOLERANCE, Evidence, EvidenceWindow, StreamClock
from emotion_estimator.dialogue.observation import Observation, observe
from emotion_estimator.dialogue.policy_file import PolicyFile, Rule
from emotion_estimator.dialogue.presence import Presence
from emotion_estimator.dialogue.rule_state import (
    ConversationState,
    FlickerDetector,
    RuleState,
    SharedWindows,
    out_of_scope,
)
from emotion_estimator.dialogue.turns import PersonTurn, Turns
from emotion_estimator.emotion import NONE, SAD, FaceEmotion, SightedFace

#: Modes of the conversation in which an action is allowed; others only while it is running.
_MODES = {
    'resume': ('waiting', 'paused', 'ended'),
    'end': ('running', 'paused'),
    'yield': ('waiting', 'running', 'paused', 'ended'),
}

#: A face looks sad when it did for this many of the last seconds, and for some seconds after that.
_LOOKS_SAD = 0.5
_SAD_WINDOW, _SAD_LASTS = 2.0, 5.0

#: What the robot does of itself when it is interrupted, or talks to somebody who has left.
_YIELDS = {
    'interrupted': Rule('let the person speak', (), 'yield', event=('interrupted',), silent=True),
    'left': Rule('stop talking to nobody', (), 'yield', event=('left',), silent=True),
}

#: Seconds within which it does; later, it has finished.
_YIELDS_WITHIN = 1.0

#: Events about the person's turn, which are over when they speak again or the robot has reacted.
_TURN_ENDS = ('answer', 'said_no', 'refusal', 'other_topic', 'pardon', 'unanswered')


@dataclass(frozen=True)
class Decision:
    """A rule that acts.

    :param evidence: what completed it.
    :param seen: the observation that was in force when the evidence was complete.
    :param suppressed: the other rules with complete evidence.
    :param event: event of the conversation that the rule reacts to; empty: it reacts to a face.
    :param silent: whether nothing is to be said.
    """

    rule: Rule
    evidence: Evidence
    seen: Observation
    suppressed: tuple[Suppressed, ...]
    event: str = ''
    silent: bool = False


@dataclass
class _Watch:
    """What some rules watch for, and their windows.

    :param idle: whether none of them holds evidence; then they need not be advanced.
    """

    emotions: frozenset[str]
    min_confidence: float
    windows: dict[EvidenceWindow, None] = field(default_factory=dict)
    idle: bool = False


class DialoguePolicy:
    """Decides with each message which rule acts; time is the messages' stamps and nothing else.

    Stamps that go backwards, or pause for longer than ``max_step``, discard the evidence. Cooldowns
    and the rate limit survive both: after a jump backwards, their remaining seconds still have to
    pass.
    """

    def __init__(
        self,
        file: PolicyFile,
        refusals: Sequence[str] = (),
        repeats: Sequence[str] = (),
        noes: Sequence[str] = (),
        other_topics: Sequence[str] = (),
    ) -> None:
        """:param file: a checked policy, see :func:`policy_file.load_policy`.

        :param refusals: how a person declines to talk, see :class:`turns.Turns`.
        :param repeats: how a person asks to hear it again, likewise.
        :param noes: how a person says no, likewise.
        :param other_topics: how a person asks for another topic, likewise.
        """
        self.file = file
        self.turns = Turns(file.times, refusals, repeats, noes, other_topics)
        #: Turns of the person about the current topic.
        self.exchanges = 0
        self.suppressed: tuple[Suppressed, ...] = ()
        self._clock = StreamClock()
        self._presence = Presence(file)
        self._sad = EvidenceWindow(_SAD_WINDOW, file.hold)
        self._sad_at = self._welcomed = self._yielded = -math.inf
        self._topic_since = self._absence = 0.0
        self._gone_at: float | None = 0.0
        self._there: bool | None = None
        self._events: dict[str, float] = {}
        self._turn: PersonTurn | None = None
        self._flicker = FlickerDetector()
        shared: SharedWindows = {}
        self._use([RuleState(rule, file.hold, shared) for rule in _by_priority(file)])
        self._longest_wait = _longest_wait(file)
        self._seen: Observation | None = None
        self._person = ''
        self._last_action = -math.inf
        self._advanced = 0.0

    def reload(self, file: PolicyFile) -> None:
        """Switch to another policy file; rules of the same name keep their state."""
        known = {state.rule.name: state for state in self._rules}
        rules = [RuleState(rule, file.hold) for rule in _by_priority(file)]
        for state in rules:
            past = known.get(state.rule.name)
            if past is not None:
                state.take_over(past)
        self._use(rules)
        self._longest_wait = _longest_wait(file)
        self._presence = self._presence.under(file)
        self.turns.times = file.times
        self.file = file

    def _use(self, rules: list[RuleState]) -> None:
        """Take rules, in order of priority."""
        self._rules = rules
        self._watching = [state for state in rules if state.rule.emotion]
        # What acts on sight, and what may act of those while nothing has happened but silence.
        self._on_sight = [state for state in rules if not state.rule.event]
        self._in_silence = [
            state for state in rules if not state.rule.event or 'silence' in state.rule.event
        ]
        # Rules that watch for the same see the same.
        watches: dict[tuple[tuple[str, ...], float], _Watch] = {}
        for state in self._watching:
            rule = state.rule
            watch = watches.setdefault(
                (rule.emotion, rule.min_confidence),
                _Watch(frozenset(rule.emotion), rule.min_confidence),
            )
            watch.windows.update(dict.fromkeys(state.windows))
        self._watches = tuple(watches.values())
        self._active = [window for watch in self._watches for window in watch.windows]
        self._observed_person: str | None = None
        # What is seen now, and for each watch whether its label is shown, or its event happens.
        self._sight: tuple[str, tuple[str, ...]] | None = None
        self._answers: list[tuple[_Watch, bool, bool]] = []
        self._conversation: ConversationState | None = None

    def time(self, stamp: float) -> float:
        """Return ``stamp`` (seconds) on the axis of :attr:`turns`; an odd stamp counts as now."""
        return self._clock.at(stamp, self.file.max_step)

    def topic_changed(self) -> None:
        """Note that the conversation has another topic from now on."""
        self.exchanges = 0
        self._topic_since = self._clock.now

    @property
    def since_welcome(self) -> float:
        """Return how many seconds ago somebody was last greeted or welcomed."""
        return self._clock.now - self._welcomed

    def looks_sad(self) -> bool:
        """Return whether the face looks sad, or did a few seconds ago."""
        return self._clock.now - self._sad_at <= _SAD_LASTS

    def act(self, stamp: float, welcome: bool = False) -> None:
        """Note an action that no rule decided, so that the rate limit counts from it.

        :param welcome: whether it greeted the person.
        """
        self._last_action = self._clock.at(stamp, self.file.max_step)
        if welcome:
            self._welcomed = self._last_action

    def __call__(
        self,
        face: FaceEmotion | SightedFace | None,
        stamp: float,
        conversation: ConversationState,
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
            self._sad.clear()
            self._events.clear()
            self.turns.settle(self._clock.now)
            for state in self._watching:
                state.stop_waiting()
                for window in state.windows:
                    window.clear()
        if conversation != self._conversation:
            self._conversation = conversation
            since = min(self._last_action, self._clock.now)
            for state in self._rules:
                state.enter(conversation, since)
        decision = None
        for now in self._clock.ticks():
            self._advance(now)
            flickers = self._seen is not None and self._flicker.update(self._seen.label, now)
            if decision is None:
                decision = self._yield(now) or self._decide(now, conversation, flickers)
        self._advance(self._clock.now)
        self._observe(face)
        return decision

    def _advance(self, now: float) -> None:
        self._presence.advance(now)
        self._follow(now)
        if not self._sad.idle:
            self._sad.advance(now)
            if self._sad.seconds >= _LOOKS_SAD:
                self._sad_at = now
        turn, passed = self.turns.turn, now - self._advanced
        if turn is not None:
            for state in self._watching:
                if turn is not self._turn:
                    state.in_turn = 0.0
                if state.window.holds:
                    state.in_turn += passed
        for window in self._active:
            window.advance(now)
        self._turn, self._advanced = turn, now

    def _follow(self, now: float) -> None:
        """Follow the turns: note what has happened, and forget what is over."""
        there = self._presence.there
        if there and self._gone_at is not None:
            self._absence, self._gone_at = now - self._gone_at, None
            if self._absence >= self.file.short_absence:
                self.turns.forget_question()
        elif not there and self._gone_at is None:
            self._gone_at = now - self.file.lost_after
        if there is not self._there:
            self._there = there
            self.turns.presence(there, now, self._gone_at)
        for event in self.turns.advance(now):
            self._events[event] = now
            self.exchanges += event == 'answer'
        if self._events:
            self._forget([e for e, at in self._events.items() if now - at > self._longest_wait])
        if self.turns.heard:
            self._forget(_TURN_ENDS)

    def _forget(self, events: Iterable[str]) -> None:
        for event in events:
            self._events.pop(event, None)

    def _yield(self, now: float) -> Decision | None:
        """Return the decision to fall silent, if the robot should."""
        if not self.file.turn_taking or self._seen is None:
            return None
        since = max(self._yielded, now - _YIELDS_WITHIN)
        event = next((each for each in _YIELDS if self._events.get(each, -math.inf) > since), None)
        if event is None:
            return None
        self._yielded = now
        nothing = Evidence(0.0, 0.0, 0.0)
        return Decision(_YIELDS[event], nothing, self._seen, (), event, silent=True)

    def _observe(self, face: FaceEmotion | SightedFace | None) -> None:
        seen, now = observe(face), self._clock.now
        label, confidence, face_id = seen
        events = self._presence.observe(label != NONE, now)
        if label != NONE:
            self._person = face_id
        person = self._person
        if self._sad.idle and label == SAD:
            self._sad.advance(now)
        if label == SAD or not self._sad.idle:
            self._sad.observe(label == SAD, confidence, face_id, person)
        another, self._observed_person = person != self._observed_person, person
        if (label, events) != self._sight:
            self._sight = label, events
            self._answers = [
                (watch, label in watch.emotions, not watch.emotions.isdisjoint(events))
                for watch in self._watches
            ]
        changed = False
        for watch, shown, happened in self._answers:
            sure = shown and confidence >= watch.min_confidence
            matched = sure or happened
            if watch.idle:
                if not (matched or another):
                    continue
                # They have not been advanced, since nothing could have come of it.
                for window in watch.windows:
                    window.advance(now)
            for window in watch.windows:
                window.observe(matched, confidence if sure else 1.0, face_id, person)
            idle = not matched and all(window.idle for window in watch.windows)
            if idle != watch.idle:
                watch.idle, changed = idle, True
        if changed:
            self._active = [w for watch in self._watches if not watch.idle for w in watch.windows]
        self._seen = seen

    def _decide(
        self, now: float, conversation: ConversationState, flickers: bool
    ) -> Decision | None:
        chosen: RuleState | None = None
        suppressed: list[Suppressed] = []
        complete: list[RuleState] = []
        quiet = self.turns.quiet
        rules = self._rules
        if not self._events:
            rules = self._in_silence if quiet > 0 else self._on_sight
        for state in rules:
            rule = state.rule
            if not rule.event:
                if state.dormant:
                    continue
            elif not state.applies or (not self._events and quiet < rule.quiet_for - TOLERANCE):
                continue
            pointless = rule.action == 'resume' and conversation.mode == 'running'
            if not self._complete(state, now, flickers, quiet) or pointless:
                continue
            if rule.event and self._not_yet(rule):
                continue
            complete.append(state)
            why = self._why_not(state, now, conversation)
            if why is None and (why := self._not_its_turn(rule, conversation)) is not None:
                state.waits(now, flickers)
            if why is None and chosen is not None:
                why = f'lower priority than {chosen.rule.name}'
            if why is None:
                chosen = state
            else:
                suppressed.append(Suppressed(rule.name, why))
        self.suppressed = tuple(suppressed)
        if chosen is None or self._seen is None:
            return None
        rule, evidence, event = (
            chosen.rule,
            chosen.evidence(flickers),
            self._event(chosen, now, quiet),
        )
        # The action is published with this message, so its limits count from the message's stamp.
        chosen.acted = self._last_action = self._clock.now
        # Two answers to one sight would contradict each other: the rules below count as answered.
        for state in complete[complete.index(chosen) :]:
            if set(state.rule.emotion) & set(chosen.rule.emotion):
                state.answer(self._clock.now, self._seen.face_id)
            state.stop_waiting()
        silent = self._silent(rule, conversation)
        if not silent:
            self._forget(_TURN_ENDS)
            if rule.action == 'resume':
                self._welcomed = self._clock.now
        return Decision(rule, evidence, self._seen, self.suppressed, event, silent)

    def _complete(self, state: RuleState, now: float, flickers: bool, quiet: float) -> bool:
        """Return whether a rule has what it needs, be it an event or evidence."""
        rule = state.rule
        if not rule.event:
            return state.complete(flickers) or state.still_waits(now)
        event = self._event(state, now, quiet)
        if not event or not rule.emotion:
            return bool(event)
        turn = self.turns.last_turn
        if event == 'answer' and turn is not None and turn.speech > 0:
            lasted = turn.end - turn.begin + self.file.times.after_speaking
            needed = max(rule.share * lasted, rule.held_for)
            return state.in_turn >= needed - TOLERANCE
        evidence = state.evidence(flickers)
        return evidence.seconds >= rule.share * evidence.span - TOLERANCE

    def _event(self, state: RuleState, now: float, quiet: float) -> str:
        """Return the event that a rule may react to now; empty for none."""
        rule = state.rule
        for event in rule.event:
            if event == 'silence':
                if quiet >= rule.quiet_for - TOLERANCE:
                    return event
            elif self._events.get(event, -math.inf) > max(
                state.acted, now - rule.wait - 2 * TOLERANCE
            ):
                return event
        return ''

    def _why_not(self, state: RuleState, now: float, conversation: ConversationState) -> str | None:
        """Return why a rule with complete evidence may not act; None when it may."""
        rule = state.rule
        if conversation.mode not in _MODES.get(rule.action, ('running',)):
            return f'the conversation is {conversation.mode}'
        if rule.action == 'end' and conversation.by_service:
            return f'the conversation was {conversation.mode} by a service'
        if rule.action == 'resume' and conversation.by_service:
            return f'the conversation was {conversation.mode} by a service'
        if elsewhere := out_of_scope(rule, conversation) or self._not_yet(rule):
            return elsewhere
        if (left := state.acted + rule.cooldown - now) > TOLERANCE:
            return f'cooldown, {left:.1f} s left'
        if rule.event:
            answered = None
        elif (answered := state.answered) is not None and rule.repeat is None:
            return 'this was answered already'
        if answered is not None and rule.repeat is not None:
            left = answered + rule.repeat - now
            if left > TOLERANCE:
                return f'this was answered already, repeats in {left:.1f} s'
        if (left := self._last_action + self.file.min_gap - now) > TOLERANCE:
            return f'rate limit, {left:.1f} s left'
        return None

    def _not_yet(self, rule: Rule) -> str:
        """Return what the conversation has not come to yet; empty when the rule applies."""
        unanswered = self.turns.unanswered
        if unanswered < rule.min_unanswered:
            return f'{unanswered} unanswered questions, needs {rule.min_unanswered}'
        if rule.max_unanswered is not None and unanswered > rule.max_unanswered:
            return f'{unanswered} unanswered questions, at most {rule.max_unanswered}'
        if self.exchanges < rule.min_exchanges:
            return f'{self.exchanges} exchanges about this topic, needs {rule.min_exchanges}'
        left = self._topic_since + rule.on_topic_for - self._clock.now
        return f'this topic has {left:.0f} s left' if left > TOLERANCE else ''

    def _silent(self, rule: Rule, conversation: ConversationState) -> bool:
        """Return whether a rule acts without words: the manager says nothing to nobody."""
        if not self.file.turn_taking:
            return rule.silent
        if rule.silent or (rule.action in ('pause', 'end') and not self.turns.present):
            return True
        if rule.action != 'resume' or conversation.mode != 'paused' or self.turns.unfinished:
            return False
        welcomed = self.since_welcome < self.file.welcome_gap
        return welcomed or self._absence < self.file.short_absence

    def _not_its_turn(self, rule: Rule, conversation: ConversationState) -> str | None:
        """Return why the robot should not speak now; None when it may."""
        turns, floor = self.turns, self.turns.floor
        if rule.while_speaking:
            return None
        if floor == 'person_speaks' and rule.action != 'resume':
            if turns.person_active:
                return 'the person is speaking'
            return f'the person has just spoken, {turns.to_end_of_turn:.1f} s left'
        if not self.file.turn_taking:
            return None
        if rule.action == 'pause' and turns.robot_active:
            return 'the robot is speaking'  # A glance aside; whoever leaves stops it.
        if self._silent(rule, conversation):
            return None
        if floor == 'person_speaks':
            return 'the person is speaking'
        if floor == 'robot_speaks':
            return 'the robot is speaking'
        if floor == 'waiting':
            return 'the robot has asked and waits'
        if floor == 'nobody':
            return 'nobody is there'
        of_person = any(event in self._events for event in _TURN_ENDS if event in rule.event)
        if not of_person and (left := self.file.times.breath - turns.after_robot) > TOLERANCE:
            return f'the robot has just spoken, {left:.1f} s left'
        return None


def _by_priority(file: PolicyFile) -> list[Rule]:
    return sorted(file.rules, key=lambda rule: -rule.priority)


def _longest_wait(file: PolicyFile) -> float:
    """Return after how many seconds no rule reacts to an event any more."""
    return max(_YIELDS_WITHIN, *(rule.wait for rule in file.rules)) + 1.0
