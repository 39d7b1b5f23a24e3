"""Our faces among those of another detector."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.emotion import Roi, overlap
from emotion_estimator.perception.humans.region_match import Region, RegionMatcher

LEFT, RIGHT = Region(0.1, 0.3, 0.3, 0.6), Region(0.6, 0.3, 0.8, 0.6)
NUMBERS = st.integers(0, 50)


def moved(region: Region, x: float, y: float = 0.0) -> Region:
    return Region(region.left + x, region.top + y, region.right + x, region.bottom + y)


def matcher(**seen: Region) -> RegionMatcher:
    match = RegionMatcher()
    for name, region in seen.items():
        match.add(name, 10.0, region)
    return match


def test_each_face_is_the_one_in_its_place():
    match = matcher(a=moved(LEFT, 0.02, -0.03), b=moved(RIGHT, -0.02))
    assert match({'ours_1': RIGHT, 'ours_2': LEFT}, 10.0) == {'ours_1': 'b', 'ours_2': 'a'}


def test_a_face_that_only_one_of_us_sees_has_no_partner():
    assert matcher(a=LEFT)({'ours_1': RIGHT}, 10.0) == {}
    assert matcher(a=LEFT)({}, 10.0) == {}
    assert matcher()({'ours_1': RIGHT}, 10.0) == {}


def test_two_of_ours_never_share_one_of_theirs():
    match = matcher(a=LEFT)
    assert match({'near': moved(LEFT, 0.05), 'exact': LEFT}, 10.0) == {'exact': 'a'}


@pytest.mark.parametrize(('lag', 'found'), [(0.45, True), (-0.45, True), (0.55, False)])
def test_regions_count_only_near_in_time(lag, found):
    assert bool(matcher(a=LEFT)({'ours': LEFT}, 10.0 + lag)) is found


def test_the_region_nearest_in_time_counts():
    match = RegionMatcher()
    for i in range(20):
        match.add('a', 10.0 + 0.05 * i, moved(LEFT, 0.03 * i))
    # At 10.25 it was there, before and after elsewhere; a late answer finds it.
    assert match({'ours': moved(LEFT, 0.15)}, 10.25) == {'ours': 'a'}
    assert match({'ours': LEFT}, 10.95) == {}


def test_pairs_stay_while_two_faces_pass_each_other():
    match = matcher(a=LEFT, b=moved(LEFT, 0.1))
    assert match({'ours': LEFT}, 10.0) == {'ours': 'a'}
    # Now a little nearer to b.
    assert match({'ours': moved(LEFT, 0.055)}, 10.05) == {'ours': 'a'}
    assert matcher(a=LEFT, b=moved(LEFT, 0.1))({'ours': moved(LEFT, 0.055)}, 10.05) == {'ours': 'b'}


def test_a_face_that_is_gone_is_forgotten():
    match = matcher(a=LEFT, b=RIGHT)
    match.keep(['b'])
    assert match({'one': LEFT, 'two': RIGHT}, 10.0) == {'two': 'b'}


@pytest.mark.parametrize(
    'region', [Region(0.3, 0.3, 0.1, 0.6), Region(0, 0, 0, 0), Region(math.nan, 0, 1, 1)]
)
def test_an_empty_region_is_nobody(region):
    match = matcher(a=region)
    assert match({'ours': region}, 10.0) == {}
    assert match({'ours': LEFT}, 10.0) == {}


@given(*[NUMBERS] * 8)
def test_overlap_is_that_of_pixels(a, b, c, d, e, f, g, h):
    one, other = Roi(a, b, c + 1, d + 1), Roi(e, f, g + 1, h + 1)
    regions = [
        Region(r.x / 100, r.y / 100, (r.x + r.width) / 100, (r.y + r.height) / 100)
        for r in (one, other)
    ]
    assert regions[0].overlap(regions[1]) == pytest.approx(overlap(one, other), abs=1e-9)


@given(st.permutations(range(6)), st.floats(-0.02, 0.02))
def test_any_order_of_faces_finds_the_same_pairs(order, shift):
    places = [Region(0.16 * i, 0.2, 0.16 * i + 0.12, 0.5) for i in range(6)]
    match = matcher(**{f'their_{i}': moved(place, shift) for i, place in enumerate(places)})
    pairs = match({f'our_{i}': places[i] for i in order}, 10.0)
    assert pairs == {f'our_{i}': f'their_{i}' for i in range(6)}
