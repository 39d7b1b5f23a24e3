"""The dialogue manager's topics for an agent in an asyncio loop, for the two examples beside it.

Start the dialogue manager with `publish_say: false`: the agent's model supplies the words.
"""

import asyncio
import contextlib
import json
import logging
import threading
from typing import Protocol

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool, Empty, String

#: The system message of both agents.
INSTRUCTIONS = """\
You are a companion robot in conversation with one person. Say one or two short sentences that can
be spoken: no lists, no markup, no emojis. A dialogue manager watches the conversation; it tells you
when to speak and what about: keep to it. Never tell the person how they feel; where it seems to
matter, ask."""

#: Seconds between repetitions of "the person is speaking", as the dialogue manager wants them.
REPEAT = 5.0


class Agent(Protocol):
    """What an agent does with what the dialogue manager publishes."""

    async def note(self, text: str) -> None:
        """Take ``text`` in place of the last note; say nothing."""

    async def prompt(self, text: str, fallback: str) -> None:
        """Speak now, as ``text`` instructs; ``fallback`` if the model fails."""

    async def stop(self) -> None:
        """Fall silent."""


class DialogueTopics:
    """Passes the dialogue manager's messages to an agent, and tells it who speaks and what."""

    def __init__(self) -> None:
        # Ctrl-C belongs to the agent's framework.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node('voice_agent')
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        for kind, topic, name in (
            (String, 'dialogue/context', 'note'),
            (String, 'dialogue/prompt', 'prompt'),
            (Empty, 'dialogue/stop_speaking', 'stop'),
        ):
            self._node.create_subscription(kind, topic, self._hearing(name), 10)
        self._user = self._node.create_publisher(Bool, 'dialogue/user_speaking', 10)
        self._robot = self._node.create_publisher(Bool, 'dialogue/robot_speaking', 10)
        self._said = self._node.create_publisher(String, 'dialogue/user_said', 10)
        self._say = self._node.create_publisher(String, 'dialogue/say', 10)
        self._person_speaks = False
        self._node.create_timer(REPEAT, self._repeat)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the graph."""
        rclpy.try_shutdown()
        self._thread.join(1.0)

    def user_speaking(self, speaking: bool) -> None:
        """Publish that the person begins or ends to speak."""
        self._person_speaks = speaking
        self._user.publish(Bool(data=speaking))

    def robot_speaking(self, speaking: bool) -> None:
        """Publish that the robot begins or ends to speak."""
        self._robot.publish(Bool(data=speaking))

    def user_said(self, text: str) -> None:
        """Publish what the person said in one turn."""
        if text.strip():
            self._said.publish(String(data=text))

    def robot_said(self, text: str) -> None:
        """Publish what the robot says, from which the manager knows whether it asked something."""
        if text.strip():
            self._say.publish(String(data=text))

    async def follow(self, agent: Agent) -> None:
        """Pass on what arrives, in its order, until cancelled."""
        while True:
            name, data = await self._arrived.get()
            try:
                if name == 'stop':
                    await agent.stop()
                elif name == 'note':
                    await agent.note(note_text(json.loads(data)))
                else:
                    prompt = json.loads(data)
                    await agent.prompt(prompt_text(prompt), prompt.get('fallback') or '')
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                logging.warning('a %s of the dialogue manager makes no sense: %r', name, error)

    def _hearing(self, name: str):
        def heard(message: String | Empty) -> None:
            arrived = name, getattr(message, 'data', '')
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, arrived)

        return heard

    def _repeat(self) -> None:
        if self._person_speaks:
            self._user.publish(Bool(data=True))

    def _spin(self) -> None:
        # A RuntimeError where the loop has been closed already.
        with contextlib.suppress(ExternalShutdownException, RuntimeError):
            self._executor.spin()


def note_text(context: dict) -> str:
    """Return the note for the model: what was seen, and what it is worth.

    :param context: content of ``dialogue/context``.
    """
    return f'{context["about"]}\n{context["summary"]}'


def prompt_text(prompt: dict) -> str:
    """Return what the model should do now.

    :param prompt: content of ``dialogue/prompt``.
    """
    text: str = prompt['instruction']
    fallback = prompt.get('fallback')
    return f'{text}\nYou could say: {fallback}' if fallback else text
