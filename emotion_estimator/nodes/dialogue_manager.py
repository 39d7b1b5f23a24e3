"""The dialogue manager node: emotions in, what the conversation should do and say out."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from std_msgs.msg import Bool, Header, String
from std_srvs.srv import Trigger

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.observation import oddity
from emotion_estimator.errors import InputError
from emotion_estimator.msg import DialogueAction as DialogueActionMsg
from emotion_estimator.msg import Emotion
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.conversion import action_message, face_from_message, seconds
from emotion_estimator.nodes.diagnostics import Health
from emotion_estimator.nodes.lifecycle import ManagedNode
from emotion_estimator.nodes.running import run
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import DialogueSettings
from emotion_estimator.srv import ChooseTopic
from emotion_estimator.timing import RateLimit, Silence

#: Contexts per second of the emotions' stamps, besides one with each action.
_CONTEXT_RATE = 1.0

#: Seconds between two log lines about odd messages.
_ODD_LINES = 10.0

_FILES = frozenset({'policy_file', 'conversation_file'})


class DialogueManagerNode(ManagedNode[DialogueSettings]):
    """Tells the manager of each emotion, and the robot what the manager decided.

    Topics and services exist while it is configured. Services answer only an active node; what
    they ask for is stamped as the emotion heard last.
    """

    kind = DialogueSettings

    def __init__(self) -> None:
        super().__init__('dialogue_manager')
        self._manager: DialogueManager | None = None
        self._actions: Any = None
        self._says: Any = None
        self._contexts: Any = None
        self._offered: list[Any] = []
        self._heard: list[Any] = []
        self._context_due = RateLimit()
        self._header: Header | None = None
        self._silence = Silence('message')
        self._received = self._odd = self._decided = self._asked = self._refused = 0

    def configure(self) -> None:
        """Read policy and conversation; a conversation begins."""
        self._manager = DialogueManager.load(*_files(self.settings))
        self._header = None
        publisher = self.create_lifecycle_publisher
        self._actions = publisher(DialogueActionMsg, 'dialogue/action', qos.RESULTS)
        self._says = publisher(String, 'dialogue/say', qos.RESULTS)
        self._contexts = publisher(String, 'dialogue/context', qos.RESULTS)
        for name in ('start', 'pause', 'resume', 'end'):
            self._offer(Trigger, name, partial(self._ask, name))
        self._offer(ChooseTopic, 'choose_topic', self._choose_topic)

    def activate(self) -> None:
        """Begin to listen."""
        emotions = self.create_subscription(Emotion, 'emotion', self._decide, qos.RESULTS)
        speech = self.create_subscription(
            Bool, 'dialogue/user_speaking', self._hear_speech, qos.RESULTS
        )
        self._heard = [emotions, speech]
        self._silence = Silence(f'message on {emotions.topic_name}')

    def deactivate(self) -> None:
        """Stop listening; where the conversation is stays known."""
        for subscription in self._heard:
            self.destroy_subscription(subscription)
        self._heard = []

    def clean_up(self) -> None:
        """Forget the conversation and take topics and services down."""
        self._manager = None
        for service in self._offered:
            self.destroy_service(service)
        self._offered = []
        for publisher in (self._actions, self._says, self._contexts):
            if publisher is not None:
                self.destroy_lifecycle_publisher(publisher)
        self._actions = self._says = self._contexts = None

    def check_settings(self, wanted: DialogueSettings, names: frozenset[str]) -> None:
        """Refuse files that cannot be read; while unconfigured, configure will.

        :raises InputError: names file, rule or topic, and field.
        """
        if self._manager is not None and names & _FILES:
            DialogueManager.load(*_files(wanted))

    def settings_given(self, names: frozenset[str]) -> None:
        """Go on by the files as they are now, from where the conversation is."""
        if self._manager is None or not names & _FILES:
            return
        try:
            self._manager.reload(*_files(self.settings))
        except InputError as error:
            # Changed since it was checked, a moment ago.
            self.get_logger().error(str(error))
            return
        policy, conversation = _files(self.settings)
        self.get_logger().info(f'goes on by {policy} and {conversation}')

    def health(self) -> Health:
        """Report how much was heard and decided, and where the conversation is."""
        manager = self._manager
        policy, conversation = _files(self.settings)
        return Health(
            values={
                'policy_file': policy,
                'conversation_file': conversation,
                'emotions_received': self._received,
                'emotions_odd': self._odd,
                'actions_decided': self._decided,
                'actions_asked': self._asked,
                'requests_refused': self._refused,
                'topic': manager.topic if manager else '',
                'approach': manager.approach if manager else '',
                'mode': manager.mode if manager else '',
                'suppressed': '; '.join(map(str, manager.suppressed)) if manager else '',
            },
            warning=self._silence.problem(),
        )

    def _offer(self, kind: Any, name: str, callback: Callable[[Any, Any], Any]) -> None:
        self._offered.append(self.create_service(kind, f'dialogue/{name}', callback))

    def _decide(self, message: Emotion) -> None:
        self._received += 1
        self._silence.end()
        if self._manager is None:
            return
        face, stamp = face_from_message(message), seconds(message.header.stamp)
        odd = oddity(face)
        if odd:
            self._odd += 1
            self.get_logger().warning(f'odd emotion: {odd}', throttle_duration_sec=_ODD_LINES)
        self._header = message.header
        action = self._manager(face, stamp)
        due = self._context_due(stamp, _CONTEXT_RATE)
        if action is not None:
            self._decided += 1
            self._publish(action)
        elif due:
            self._publish_context(stamp)

    def _hear_speech(self, message: Bool) -> None:
        if self._manager is not None:
            self._manager.user_speaking(message.data, self._now())

    def _ask(self, name: str, request: Any, response: Any, *arguments: str) -> Any:
        """Answer a service of the manager's method ``name``."""
        manager = self._manager
        try:
            if manager is None or self.state != 'active':
                raise InputError(f'{self.get_name()} is {self.state}; activate it first')
            action = getattr(manager, name)(*arguments, self._now())
        except InputError as error:
            self._refused += 1
            response.success, response.message = False, str(error)
            return response
        self._asked += 1
        self._publish(action)
        response.success, response.message = True, action.utterance or action.action
        return response

    def _choose_topic(
        self, request: ChooseTopic.Request, response: ChooseTopic.Response
    ) -> ChooseTopic.Response:
        return self._ask('choose_topic', request, response, request.topic)

    def _now(self) -> float:
        """Return the time on the emotions' axis in seconds: that of the last one, if any."""
        return seconds(self._stamped().stamp)

    def _stamped(self) -> Header:
        return self._header or Header(stamp=self.get_clock().now().to_msg())

    def _publish(self, action: DialogueAction) -> None:
        self._actions.publish(action_message(action, self._stamped()))
        if action.utterance:
            self._says.publish(String(data=action.utterance))
        self._publish_context(action.stamp)
        self.get_logger().info(f'{action.action} ({action.rule}): {action.reason}')

    def _publish_context(self, stamp: float) -> None:
        if self._manager is not None:
            told = json.dumps(self._manager.context(stamp), ensure_ascii=False)
            self._contexts.publish(String(data=told))


def _files(settings: DialogueSettings) -> tuple[Path, Path]:
    """Return the policy's file and the conversation's."""
    shipped = resource_dir('config')
    return (
        Path(settings.policy_file or shipped / 'dialogue.yaml'),
        Path(settings.conversation_file or shipped / 'conversation_en.yaml'),
    )


def main() -> int:
    """Run the node until it is stopped."""
    return run(lambda: [DialogueManagerNode()])
