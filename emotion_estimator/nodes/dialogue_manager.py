"""The dialogue manager node: emotions in, what the conversation should do out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emotion_estimator.dialogue.policy import DialoguePolicy
from emotion_estimator.msg import DialogueAction, Emotion
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.conversion import action_message, face_from_message, seconds
from emotion_estimator.nodes.diagnostics import Health
from emotion_estimator.nodes.lifecycle import ManagedNode
from emotion_estimator.nodes.running import run
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import DialogueSettings
from emotion_estimator.statistics import Silence


class DialogueManagerNode(ManagedNode[DialogueSettings]):
    """Asks the policy about each emotion and publishes what it decides."""

    kind = DialogueSettings

    def __init__(self) -> None:
        super().__init__('dialogue_manager')
        self._policy: DialoguePolicy | None = None
        self._actions: Any = None
        self._emotions: Any = None
        self._received = 0
        self._silence = Silence('message')
        self._decided = 0

    def configure(self) -> None:
        """Read the policy file; a conversation begins."""
        self._policy = DialoguePolicy.load(self._policy_file())
        self._actions = self.create_lifecycle_publisher(
            DialogueAction, 'dialogue/action', qos.RESULTS
        )

    def activate(self) -> None:
        """Begin to listen."""
        self._emotions = self.create_subscription(Emotion, 'emotion', self._decide, qos.RESULTS)
        self._silence = Silence(f'message on {self._emotions.topic_name}')

    def deactivate(self) -> None:
        """Stop listening; where the conversation is stays known."""
        if self._emotions is not None:
            self.destroy_subscription(self._emotions)
            self._emotions = None

    def clean_up(self) -> None:
        """Forget the conversation and take the topic down."""
        self._policy = None
        if self._actions is not None:
            self.destroy_lifecycle_publisher(self._actions)
            self._actions = None

    def health(self) -> Health:
        """Report how much was heard and decided, and where the conversation is."""
        policy = self._policy
        return Health(
            values={
                'policy_file': self._policy_file(),
                'emotions_received': self._received,
                'actions_decided': self._decided,
                'topic': policy.topic.name if policy else '',
                'approach': policy.approach if policy else '',
                'mode': policy.mode if policy else '',
            },
            warning=self._silence.problem(),
        )

    def _policy_file(self) -> Path:
        return Path(self.settings.policy_file or resource_dir('config') / 'dialogue.yaml')

    def _decide(self, message: Emotion) -> None:
        self._received += 1
        self._silence.end()
        if self._policy is None:
            return
        action = self._policy(face_from_message(message), seconds(message.header.stamp))
        if action is None:
            return
        self._decided += 1
        self._actions.publish(action_message(action, message.header))
        self.get_logger().info(f'{action.action} ({action.rule}): {action.reason}')


def main() -> int:
    """Run the node until it is stopped."""
    return run(lambda: [DialogueManagerNode()])
