"""The dialogue manager node: hears emotions and speech, publishes actions and utterances."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rclpy.lifecycle import LifecyclePublisher
from rclpy.service import Service
from rclpy.subscription import Subscription
from std_msgs.msg import Bool, Empty, Header, String
from std_srvs.srv import Trigger

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.conversation_file import ConversationFile
from emotion_estimator.dialogue.manager import DialogueManager, read_together
from emotion_estimator.dialogue.observation import oddity
from emotion_estimator.dialogue.policy_file import PolicyFile
from emotion_estimator.dialogue.prompt import make_prompt
from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.errors import InputError
from emotion_estimator.msg import DialogueAction as DialogueActionMsg
from emotion_estimator.msg import Emotion, EmotionArray
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.conversion import action_message, face_from_message, seconds
from emotion_estimator.nodes.diagnostics import Health
from emotion_estimator.nodes.lifecycle import ManagedNode
from emotion_estimator.nodes.ros4hri_intents import Ros4hriIntents, open_ros4hri_intents
from emotion_estimator.nodes.ros4hri_speech import Ros4hriSpeech, open_ros4hri_speech
from emotion_estimator.nodes.running import run
from emotion_estimator.nodes.say_action import SayAction
from emotion_estimator.nodes.speech_watch import SpeechWatch
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import DialogueSettings
from emotion_estimator.srv import ChooseTopic
from emotion_estimator.timing import RateLimit, Watchdog
from emotion_estimator.untrusted import as_line, quote

if TYPE_CHECKING:
    from rclpy.type_support import MsgT

#: Contexts published per second of the emotions' stamps, in addition to one with each action and
#: each change of the floor.
_CONTEXT_RATE = 1.0
#: Minimum seconds between two log lines about odd messages.
_ODD_PERIOD = 10.0
_FILES = frozenset({'policy_file', 'conversation_file', 'words_per_minute', 'question_time'})
#: Seconds of the stamps for which the faces of ``emotions`` count. The estimator publishes them
#: after ``emotion``, so they are those of the image before, at whatever rate.
_OTHERS_COUNT = 1.0
#: Faces of ``emotions`` that are looked at; the estimator finds 16 at most.
_MAX_OTHERS = 64
#: Seconds of real time after which stamps that stand still are an error.
_STUCK = 5.0
#: Whoever publishes here hears people for a ROS4HRI robot, also while nobody speaks.
_VOICES = '/humans/voices/tracked'


class DialogueManagerNode(ManagedNode[DialogueSettings]):
    """Passes each emotion to a :class:`DialogueManager` and publishes its actions.

    Topics and services exist while the node is configured; services are refused unless it is
    active. An action requested by a service has the stamp of the last emotion.
    """

    kind = DialogueSettings

    def __init__(self) -> None:
        super().__init__('dialogue_manager')
        self._manager: DialogueManager | None = None
        #: Settings that were accepted, and the content of their files.
        self._checked: tuple[DialogueSettings, tuple[PolicyFile, ConversationFile]] | None = None
        self._topics: list[LifecyclePublisher[Any]] = []
        self._offered: list[Service[Any, Any]] = []
        self._listening: list[Subscription[Any]] = []
        self._context_due = RateLimit()
        self._floor = ''
        self._voices: Ros4hriSpeech | None = None
        self._intents: Ros4hriIntents | None = None
        self._voice: SayAction | None = None
        self._header: Header | None = None
        self._watchdog = Watchdog('message')
        self._others: tuple[float, tuple[FaceEmotion, ...]] = (-math.inf, ())
        self._progress = StampProgress()
        self._speech = self._watch_speech()
        self._speech_topics: list[str] = []
        self._received = self._odd = self._decided = self._requested = self._refused = 0
        self._said = 0

    def configure(self) -> None:
        """Read policy and conversation, and begin a new conversation."""
        self._manager = DialogueManager.load(*_files(self.settings), self.settings.times())
        self._manager.own_words = self.settings.publish_say
        self._manager.hears_face = self.settings.hear_face
        self._warn()
        self._header = None
        self._actions = self._publisher(DialogueActionMsg, 'dialogue/action')
        self._utterances = self._publisher(String, 'dialogue/say')
        self._contexts = self._publisher(String, 'dialogue/context')
        self._prompts = self._publisher(String, 'dialogue/prompt')
        self._stops = self._publisher(Empty, 'dialogue/stop_speaking')
        for name in ('start', 'pause', 'resume', 'end'):
            self._serve(Trigger, f'dialogue/{name}', partial(self._request, name))
        self._serve(ChooseTopic, 'dialogue/choose_topic', self._choose_topic)
        if self.settings.ros4hri:
            self._intents = open_ros4hri_intents(self)
        if self.settings.say_action:
            self._voice = SayAction(
                self, self.settings.say_action, self.settings.say_action_type, self._action_speaks
            )

    def activate(self) -> None:
        """Start listening."""
        emotions = self._listen(Emotion, 'emotion', self._on_emotion)
        self._listen(EmotionArray, 'emotions', self._on_faces)
        speech = self._listen(Bool, 'dialogue/user_speaking', self._on_speech)
        words = self._listen(String, 'dialogue/user_said', self._on_words)
        self._speech_topics = [speech.topic_name, words.topic_name]
        self._listen(Bool, 'dialogue/robot_speaking', self._on_voice)
        if not self.settings.publish_say:
            self._listen(String, 'dialogue/say', self._on_say)
        if self.settings.ros4hri:
            heard = partial(self._person_speaks, source='ros4hri')
            self._voices = open_ros4hri_speech(self, heard, self._person_said, self._now)
        self._watchdog = Watchdog(f'message on {emotions.topic_name}')
        self._progress = StampProgress()
        self._speech = self._watch_speech()

    def deactivate(self) -> None:
        """Stop listening; the conversation keeps its state."""
        for subscription in self._listening:
            self.destroy_subscription(subscription)
        self._listening = []
        if self._voices is not None:
            self._voices.close()
            self._voices = None

    def clean_up(self) -> None:
        """Forget the conversation and destroy topics and services."""
        self._manager = None
        for service in self._offered:
            self.destroy_service(service)
        self._offered = []
        for publisher in self._topics:
            self.destroy_lifecycle_publisher(publisher)
        self._topics = []
        if self._intents is not None:
            self._intents.close()
        if self._voice is not None:
            self._voice.close()
        self._intents = self._voice = None

    def check_settings(self, wanted: DialogueSettings, names: frozenset[str]) -> None:
        """Refuse files that cannot be read; while unconfigured, leave that to `configure`.

        :raises InputError: names the file, the rule or topic, and the field.
        """
        self._checked = None
        if self._manager is not None and names & _FILES:
            self._checked = wanted, read_together(*_files(wanted), wanted.times())

    def parameters_set(self, names: frozenset[str]) -> None:
        """Reload the files, or begin or stop to watch the mouth; the conversation continues."""
        if self._manager is None:
            return
        self._manager.hears_face = self.settings.hear_face
        if not names & _FILES:
            return
        # What was checked: the files may be others by now. Nothing, if another callback refused.
        checked, self._checked = self._checked, None
        if checked is None or checked[0] != self.settings:
            return
        self._manager.use(*checked[1])
        policy, conversation = _files(self.settings)
        self._warn()
        self.get_logger().info(f'reloaded {quote(policy)} and {quote(conversation)}')

    def health(self) -> Health:
        """Report counts and the state of the conversation."""
        manager = self._manager
        policy, conversation = _files(self.settings)
        # What has expired or come since the last emotion.
        self._note_speech()
        return Health(
            values={
                'policy_file': quote(policy),
                'conversation_file': quote(conversation),
                'emotions_received': self._received,
                'emotions_odd': self._odd,
                'actions_decided': self._decided,
                'actions_asked': self._requested,
                'requests_refused': self._refused,
                'topic': manager.topic if manager else '',
                'approach': manager.approach if manager else '',
                'mode': manager.mode if manager else '',
                'floor': manager.floor if manager else '',
                'sentences_said': self._said,
                **(
                    {f'speech_{kind}': n for kind, n in manager.problems.items()} if manager else {}
                ),
                **{key: value for part in self._parts() for key, value in part.values().items()},
                'suppressed': '; '.join(map(str, manager.suppressed)) if manager else '',
            },
            warning=self._watchdog.problem() or self._problem_of_parts() or self._speech_problem(),
            problem=self._progress.problem(),
            failed=True,
        )

    def _parts(self) -> list[Ros4hriSpeech | Ros4hriIntents | SayAction]:
        parts = (self._voices, self._intents, self._voice)
        return [part for part in parts if part is not None]

    def _problem_of_parts(self) -> str:
        found = (part.problem() for part in (self._voices, self._voice) if part is not None)
        return next(filter(None, found), '')

    def _watch_speech(self) -> SpeechWatch:
        logger = self.get_logger()
        watch = SpeechWatch(lambda line: logger.warning(line), lambda line: logger.debug(line))
        if self._manager is not None:
            watch.expect(self._manager.problems)
        return watch

    def _note_speech(self) -> None:
        if self._manager is not None:
            self._speech.note(self._manager.problems, self._manager.floor)

    def _speech_problem(self) -> str:
        if self.state != 'active':
            return ''
        if self.settings.hear_face:
            # It can tell when the person speaks, with or without a microphone.
            return self._speech.problem()
        heard_on = self._speech_topics
        if self._voices is not None:
            heard_on = [*heard_on, self.resolve_topic_name(_VOICES)]
        publishers = sum(map(self.count_publishers, heard_on))
        return self._speech.problem() or self._speech.deaf(self._speech_topics, publishers)

    def _warn(self) -> None:
        for warning in self._manager.warnings if self._manager is not None else ():
            self.get_logger().warning(warning)

    def _listen(
        self, kind: type[MsgT], topic: str, handle: Callable[[MsgT], None]
    ) -> Subscription[MsgT]:
        subscription = self.create_subscription(
            kind, topic, handle, qos.results(), qos_overriding_options=qos.OVERRIDABLE
        )
        self._listening.append(subscription)
        return subscription

    def _publisher(self, kind: type[MsgT], topic: str) -> LifecyclePublisher[MsgT]:
        publisher = self.create_lifecycle_publisher(
            kind, topic, qos.results(), qos_overriding_options=qos.OVERRIDABLE
        )
        self._topics.append(publisher)
        return publisher

    def _serve(self, kind: type[Any], name: str, handle: Callable[[Any, Any], Any]) -> None:
        self._offered.append(self.create_service(kind, name, handle))

    def _on_emotion(self, message: Emotion) -> None:
        self._received += 1
        self._watchdog.reset()
        if self._manager is None:
            return
        face, stamp = face_from_message(message), seconds(message.header.stamp)
        odd = oddity(face)
        if odd:
            self._odd += 1
            self.get_logger().warning(f'odd emotion: {odd}', throttle_duration_sec=_ODD_PERIOD)
        self._header = message.header
        self._progress.note(stamp)
        at, others = self._others
        action = self._manager(face, stamp, others if abs(stamp - at) <= _OTHERS_COUNT else None)
        due = self._context_due(stamp, _CONTEXT_RATE) or self._manager.floor != self._floor
        self._floor = self._manager.floor
        self._note_speech()
        if action is not None:
            self._decided += 1
            self._publish(action)
        elif due:
            self._publish_context(stamp)

    def _on_faces(self, message: EmotionArray) -> None:
        faces = (face_from_message(each) for each in message.emotions[:_MAX_OTHERS])
        known = tuple(face for face in faces if face is not None)
        self._others = seconds(message.header.stamp), known

    def _on_speech(self, message: Bool) -> None:
        self._person_speaks(message.data)

    def _on_words(self, message: String) -> None:
        self._person_said(message.data)
        if self._intents is not None:
            # What ROS4HRI's own voices say becomes intents elsewhere.
            self._intents.said(message.data)

    def _on_voice(self, message: Bool) -> None:
        self._robot_speaks(message.data)

    def _on_say(self, message: String) -> None:
        """Take a sentence that another node has the robot say."""
        if self._manager is not None:
            self._manager.robot_said(message.data, self._now())
            if self._voice is not None:
                self._voice.say(message.data, self._manager.language)

    def _person_speaks(self, speaking: bool, source: str = 'topic') -> None:
        if self._manager is not None:
            self._manager.user_speaking(speaking, self._now(), source)

    def _person_said(self, text: str) -> None:
        if self._manager is not None:
            self._manager.user_said(text, self._now())

    def _robot_speaks(self, speaking: bool) -> None:
        if self._manager is not None:
            self._manager.robot_speaking(speaking, self._now())

    def _action_speaks(self, speaking: bool) -> None:
        """Take what the action that speaks reports; it may fail before it has begun."""
        if not speaking:
            self._robot_speaks(True)
        self._robot_speaks(speaking)

    def _request(self, name: str, request: Any, response: Any, *arguments: str) -> Any:
        """Handle a service by calling the manager's method ``name``."""
        manager = self._manager
        try:
            if manager is None or self.state != 'active':
                raise InputError(f'{self.get_name()} is {self.state}; activate it first')
            talking = manager.floor == 'robot_speaks'
            action = getattr(manager, name)(*arguments, self._now())
        except InputError as error:
            self._refused += 1
            response.success, response.message = False, as_line(error)
            return response
        self._requested += 1
        if talking and action.line:
            # Whoever asked wants these words now, not after those that are being said.
            self._stop_speaking()
        self._publish(action)
        response.success, response.message = True, action.utterance or action.action
        return response

    def _choose_topic(
        self, request: ChooseTopic.Request, response: ChooseTopic.Response
    ) -> ChooseTopic.Response:
        return self._request('choose_topic', request, response, request.topic)

    def _now(self) -> float:
        """Return the last emotion's stamp in seconds, or the node's time before the first."""
        return seconds(self._last_header().stamp)

    def _last_header(self) -> Header:
        return self._header or Header(stamp=self.get_clock().now().to_msg())

    def _publish(self, action: DialogueAction) -> None:
        self._actions.publish(action_message(action, self._last_header()))
        if self._intents is not None:
            self._intents.act(action)
        if action.action == 'yield':
            self._stop_speaking()
        if action.line:
            self._speak(action)
        self._publish_context(action.stamp)
        self.get_logger().info(f'{action.action} ({action.rule}): {action.reason}')

    def _stop_speaking(self) -> None:
        self._stops.publish(Empty())
        if self._voice is not None:
            self._voice.stop()

    def _speak(self, action: DialogueAction) -> None:
        """Publish the words, and the prompt for a language model that finds its own."""
        manager = self._manager
        if manager is None:
            return
        if action.utterance and self.settings.publish_say:
            self._said += 1
            self._utterances.publish(String(data=action.utterance))
            if self._voice is not None:
                self._voice.say(action.utterance, manager.language)
        prompt = make_prompt(
            action,
            manager.context(action.stamp),
            line=action.line,
            topic_name=manager.file.topics[action.topic].name,
            language=manager.language,
            said=manager.said,
            disclosure=manager.disclosure(action),
        )
        self._prompts.publish(String(data=json.dumps(prompt, ensure_ascii=False)))

    def _publish_context(self, stamp: float) -> None:
        if self._manager is not None:
            context = json.dumps(self._manager.context(stamp), ensure_ascii=False)
            self._contexts.publish(String(data=context))


class StampProgress:
    """Notices stamps that do not advance: time stands still then, and nothing is ever done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """:param clock: returns real time in seconds."""
        self._clock = clock
        self._stamp: float | None = None
        self._since = self._heard = clock()
        self._count = 0

    def note(self, stamp: float) -> None:
        """Take the stamp of a message in seconds."""
        self._heard = self._clock()
        if stamp != self._stamp:
            self._stamp, self._since, self._count = stamp, self._heard, 0
        self._count += 1

    def problem(self) -> str:
        """Return what is wrong; empty if stamps advance, or nothing is heard."""
        if self._stamp is None or self._heard - self._since < _STUCK:
            return ''
        return (
            f'the stamps of the last {self._count} emotions stand still at {self._stamp:.3f} s, so '
            'nothing is done; let the camera stamp its images, or check use_sim_time and /clock'
        )


def _files(settings: DialogueSettings) -> tuple[Path, Path]:
    """Return the paths of policy and conversation."""
    shipped = resource_dir('config')
    return (
        Path(settings.policy_file or shipped / 'dialogue.yaml'),
        Path(settings.conversation_file or shipped / 'conversation_en.yaml'),
    )


def main() -> int:
    """Run the node until it is stopped."""
    return run(lambda: [DialogueManagerNode()])
