#!/usr/bin/env python3
"""A dialogue node that acts on stable changes of expression: early for happy, later for sad.

DebouncedEmotion works without ROS, too: it takes messages, or faces with stamps, and calls back on
each change.
"""

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from emotion_estimator.dialogue.debounce import DebouncedEmotion, EmotionChange
from emotion_estimator.msg import Emotion


class Attentive(Node):
    """Logs what it would do at each change of the stable label."""

    def __init__(self) -> None:
        super().__init__('attentive')
        # Seconds for which a label must outweigh the others; other labels keep their defaults.
        believe = {'happy': 0.3, 'sad': 2.5, Emotion.LABEL_NONE: 1.5}
        self._emotion = DebouncedEmotion(believe, on_change=self._react)
        self.create_subscription(Emotion, 'emotion', self._emotion.hear, 10)

    def _react(self, change: EmotionChange) -> None:
        if change.new == Emotion.LABEL_NONE:
            plan = 'wait'
        elif change.old == Emotion.LABEL_NONE:
            plan = 'greet'
        else:
            plan = {'happy': 'keep talking', 'sad': 'ask how they are'}.get(change.new, 'listen')
        self.get_logger().info(f'{change.old} -> {change.new}: {plan} ({change.reason})')


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(Attentive())
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
