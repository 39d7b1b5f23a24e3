"""What a node says of itself on /diagnostics, once a second, in every state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.duration import Duration
from rclpy.node import Node


@dataclass
class Health:
    """One report: values for people and monitors, and the problem if there is one.

    :param message: what to say when there is no problem.
    :param warning: what to look at although the work goes on; empty when there is nothing.
    :param problem: empty when all is well.
    :param failed: True when the node cannot do its work, False when it does it impaired.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    message: str = 'working'
    warning: str = ''
    problem: str = ''
    failed: bool = False


class DiagnosticsPublisher:
    """Publishes what ``collect`` returns, under the node's full name without its first slash."""

    def __init__(self, node: Node, collect: Callable[[], Health], period: float = 1.0) -> None:
        """Begin; ``period`` is in seconds of the steady clock, so that a paused bag is no death."""
        self._node = node
        self._collect = collect
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        node.create_timer(period, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        """Report now."""
        health = self._collect()
        level = DiagnosticStatus.WARN if health.warning else DiagnosticStatus.OK
        if health.problem:
            level = DiagnosticStatus.ERROR if health.failed else DiagnosticStatus.WARN
        name = self._node.get_fully_qualified_name()
        status = DiagnosticStatus(
            level=level,
            name=name.lstrip('/'),
            message=health.problem or health.warning or health.message,
            hardware_id=name,
            values=[KeyValue(key=key, value=_text(value)) for key, value in health.values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def publish_last(self) -> None:
        """Report and wait until it was heard, half a second at most: the node ends."""
        self.publish()
        self._publisher.wait_for_all_acked(Duration(seconds=0.5))


def _text(value: Any) -> str:
    return f'{value:.2f}' if isinstance(value, float) else str(value)
