"""Images by their stamps, whatever order they were recorded in."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.bags.stamp_order import WINDOW, Disorder, in_stamp_order

MS = 1_000_000


@dataclass(frozen=True)
class Item:
    nanoseconds: int
    data: bytes


def ordered(*stamps, data=None):
    """Order items of stamps in milliseconds, each with bytes of its own unless data is given."""
    items = [Item(stamp * MS, data or bytes([i])) for i, stamp in enumerate(stamps)]
    disorder = Disorder()
    return [item.nanoseconds // MS for item in in_stamp_order(items, disorder)], disorder


def test_what_is_in_order_stays_and_is_not_talked_of():
    stamps, disorder = ordered(0, 33, 66, 100, 900, 5000)
    assert stamps == [0, 33, 66, 100, 900, 5000]
    assert str(disorder) == ''


def test_what_comes_late_is_put_where_it_belongs():
    stamps, disorder = ordered(0, 100, 66, 200, 133, 300)
    assert stamps == [0, 66, 100, 133, 200, 300]
    assert str(disorder) == 'stamps do not increase: 2 late, sorted in'


def test_a_loop_is_kept_as_a_jump():
    stamps, disorder = ordered(1000, 1500, 2000, 1000, 1500, 2000, 1000)
    assert stamps == [1000, 1500, 2000, 1000, 1500, 2000, 1000]
    assert (disorder.jumps, disorder.late) == (2, 0)
    assert 'jumps back 2 x, first from 2.000 to 1.000 s' in str(disorder)


def test_an_image_recorded_twice_is_read_once():
    stamps, disorder = ordered(0, 0, 33, 33, 66, data=b'same')
    assert stamps == [0, 33, 66]
    assert disorder.repeated == 2


def test_different_images_of_one_stamp_are_all_read_and_reported():
    stamps, disorder = ordered(0, 33, 33, 66, 66, 66)
    assert stamps == [0, 33, 33, 66, 66, 66]
    assert (disorder.shared, disorder.repeated) == (3, 0)
    assert str(disorder) == ('stamps do not increase: 3 with the stamp of another image, all read')


@given(st.lists(st.integers(0, 3000), max_size=60))
def test_nothing_is_lost_and_time_goes_back_only_at_jumps(stamps):
    result, disorder = ordered(*stamps)
    assert sorted(result) == sorted(stamps)
    back = [(a, b) for a, b in pairwise(result) if b < a]
    # Each is a real one: more than the window.
    assert len(back) == disorder.jumps
    assert all(a - b > WINDOW // MS for a, b in back)
    if disorder.jumps:
        assert disorder.first_jump[0] == back[0][0] * MS


@given(st.lists(st.integers(0, 240), max_size=40))
def test_within_the_window_it_is_a_stable_sort(offsets):
    items = [Item(offset * MS, bytes([i])) for i, offset in enumerate(offsets)]
    assert list(in_stamp_order(items, Disorder())) == sorted(items, key=lambda i: i.nanoseconds)


def test_only_the_window_is_held():
    read = []

    def items():
        for number in range(1000):
            read.append(number)
            yield Item(number * 33 * MS, b'')

    for number, _ in enumerate(in_stamp_order(items(), Disorder())):
        assert len(read) - number <= WINDOW // (33 * MS) + 3
