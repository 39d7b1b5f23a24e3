"""The dialogue manager: the policy decides, the conversation carries the action out."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emotion_estimator.dialogue.action import DialogueAction, Suppressed
from emotion_estimator.dialogue.context import EmotionHistory
from emotion_estimator.dialogue.conversation import Conversation, Move
from emotion_estimator.dialogue.conversation_file import ConversationFile, load_conversation
from emotion_estimator.dialogue.observation import number
from emotion_estimator.dialogue.policy import Decision, DialoguePolicy
from emotion_estimator.dialogue.policy_file import (
    FACE,
    FACE_LOST,
    FACE_RETURNED,
    PolicyFile,
    Rule,
    load_policy,
)
from emotion_estimator.dialogue.presence import Addressee
from emotion_estimator.dialogue.prompt import WITHOUT_QUESTION
from emotion_estimator.dialogue.rule_state import ConversationState
from emotion_estimator.dialogue.turns import MOUTH
from emotion_estimator.emotion import NONE, FaceEmotion, SightedFace
from emotion_estimator.errors import InputError
from emotion_estimator.resources import resource_dir


def check_together(policy: PolicyFile, conversation: ConversationFile) -> None:
    """Check that the rules only name topics and approaches of the conversation.

    :raises InputError: they do not; the message names both files, rule and field.
    """
    for field, approaches in (
        ('question_times', tuple(policy.question_times)),
        ('when_sad', (*policy.when_sad, *policy.when_sad.values())),
    ):
        for approach in approaches:
            if approach not in conversation.approaches:
                raise InputError(
                    f'{policy.origin}: {field}: {approach!r} is not an approach of '
                    f'{conversation.origin}, which has {", ".join(conversation.approaches)}'
                )
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
    policy: Path | str | None,
    conversation: Path | str | None,
    times: Mapping[str, float] | None = None,
) -> tuple[PolicyFile, ConversationFile]:
    """Read a policy and a conversation file; None takes the shipped one.

    :param times: fields of :class:`turns.TurnTimes` that override those of the policy file.
    :raises InputError: a file is unreadable or invalid, or the two do not fit each other.
    """
    shipped = resource_dir('config')
    policy_file = load_policy(Path(policy or shipped / 'dialogue.yaml'))
    conversation_file = load_conversation(Path(conversation or shipped / 'conversation_en.yaml'))
    policy_file = replace(policy_file, times=replace(policy_file.times, **(times or {})))
    check_together(policy_file, conversation_file)
    return policy_file, conversation_file


#: Words for what a rule watches for, unless it is a label.
_SEEN = {NONE: 'no face', FACE_LOST: 'the face gone', FACE_RETURNED: 'a face again', FACE: 'a face'}

#: Words for what a rule reacts to, unless it is the person's turn.
_HAPPENED = {
    'unanswered': 'a question got no answer in its time',
    'silence': 'nobody has spoken for a while',
    'interrupted': 'the person began to speak',
    'left': 'the person has left',
}

#: What the person meant by their turn.
_OF_TURN = {
    'answer': '',
    'said_no': ' and said no',
    'refusal': ' and declined to talk',
    'other_topic': ' and asked for another topic',
    'pardon': ' and asked to hear it again',
}

#: Minimum seconds between two greetings of different people, and how many faces are remembered.
_ANOTHER_GREETING, _MET = 20.0, 64


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
        #: Whether the words come from the conversation file; if not, another node is expected to
        #: find them and to report them by :meth:`robot_said`.
        self.own_words = True
        #: Whether :meth:`context` will be asked for, which needs whole faces; decisions do not.
        self.remembers = True
        self._hears_face = False
        self._policy = DialoguePolicy(policy, *_phrases(conversation))
        self._addressee = Addressee(policy.short_absence)
        self._met: deque[str] = deque(maxlen=_MET)
        self._unmet = False
        self._history = EmotionHistory()
        self._conversation = Conversation(conversation, policy.begin)

    @classmethod
    def load(
        cls,
        policy: Path | str | None = None,
        conversation: Path | str | None = None,
        times: Mapping[str, float] | None = None,
    ) -> DialogueManager:
        """Begin a conversation from YAML files; None takes the shipped one.

        :param times: fields of :class:`turns.TurnTimes` that override those of the policy file.
        :raises InputError: a file is unreadable or invalid; the message names file, rule or topic,
            and field.
        """
        return cls(*read_together(policy, conversation, times))

    def reload(
        self,
        policy: Path | str | None,
        conversation: Path | str | None,
        times: Mapping[str, float] | None = None,
    ) -> None:
        """Read other files and :meth:`use` them.

        :raises InputError: as :meth:`load`; nothing has changed then.
        """
        self.use(*read_together(policy, conversation, times))

    def use(self, policy_file: PolicyFile, conversation_file: ConversationFile) -> None:
        """Switch to another policy and conversation without ending the conversation.

        Topic and approach stay if the new files have them; so do the cooldowns of rules of the
        same name, and which sentences have been said.

        :raises InputError: the two do not fit each other; nothing has changed then.
        """
        check_together(policy_file, conversation_file)
        self._policy.reload(policy_file)
        self._addressee.gone_after = policy_file.short_absence
        self._policy.turns.listen_for(*_phrases(conversation_file))
        self._conversation.reload(conversation_file)

    @property
    def policy(self) -> PolicyFile:
        """Return the policy in force."""
        return self._policy.file

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what the files in force should change, a line each."""
        return (*self._policy.file.warnings, *self._conversation.file.warnings)

    @property
    def hears_face(self) -> bool:
        """Return whether the mouth of the person spoken to counts as voice activity."""
        return self._hears_face

    @hears_face.setter
    def hears_face(self, hears: bool) -> None:
        self._hears_face = hears
        if not hears:
            # What was seen last must not silence the robot until it expires.
            self.user_speaking(False, math.nan, MOUTH)

    @property
    def floor(self) -> str:
        """Return who has the floor, one of ``turns.Floor``."""
        return self._policy.turns.floor

    @property
    def problems(self) -> Mapping[str, int]:
        """Return how often reports about speech contradicted themselves or expired, by kind."""
        return self._policy.turns.problems

    @property
    def said(self) -> str:
        """Return what the person said in their last turn; empty if it was not recognised."""
        turn = self._policy.turns.last_turn
        return turn.words if turn is not None else ''

    def disclosure(self, action: DialogueAction) -> str:
        """Return the sentence that ``action`` discloses the camera with; empty for none."""
        known = (each for each in self.file.disclosure if each in action.utterance)
        return next(known, '')

    @property
    def file(self) -> ConversationFile:
        """Return the conversation file in force."""
        return self._conversation.file

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

    def __call__(
        self,
        face: FaceEmotion | SightedFace | None,
        stamp: float,
        others: Sequence[FaceEmotion | SightedFace] | None = None,
    ) -> DialogueAction | None:
        """Take one frame's faces and return what to do, usually None.

        :param face: the estimator's primary face; None for nobody.
        :param stamp: the frame's stamp in seconds; the frame is ignored when it is not finite.
        :param others: further faces in the frame: the robot keeps to the person it talks to. None
            if they are not known.
        """
        stamp = number(stamp)
        at = self._conversation
        if math.isfinite(stamp):
            face = self._addressee(face, others, stamp, self._policy.turns.heard)
            if self._hears_face:
                self.user_speaking(face is not None and face.is_speaking, stamp, MOUTH)
            self._unmet = self._unmet or self._addressee.changed
            if self._unmet and at.mode == 'running' and self._greets(face):
                # Somebody else is there instead, whom the robot has not greeted.
                at.expect_another()
                self._policy.turns.forget_question()
        state = ConversationState(at.mode, at.by_service, at.topic, at.approach, at.line)
        if self.remembers and not isinstance(face, SightedFace):
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
            speaking=self._policy.turns.person_active,
            floor=self.floor,
            said=self.said,
            unanswered=self._policy.turns.unanswered,
        )

    def user_speaking(self, speaking: bool, stamp: float, source: str = 'topic') -> None:
        """Note whether the person is speaking, during which and shortly after nothing is said.

        :param stamp: seconds, on the clock of the frames.
        :param source: who says so; they speak while any source says so.
        """
        self._policy.turns.user_speaking(speaking, self._policy.time(number(stamp)), source)

    def user_said(self, text: str, stamp: float) -> None:
        """Take the words of one utterance of the person, as recognised.

        :param stamp: seconds, on the clock of the frames.
        """
        self._policy.turns.user_said(text, self._policy.time(number(stamp)))

    def robot_speaking(self, speaking: bool, stamp: float) -> None:
        """Note whether the robot's voice is speaking; without reports it is estimated.

        :param stamp: seconds, on the clock of the frames.
        """
        self._policy.turns.robot_speaking(speaking, self._policy.time(number(stamp)))

    def robot_said(self, text: str, stamp: float) -> None:
        """Note a sentence that another node has the robot say.

        :param stamp: seconds, on the clock of the frames.
        """
        now = self._policy.time(number(stamp))
        self._policy.turns.robot_said(text, now, self._policy.file.question_time(self.approach))

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
        before, stamp = self.topic, number(stamp)
        # The words of a service replace those that the robot was saying.
        self._policy.turns.robot_stops(self._policy.time(stamp))
        self._policy.turns.unfinished = ''
        move = self._conversation.apply(action, topic, None, kind, by_service=action != 'resume')
        self._policy.act(stamp, action == 'resume')
        self._speak(move, stamp, before)
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
            line=move.line,
        )
        return self._record(done)

    def _speak(self, move: Move, stamp: float, topic_before: str) -> None:
        """Tell the turns what the robot says from now on."""
        turns, now = self._policy.turns, self._policy.time(stamp)
        if self.topic != topic_before:
            self._policy.topic_changed()
            turns.forget_question()
        if not move.line:
            return
        if not self.own_words or not self.file.say:
            wait = self._policy.file.question_time(self.approach)
            turns.robot_expected(now, None if move.line in WITHOUT_QUESTION else wait)
        else:
            wait = self._policy.file.question_time(self.approach)
            # Broken off once more, it is taken up as it was said first.
            sentence = turns.unfinished if move.line == 'take_up' else ''
            turns.robot_said(move.utterance, now, wait, move.asks, sentence)

    def _record(self, action: DialogueAction) -> DialogueAction:
        self.counts[action.action] += 1
        self._history.act(action)
        return action

    def _act(self, decision: Decision, stamp: float) -> DialogueAction:
        rule, seen = decision.rule, decision.seen
        before, turns = self.topic, self._policy.turns
        # Whoever was away for a moment finds the conversation as it was.
        unchanged = rule.action == 'resume' and decision.silent and not rule.silent
        approach = None if unchanged else self._approach(rule)
        if rule.action == 'yield':
            turns.robot_stops(self._policy.time(stamp))
            self._conversation.broken_off()
            if self._conversation.line == 'take_up':
                turns.unfinished = ''  # Twice is enough.
            move = Move('yield', '')
        else:
            move = self._conversation.apply(
                rule.action, rule.topic, approach, rule.line,
                silent=decision.silent, unfinished=turns.unfinished,
            )  # fmt: skip
            self._speak(move, stamp, before)
            if move.line == 'start':
                self._met.append(seen.face_id)
                self._unmet = False
        reason = self._reason(decision)
        about_face = bool(rule.emotion)
        done = DialogueAction(
            action=move.action,
            topic=self.topic,
            approach=self.approach,
            utterance=move.utterance,
            reason=f'{reason}; {move.note}' if move.note else reason,
            emotion=_seen_label(decision) if about_face else '',
            confidence=decision.evidence.confidence if about_face else 0.0,
            rule=rule.name,
            face_id=seen.face_id,
            stamp=stamp,
            suppressed=tuple(str(each) for each in decision.suppressed),
            line=move.line,
        )
        return self._record(done)

    def _greets(self, face: FaceEmotion | SightedFace | None) -> bool:
        """Return whether to greet somebody who has taken another person's place."""
        greets = any(rule.action == 'resume' for rule in self.policy.rules)
        if face is None or not self.policy.turn_taking or not greets:
            return False
        if face.face_id in self._met:
            self._unmet = False
            return False
        # Trackers change ids: where they do so all the time, nobody is greeted all the time.
        return self._policy.since_welcome >= _ANOTHER_GREETING

    def _approach(self, rule: Rule) -> str | None:
        """Return the approach to take; a face that looks sad is not joked with."""
        wanted = rule.approach or self.approach
        instead = self._policy.file.when_sad.get(wanted)
        return instead if instead and self._policy.looks_sad() else rule.approach

    def _reason(self, decision: Decision) -> str:
        evidence = decision.evidence
        turn = self._policy.turns.last_turn
        if decision.event in _OF_TURN and turn is not None:
            spoken = f'the person spoke for {turn.end - turn.begin:.1f} s'
            return f'{spoken}{_OF_TURN[decision.event]}'
        if decision.event:
            return _HAPPENED[decision.event]
        watched = _watched(decision)
        return (
            f'{_SEEN.get(watched, watched)} for {evidence.seconds:.1f} of the last '
            f'{evidence.span:.1f} s, confidence {evidence.confidence:.2f}'
        )


def _watched(decision: Decision) -> str:
    """Return which of the rule's emotions is there."""
    watched = decision.rule.emotion
    return next((each for each in (decision.seen.label, *_SEEN) if each in watched), watched[0])


def _seen_label(decision: Decision) -> str:
    """Return the label that the evidence is about; a reaction may come after it has gone."""
    watched = _watched(decision)
    return decision.seen.label if watched in _SEEN else watched


def _phrases(file: ConversationFile) -> tuple[tuple[str, ...], ...]:
    """Return what the turns listen for in the person's words."""
    return file.refusals, file.repeats, file.noes, file.other_topics
