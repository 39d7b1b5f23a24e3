"""The stopwatch, with a clock that the test moves."""

from __future__ import annotations

import numpy as np
from robot_stub import stub_networks

from emotion_estimator.perception.landmarks.base import FaceLandmarks
from emotion_estimator_training.evaluation.side_by_side import face_times
from emotion_estimator_training.evaluation.timing import MICROSECONDS, MILLISECONDS, Stopwatch


class Clock:
    """A clock in nanoseconds that advances on request."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: float) -> None:
        self.now += round(milliseconds * MILLISECONDS)


def test_median_and_percentile_of_what_was_kept() -> None:
    clock = Clock()
    watch = Stopwatch(clock)
    watch.run('a', lambda: clock.advance(1000), keep=False)
    for milliseconds in (1, 2, 9):
        watch.run('a', lambda taken=milliseconds: clock.advance(taken))
    watch.run('b', lambda: clock.advance(4), repeats=3)
    assert watch.names == ['a', 'b']
    assert watch.median('a', MILLISECONDS) == 2
    assert watch.percentile('a', 100, MILLISECONDS) == 9
    assert watch.median('b', MICROSECONDS) == 4000


def test_calls_take_turns_in_changing_order() -> None:
    watch = Stopwatch()
    orders = {tuple(watch.shuffled('abc')) for _ in range(50)}
    assert len(orders) == 6
    assert all(sorted(order) == ['a', 'b', 'c'] for order in orders)


def test_the_time_of_a_face_is_measured_for_each_network() -> None:
    class Everywhere:
        def __call__(self, frame):
            points = np.random.default_rng(1).uniform(60, 260, (478, 3)).astype(np.float32)
            return (FaceLandmarks(points, np.zeros(52, np.float32), None),)

    stills = np.full((20, 48, 48), 90, np.uint8)
    found = face_times(stub_networks(), None, Everywhere(), stills, 20)
    assert list(found) == ['appearance', 'blendshapes', 'fused']
    assert all(0 < one['median_ms'] <= one['p95_ms'] for one in found.values())
    assert found['appearance']['median_ms'] > found['blendshapes']['median_ms']


def test_a_network_that_sees_no_face_has_no_time() -> None:
    stills = np.full((4, 48, 48), 90, np.uint8)
    assert face_times(stub_networks(), None, lambda frame: (), stills, 4) == {}
