"""Slopes of samples, and what a soak takes for growth."""

from __future__ import annotations

import numpy as np
import pytest
from trend import quarters, slope


def noisy(times, growth, seed=0):
    """Return a line that grows by ``growth`` an hour, with noise."""
    return 100.0 + growth * times / 3600.0 + np.random.default_rng(seed).normal(0, 0.05, len(times))


TIMES = np.arange(0.0, 3600.0, 5.0)


@pytest.mark.parametrize('growth', [-3.0, 0.0, 0.5, 2.0, 40.0])
def test_the_slope_of_a_line_is_found_within_its_interval(growth):
    found = slope(TIMES, noisy(TIMES, growth))
    assert abs(found.value - growth) < 2 * found.margin < 0.2
    assert found.exceeds(1.0) == (growth > 1.0)
    assert found.keeps(1.0) == (growth < 1.0)


def test_steps_between_stretches_are_no_growth():
    stretches = (TIMES // 600).astype(int)
    values = noisy(TIMES, 0.2) + 10.0 * stretches
    assert slope(TIMES, values).value > 50.0
    assert abs(slope(TIMES, values, stretches).value - 0.2) < 0.5


def test_samples_that_follow_each_other_widen_the_interval():
    steps = np.cumsum(np.random.default_rng(1).normal(0, 0.05, len(TIMES)))
    walk = slope(TIMES, 100.0 + steps)
    assert walk.margin > 3 * slope(TIMES, noisy(TIMES, 0.0)).margin


def test_a_handful_of_samples_shows_nothing():
    found = slope([0.0, 5.0], [1.0, 9.0])
    assert not found.exceeds(0.0) and not found.keeps(100.0)


def test_quarters_are_medians():
    assert quarters([1, 1, 9, 1, 5, 5, 5, 5, 7, 7, 7, 70]) == (1.0, 7.0)
