"""The estimator's image topic: subscribed to as the images are published."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from rclpy.topic_endpoint_info import TopicEndpointInfo

from emotion_estimator.errors import InputError
from emotion_estimator.nodes import qos
from emotion_estimator.untrusted import quote_some

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

#: Seconds between looks at who publishes.
_PERIOD = 0.5
#: Seconds within which a publisher that has just come is not expected to be heard.
_PATIENCE = 3.0


class ImageTopic:
    """Subscribes to a topic of images with its publishers' reliability.

    A best-effort subscriber loses most large images of an ordinary driver; a reliable one does not
    hear a best-effort driver at all. ``auto`` is reliable if every publisher is, and looks again
    when publishers come and go. The parameter ``qos_overrides.TOPIC.subscription.reliability``
    takes precedence if it is not ``auto``.
    """

    def __init__(
        self,
        node: Node,
        kind: type[Any],
        topic: str,
        hear: Callable[[Any], None],
        lose: Callable[[int], None],
        reliability: str = 'auto',
    ) -> None:
        """Subscribe.

        :param kind: of the messages.
        :param lose: called with the number of messages that the middleware has just lost.
        :param reliability: ``auto``, ``reliable`` or ``best_effort``.
        :raises InputError: the parameter that overrides it has another value.
        """
        self._node, self._kind, self._hear, self._lose = node, kind, hear, lose
        self.name = node.resolve_topic_name(topic)
        self._wanted = self._overridden(reliability)
        #: Names of the nodes that publish, once for each publisher.
        self.publishers: tuple[str, ...] = ()
        self._published_since = 0.0
        self._unheard = False
        self.reliability = ''
        self._subscription: Subscription[Any] | None = None
        self._look()
        self._timer: Timer | None = node.create_timer(
            _PERIOD, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def close(self) -> None:
        """Unsubscribe; closing twice is harmless."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        self._unsubscribe()

    def established(self) -> tuple[str, ...]:
        """Return the publishers that have been there long enough to be heard."""
        there = time.monotonic() - self._published_since
        return self.publishers if there > _PATIENCE else ()

    def warning(self) -> str:
        """Return what is wrong with the topic's publishers; empty if nothing is."""
        if self._unheard:
            return (
                f'{self.name} is published best effort, which a reliable subscription does not '
                'hear; set image_reliability to auto'
            )
        if len(self.publishers) > 1:
            return (
                f'{len(self.publishers)} publishers on {self.name} '
                f'({quote_some(self.publishers)}): images of several cameras are mixed; '
                'give each camera an estimator in a namespace of its own'
            )
        return ''

    def _overridden(self, reliability: str) -> str:
        name = f'qos_overrides.{self.name}.subscription.reliability'
        if not self._node.has_parameter(name):
            self._node.declare_parameter(name, 'auto')
        given = self._node.get_parameter(name).value
        if given not in ('auto', 'reliable', 'best_effort'):
            raise InputError(f'{name} must be auto, reliable or best_effort, got {given!r}')
        return reliability if given == 'auto' else str(given)

    def _look(self) -> None:
        """Look who publishes, and subscribe again if they need another reliability."""
        found = self._node.get_publishers_info_by_topic(self.name)
        if not self.publishers:
            self._published_since = time.monotonic()
        self.publishers = tuple(sorted(map(_node_name, found)))
        reliable = [one.qos_profile.reliability == ReliabilityPolicy.RELIABLE for one in found]
        self._unheard = self._wanted == 'reliable' and not all(reliable)
        if self._wanted != 'auto':
            suited = self._wanted
        elif found:
            suited = 'reliable' if all(reliable) else 'best_effort'
        else:
            # As most drivers publish.
            suited = self.reliability or 'reliable'
        if suited == self.reliability:
            return
        self._unsubscribe()
        self.reliability = suited
        try:
            self._subscription = self._subscribe(message_lost=self._count_lost)
        except UnsupportedEventTypeError:
            # A middleware that does not count them.
            self._subscription = self._subscribe()

    def _subscribe(self, **events: Callable[[Any], None]) -> Subscription[Any]:
        # By default the first best-effort publisher is logged as one that is not heard.
        callbacks = SubscriptionEventCallbacks(
            use_default_callbacks=self._wanted != 'auto', **events
        )
        return self._node.create_subscription(
            self._kind,
            self.name,
            self._hear,
            qos.images(self.reliability),
            event_callbacks=callbacks,
            qos_overriding_options=qos.OVERRIDABLE_BUT_RELIABILITY,
        )

    def _count_lost(self, lost: Any) -> None:
        self._lose(lost.total_count_change)

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None


def _node_name(publisher: TopicEndpointInfo) -> str:
    # The middleware's placeholder for a node that it has not discovered yet.
    if publisher.node_name == '_NODE_NAME_UNKNOWN_':
        return '?'
    return f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'
