#!/usr/bin/env python3
"""Actions as intents with entities, as Rasa and its like take them; printed, nothing is sent.

Each line is the body of Rasa's POST /conversations/ID/trigger_intent. There the intents
(EXTERNAL_check_in, ...) and entities (topic, approach, emotion) are declared in the domain, and
rules or stories say what follows. Start the dialogue manager with a conversation file that has
`say: false`, since the words are Rasa's.
"""

import json

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from emotion_estimator.msg import DialogueAction


def intent(action: DialogueAction) -> dict:
    """Return the intent of an action, with the entities that it has."""
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
    """Prints an intent a line."""

    def __init__(self) -> None:
        super().__init__('intents')
        self.create_subscription(DialogueAction, 'dialogue/action', self._tell, 10)

    def _tell(self, action: DialogueAction) -> None:
        print(json.dumps(intent(action), ensure_ascii=False), flush=True)


def main() -> None:
    """Tell until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(Intents())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # rclpy's, when Ctrl-C comes while it takes a message.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
