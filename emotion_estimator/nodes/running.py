"""Start and stop a node: one way for all three."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from emotion_estimator.errors import EmotionEstimatorError


class _NodeLogHandler(logging.Handler):
    """Sends the core's Python log to the node's log, and so to /rosout."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


def send_log_to(node: Node) -> None:
    """Let the core's log lines (level info and above) appear as the node's own."""
    core = logging.getLogger('emotion_estimator')
    core.setLevel(logging.INFO)
    core.propagate = False
    core.handlers[:] = [_NodeLogHandler(node)]


def run(make_node: Callable[[], Node]) -> int:
    """Spin a node until it is told to stop; return the process's exit status.

    0 after SIGINT, SIGTERM or the node's own ``rclpy.try_shutdown()``; 2 with one line on
    standard error when it cannot start.
    """
    rclpy.init(args=sys.argv)
    node = None
    try:
        node = make_node()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except EmotionEstimatorError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
