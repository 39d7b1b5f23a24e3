"""The ROS side of ``emotion-estimator mcp``: hears the robot, and asks it for topics."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from types import TracebackType
from typing import Any

import rclpy
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from std_msgs.msg import String

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.language_model.tools import AgentToolbox
from emotion_estimator.msg import Emotion
from emotion_estimator.nodes import shared_memory
from emotion_estimator.nodes.conversion import face_from_message, seconds
from emotion_estimator.srv import ChooseTopic
from emotion_estimator.untrusted import as_line

#: Hears publishers of either reliability.
_ANY = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)

#: Seconds to wait until the service is there, and then for its answer.
_DISCOVERY, _ANSWER = 2.0, 5.0

#: Seconds between two looks for the service.
_LOOK = 0.05

#: Seconds to wait for the thread at the end.
_JOIN = 0.5

# No log files: a client may start this where the home folder is read-only.
_ARGUMENTS = ('--ros-args', '--disable-external-lib-logs', '--disable-rosout-logs')


class McpBridge:
    """A node in a thread of its own, from ``with`` to its end; ``toolbox`` answers from it.

    It leaves signals to others and subscribes to no image.
    """

    def __init__(self, namespace: str = '') -> None:
        """Start ROS.

        :param namespace: of the robot's topics and services; empty for none.
        :raises InputError: ROS cannot start, or ``namespace`` is not one.
        """
        self._context = rclpy.Context()
        try:
            rclpy.init(args=list(_ARGUMENTS), context=self._context)
            # Several clients may each have started one.
            self._node = Node(
                f'mcp_{os.getpid()}',
                namespace=namespace,
                context=self._context,
                use_global_arguments=False,
                enable_rosout=False,
                start_parameter_services=False,
            )
        except Exception as error:
            # rclpy raises what its C parts raise: RuntimeError, ValueError, RCLError, ...
            self._context.try_shutdown()
            raise InputError(f'ROS 2 cannot start: {first_line(error)}') from error
        shared_memory.keep_private()
        emotions = self._node.create_subscription(Emotion, 'emotion', self._on_emotion, _ANY)
        contexts = self._node.create_subscription(
            String, 'dialogue/context', self._on_context, _ANY
        )
        self._service: Client[Any, Any] = self._node.create_client(
            ChooseTopic, 'dialogue/choose_topic'
        )
        self.toolbox = AgentToolbox(
            self.choose_topic, emotions=emotions.topic_name, contexts=contexts.topic_name
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def __enter__(self) -> McpBridge:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.try_shutdown()
        self._thread.join(_JOIN)
        self._executor.shutdown(timeout_sec=0)
        self._node.destroy_node()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_emotion(self, message: Emotion) -> None:
        self.toolbox.hear_emotion(face_from_message(message), seconds(message.header.stamp))

    def _on_context(self, message: String) -> None:
        self.toolbox.hear_context(message.data)

    async def choose_topic(self, topic: str) -> tuple[bool, str]:
        """Ask the dialogue manager for a topic, waiting 7 s at most.

        :returns: whether it agreed, and what it says; or why not, in one line.
        """
        name = self._service.service_name
        for _ in range(round(_DISCOVERY / _LOOK)):
            if self._service.service_is_ready():
                break
            await asyncio.sleep(_LOOK)
        else:
            return False, f'nobody offers {name}; is the dialogue manager running?'
        answered: concurrent.futures.Future[ChooseTopic.Response] = concurrent.futures.Future()
        request = self._service.call_async(ChooseTopic.Request(topic=topic))
        request.add_done_callback(lambda done: _settle(answered, done))
        try:
            response = await asyncio.wait_for(asyncio.wrap_future(answered), _ANSWER)
        except asyncio.TimeoutError:
            return (
                False,
                f'{name} has not answered within {_ANSWER:.0f} s; the topic may change yet',
            )
        finally:
            self._service.remove_pending_request(request)
        if response.success:
            return True, response.message
        return False, f'the dialogue manager refuses: {as_line(" ".join(response.message.split()))}'


def _settle(
    answered: concurrent.futures.Future[ChooseTopic.Response], done: Future[object]
) -> None:
    """Pass the answer on, in the thread of the executor; nobody may be waiting any more."""
    response = done.result()
    if response is not None and not answered.cancelled():
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            answered.set_result(response)
