#!/usr/bin/env python3
"""Turn /dialogue/prompt into the messages of a chat model; prints them, sends nothing.

For a model that the node `llm_dialogue` cannot reach. Each line is a list of messages, to which the
model's answer is what the robot should say: publish it on /dialogue/say, sentence by sentence.
Publish what a speech recognizer understood:

    ros2 topic pub --once /dialogue/user_said std_msgs/msg/String "{data: My sister had a garden.}"
"""

import json

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import String

from emotion_estimator.dialogue.prompt import parse_prompt
from emotion_estimator.errors import InputError
from emotion_estimator.language_model.messages import ChatHistory, chat_messages


class Messages(Node):
    """Prints the messages for each prompt."""

    def __init__(self) -> None:
        super().__init__('language_model_prompt')
        self._history = ChatHistory(16)
        self.create_subscription(String, 'dialogue/prompt', self._on_prompt, 10)
        self.create_subscription(String, 'dialogue/user_said', self._on_person, 10)
        # Whoever speaks for the robot; what it said is part of the next prompt.
        self.create_subscription(String, 'dialogue/say', self._on_robot, 10)

    def _on_prompt(self, message: String) -> None:
        try:
            prompt = parse_prompt(message.data)
        except InputError as error:
            self.get_logger().warning(str(error))
            return
        messages = chat_messages(prompt, self._history)
        print(json.dumps(messages, ensure_ascii=False), flush=True)

    def _on_person(self, message: String) -> None:
        self._history.person_said(message.data)

    def _on_robot(self, message: String) -> None:
        self._history.robot_said(message.data)


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(Messages())
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
