"""What is found in an image turned upright, told of the image as the camera took it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.perception.head_pose import Intrinsics
from emotion_estimator.perception.humans.face_frame import FaceFrame, quaternion
from emotion_estimator.perception.humans.region_match import Region
from emotion_estimator.perception.humans.turned_back import (
    frame_turned_back,
    places_turned_back,
    region_turned_back,
)
from emotion_estimator.perception.mounting import TURNS, turned, turned_camera

WIDTH, HEIGHT = 40, 24
CAMERA = Intrinsics(50.0, 52.0, 18.0, 13.0, WIDTH, HEIGHT)

pixels = st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1))


def in_turned_image(pixel, degrees):
    """Return where a pixel of the camera's image lies once that is turned, and the new size."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[pixel[1], pixel[0]] = 255
    upright = turned(image, degrees)
    ((y, x),) = np.argwhere(upright[..., 0])
    return (int(x), int(y)), (upright.shape[1], upright.shape[0])


@pytest.mark.parametrize('degrees', TURNS)
@given(pixel=pixels)
def test_a_place_is_that_of_its_pixel_before_the_turn(degrees, pixel):
    (x, y), (width, height) = in_turned_image(pixel, degrees)
    # Pixels' centres, in units of the image.
    place = np.array([[(x + 0.5) / width, (y + 0.5) / height]])
    found = places_turned_back(place, degrees)[0] * (WIDTH, HEIGHT) - 0.5
    assert found == pytest.approx(pixel, abs=1e-9)


@pytest.mark.parametrize('degrees', TURNS)
def test_a_region_keeps_its_area_and_its_corners_in_order(degrees):
    region = Region(0.1, 0.2, 0.4, 0.7)
    back = region_turned_back(region, degrees)
    assert back.left < back.right and back.top < back.bottom
    assert back.area == pytest.approx(region.area)
    for _ in range(3):
        back = region_turned_back(back, degrees)
    four = [back.left, back.top, back.right, back.bottom]
    assert four == pytest.approx([0.1, 0.2, 0.4, 0.7])


@pytest.mark.parametrize('degrees', TURNS)
@given(pixel=pixels)
def test_a_frame_lies_on_the_ray_of_its_pixel_and_turns_with_the_camera(degrees, pixel):
    place, size = in_turned_image(pixel, degrees)
    x, y = turned_camera(CAMERA, degrees).ray(*place, size)
    upright = quaternion((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    gaze = (0.0, 0.0, 0.0, 1.0)
    found = frame_turned_back(FaceFrame((2.0 * x, 2.0 * y, 2.0), upright, gaze), degrees)
    expected = CAMERA.ray(*pixel, (WIDTH, HEIGHT))
    assert found.position == pytest.approx((2.0 * expected[0], 2.0 * expected[1], 2.0), abs=1e-9)
    assert found.gaze == gaze
    # Down in the upright image is, in the camera's, one turn less.
    qx, qy, qz, qw = found.rotation
    assert qw >= 0.0
    down = (2 * (qx * qy - qw * qz), 1 - 2 * (qx * qx + qz * qz), 2 * (qy * qz + qw * qx))
    (bx, by), (width, height) = in_turned_image((20, 12), degrees)
    below = np.array([[(bx + 0.5) / width, (by + 1.5) / height]])
    here = np.array([[(bx + 0.5) / width, (by + 0.5) / height]])
    step = (places_turned_back(below, degrees) - places_turned_back(here, degrees))[0]
    assert down[:2] == pytest.approx(step * (WIDTH, HEIGHT), abs=1e-9)
    assert down[2] == pytest.approx(0.0)
