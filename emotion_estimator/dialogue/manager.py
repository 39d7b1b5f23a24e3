"""The dialogue manager: the policy decides, the conversation carries the action out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from emotion_estimator.dialogue.action import DialogueAction, Suppressed
from emotion_estimator.dialogue.context import EmotionHistory
from emotion_estimator.dialogue.conversation import Conversation
from emotion_estimator.dialogue.conversation_file import ConversationFile, load_conversation
from emotion_estimator.dialogue.observation import number
from emotion_estimator.dialogue.policy import ConversationState, Decision, DialoguePolicy
from emotion_estimator.dialogue.policy_file import (
    FACE,
    FACE_LOST,
    FACE_RETURNED,
    PolicyFile,
    load_policy,
)
from emotion_estimator.emotion import NONE, FaceEmotion
from emotion_estimator.errors import InputError
from emotion_estimator.resources import resource_dir


def check_together(policy: PolicyFile, conversation: ConversationFile) -> None:
    """Check that the rules only name topics and approaches of the conversation.

    :raises InputError: they do not; the message names both files, rule and field.
    """
    for rule in policy.rules:
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
                        f'{policy.origin}: rule {rule.name!r}: {field} {name!r} is not in '
                        f'{conversation.origin}, which has {", ".join(known)}'
                    )


def read_together(
    policy: Path | str | None, conversation: Path | str | None
) -> tuple[PolicyFile, ConversationFile]:
    """Read a policy and a conversation file; None takes the shipped one.

    :raises InputError: a file is unreadable or invalid, or the two do not fit each other.
    """
    shipped = resource_dir('config')
    policy_file = load_policy(Path(policy or shipped / 'dialogue.yaml'))
    conversation_file = load_conversation(Path(conversation or shipped / 'conversation_en.yaml'))
    check_together(policy_file, conversation_file)
    return policy_file, conversation_file


#: Words for what a rule watches for, unless it is a label.
_SEEN = {NONE: 'no face', FACE_LOST: 'the face gone', FACE_RETURNED: 'a face again', FACE: 'a face'}


class DialogueManager:
    """Steers a conversation by the emotion in a face.

    Time is the frames' stamps and nothing else: the same messages give the same actions, live or
    replayed, and hardly depend on the frame rate.
    """

    def __init__(self, policy: PolicyFile, conversation: ConversationFile) -> None:
        """Begin a conversation.

        :raises InputError: a rule names a topic or an approach that the conversation lacks.
        """
        check_together(policy, conversation)
        #: Number of actions so far, by action.
        self.counts: Counter[str] = Counter()
        self._policy = DialoguePolicy(policy)
        self._history = EmotionHistory()
        self._conversation = Conversation(conversation, policy.begin)

    @classmethod
    def load(
        cls, policy: Path | str | None = None, conversation: Path | str | None = None
    ) -> DialogueManager:
        """Begin a conversation from YAML files; None takes the shipped one.

        :raises InputError: a file is unreadable or invalid; the message names file, rule or topic,
            and field.
        """
        return cls(*read_together(policy, conversation))

    def reload(self, policy: Path | str | None, conversation: Path | str | None) -> None:
        """Switch to other files without ending the conversation.

        Topic and approach stay if the new files have them; so do the cooldowns of rules of the
        same name, and which sentences have been said.

        :raises InputError: as :meth:`load`; nothing has changed then.
        """
        policy_file, conversation_file = read_together(policy, conversation)
        self._policy.reload(policy_file)
        self._conversation.reload(conversation_file)

    @property
    def policy(self) -> PolicyFile:
        """Return the policy in force."""
        return self._policy.file

    @property
    def mode(self) -> str:
        """Return ``waiting``, ``running``, ``paused`` or ``ended``."""
        return self._conversation.mode

    @property
    def topic(self) -> str:
        """Return the id of the current topic."""
        return self._conversation.topic

    @property
    def approach(self) -> str:
        """Return the current approach."""
        return self._conversation.approach

    @property
    def language(self) -> str:
        """Return the BCP 47 tag of the language spoken."""
        return self._conversation.file.language

    @property
    def suppressed(self) -> tuple[Suppressed, ...]:
        """Return the rules with complete evidence that may not act now, with the reasons."""
        return self._policy.suppressed

    def __call__(self, face: FaceEmotion | None, stamp: float) -> DialogueAction | None:
        """Take one frame's primary face and return what to do, usually None.

        :param face: face that the robot talks to; None for nobody.
        :param stamp: the frame's stamp in seconds; the frame is ignored when it is not finite.
        """
        stamp = number(stamp)
        at = self._conversation
        state = ConversationState(at.mode, at.by_service, at.topic, at.approach)
        self._history.see(face, stamp)
        decision = self._policy(face, stamp, state)
        return None if decision is None else self._act(decision, stamp)

    def context(self, stamp: float) -> dict[str, Any]:
        """Return the content of ``dialogue/context``, see :meth:`EmotionHistory.describe`.

        :param stamp: seconds, on the clock of the frames.
        """
        return self._history.describe(
            stamp,
            mode=self.mode,
            topic=self.topic,
            approach=self.approach,
            speaking=self._policy.speaking(),
        )

    def user_speaking(self, speaking: bool, stamp: float) -> None:
        """Note whether the person is speaking, during which and shortly after nothing is done.

        :param stamp: seconds, on the clock of the frames.
        """
        self._policy.hear(speaking, number(stamp))

    def start(self, stamp: float) -> DialogueAction:
        """Begin the conversation, or begin again after its end.

        :raises InputError: the conversation is running or paused.
        """
        if self.mode == 'paused':
            raise InputError('the conversation is paused; resume it, or end it first')
        if self.mode == 'running' and not self._conversation.fresh:
            raise InputError('the conversation is running; end it before starting again')
        return self._by_service('start', 'resume', stamp, kind='start')

    def pause(self, stamp: float) -> DialogueAction:
        """Pause the conversation, until a service resumes or ends it.

        :raises InputError: the conversation is not running.
        """
        self._need('pause', 'running')
        return self._by_service('pause', 'pause', stamp)

    def resume(self, stamp: float) -> DialogueAction:
        """Resume the conversation after a pause.

        :raises InputError: the conversation is not paused.
        """
        self._need('resume', 'paused')
        return self._by_service('resume', 'resume', stamp)

    def end(self, stamp: float) -> DialogueAction:
        """End the conversation, until a service starts it again.

        :raises InputError: the conversation has ended or not begun.
        """
        self._need('end', 'running', 'paused')
        return self._by_service('end', 'end', stamp)

    def choose_topic(self, name: str, stamp: float) -> DialogueAction:
        """Change to another topic.

        :param name: id of the topic, or its spoken name.
        :raises InputError: there is no such topic, or the conversation is not running.
        """
        topic = self._conversation.file.topic_id(name)
        self._need('choose_topic', 'running')
        return self._by_service('choose_topic', 'change_topic', stamp, 'choose_topic', topic)

    def _need(self, what: str, *modes: str) -> None:
        if self.mode not in modes:
            raise InputError(
                f'cannot {what.replace("_", " a ")}: the conversation is {self.mode}, '
                f'not {" or ".join(modes)}'
            )

    def _by_service(
        self, service: str, action: str, stamp: float, kind: str = '', topic: str | None = None
    ) -> DialogueAction:
        move = self._conversation.apply(action, topic, None, kind, by_service=action != 'resume')
        self._policy.act(number(stamp))
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
        return self._record(done)

    def _record(self, action: DialogueAction) -> DialogueAction:
        self.counts[action.action] += 1
        self._history.act(action)
        return action

    def _act(self, decision: Decision, stamp: float) -> DialogueAction:
        rule, evidence, seen = decision.rule, decision.evidence, decision.seen
        move = self._conversation.apply(rule.action, rule.topic, rule.approach)
        watched = next((each for each in (seen.label, *_SEEN) if each in rule.emotion), seen.label)
        reason = (
            f'{_SEEN.get(watched, watched)} for {evidence.seconds:.1f} of the last '
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
        return self._record(done)
