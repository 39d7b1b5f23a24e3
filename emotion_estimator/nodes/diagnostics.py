"""What a node says of itself on /diagnostics, once a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.duration import Duration
from rclpy.node import Node


@dataclass
class Health:
    """One report: values for people and monitors, and the problem if there is one.

    :param problem: empty when all is well.
    :param failed: True when the node cannot do its work, False when it does it impaired.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ''
    failed: bool = False


def publish_diagnostics(
    node: Node, collect: Callable[[], Health], period: float = 1.0
) -> Callable[[], None]:
    """Publish ``collect()`` every ``period`` seconds under the node's name.

    :returns: publishes at once and waits until it was heard, half a second at most: for the last
        report of a node that ends.
    """
    publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def publish() -> None:
        health = collect()
        level = DiagnosticStatus.OK
        if health.problem:
            level = DiagnosticStatus.ERROR if health.failed else DiagnosticStatus.WARN
        status = DiagnosticStatus(
            level=level,
            name=node.get_name(),
            message=health.problem or 'working',
            hardware_id=node.get_fully_qualified_name(),
            values=[KeyValue(key=key, value=_text(value)) for key, value in health.values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)

    def publish_last() -> None:
        publish()
        publisher.wait_for_all_acked(Duration(seconds=0.5))

    node.create_timer(period, publish)
    return publish_last


def _text(value: Any) -> str:
    return f'{value:.2f}' if isinstance(value, float) else str(value)
