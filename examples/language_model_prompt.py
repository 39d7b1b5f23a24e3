#!/usr/bin/env python3
"""What a language model is told, made from /dialogue/context; printed, nothing is sent.

Give it what a speech recognizer understood:

    ros2 topic pub --once /user_said std_msgs/msg/String "{data: My sister had a garden.}"

Each line is a list of messages as chat models take them. Start the dialogue manager with a
conversation file that has `say: false`, since the words are the model's.
"""

import json

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import String

INSTRUCTIONS = """\
You are a companion robot in conversation with one person. Answer in one or two short sentences.
A dialogue manager watches the conversation and decides upon topic and approach: keep to them.
A camera estimates the person's facial expression. {about}
So never tell the person how they feel; where it seems to matter, ask. Never mention the camera
unless you are asked about it, and then say plainly what it does."""

#: What the manager's latest action asks of the model.
TASKS = {
    'continue': 'Stay with the topic and ask something further.',
    'change_topic': 'Move on to the topic gently.',
    'change_approach': 'Take on the new approach.',
    'check_in': 'Ask the person how they are, without claiming to know.',
    'celebrate': 'Share the good moment.',
    'pause': 'Say that you wait, and no more.',
    'resume': 'Welcome the person back and take the topic up.',
    'end': 'Say goodbye.',
}

#: An action older than this many seconds was answered before.
RECENT = 10.0


def prompt(context: dict, said: str) -> list[dict]:
    """Return the messages for a chat model.

    :param context: as ``docs/dialogue.md`` describes it.
    :param said: what the person said; empty where the robot should speak by itself.
    """
    conversation = context['conversation']
    lines = [
        INSTRUCTIONS.format(about=context['about']),
        f'Topic: {conversation["topic"]}. Approach: {conversation["approach"]}.',
        context['summary'],
    ]
    recent = [done for done in context['actions'] if done['seconds_ago'] <= RECENT]
    if recent:
        lines.append(f'Now: {TASKS[recent[-1]["action"]]}')
    messages = [{'role': 'system', 'content': '\n'.join(lines)}]
    if said:
        messages.append({'role': 'user', 'content': said})
    return messages


class Prompt(Node):
    """Prints a prompt whenever the person has said something."""

    def __init__(self) -> None:
        super().__init__('language_model_prompt')
        self._course: dict = {}
        self.create_subscription(String, 'dialogue/context', self._remember, 10)
        self.create_subscription(String, 'user_said', self._answer, 10)

    def _remember(self, message: String) -> None:
        self._course = json.loads(message.data)

    def _answer(self, message: String) -> None:
        if self._course:
            print(json.dumps(prompt(self._course, message.data), ensure_ascii=False), flush=True)
        else:
            self.get_logger().warning('no /dialogue/context yet; is the dialogue manager active?')


def main() -> None:
    """Listen until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(Prompt())
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
