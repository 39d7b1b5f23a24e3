"""The node's ROS clock: what is wrong with it, and that no message can stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

#: Seconds for which the clock may stand still.
_STUCK = 5.0


class RosClockWatch:
    """Notices a ROS clock that stands still, which is silent death for all that waits for it.

    Without ``use_sim_time`` it follows the system's clock and advances.
    """

    def __init__(self, node: Node, clock: Callable[[], float] = time.monotonic) -> None:
        """Watch the clock of ``node``, and let it survive any message on ``/clock``.

        :param clock: returns real time in seconds.
        """
        self._node, self._clock = node, clock
        self._last = self._now()
        self._since = clock()
        #: Messages on ``/clock`` that are no time.
        self.wrong = 0
        self._survive_wrong_times()

    def problem(self) -> str:
        """Return what is wrong and what to do; empty while the clock advances.

        To be called about once a second.
        """
        now = self._note()
        stood = self._clock() - self._since
        if stood < _STUCK:
            return ''
        if self._node.count_publishers('/clock') == 0:
            return (
                f'the clock has stood still for {stood:.0f} s: use_sim_time is set, but nothing '
                'publishes /clock; start the simulation, play the bag with --clock, or set '
                'use_sim_time to false'
            )
        return (
            f'the clock has stood still at {now * 1e-9:.3f} s for {stood:.0f} s; continue the '
            'simulation or bag that publishes /clock, or set use_sim_time to false'
        )

    def _note(self) -> int:
        """Return the time in nanoseconds; note if it has changed."""
        now = self._now()
        if now != self._last:
            self._last, self._since = now, self._clock()
        return now

    def _now(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _survive_wrong_times(self) -> None:
        """Ignore what is no time on ``/clock``: rclpy lets it raise out of the executor."""
        source: Any = self._node._time_source
        take = source.clock_callback

        def take_if_time(message: Any) -> None:
            try:
                take(message)
            except (ValueError, OverflowError, RuntimeError):
                self.wrong += 1
                self._node.get_logger().error(
                    f'time on /clock ignored: {message.clock.sec}.{message.clock.nanosec:09d} s is '
                    'negative',
                    throttle_duration_sec=5.0,
                )
                return
            # Here too: between two looks a bag may go round and stop where it stood.
            self._note()

        # For the subscription to come, and for the one that is there.
        source.clock_callback = take_if_time
        if source._clock_sub is not None:
            source._clock_sub.callback = take_if_time
