"""The dialogue manager node: emotions in, what the conversation should do out."""

from __future__ import annotations

from pathlib import Path

from emotion_estimator.dialogue.policy import DialoguePolicy
from emotion_estimator.msg import DialogueAction, Emotion
from emotion_estimator.nodes.conversion import action_message, face_from_message, seconds
from emotion_estimator.nodes.diagnostics import Health, publish_diagnostics
from emotion_estimator.nodes.parameters import declare_settings
from emotion_estimator.nodes.running import StoppableNode, run
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import DialogueSettings


class DialogueManagerNode(StoppableNode):
    """Asks the policy about each emotion and publishes what it decides."""

    def __init__(self) -> None:
        super().__init__('dialogue_manager')
        settings = declare_settings(self, DialogueSettings)
        self._policy_file = Path(settings.policy_file or resource_dir('config') / 'dialogue.yaml')
        self._policy = DialoguePolicy.load(self._policy_file)
        self._received = 0
        self._decided = 0
        self._actions = self.create_publisher(DialogueAction, 'dialogue/action', 10)
        self.report = publish_diagnostics(self, self._health)
        self.create_subscription(Emotion, 'emotion', self._decide, 10)

    def _decide(self, message: Emotion) -> None:
        self._received += 1
        action = self._policy(face_from_message(message), seconds(message.header.stamp))
        if action is None:
            return
        self._decided += 1
        self._actions.publish(action_message(action, message.header))
        self.get_logger().info(f'{action.action} ({action.rule}): {action.reason}')

    def _health(self) -> Health:
        return Health(
            values={
                'policy_file': self._policy_file,
                'emotions_received': self._received,
                'actions_decided': self._decided,
            }
        )


def main() -> int:
    """Run the node until it is stopped."""
    return run(DialogueManagerNode)
