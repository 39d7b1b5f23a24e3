#!/usr/bin/env python3
"""Turn /dialogue/action into intents with entities for Rasa or similar; prints, sends nothing.

Each line is the body of Rasa's POST /conversations/ID/trigger_intent; rasa_bridge.py sends it, and
speaks the answer.
"""

import json

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from emotion_estimator.msg import DialogueAction


def intent(action: DialogueAction) -> dict:
    """Return the intent for an action, with the entities that are not empty."""
    entities = {
        'topic': action.topic,
        'approach': action.approach,
        'emotion': action.emotion,
        'person': action.face_id,
    }
    return {
        'name': f'EXTERNAL_{action.action}',
        'entities': {name: value for name, value in entities.items() if value},
    }


class Intents(Node):
    """Prints one intent per line."""

    def __init__(self) -> None:
        super().__init__('intents')
        self.create_subscription(DialogueAction, 'dialogue/action', self._on_action, 10)

    def _on_action(self, action: DialogueAction) -> None:
        print(json.dumps(intent(action), ensure_ascii=False), flush=True)


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(Intents())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # rclpy raises this when Ctrl-C arrives while it takes a message.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
