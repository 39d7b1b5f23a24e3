#!/usr/bin/env python3
"""The minimal dialogue node: subscribe to /emotion and act when the label changes."""

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from emotion_estimator.msg import Emotion


class EmotionListener(Node):
    """Logs each change of the label and, once a second, the number of messages received."""

    def __init__(self) -> None:
        super().__init__('emotion_listener')
        self._label = ''
        self._count = 0
        self.create_subscription(Emotion, 'emotion', self._on_emotion, 10)
        self.create_timer(1.0, self._report_rate)

    def _on_emotion(self, message: Emotion) -> None:
        self._count += 1
        if message.label == self._label:
            return
        self._label = message.label
        if message.label == Emotion.LABEL_NONE:
            self.get_logger().info('nobody is there')
        else:
            self.get_logger().info(
                f'{message.face_id} looks {message.label} ({message.confidence:.2f})'
            )

    def _report_rate(self) -> None:
        self.get_logger().info(f'{self._count} emotions in the last second')
        self._count = 0


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(EmotionListener())
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
