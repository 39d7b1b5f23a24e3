"""Late images, bags that loop and two cameras on one topic, by their stamps alone."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.perception.stream_order import LATE, StreamOrder

periods = st.sampled_from([1 / 60, 1 / 30, 1 / 15, 1 / 5])
seeds = st.integers(0, 2**32 - 1)


def taken(order, stamps):
    """Return the stamps of the images that are taken."""
    return [stamp for stamp in stamps if order(stamp)]


def jumps_back(stamps):
    return sum(after < before for before, after in itertools.pairwise(stamps))


@given(period=periods, jitter=st.floats(0.0, 0.15), seed=seeds)
def test_jitter_drops_late_images_and_never_starts_over(period, jitter, seed):
    noise = random.Random(seed)
    stamps = [50.0 + period * n for n in range(200)]
    arriving = sorted(stamps, key=lambda stamp: stamp + noise.uniform(0.0, jitter))
    order = StreamOrder()
    kept = taken(order, arriving)
    assert jumps_back(kept) == 0
    assert order.late == len(stamps) - len(kept)
    # A stream that arrives in order is taken whole; otherwise what is newer than all before it.
    assert kept == [s for n, s in enumerate(arriving) if s == max(arriving[: n + 1])]
    assert not order.mixed


@given(period=periods, seconds=st.floats(1.2, 60.0), rounds=st.integers(2, 4))
def test_a_loop_is_taken_from_its_first_image_on(period, seconds, rounds):
    one = [100.0 + period * n for n in range(int(seconds / period) + 2)]
    order = StreamOrder()
    assert taken(order, one * rounds) == one * rounds
    assert order.late == 0


@given(period=periods, back=st.floats(0.15, LATE))
def test_a_small_jump_back_that_lasts_is_followed_soon(period, back):
    before = [100.0 + period * n for n in range(60)]
    after = [before[-1] - back + period * n for n in range(1, 60)]
    order = StreamOrder()
    kept = taken(order, before + after)
    assert kept[:60] == before
    lost = len(after) - (len(kept) - 60)
    assert lost * period <= 0.3 + 2 * period
    assert kept[60:] == after[lost:]


@given(period=periods, apart=st.floats(1.5, 1e6), seed=seeds)
def test_of_two_cameras_with_different_clocks_one_is_followed(period, apart, seed):
    noise = random.Random(seed)
    images = sorted(
        (period * n + noise.uniform(0.0, period), offset + period * n)
        for n in range(150)
        for offset in (2e6, 2e6 - apart)
    )
    order = StreamOrder()
    kept = taken(order, [stamp for _, stamp in images])
    assert order.mixed
    assert jumps_back(kept) <= 1
    assert sum(stamp >= 2e6 for stamp in kept) >= 149
    # Alone again, the camera that was not followed becomes the stream.
    alone = [2e6 - apart + period * n for n in range(150, 300)]
    assert taken(order, alone)[-1] == alone[-1]
    alone = [2e6 + 1e4 + period * n for n in range(150)]
    assert taken(order, alone) == alone
    assert not order.mixed


def test_equal_stamps_are_all_taken():
    order = StreamOrder()
    assert taken(order, [7.0] * 5) == [7.0] * 5


def test_after_a_restart_any_stamp_is_taken():
    order = StreamOrder()
    assert taken(order, [7.0, 6.9]) == [7.0]
    order.restart()
    assert taken(order, [6.9, 6.95]) == [6.9, 6.95]
