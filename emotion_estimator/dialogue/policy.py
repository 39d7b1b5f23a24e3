"""Which rule acts, and what keeps the others from it: no words, no topics of its own."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from emotion_estimator.dialogue.action import Suppressed
from emotion_estimator.dialogue.evidence import TOLERANCE, Evidence, EvidenceWindow, StreamClock
from emotion_estimator.dialogue.observation import Observation, observation
from emotion_estimator.dialogue.rules import FACE, FACE_LOST, FACE_RETURNED, PolicyRules, Rule
from emotion_estimator.emotion import NONE, FaceEmotion

#: Changes of the label within the last seconds from which on it flickers. Faces change less often;
#: an estimator that is wrong in a tenth of the time changes more often.
_CHANGES = 5
_WITHIN = 10.0


class Unrest:
    """Counts changes of the label, as seen at the regular looks at the rules."""

    def __init__(self) -> None:
        self._changes: deque[float] = deque(maxlen=_CHANGES)
        self._label: str | None = None

    def clear(self) -> None:
        """Forget everything: time jumped."""
        self._changes.clear()
        self._label = None

    def look(self, label: str, now: float) -> bool:
        """Take the label at ``now`` seconds; return whether it flickers."""
        if self._label is not None and label != self._label:
            self._changes.append(now)
        self._label = label
        return len(self._changes) == _CHANGES and self._changes[0] > now - _WITHIN - TOLERANCE


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


@dataclass(frozen=True)
class ConversationPlace:
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

    def enter(self, place: ConversationPlace, since: float) -> None:
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


def elsewhere(rule: Rule, place: ConversationPlace) -> str:
    """Return in words why a rule does not apply here, nothing where it does."""
    if rule.topics and place.topic not in rule.topics:
        return 'not in this topic'
    if rule.approaches and place.approach not in rule.approaches:
        return 'not in this approach'
    return ''


#: In which modes of the conversation an action makes sense; others only while it runs.
_MODES = {
    'resume': ('waiting', 'paused', 'ended'),
    'end': ('running', 'paused'),
}


@dataclass(frozen=True)
class Decision:
    """A rule that acts.

    :param seen: what was observed when its evidence was complete.
    :param suppressed: the rules that would have acted as well.
    """

    rule: Rule
    evidence: Evidence
    seen: Observation
    suppressed: tuple[Suppressed, ...]


class Decider:
    """Decides once per message; time is the messages' stamps and nothing else.

    Stamps that go backwards, or pause for longer than ``max_step``, void the evidence. Cooldowns
    and the rate limit outlive both: after a jump backwards what was left of them still has to pass.
    """

    def __init__(self, rules: PolicyRules) -> None:
        """:param rules: checked rules, see ``rules.load_rules``."""
        self.rules = rules
        self.suppressed: tuple[Suppressed, ...] = ()
        self._clock = StreamClock()
        self._speech = Speech()
        self._presence = Presence(rules)
        self._unrest = Unrest()
        self._watches = [Watch(rule, rules.hold) for rule in _ranked(rules)]
        self._seen: Observation | None = None
        self._person = ''
        self._last_action = -math.inf

    def reload(self, rules: PolicyRules) -> None:
        """Decide by other rules from now on; what rules of the same name did stays known."""
        known = {watch.rule.name: watch for watch in self._watches}
        self._watches = [Watch(rule, rules.hold) for rule in _ranked(rules)]
        for watch in self._watches:
            past = known.get(watch.rule.name)
            if past is not None:
                watch.take_over(past)
        self._presence = self._presence.under(rules)
        self.rules = rules

    def hear(self, speaking: bool, stamp: float) -> None:
        """Take whether the person speaks."""
        self._speech.hear(speaking, self._clock.at(stamp, self.rules.max_step))

    def speaking(self) -> bool:
        """Tell whether the person speaks, as far as it knows."""
        return self._speech.active(self._clock.now, self.rules)

    def act(self, stamp: float) -> None:
        """Take note of an action that no rule decided: the rate limit counts from it."""
        self._last_action = self._clock.at(stamp, self.rules.max_step)

    def __call__(
        self, face: FaceEmotion | None, stamp: float, place: ConversationPlace
    ) -> Decision | None:
        """Take a message and return which rule acts, mostly none.

        :param stamp: seconds; one that is not finite is passed over.
        """
        if not math.isfinite(stamp):
            return None
        if not self._clock.advance(stamp, self.rules.max_step):
            self._presence.clear()
            self._unrest.clear()
            for watch in self._watches:
                for window in watch.windows:
                    window.clear()
        since = min(self._last_action, self._clock.now)
        for watch in self._watches:
            watch.enter(place, since)
        decision = None
        for now in self._clock.ticks():
            self._advance(now)
            flickers = self._seen is not None and self._unrest.look(self._seen.label, now)
            if decision is None:
                decision = self._decide(now, place, flickers)
        self._advance(self._clock.now)
        self._observe(face)
        return decision

    def _advance(self, now: float) -> None:
        self._presence.advance(now)
        for watch in self._watches:
            for window in watch.windows:
                window.advance(now)

    def _observe(self, face: FaceEmotion | None) -> None:
        seen = observation(face)
        events = self._presence.observe(seen.present, self._clock.now)
        if seen.present:
            self._person = seen.face_id
        for watch in self._watches:
            sure = seen.label in watch.rule.emotion
            sure = sure and seen.confidence >= watch.rule.min_confidence
            event = any(event in watch.rule.emotion for event in events)
            confidence = seen.confidence if sure else 1.0
            for window in watch.windows:
                window.observe(sure or event, confidence, seen.face_id, self._person)
        self._seen = seen

    def _decide(self, now: float, place: ConversationPlace, flickers: bool) -> Decision | None:
        chosen: Watch | None = None
        suppressed: list[Suppressed] = []
        complete: list[Watch] = []
        for watch in self._watches:
            rule = watch.rule
            running = rule.action == 'resume' and place.mode == 'running'
            if not watch.complete(flickers) or running:
                continue
            complete.append(watch)
            why = self._why_not(watch, now, place)
            if why is None and chosen is not None:
                why = f'lower priority than {chosen.rule.name}'
            if why is None:
                chosen = watch
            else:
                suppressed.append(Suppressed(rule.name, why))
        self.suppressed = tuple(suppressed)
        if chosen is None or self._seen is None:
            return None
        # Told with this message, so from here on the limits count: none is broken by the stamps.
        chosen.acted = self._last_action = self._clock.now
        # Two answers to one sight would contradict each other: who acts answers for those below.
        for watch in complete[complete.index(chosen) :]:
            if set(watch.rule.emotion) & set(chosen.rule.emotion):
                watch.answer(self._clock.now, self._seen.face_id)
        return Decision(chosen.rule, chosen.evidence(flickers), self._seen, self.suppressed)

    def _why_not(self, watch: Watch, now: float, place: ConversationPlace) -> str | None:
        """Return what keeps a rule with complete evidence from acting, None where nothing does."""
        rule = watch.rule
        if place.mode not in _MODES.get(rule.action, ('running',)):
            return f'the conversation is {place.mode}'
        if rule.action == 'resume' and place.asked:
            return f'the conversation was {place.mode} by a service'
        if where := elsewhere(rule, place):
            return where
        spoken = self._speech.why_not(now, self.rules)
        if spoken is not None and not rule.while_speaking:
            return spoken
        if (left := watch.acted + rule.cooldown - now) > TOLERANCE:
            return f'cooldown, {left:.1f} s left'
        if watch.answered is not None and rule.repeat is None:
            return 'this was answered already'
        if watch.answered is not None and rule.repeat is not None:
            left = watch.answered + rule.repeat - now
            if left > TOLERANCE:
                return f'this was answered already, repeats in {left:.1f} s'
        if (left := self._last_action + self.rules.min_gap - now) > TOLERANCE:
            return f'rate limit, {left:.1f} s left'
        return None


def _ranked(rules: PolicyRules) -> list[Rule]:
    return sorted(rules.rules, key=lambda rule: -rule.priority)
