"""Images by their stamps, whatever order they were recorded in."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.bags.stamp_order import (
    MAX_WAITING,
    WINDOW,
    Disorder,
    Unstamped,
    in_stamp_order,
)

MS = 1_000_000


@dataclass(frozen=True)
class Item:
    nanoseconds: int
    data: bytes


@dataclass(frozen=True)
class Word(Unstamped):
    """Something between the items, with its place among all."""

    number: int


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


#: Stamps in milliseconds; None is something without a stamp.
mixed = st.lists(st.none() | st.integers(0, 3000), max_size=60)


@given(mixed)
def test_what_has_no_stamp_keeps_its_order_and_comes_before_what_followed_it(stamps):
    given_items = [
        Word(i) if stamp is None else Item(stamp * MS, bytes([i])) for i, stamp in enumerate(stamps)
    ]
    result = list(in_stamp_order(given_items, Disorder()))
    words = [item for item in result if isinstance(item, Word)]
    assert words == [item for item in given_items if isinstance(item, Word)]
    stamped = [item for item in given_items if isinstance(item, Item)]
    # It changes nothing about the others.
    assert [item for item in result if isinstance(item, Item)] == list(
        in_stamp_order(stamped, Disorder())
    )
    # A word comes right before the first item that it was before.
    for place, item in enumerate(result):
        if isinstance(item, Word):
            before = [other.data[0] for other in result[:place] if isinstance(other, Item)]
            after = [other.data[0] for other in result[place:] if isinstance(other, Item)]
            assert all(number < item.number for number in before)
            assert not after or after[0] > item.number


def test_it_waits_for_what_is_late_but_not_for_ever():
    items = [Item(0, b'0'), Item(100 * MS, b'1'), Word(2), Item(66 * MS, b'3'), Word(4)]
    order = [items[0], items[2], items[3], items[1], items[4]]
    assert list(in_stamp_order(items, Disorder())) == order

    read = []

    def many():
        yield Item(0, b'')
        for number in range(10 * MAX_WAITING):
            read.append(number)
            yield Word(number)
        yield Item(100 * MS, b'')

    result = []
    for item in in_stamp_order(many(), Disorder()):
        result.append(item)
        assert len(read) - len(result) <= MAX_WAITING + 1
    assert result == list(many())
