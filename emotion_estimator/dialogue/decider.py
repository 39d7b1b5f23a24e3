"""Which rule acts, and what keeps the others from it: no words, no topics of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emotion_estimator.dialogue.action import Suppressed
from emotion_estimator.dialogue.clock import StreamClock
from emotion_estimator.dialogue.observation import Observation, observation
from emotion_estimator.dialogue.presence import Presence
from emotion_estimator.dialogue.rules import PolicyRules, Rule
from emotion_estimator.dialogue.speech import Speech
from emotion_estimator.dialogue.unrest import Unrest
from emotion_estimator.dialogue.watch import Place, Watch, elsewhere
from emotion_estimator.dialogue.window import TOLERANCE, Evidence
from emotion_estimator.emotion import FaceEmotion

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

    def __call__(self, face: FaceEmotion | None, stamp: float, place: Place) -> Decision | None:
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

    def _decide(self, now: float, place: Place, flickers: bool) -> Decision | None:
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

    def _why_not(self, watch: Watch, now: float, place: Place) -> str | None:
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
