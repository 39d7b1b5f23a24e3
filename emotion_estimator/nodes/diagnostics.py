"""A node's report on /diagnostics: once a second, in every lifecycle state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.duration import Duration
from rclpy.node import Node

from emotion_estimator.untrusted import as_line


@dataclass
class Health:
    """One report.

    :param values: metrics by name.
    :param message: text if there is neither a warning nor a problem.
    :param warning: something to check although the node works; empty if there is nothing.
    :param problem: what is wrong; empty if nothing is.
    :param failed: whether the problem keeps the node from working (an error, not a warning).
    """

    values: Mapping[str, object] = field(default_factory=dict)
    message: str = 'working'
    warning: str = ''
    problem: str = ''
    failed: bool = False


class DiagnosticsPublisher:
    """Publishes what ``collect`` returns, named after the node with its namespace."""

    def __init__(self, node: Node, collect: Callable[[], Health], period: float = 1.0) -> None:
        """Start publishing every ``period`` seconds, even while simulated time is paused."""
        self._node = node
        self._collect = collect
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        node.create_timer(period, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        """Publish a report now."""
        health = self._collect()
        level = DiagnosticStatus.WARN if health.warning else DiagnosticStatus.OK
        if health.problem:
            level = DiagnosticStatus.ERROR if health.failed else DiagnosticStatus.WARN
        name = self._node.get_fully_qualified_name()
        status = DiagnosticStatus(
            level=level,
            name=name.lstrip('/'),
            message=as_line(health.problem or health.warning or health.message),
            hardware_id=name,
            values=[KeyValue(key=key, value=_text(value)) for key, value in health.values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def publish_last(self) -> None:
        """Publish the last report and wait for its delivery, for half a second at most."""
        self.publish()
        self._publisher.wait_for_all_acked(Duration(seconds=0.5))


def _text(value: object) -> str:
    return f'{value:.2f}' if isinstance(value, float) else as_line(value)
