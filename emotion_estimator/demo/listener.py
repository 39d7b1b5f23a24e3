"""The demo's own node: subscribes to the other nodes and fills the shared state."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, String

from emotion_estimator.demo.state import AnnotatedFrame, DemoState, EmotionReading
from emotion_estimator.errors import InputError
from emotion_estimator.msg import DialogueAction, Emotion
from emotion_estimator.nodes.conversion import (
    action_from_message,
    face_from_message,
    rgb_from_message,
    seconds,
)
from emotion_estimator.untrusted import parse_json, quote

#: Deep enough to lose no message while this process is busy.
_RELIABLE = QoSProfile(depth=200)
_IMAGES = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


#: Seconds after which it is said again that the person speaks.
_SAY_AGAIN = 1.0


class Listener(Node):
    """Subscribes to what the three nodes publish, and hears for the robot.

    Where the camera knows the truth of speech, it is passed on as ``dialogue/user_speaking``, in
    place of a microphone with voice activity detection. No node of a robot does that.
    """

    def __init__(self, state: DemoState) -> None:
        super().__init__('demo')
        self._state = state
        self.create_subscription(Emotion, 'emotion', self._on_emotion, _RELIABLE)
        self.create_subscription(Emotion, 'ground_truth', self._on_truth, _RELIABLE)
        self.create_subscription(Bool, 'ground_truth/speaking', self._on_speech, _RELIABLE)
        self._voice_activity = self.create_publisher(Bool, 'dialogue/user_speaking', _RELIABLE)
        self._passed_on: tuple[bool, float] = (False, 0.0)
        self.create_subscription(String, 'dialogue/context', self._on_context, _RELIABLE)
        self.create_subscription(DialogueAction, 'dialogue/action', self._on_action, _RELIABLE)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_health, _RELIABLE)
        self.create_subscription(Image, 'debug_image', self._on_image, _IMAGES)

    def ready(self) -> bool:
        """Return whether estimator and dialogue manager are connected to each other and to this."""
        return bool(
            self.count_subscribers('image_raw') > 0
            and self.count_publishers('emotion') > 0
            and self.count_publishers('debug_image') > 0
            # The dialogue manager's and this node's own.
            and self.count_subscribers('emotion') > 1
            and self.count_publishers('dialogue/action') > 0
            and self.count_subscribers('dialogue/user_speaking') > 0
        )

    def _on_emotion(self, message: Emotion) -> None:
        face = face_from_message(message)
        self._state.add_reading(
            EmotionReading(
                stamp=seconds(message.header.stamp),
                label=message.label,
                confidence=float(message.confidence),
                probabilities=dict(zip(message.labels, map(float, message.probabilities))),
                latency=float(message.latency),
                roi=face.roi if face else None,
                model=message.model,
            )
        )

    def _on_truth(self, message: Emotion) -> None:
        self._state.add_truth(seconds(message.header.stamp), message.label)

    def _on_speech(self, message: Bool) -> None:
        self._state.add_speech(message.data)
        before, at = self._passed_on
        now = time.monotonic()
        if message.data != before or (message.data and now - at >= _SAY_AGAIN):
            self._voice_activity.publish(message)
            self._passed_on = message.data, now

    def _on_context(self, message: String) -> None:
        try:
            context = parse_json(message.data)
            stamp, floor = float(context['stamp']), str(context['turns']['floor'])
        except (ValueError, TypeError, KeyError) as error:
            self._ignore('dialogue/context', error)
            return
        self._state.add_floor(stamp, floor)

    def _on_action(self, message: DialogueAction) -> None:
        self._state.add_action(action_from_message(message))

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._state.add_health(status.name, {item.key: item.value for item in status.values})

    def _on_image(self, message: Image) -> None:
        try:
            image = rgb_from_message(message)
        except InputError as error:
            self._ignore('debug_image', error)
            return
        self._state.add_frame(AnnotatedFrame(seconds(message.header.stamp), image))

    def _ignore(self, topic: str, error: Exception) -> None:
        self.get_logger().warning(
            f'a message on {topic} is not one of this package ({quote(error)}); is another node '
            'in this domain?',
            throttle_duration_sec=10.0,
        )


@contextmanager
def listening(state: DemoState) -> Iterator[Listener]:
    """Spin a :class:`Listener` in a thread while the ``with`` block runs."""
    # The demo handles signals itself: it has processes to stop first.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    listener = Listener(state)
    executor = SingleThreadedExecutor()
    executor.add_node(listener)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, name='listener', daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        executor.shutdown()
        thread.join(timeout=5.0)
        listener.destroy_node()
        rclpy.try_shutdown()
