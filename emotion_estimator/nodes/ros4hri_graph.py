"""Who else publishes ROS4HRI's topics, and whether we are the detector or attach to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rclpy.node import Node

#: What we are: the robot's face detector, or an addition to it.
Role = Literal['detector', 'attach']

#: Seconds for which another detector must be gone before its list is ours, and the most: a node
#: that dies and is started again, over and over, must not make the list change hands each time.
_PATIENCE, _MAX_PATIENCE = 3.0, 60.0

#: Types that only nodes of this package publish.
_OURS = 'emotion_estimator/msg/'


@dataclass(frozen=True)
class Others:
    """Other nodes that publish the list of faces.

    :param detectors: full names of face detectors.
    :param estimators: full names of other nodes of this package.
    """

    detectors: tuple[str, ...] = ()
    estimators: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return all of them."""
        return self.detectors + self.estimators


class RoleChoice:
    """Decides what we are; in mode ``auto`` by whether there is another detector.

    We attach to one as soon as it is seen, and take its place only after it has been gone for a
    while, which is longer each time.
    """

    def __init__(self, mode: str) -> None:
        """Begin as the detector, or attached.

        :param mode: the setting ``ros4hri_mode``: auto, detector or attach.
        """
        self._mode = mode
        self._patience = _PATIENCE
        self._last_seen = 0.0
        self.role: Role = 'attach' if mode == 'attach' else 'detector'

    def __call__(self, detectors: bool, now: float) -> Role:
        """Take in whether there are other detectors and return the role.

        :param now: seconds on a clock that never goes back.
        """
        if self._mode != 'auto':
            return self.role
        if detectors:
            self._last_seen, self.role = now, 'attach'
        elif self.role == 'attach' and now - self._last_seen >= self._patience:
            self.role = 'detector'
            self._patience = min(2.0 * self._patience, _MAX_PATIENCE)
        return self.role


def other_publishers(node: Node, topic: str) -> tuple[str, ...]:
    """Return the full names of all other nodes that publish on a topic, sorted.

    A second node of our own name counts as another.
    """
    ours = node.get_fully_qualified_name()
    own = sum(publisher.topic_name == topic for publisher in node.publishers)
    names = [
        f'{info.node_namespace.rstrip("/")}/{info.node_name}'
        for info in node.get_publishers_info_by_topic(topic)
    ]
    others = {name for name in names if name != ours}
    return tuple(sorted(others | ({ours} if names.count(ours) > own else set())))


def other_detectors(node: Node, topic: str) -> Others | None:
    """Return who else publishes the list of faces; None if the graph is not known well enough.

    :param topic: of the list.
    """
    detectors: list[str] = []
    estimators: list[str] = []
    for name in other_publishers(node, topic):
        namespace, _, base = name.rpartition('/')
        try:
            topics = node.get_publisher_names_and_types_by_node(base, namespace or '/')
        except RuntimeError:
            # Its publisher was found before the node itself, or it is just leaving.
            return None
        is_ours = any(kind.startswith(_OURS) for _, kinds in topics for kind in kinds)
        (estimators if is_ours else detectors).append(name)
    return Others(tuple(detectors), tuple(estimators))
