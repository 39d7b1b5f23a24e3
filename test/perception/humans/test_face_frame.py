"""Frames of faces and gazes, against faces put into the world and projected."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.emotion import LABELS, FaceEmotion, Roi
from emotion_estimator.perception.head_pose import _CENTRED, _PLACES, _POINTS, HeadPose, Intrinsics
from emotion_estimator.perception.humans.face_frame import (
    _BEHIND,
    _BELOW,
    USUAL_FIELD_OF_VIEW,
    face_frame,
    gaze_rotation,
    head_axes,
    quaternion,
    usual_camera,
)

CAMERA = Intrinsics(600.0, 600.0, 320.0, 240.0, 640, 480)
ANGLES = st.floats(-40, 40)


def matrix(q) -> np.ndarray:
    """Return the rotation matrix of a quaternion (x, y, z, w)."""
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Return a rotation in axes of the camera, of a face that looked at it: right, down, away."""
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def photographed(rotation: np.ndarray, metres: tuple[float, float, float]) -> FaceEmotion:
    """Return a mean face whose sellion is at a place, as MediaPipe sees it: by weak perspective."""
    sellion = _PLACES[list(_POINTS).index(6)]
    x, y, z = metres
    landmarks = np.zeros((478, 3), np.float32)
    placed = 0.01 * (_PLACES - sellion) @ rotation.T
    scale = CAMERA.fx / z
    landmarks[_POINTS] = scale * placed
    landmarks[_POINTS, :2] += (scale * x + CAMERA.cx, scale * y + CAMERA.cy)
    return FaceEmotion(
        'face_1', 'happy', 1.0, LABELS, np.zeros(3), Roi(0, 0, 9, 9), landmarks=landmarks
    )


def test_the_sellion_is_that_of_the_mean_face():
    assert _CENTRED[list(_POINTS).index(6)] == pytest.approx([0, _BELOW, _BEHIND], abs=0.01)


@given(st.floats(-179, 179), st.floats(-89, 89), st.floats(-179, 179))
def test_axes_and_angles_of_a_head_say_the_same(yaw, pitch, roll):
    axes = head_axes(yaw, pitch, roll)
    assert HeadPose(axes, (0, 0), 1).angles == pytest.approx((yaw, pitch, roll), abs=1e-5)
    np.testing.assert_allclose(np.array(axes) @ np.array(axes).T, np.eye(3), atol=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1)


def test_a_face_that_looks_into_the_camera_a_metre_away():
    frame = face_frame(photographed(np.eye(3), (0, 0, 1)), CAMERA, 640, 480)
    assert frame.position == pytest.approx((0, 0, 1), abs=0.07)
    forward, left, up = matrix(frame.rotation).T
    # Towards the camera, to the image's right, up.
    assert forward == pytest.approx([0, 0, -1], abs=0.03)
    assert left == pytest.approx([1, 0, 0], abs=0.03)
    assert up == pytest.approx([0, -1, 0], abs=0.03)


@given(ANGLES, ANGLES, ANGLES)
def test_the_rotation_is_the_heads(yaw, pitch, roll):
    rotation = turned(yaw, pitch, roll)
    frame = face_frame(photographed(rotation, (0, 0, 1)), CAMERA, 640, 480)
    right, down, back = rotation.T
    found = matrix(frame.rotation)
    # The face's centre is a few centimetres from the optical axis: up to 3 degrees.
    np.testing.assert_allclose(found, np.stack([-back, right, -down], axis=1), atol=0.06)
    assert np.linalg.det(found) == pytest.approx(1.0)


@given(st.floats(-0.3, 0.3), st.floats(-0.2, 0.2), st.floats(0.5, 4.0))
def test_the_sellion_is_where_it_is_seen_and_as_far(x, y, z):
    frame = face_frame(photographed(np.eye(3), (x, y, z)), CAMERA, 640, 480)
    assert frame.position[2] == pytest.approx(z, rel=0.03, abs=0.03)
    assert frame.position[0] / frame.position[2] == pytest.approx(x / z, abs=1e-4)
    assert frame.position[1] / frame.position[2] == pytest.approx(y / z, abs=1e-4)


def test_an_image_of_half_the_size_gives_the_same_place():
    face = photographed(turned(20, 10, 5), (0.1, 0.05, 1.2))
    half = FaceEmotion(
        'face_1', 'happy', 1.0, LABELS, np.zeros(3), face.roi, landmarks=face.landmarks / 2
    )
    one, other = face_frame(face, CAMERA, 640, 480), face_frame(half, CAMERA, 320, 240)
    assert one.position == pytest.approx(other.position)
    assert one.rotation == pytest.approx(other.rotation)


@given(st.integers(1, 8000), st.integers(1, 8000))
def test_an_unknown_camera_has_the_usual_field_of_view(width, height):
    camera = usual_camera(width, height)
    left, _ = camera.ray(0, 0, (width, height))
    right, down = camera.ray(width, height / 2, (width, height))
    assert math.degrees(math.atan(right) - math.atan(left)) == pytest.approx(USUAL_FIELD_OF_VIEW)
    assert down == pytest.approx(0)


@pytest.mark.parametrize(
    'landmarks', [np.zeros((0,)), np.zeros((478, 3)), np.full((478, 3), np.nan)]
)
def test_landmarks_that_form_no_face_have_no_frame(landmarks):
    face = FaceEmotion(
        'face_1', 'happy', 1.0, LABELS, np.zeros(3), Roi(0, 0, 9, 9),
        landmarks=landmarks.astype(np.float32),
    )  # fmt: skip
    assert face_frame(face, CAMERA, 640, 480) is None


def test_a_gaze_straight_ahead_is_along_the_faces_x():
    right, down, ahead = matrix(gaze_rotation(0, 0)).T
    assert ahead == pytest.approx([1, 0, 0])
    assert right == pytest.approx([0, -1, 0])
    assert down == pytest.approx([0, 0, -1])


@given(ANGLES, ANGLES)
def test_a_gaze_to_the_left_and_up_is_there(yaw, pitch):
    right, down, ahead = matrix(gaze_rotation(yaw, pitch)).T
    assert math.degrees(math.atan2(ahead[1], ahead[0])) == pytest.approx(yaw, abs=1e-6)
    assert math.degrees(math.asin(ahead[2])) == pytest.approx(pitch, abs=1e-6)
    # The eyes' horizon stays level in the head.
    assert right[2] == pytest.approx(0) and down[2] < 0


@settings(max_examples=300)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_a_rotation_is_a_quaternion_of_length_one(numbers):
    q = np.array(numbers) / np.linalg.norm(numbers)
    x, y, z = (tuple(axis) for axis in matrix(q).T)
    found = quaternion(x, y, z)
    assert np.linalg.norm(found) == pytest.approx(1) and found[3] >= 0
    assert abs(float(np.dot(found, q))) == pytest.approx(1)
