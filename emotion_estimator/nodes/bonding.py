"""The bond by which a lifecycle manager, such as Nav2's, notices that a node's process has died."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from rclpy.node import Node

#: Nav2's topic; each node's name is the id of its bond.
_TOPIC = 'bond'


class Bonding:
    """Keeps a bond while the node is active; does nothing where bondpy is not installed."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._bond: Any = None

    def form(self) -> None:
        """Start a bond, which the manager completes within 10 s, or which ends by itself."""
        self.end()
        try:
            bondpy = importlib.import_module('bondpy.bondpy')
        except ImportError:
            self._node.get_logger().warning(
                'bond is true, but bondpy is not installed (apt install ros-$ROS_DISTRO-bondpy); '
                'no bond is kept'
            )
            return
        name = self._node.get_name()
        self._bond = bondpy.Bond(self._node, _TOPIC, name)
        self._bond.start()

    def end(self) -> None:
        """Break the bond, which tells the manager that the node stops by intent."""
        bond, self._bond = self._bond, None
        if bond is not None:
            # The context may be gone already.
            with contextlib.suppress(Exception):
                bond.shutdown()
