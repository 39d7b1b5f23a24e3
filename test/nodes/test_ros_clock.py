"""When a ROS clock stands still, and when it only seems to."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')

from types import SimpleNamespace

from rosgraph_msgs.msg import Clock

from emotion_estimator.nodes.ros_clock import RosClockWatch


class StoodNode:
    """What the watch uses of a node, with a clock that is set by messages."""

    def __init__(self, publishers=1):
        self.now, self.lines, self._publishers = 0, [], publishers
        self._time_source = SimpleNamespace(clock_callback=self._take, _clock_sub=None)

    def _take(self, message):
        if message.clock.sec < 0:
            raise ValueError('Seconds value must not be negative')
        self.now = message.clock.sec * 10**9

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.now))

    def count_publishers(self, topic):
        return self._publishers

    def get_logger(self):
        return SimpleNamespace(error=lambda line, **_: self.lines.append(line))


def clock(seconds):
    message = Clock()
    message.clock.sec = seconds
    return message


@pytest.fixture
def watched():
    node, real = StoodNode(), SimpleNamespace(time=100.0)
    watch = RosClockWatch(node, lambda: real.time)

    def after(seconds, *messages):
        real.time += seconds
        for message in messages:
            node._time_source.clock_callback(message)
        return watch.problem()

    return node, watch, after


def test_a_clock_that_stands_still_is_a_problem_until_it_advances(watched):
    _, _, after = watched
    assert after(1.0, clock(7)) == ''
    assert after(4.0) == ''
    assert after(2.0).startswith('the clock has stood still at 7.000 s for 6 s; continue')
    assert after(1.0, clock(8)) == ''


def test_a_bag_that_goes_round_between_two_looks_has_not_stood(watched):
    _, _, after = watched
    assert after(1.0, clock(7)) == ''
    for _ in range(5):
        # It ends where it ended before.
        assert after(3.0, clock(1), clock(7)) == ''


def test_without_a_publisher_the_advice_is_another():
    node, real = StoodNode(publishers=0), SimpleNamespace(time=100.0)
    watch = RosClockWatch(node, lambda: real.time)
    real.time += 9.0
    assert 'nothing publishes /clock; start the simulation' in watch.problem()


def test_a_negative_time_is_ignored_logged_and_counted(watched):
    node, watch, after = watched
    assert after(1.0, clock(7), clock(-3)) == ''
    assert (node.now, watch.wrong) == (7 * 10**9, 1)
    assert node.lines == ['time on /clock ignored: -3.000000000 s is negative']
