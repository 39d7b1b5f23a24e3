#!/usr/bin/env python3
"""Build a language model's prompt from /dialogue/context; prints it, sends nothing.

Publish what a speech recognizer understood:

    ros2 topic pub --once /user_said std_msgs/msg/String "{data: My sister had a garden.}"

Each line is a list of messages in the format of chat models. Start the dialogue manager with a
conversation file that has `say: false`, since the model supplies the words.
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

#: What the dialogue manager's latest action requires of the model.
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

#: Seconds after which an action counts as answered by an earlier prompt.
RECENT = 10.0


def prompt(context: dict, said: str) -> list[dict]:
    """Return the messages for a chat model.

    :param context: content of ``/dialogue/context``, see ``docs/dialogue.md``.
    :param said: what the person said; empty if the robot should speak unprompted.
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
    """Prints a prompt each time the person has said something."""

    def __init__(self) -> None:
        super().__init__('language_model_prompt')
        self._latest: dict = {}
        self.create_subscription(String, 'dialogue/context', self._on_context, 10)
        self.create_subscription(String, 'user_said', self._on_speech, 10)

    def _on_context(self, message: String) -> None:
        self._latest = json.loads(message.data)

    def _on_speech(self, message: String) -> None:
        if self._latest:
            print(json.dumps(prompt(self._latest, message.data), ensure_ascii=False), flush=True)
        else:
            self.get_logger().warning('no /dialogue/context yet; is the dialogue manager active?')


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(Prompt())
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
