"""Start and stop nodes: one way for every executable."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future

from emotion_estimator.errors import EmotionEstimatorError, first_line
from emotion_estimator.nodes.lifecycle import ManagedNode


class _NodeLogHandler(logging.Handler):
    """Sends the core's Python log to a node's log, and so to /rosout."""

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


@contextlib.contextmanager
def core_log_on(node: ManagedNode) -> Iterator[None]:
    """Let the log lines (level info and above) of the node's part of the core appear as its own."""
    core = logging.getLogger(node.core_log)
    handler = _NodeLogHandler(node)
    before = core.level, core.propagate
    core.addHandler(handler)
    core.setLevel(logging.INFO)
    core.propagate = False
    try:
        yield
    finally:
        core.removeHandler(handler)
        core.setLevel(before[0])
        core.propagate = before[1]


def run(make_nodes: Callable[[], Sequence[ManagedNode]]) -> int:
    """Spin the nodes of one process until one has finished or they are told to stop.

    :param make_nodes: called once ROS is initialised; those whose ``autostart`` is set are brought
        up in this order.
    :returns: the process's exit status: 0 after SIGINT, SIGTERM or a node's own end; 1 when one
        failed at its work; 2 with one line on standard error when one cannot start.
    """
    nodes: Sequence[ManagedNode] = ()
    initialised, status = False, 0
    with contextlib.ExitStack() as cleanup:
        try:
            rclpy.init(args=sys.argv)
            initialised = True
            executor = SingleThreadedExecutor()
            nodes = make_nodes()
            for node in nodes:
                cleanup.enter_context(core_log_on(node))
            finished: Future = Future()
            for node in nodes:
                node.finished = finished
                executor.add_node(node)
            for node in nodes:
                if node.settings.autostart:
                    node.bring_up()
            executor.spin_until_future_complete(finished)
            if finished.done():
                status = finished.result() or 0
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        except (EmotionEstimatorError, RuntimeError) as error:
            # rclpy raises RuntimeErrors: arguments it cannot use; or, wherever the start had come
            # to when it was told to stop, a context that is gone.
            told_to_stop = initialised and not rclpy.ok()
            if not told_to_stop:
                status = 2
                if isinstance(error, EmotionEstimatorError):
                    print(error, file=sys.stderr)
                elif nodes:
                    raise
                else:
                    print(f'ROS 2 cannot start this node: {first_line(error)}', file=sys.stderr)
        finally:
            for node in nodes:
                node.stop()
            for node in nodes:
                node.destroy_node()
            rclpy.try_shutdown()
    return status
