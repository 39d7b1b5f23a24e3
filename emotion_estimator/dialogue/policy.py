"""From emotions over time to what the robot should do: rules, cooldowns and a rate limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from emotion_estimator.dialogue.rules import PolicyRules, Rule, load_rules
from emotion_estimator.dialogue.window import TOLERANCE, Evidence, EvidenceWindow
from emotion_estimator.emotion import NONE, FaceEmotion

#: In which modes of the conversation an action makes sense; others only while it runs.
_MODES = {
    'resume': ('paused', 'ended'),
    'end': ('running', 'paused'),
}
_NEXT_MODE = {'pause': 'paused', 'resume': 'running', 'end': 'ended'}


@dataclass(frozen=True)
class DialogueAction:
    """A decision for the dialogue engine.

    :param action: one of ``rules.ACTIONS``.
    :param topic: topic of the conversation from now on.
    :param approach: tone from now on.
    :param utterance: a sentence to say; empty leaves the words to the engine.
    :param reason: the evidence in words.
    :param emotion: the label that decided.
    :param confidence: its mean confidence while it held, 0 to 1.
    :param rule: name of the rule.
    :param face_id: the face that decided; empty for nobody.
    :param stamp: seconds, of the frame that completed the evidence.
    """

    action: str
    topic: str
    approach: str
    utterance: str
    reason: str
    emotion: str
    confidence: float
    rule: str
    face_id: str
    stamp: float


class DialoguePolicy:
    """Decides once per frame; time is the frame's stamp and nothing else.

    The same stamps and faces give the same actions, live or replayed. Stamps that go backwards,
    or pause for longer than ``max_step``, void the evidence. Cooldowns and the rate limit outlive
    both: after a jump backwards what was left of them still has to pass.
    """

    def __init__(self, rules: PolicyRules) -> None:
        """:param rules: checked rules, see :func:`load_rules`."""
        self.rules = rules
        self.topic = rules.topics[0]
        self.approach = rules.approaches[0]
        self.mode = 'running'
        self._ranked = sorted(rules.rules, key=lambda rule: -rule.priority)
        self._windows = {rule.name: EvidenceWindow(rule.held_for) for rule in rules.rules}
        self._acted: dict[str, float] = {}
        self._turns: dict[str, int] = {}
        self._stamp: float | None = None
        self._person = ''
        self._last_action = -math.inf
        self._last_words = ''

    @classmethod
    def load(cls, path: Path | str) -> DialoguePolicy:
        """Make a policy from a YAML file.

        :raises InputError: the file is unreadable or wrong; names file, rule and field.
        """
        return cls(load_rules(Path(path)))

    def __call__(self, face: FaceEmotion | None, stamp: float) -> DialogueAction | None:
        """Take one frame's primary face and return what to do, mostly nothing.

        :param face: the face the robot talks to; None where there is none.
        :param stamp: the frame's stamp in seconds; one that is not finite is passed over.
        """
        if not math.isfinite(stamp):
            return None
        self._advance(stamp)
        label, confidence, face_id = NONE, 1.0, ''
        if face is not None:
            label, confidence, face_id = face.label, float(face.confidence), face.face_id
            self._person = face_id
        chosen: tuple[Rule, Evidence] | None = None
        for rule in self._ranked:
            window = self._windows[rule.name]
            matched = label in rule.emotion and confidence >= rule.min_confidence
            window.add(stamp, matched, confidence if matched else 0.0, face_id)
            if chosen is None and self._may_act(rule, stamp):
                evidence = window.evidence(self._person)
                if evidence is not None and evidence.held >= rule.share * rule.held_for - TOLERANCE:
                    chosen = rule, evidence
        return self._act(*chosen, label, face_id, stamp) if chosen else None

    def _advance(self, stamp: float) -> None:
        """Move time on, and mend what a jump would break."""
        previous, self._stamp = self._stamp, stamp
        if previous is None or 0 <= stamp - previous <= self.rules.max_step:
            return
        for window in self._windows.values():
            window.clear()
        if stamp < previous:
            # Stamps of past actions move along, or a looped bag would be mute for its length.
            back = stamp - previous
            self._acted = {name: at + back for name, at in self._acted.items()}
            self._last_action += back

    def _may_act(self, rule: Rule, stamp: float) -> bool:
        ready = self._acted.get(rule.name, -math.inf) + rule.cooldown
        return (
            self.mode in _MODES.get(rule.action, ('running',))
            and stamp >= ready - TOLERANCE
            and stamp >= self._last_action + self.rules.min_gap - TOLERANCE
        )

    def _act(
        self, rule: Rule, evidence: Evidence, label: str, face_id: str, stamp: float
    ) -> DialogueAction:
        self.mode = _NEXT_MODE.get(rule.action, self.mode)
        self.approach = rule.approach or self.approach
        if rule.action == 'change_topic':
            self._change_topic(rule.topic)
        self._acted[rule.name] = self._last_action = stamp
        seen = 'no face' if label == NONE else label
        return DialogueAction(
            action=rule.action,
            topic=self.topic.name,
            approach=self.approach,
            utterance=self._words(rule),
            reason=f'{seen} for {evidence.held:.1f} of the last {evidence.span:.1f} s, '
            f'confidence {evidence.confidence:.2f}',
            emotion=label,
            confidence=evidence.confidence,
            rule=rule.name,
            face_id=face_id,
            stamp=stamp,
        )

    def _change_topic(self, name: str | None) -> None:
        names = [topic.name for topic in self.rules.topics]
        at = names.index(name) if name else (names.index(self.topic.name) + 1) % len(names)
        self.topic = self.rules.topics[at]

    def _words(self, rule: Rule) -> str:
        """Return the rule's next utterance that was not the last one said; empty without one."""
        for _ in rule.utterances:
            turn = self._turns.get(rule.name, 0)
            self._turns[rule.name] = turn + 1
            words = rule.utterances[turn % len(rule.utterances)].format(
                topic=self.topic.name, opening=self.topic.opening
            )
            if words != self._last_words:
                self._last_words = words
                return words
        return ''
