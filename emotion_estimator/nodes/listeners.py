"""Whether anybody subscribes to what a node publishes, so that nothing is computed for nobody."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

#: Seconds without a subscriber after which there is nobody: a listener that is started again, or a
#: `ros2 topic echo --once` after another, does not stop and start the work.
PATIENCE = 5.0


class Listeners:
    """Looks at the subscribers of some publishers."""

    def __init__(self, patience: float = PATIENCE) -> None:
        """Begin as if there had just been somebody, so that a start is not delayed.

        :param patience: seconds that the last one counts on.
        """
        self._patience = patience
        self._last = time.monotonic()

    def present(self, publishers: Iterable[Any]) -> bool:
        """Return whether one of the publishers has a subscriber, or had one lately.

        :param publishers: of rclpy.
        """
        now = time.monotonic()
        if any(publisher.get_subscription_count() for publisher in publishers):
            self._last = now
        return now - self._last < self._patience
