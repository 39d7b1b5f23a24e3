from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.sources.film_stamps import FilmStamps


def stamps(times, pause=10.0, start=0.0):
    clock = FilmStamps(start, 0.1, pause)
    return [clock.stamp(time) for time in times]


@pytest.mark.parametrize(
    ('times', 'expected'),
    [
        ([5.0, 5.1, 5.4], [0.0, 0.1, 0.4]),
        # A single wrong time leaves the others as they are.
        ([0.0, 0.1, 0.05, 0.3, 0.4], [0.0, 0.1, 0.2, 0.3, 0.4]),
        ([0.0, 0.1, None, 0.4], [0.0, 0.1, 0.2, 0.4]),
        ([None, 7.0, 7.3], [0.0, 0.1, 0.4]),
        # Joined recordings go on.
        ([0.0, 0.1, 95342.0, 95342.2], [0.0, 0.1, 0.2, 0.4]),
        ([9.0, 9.1, 0.0, 0.2, 0.3], [0.0, 0.1, 0.2, 0.4, 0.5]),
        # A pause is believed up to its limit.
        ([0.0, 9.0, 18.0], [0.0, 9.0, 18.0]),
        ([0.0, 11.0, 11.5], [0.0, 0.1, 0.6]),
        ([3.0, 3.0, 3.0], [0.0, 0.1, 0.2]),
    ],
)
def test_times_that_cannot_be_are_replaced(times, expected):
    assert stamps(times) == pytest.approx(expected)


def test_the_first_stamp_is_given():
    assert stamps([8.0, 8.5], start=2.0) == [2.0, 2.5]


@given(st.lists(st.floats(width=64) | st.none(), max_size=30), st.floats(0.001, 1e6))
def test_stamps_increase_and_no_step_is_beyond_the_pause(times, pause):
    clock = FilmStamps(0.0, 0.1, pause)
    found = [clock.stamp(time) for time in times]
    for before, after in pairwise(found):
        assert after > before
        assert after - before <= max(pause, 0.1) * 1.001 + 1e-6
