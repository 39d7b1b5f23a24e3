"""Start and stop a node: one way for all three."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.task import Future

from emotion_estimator.errors import EmotionEstimatorError, first_line


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


def send_log_back() -> None:
    """Undo :func:`send_log_to`: the node is about to vanish."""
    core = logging.getLogger('emotion_estimator')
    core.setLevel(logging.NOTSET)
    core.propagate = True
    core.handlers.clear()


@contextlib.contextmanager
def until_shutdown(node: Node) -> Iterator[None]:
    """Let a thread's last publication fail quietly when ROS was shut down meanwhile."""
    try:
        yield
    except RuntimeError:
        # rclpy's InvalidHandle and RCLError: publishers vanish with the context.
        if node.context.ok():
            raise


class StoppableNode(Node):
    """A node with work of its own beside its callbacks."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        send_log_to(self)
        #: Set its result, the exit status, to end the process.
        self.finished: Future = Future()
        #: Publishes diagnostics for the last time.
        self.report: Callable[[], None] = lambda: None

    def fail(self, problem: str) -> None:
        """End the process with status 1 and one line: the node cannot go on. From any thread."""
        self.get_logger().fatal(problem)
        self.finished.set_result(1)

    def stop(self) -> None:
        """End the node's own threads and free what it holds; called once, before destruction.

        Reports for the last time, unless ROS is shut down already.
        """
        with until_shutdown(self):
            self.report()
        send_log_back()


def run(make_node: Callable[[], StoppableNode]) -> int:
    """Spin a node until it has finished or is told to stop; return the process's exit status.

    0 after SIGINT, SIGTERM or the node's own end; 1 when it failed at its work; 2 with one line on
    standard error when it cannot start.
    """
    node, initialised, status = None, False, 0
    try:
        rclpy.init(args=sys.argv)
        initialised = True
        node = make_node()
        rclpy.spin_until_future_complete(node, node.finished)
        if node.finished.done():
            status = node.finished.result() or 0
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except EmotionEstimatorError as error:
        print(error, file=sys.stderr)
        status = 2
    except RuntimeError as error:
        # rclpy's own errors: told to stop while it was starting (or about to wait for work, where
        # its executor finds the context gone), or arguments it cannot use.
        told_to_stop = initialised and not rclpy.ok()
        if node is not None and not told_to_stop:
            raise
        if not told_to_stop:
            print(f'ROS 2 cannot start this node: {first_line(error)}', file=sys.stderr)
            status = 2
    finally:
        if node is not None:
            node.stop()
            node.destroy_node()
        rclpy.try_shutdown()
    return status

