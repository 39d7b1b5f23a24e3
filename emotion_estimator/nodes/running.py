"""Running nodes in a process: start, spin, stop, exit status."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future

from emotion_estimator.errors import EmotionEstimatorError, first_line
from emotion_estimator.nodes import hang_watch, shared_memory
from emotion_estimator.nodes.lifecycle import ManagedNode
from emotion_estimator.untrusted import MAX_JSON, MAX_LOG_LINE, as_line


class _NodeLogHandler(logging.Handler):
    """Forwards the core's Python log to a node's log, and so to /rosout.

    Lines are cut as :func:`as_line` does, but for records that are ``complete``.
    """

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        complete = getattr(record, 'complete', False)
        text = as_line(record.getMessage(), MAX_JSON if complete else MAX_LOG_LINE)
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


@contextlib.contextmanager
def core_log_on(node: ManagedNode[Any]) -> Iterator[None]:
    """Forward the log of the node's part of the core to the node's own, from level info on."""
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


def run(make_nodes: Callable[[], Sequence[ManagedNode[Any]]]) -> int:
    """Spin the nodes of one process until one has finished or a signal arrives.

    :param make_nodes: creates the nodes once ROS is initialised; those with ``autostart`` are
        brought up in their order.
    :returns: the process's exit status: 0 after SIGINT, SIGTERM or a node's regular end, 1 if a
        node failed, 2 (with one line on standard error) if a node cannot start. A process that
        hangs ends with a status of its own (nodes/hang_watch.py).
    """
    nodes: Sequence[ManagedNode[Any]] = ()
    initialised, status = False, 0
    with hang_watch.watching(), contextlib.ExitStack() as cleanup:
        try:
            removed = shared_memory.remove_dead()
            rclpy.init(args=sys.argv)
            initialised = True
            executor = SingleThreadedExecutor()
            nodes = make_nodes()
            shared_memory.keep_private()
            if removed.count:
                nodes[0].get_logger().info(str(removed))
            for node in nodes:
                cleanup.enter_context(core_log_on(node))
            finished: Future[int] = Future()
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
            # rclpy raises RuntimeError for unusable arguments and, if a signal arrived at any point
            # of the start, for a context that has been shut down.
            shut_down = initialised and not rclpy.ok()
            if not shut_down:
                status = 2
                if isinstance(error, EmotionEstimatorError):
                    print(as_line(error), file=sys.stderr)
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
            shared_memory.remove_dead()
    return status
