#!/usr/bin/env python3
"""The least a dialogue node needs: hear /emotion and act when the label changes."""

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from emotion_estimator.msg import Emotion


class EmotionListener(Node):
    """Prints every change of the label, and once a second how many messages came."""

    def __init__(self) -> None:
        super().__init__('emotion_listener')
        self._label = ''
        self._count = 0
        self.create_subscription(Emotion, 'emotion', self._hear, 10)
        self.create_timer(1.0, self._count_up)

    def _hear(self, message: Emotion) -> None:
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

    def _count_up(self) -> None:
        self.get_logger().info(f'{self._count} emotions in the last second')
        self._count = 0


def main() -> None:
    """Listen until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(EmotionListener())
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
