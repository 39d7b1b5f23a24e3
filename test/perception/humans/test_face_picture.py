"""Pictures of single faces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.emotion import Roi
from emotion_estimator.perception.humans.face_picture import aligned_picture, cropped_picture

IMAGE = np.full((480, 640, 3), (10, 20, 30), np.uint8)


def test_a_box_fills_the_square_as_far_as_its_shape_allows():
    image = IMAGE.copy()
    image[100:300, 200:300] = (200, 100, 50)
    picture = cropped_picture(image, Roi(200, 100, 100, 200))
    assert picture.shape == (128, 128, 3)
    assert (picture[:, 32:96] == (200, 100, 50)).all()
    assert not picture[:, :32].any() and not picture[:, 96:].any()


@pytest.mark.parametrize('roi', [Roi(10, 10, 0, 5), Roi(700, 10, 50, 50), Roi(-60, 10, 50, 50)])
def test_a_box_outside_the_image_has_no_picture(roi):
    assert cropped_picture(IMAGE, roi) is None


@given(*[st.integers(-700, 700)] * 2, *[st.integers(1, 900)] * 2)
def test_any_box_with_a_part_of_the_image_has_one(x, y, width, height):
    picture = cropped_picture(IMAGE, Roi(x, y, width, height))
    shows = x < 640 and y < 480 and x + width > 0 and y + height > 0
    assert (picture is not None) is shows
    if picture is not None:
        assert picture.shape == (128, 128, 3) and picture.any()


@pytest.mark.parametrize('angle', [-60, -20, 0, 35, 90])
def test_eyes_of_an_aligned_face_are_level(angle):
    # Two bright spots at the outer corners of the eyes, the other rigid points around them.
    rng = np.random.default_rng(0)
    landmarks = rng.normal(0, 12, (478, 3)).astype(np.float32)
    landmarks[33, :2], landmarks[263, :2] = (-30, 0), (30, 0)
    turn = np.radians(angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    landmarks[:, :2] = landmarks[:, :2] @ rotation.T + (320, 240)
    image = np.zeros((480, 640, 3), np.uint8)
    for eye in (33, 263):
        x, y = np.rint(landmarks[eye, :2]).astype(int)
        image[y - 3 : y + 4, x - 3 : x + 4] = 255
    picture = aligned_picture(image, landmarks)
    rows, columns = np.nonzero(picture[..., 0] > 100)
    left, right = columns < columns.mean(), columns > columns.mean()
    assert abs(rows[left].mean() - rows[right].mean()) < 2
    assert columns[right].mean() - columns[left].mean() > 20


@pytest.mark.parametrize('landmarks', [np.zeros(0), np.zeros((478, 3)), np.full((478, 3), np.nan)])
def test_landmarks_that_form_no_face_have_no_picture(landmarks):
    assert aligned_picture(IMAGE, landmarks.astype(np.float32)) is None
