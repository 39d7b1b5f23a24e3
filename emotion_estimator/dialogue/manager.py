"""The dialogue manager: what the rules decide, and what comes of it in the conversation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from emotion_estimator.dialogue.action import DialogueAction, Suppressed
from emotion_estimator.dialogue.context import EmotionalCourse
from emotion_estimator.dialogue.conversation import Conversation
from emotion_estimator.dialogue.conversation_file import ConversationFile, load_conversation
from emotion_estimator.dialogue.observation import number
from emotion_estimator.dialogue.policy import ConversationPlace, Decider, Decision
from emotion_estimator.dialogue.rules import FACE, FACE_LOST, FACE_RETURNED, PolicyRules, load_rules
from emotion_estimator.emotion import NONE, FaceEmotion
from emotion_estimator.errors import InputError
from emotion_estimator.resources import resource_dir


def check_together(rules: PolicyRules, conversation: ConversationFile) -> None:
    """Check that the rules only name what the conversation has.

    :raises InputError: names both files, rule and field.
    """
    for rule in rules.rules:
        named = {
            'topic': ([rule.topic], tuple(conversation.topics)),
            'topics': (rule.topics, tuple(conversation.topics)),
            'approach': ([rule.approach], conversation.approaches),
            'approaches': (rule.approaches, conversation.approaches),
        }
        for field, (names, known) in named.items():
            for name in names:
                if name is not None and name not in known:
                    raise InputError(
                        f'{rules.origin}: rule {rule.name!r}: {field} {name!r} is not in '
                        f'{conversation.origin}, which has {", ".join(known)}'
                    )


def read_together(
    policy: Path | str | None, conversation: Path | str | None
) -> tuple[PolicyRules, ConversationFile]:
    """Read a policy and a conversation; None takes the shipped one.

    :raises InputError: a file is unreadable or wrong, or they do not fit each other.
    """
    shipped = resource_dir('config')
    rules = load_rules(Path(policy or shipped / 'dialogue.yaml'))
    file = load_conversation(Path(conversation or shipped / 'conversation_en.yaml'))
    check_together(rules, file)
    return rules, file


_SEEN = {NONE: 'no face', FACE_LOST: 'the face gone', FACE_RETURNED: 'a face again', FACE: 'a face'}


class DialogueManager:
    """Steers a conversation by the emotion in a face: a function of stamps and state alone.

    The same messages give the same actions, live or replayed, whatever their rate.
    """

    def __init__(self, rules: PolicyRules, conversation: ConversationFile) -> None:
        """Begin a conversation.

        :raises InputError: a rule names a topic or an approach that the conversation lacks.
        """
        check_together(rules, conversation)
        self.counts: Counter[str] = Counter()
        self._decider = Decider(rules)
        self._course = EmotionalCourse()
        self._conversation = Conversation(conversation, rules.begin)

    @classmethod
    def load(
        cls, policy: Path | str | None = None, conversation: Path | str | None = None
    ) -> DialogueManager:
        """Begin a conversation from YAML files; None takes the shipped one.

        :raises InputError: a file is unreadable or wrong; names file, rule or topic, and field.
        """
        return cls(*read_together(policy, conversation))

    def reload(self, policy: Path | str | None, conversation: Path | str | None) -> None:
        """Go on by other files; where the conversation is stays, as far as they know of it.

        Cooldowns of rules of the same name, and what was said, stay known too.

        :raises InputError: as :meth:`load`; nothing has changed then.
        """
        rules, file = read_together(policy, conversation)
        self._decider.reload(rules)
        self._conversation.reload(file)

    @property
    def rules(self) -> PolicyRules:
        """Return the policy in force."""
        return self._decider.rules

    @property
    def mode(self) -> str:
        """Return ``waiting``, ``running``, ``paused`` or ``ended``."""
        return self._conversation.mode

    @property
    def topic(self) -> str:
        """Return the id of what the conversation is about."""
        return self._conversation.topic

    @property
    def approach(self) -> str:
        """Return the tone of the conversation."""
        return self._conversation.approach

    @property
    def language(self) -> str:
        """Return the language of what is said, as BCP 47 has it."""
        return self._conversation.file.language

    @property
    def suppressed(self) -> tuple[Suppressed, ...]:
        """Return the rules that have their evidence now and may not act, with the reasons."""
        return self._decider.suppressed

    def __call__(self, face: FaceEmotion | None, stamp: float) -> DialogueAction | None:
        """Take one frame's primary face and return what to do, mostly nothing.

        :param face: the face the robot talks to; None where there is none.
        :param stamp: the frame's stamp in seconds; one that is not finite is passed over.
        """
        stamp = number(stamp)
        at = self._conversation
        place = ConversationPlace(at.mode, at.asked, at.topic, at.approach)
        self._course.see(face, stamp)
        decision = self._decider(face, stamp, place)
        return None if decision is None else self._act(decision, stamp)

    def context(self, stamp: float) -> dict[str, Any]:
        """Return the recent emotional course in words and numbers, see ``context.py``.

        :param stamp: seconds, on the clock of the frames.
        """
        return self._course.describe(
            stamp,
            mode=self.mode,
            topic=self.topic,
            approach=self.approach,
            speaking=self._decider.speaking(),
        )

    def user_speaking(self, speaking: bool, stamp: float) -> None:
        """Take whether the person speaks: no action while so, and shortly after.

        :param stamp: seconds, on the clock of the frames.
        """
        self._decider.hear(speaking, number(stamp))

    def start(self, stamp: float) -> DialogueAction:
        """Begin the conversation, anew after its end.

        :raises InputError: it is going on.
        """
        if self.mode == 'paused':
            raise InputError('the conversation is paused; resume it, or end it first')
        if self.mode == 'running' and not self._conversation.fresh:
            raise InputError('the conversation is running; end it before starting anew')
        return self._asked('start', 'resume', stamp, kind='start')

    def pause(self, stamp: float) -> DialogueAction:
        """Pause the conversation, until a service resumes or ends it.

        :raises InputError: it is not running.
        """
        self._need('pause', 'running')
        return self._asked('pause', 'pause', stamp)

    def resume(self, stamp: float) -> DialogueAction:
        """Go on after a pause.

        :raises InputError: it is not paused.
        """
        self._need('resume', 'paused')
        return self._asked('resume', 'resume', stamp)

    def end(self, stamp: float) -> DialogueAction:
        """End the conversation, until a service starts it anew.

        :raises InputError: it has ended, or not begun.
        """
        self._need('end', 'running', 'paused')
        return self._asked('end', 'end', stamp)

    def choose_topic(self, name: str, stamp: float) -> DialogueAction:
        """Talk about something else.

        :param name: id of the topic, or its spoken name.
        :raises InputError: there is no such topic, or the conversation is not running.
        """
        topic = self._conversation.file.topic_id(name)
        self._need('choose_topic', 'running')
        return self._asked('choose_topic', 'change_topic', stamp, 'choose_topic', topic)

    def _need(self, what: str, *modes: str) -> None:
        if self.mode not in modes:
            raise InputError(
                f'{what} makes no sense now: the conversation is {self.mode}, '
                f'not {" or ".join(modes)}'
            )

    def _asked(
        self, service: str, action: str, stamp: float, kind: str = '', topic: str | None = None
    ) -> DialogueAction:
        move = self._conversation.apply(action, topic, None, kind, asked=action != 'resume')
        self._decider.act(number(stamp))
        done = DialogueAction(
            action=move.action,
            topic=self.topic,
            approach=self.approach,
            utterance=move.utterance,
            reason=f'a service asked to {service.replace("_", " a ")}',
            emotion='',
            confidence=0.0,
            rule=f'service {service}',
            face_id='',
            stamp=stamp,
        )
        return self._noted(done)

    def _noted(self, action: DialogueAction) -> DialogueAction:
        self.counts[action.action] += 1
        self._course.act(action)
        return action

    def _act(self, decision: Decision, stamp: float) -> DialogueAction:
        rule, evidence, seen = decision.rule, decision.evidence, decision.seen
        move = self._conversation.apply(rule.action, rule.topic, rule.approach)
        watched = next((each for each in (seen.label, *_SEEN) if each in rule.emotion), seen.label)
        reason = (
            f'{_SEEN.get(watched, watched)} for {evidence.held:.1f} of the last '
            f'{evidence.span:.1f} s, confidence {evidence.confidence:.2f}'
        )
        done = DialogueAction(
            action=move.action,
            topic=self.topic,
            approach=self.approach,
            utterance=move.utterance,
            reason=f'{reason}; {move.note}' if move.note else reason,
            emotion=seen.label,
            confidence=evidence.confidence,
            rule=rule.name,
            face_id=seen.face_id,
            stamp=stamp,
            suppressed=tuple(str(each) for each in decision.suppressed),
        )
        return self._noted(done)
