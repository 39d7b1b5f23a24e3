"""The 70 points of hri_msgs/FacialLandmarks among those of the mesh."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.perception.face_parts import PARTS
from emotion_estimator.perception.head_pose import _MIDLINE, _PAIRS
from emotion_estimator.perception.humans.facial_points import FACIAL_POINTS, facial_points

#: dlib's points and their mirror images.
MIRROR = [
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1), 45, 44, 43, 42, 47,
    46, 39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60,
    67, 66, 65, 69, 68,
]  # fmt: skip


def canonical() -> dict[int, tuple[float, float]]:
    """Return points of MediaPipe's mean face (x to the right in the image, y down)."""
    places = {index: (0.0, y) for index, y, _, _ in _MIDLINE}
    for right, left, x, y, _, _ in _PAIRS:
        places[right], places[left] = (-x, y), (x, y)
    return places


def test_each_point_is_another():
    assert len(FACIAL_POINTS) == len(set(FACIAL_POINTS)) == 70
    assert max(FACIAL_POINTS) < 478


@pytest.mark.parametrize(
    ('part', 'points'),
    [
        ('right_eye', range(36, 42)),
        ('left_eye', range(42, 48)),
        ('right_eyebrow', range(17, 22)),
        ('left_eyebrow', range(22, 27)),
        ('mouth', range(48, 60)),
    ],
)
def test_the_points_of_a_part_belong_to_it(part, points):
    assert {FACIAL_POINTS[i] for i in points} <= set(PARTS[part])


def test_pairs_of_the_mean_face_are_pairs_here():
    pairs = {right: left for right, left, *_ in _PAIRS}
    found = 0
    for i, point in enumerate(FACIAL_POINTS):
        if point in pairs:
            assert FACIAL_POINTS[MIRROR[i]] == pairs[point]
            found += 1
    # 127, 132, 136, 33, 133: ear, jaw twice, corners of the eye.
    assert found == 5
    assert FACIAL_POINTS[27] in canonical() and FACIAL_POINTS[30] in canonical()


def test_points_are_scaled_and_those_outside_moved_to_the_edge():
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[FACIAL_POINTS[0]] = (64, 48, 5)
    landmarks[FACIAL_POINTS[8]] = (700, 240, 5)
    landmarks[FACIAL_POINTS[9]] = (np.nan, -3, 5)
    places, inside = facial_points(landmarks, 640, 480)
    assert places[0].tolist() == pytest.approx([0.1, 0.1]) and inside[0] == 1
    assert places[8].tolist() == pytest.approx([1.0, 0.5]) and inside[8] == 0
    assert places[9].tolist() == [0, 0] and inside[9] == 0


@given(st.lists(st.floats(width=32), min_size=140, max_size=140))
def test_any_numbers_become_shares(numbers):
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[list(FACIAL_POINTS), :2] = np.array(numbers, np.float32).reshape(70, 2)
    places, inside = facial_points(landmarks, 640, 480)
    assert ((places >= 0) & (places <= 1)).all()
    assert set(inside.tolist()) <= {0.0, 1.0}
