from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emotion_estimator.errors import InputError
from emotion_estimator.perception.head_pose import Intrinsics
from emotion_estimator.perception.mounting import (
    TURNS,
    Mounting,
    look_around,
    turned,
    turned_camera,
)

IMAGES = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda size: hnp.arrays(np.uint8, (*size, 3))
)
DEGREES = st.sampled_from(TURNS)


@given(image=IMAGES, degrees=DEGREES)
def test_images_turn_clockwise(image, degrees):
    read = turned(image, degrees)
    np.testing.assert_array_equal(read, np.rot90(image, -degrees // 90))
    assert read.flags['C_CONTIGUOUS']


@given(
    camera=st.builds(
        Intrinsics,
        *[st.floats(50, 2000)] * 2, *[st.floats(-100, 900)] * 2, *[st.integers(2, 2000)] * 2,
    ),
    x=st.integers(0, 1999), y=st.integers(0, 1999), degrees=DEGREES,
)  # fmt: skip
def test_a_pixel_has_the_same_ray_in_the_turned_camera_but_turned(camera, x, y, degrees):
    x, y = x % camera.width, y % camera.height
    across, down = camera.ray(x, y, (camera.width, camera.height))
    for _ in range(degrees // 90):
        # Clockwise: right becomes down, down becomes left.
        across, down = -down, across
    place = {
        0: (x, y),
        90: (camera.height - 1 - y, x),
        180: (camera.width - 1 - x, camera.height - 1 - y),
        270: (y, camera.width - 1 - x),
    }[degrees]
    new = turned_camera(camera, degrees)
    size = (camera.height, camera.width) if degrees in (90, 270) else (camera.width, camera.height)
    assert (new.width, new.height) == size
    assert new.ray(*place, size) == pytest.approx((across, down), abs=1e-6)


def test_other_turns_are_refused():
    with pytest.raises(InputError, match='got 45'):
        turned(np.zeros((2, 2, 3), np.uint8), 45)
    with pytest.raises(InputError, match="got '45'"):
        Mounting('45')


def watch(mounting, right, seconds, *, start=0.0, rate=15.0, present=lambda stamp: True):
    """Run a stream whose faces are upright after a turn by ``right``; return looks and changes."""
    looks, changes = [], []
    for n in range(round(seconds * rate)):
        stamp = start + n / rate
        there = present(stamp)
        other = mounting.after_image(stamp, upright_face=there and mounting.degrees == right)
        if other is not None:
            looks.append((stamp, other))
            if mounting.after_look(other, upright_face=there and other == right):
                changes.append((stamp, mounting.degrees))
    return looks, changes


@pytest.mark.parametrize('right', [90, 180, 270])
def test_auto_takes_the_right_turn_once_within_ten_seconds(right):
    mounting = Mounting('auto')
    looks, changes = watch(mounting, right, 30)
    assert [degrees for _, degrees in changes] == [right]
    assert changes[0][0] < 10
    assert looks[0][0] >= 3 - 0.1
    assert looks[-1][0] <= changes[0][0]
    assert mounting.hint == ''


@pytest.mark.parametrize(('fixed', 'right'), [('0', 90), ('90', 0), ('180', 270)])
def test_a_fixed_turn_stays_and_gives_a_hint(fixed, right):
    mounting = Mounting(fixed)
    assert watch(mounting, right, 20)[1] == []
    assert mounting.degrees == int(fixed)
    assert mounting.hint == (
        f'faces appear only after turning by {right} degrees; set rotate:={right}'
    )
    watch(mounting, int(fixed), 1, start=20)
    assert mounting.hint == ''


@pytest.mark.parametrize('rotate', ['0', 'auto'])
def test_an_upright_camera_is_never_looked_at_from_other_sides(rotate):
    mounting = Mounting(rotate)
    assert watch(mounting, 0, 5)[0] == []
    # Nobody is there for a long time.
    assert watch(mounting, 0, 100, start=5, present=lambda stamp: False)[0] == []


@given(
    rotate=st.sampled_from([*map(str, TURNS), 'auto']),
    seen=st.lists(st.tuples(st.floats(0.0, 2.0), st.booleans(), st.booleans()), max_size=200),
)
def test_looks_are_rare_and_only_sought_without_a_face(rotate, seen):
    mounting = Mounting(rotate)
    stamp, last_look, without, hits = 0.0, -np.inf, 0.0, dict.fromkeys(TURNS, 0)
    for step, upright, other_upright in seen:
        stamp += step
        before = mounting.degrees
        other = mounting.after_image(stamp, upright_face=upright)
        without = 0.0 if upright else without + step
        if upright:
            hits = dict.fromkeys(TURNS, 0)
        if other is None:
            assert mounting.degrees == before
            continue
        assert other in TURNS
        assert other != mounting.degrees
        assert stamp - last_look >= 1.0 - 1e-6
        assert without >= (3.0 if rotate == 'auto' else 10.0) - 1e-6
        last_look = stamp
        hits[other] = hits[other] + 1 if other_upright else 0
        changed = mounting.after_look(other, upright_face=other_upright)
        assert changed == (rotate == 'auto' and hits[other] == 3)
        assert mounting.degrees == (other if changed else before)
        if changed:
            hits = dict.fromkeys(TURNS, 0)


@given(noise=st.lists(st.booleans(), min_size=90, max_size=90))
def test_single_false_faces_change_nothing(noise):
    """A look in vain between two faces starts the count again."""
    mounting = Mounting('auto')
    in_a_row = 0
    for n, false_face in enumerate(noise):
        other = mounting.after_image(n * 0.5, upright_face=False)
        if other is not None:
            sees = false_face and in_a_row < 2
            in_a_row = in_a_row + 1 if sees else 0
            assert not mounting.after_look(other, upright_face=sees)
    assert mounting.degrees == 0


def test_a_stream_that_begins_again_is_no_time_without_faces():
    mounting = Mounting('auto')
    assert mounting.after_image(0.0, upright_face=False) is None
    assert mounting.after_image(100.0, upright_face=False) is None
    assert mounting.after_image(50.0, upright_face=False) is None


class BrokenEstimator:
    """Stands for a landmark source that fails."""

    saw_upright_face = False

    def shows_upright_face(self, image):
        raise RuntimeError('the graph is broken')


def test_a_look_that_fails_is_no_face_and_ends_nothing():
    mounting = Mounting('auto')
    image = np.zeros((8, 8, 3), np.uint8)
    assert not any(look_around(mounting, image, 0.5 * n, BrokenEstimator()) for n in range(40))
    assert mounting.degrees == 0
