from __future__ import annotations

import cv2
import numpy as np
import pytest
from available import FACES, needs_face_mesh, needs_faces
from hypothesis import given
from hypothesis import strategies as st
from mean_head import mean_head

from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator.perception.primary_face import FACING_DEGREES, Engagement, turned_away
from emotion_estimator.sources.portrait import Portrait


@given(
    angle=st.floats(-85, 85),
    roll=st.floats(-180, 180),
    size=st.floats(1, 60),
    x=st.floats(-500, 2000),
    nodding=st.booleans(),
)
def test_the_angle_is_that_of_yaw_or_pitch_whatever_the_roll_place_and_size(
    angle, roll, size, x, nodding
):
    pose = {'pitch': angle} if nodding else {'yaw': angle}
    landmarks = mean_head(**pose, roll=roll, size=size, place=(x, 300.0))
    assert turned_away(landmarks) == pytest.approx(abs(angle), abs=0.2)


def test_yaw_and_pitch_count_together():
    assert turned_away(mean_head(yaw=20, pitch=20)) == pytest.approx(28, abs=0.1)


def test_points_without_a_plane_are_turned_away():
    assert turned_away(np.zeros((478, 3), np.float32)) == 180.0


def angle_seen(image: np.ndarray) -> float:
    """Return by how much the only face in an RGB image is turned away, as the face mesh sees it."""
    mesh = FaceMesh(BlendshapeHead.load(), static=True)
    (face,) = mesh(Frame(image, 0.0))
    mesh.close()
    return turned_away(face.landmarks)


@needs_face_mesh
def test_a_real_head_that_looks_at_the_camera():
    assert angle_seen(next(iter(Portrait().frames())).image) < 12 < FACING_DEGREES


@needs_face_mesh
@needs_faces('head_pose.gif')
def test_a_real_head_that_looks_aside():
    _, image = cv2.VideoCapture(str(FACES / 'head_pose.gif')).read()
    angle = angle_seen(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    # The Face Landmarker's own pose says 47 degrees to the camera.
    assert FACING_DEGREES < 40 < angle < 54


def test_time_counts_between_two_frames_in_which_a_face_looks():
    engagement = Engagement()
    alive = {'a', 'b'}
    assert engagement({'a', 'b'}, alive, 100.0) == {'a': 0.0, 'b': 0.0}
    assert engagement({'a', 'b'}, alive, 100.5) == {'a': 0.5, 'b': 0.5}
    # b turns away, and back: neither the time to here nor the time from here counts.
    assert engagement({'a'}, alive, 101.0) == {'a': 1.0, 'b': 0.5}
    assert engagement({'a', 'b'}, alive, 101.5) == {'a': 1.5, 'b': 0.5}
    assert engagement({'a', 'b'}, alive, 101.75) == {'a': 1.75, 'b': 0.75}


def test_an_unseen_face_keeps_its_time_and_a_forgotten_one_starts_from_zero():
    engagement = Engagement()
    for stamp in (0.0, 1.0):
        engagement({'a', 'b'}, {'a', 'b'}, stamp)
    assert engagement({'b'}, {'a', 'b'}, 2.0) == {'a': 1.0, 'b': 2.0}
    assert engagement({'a'}, {'a'}, 3.0) == {'a': 1.0}
    assert engagement({'a', 'b'}, {'a', 'b'}, 4.0) == {'a': 2.0, 'b': 0.0}


@given(fps=st.integers(1, 240), looks=st.floats(0.1, 3.0))
def test_the_frame_rate_decides_no_more_than_a_frame(fps, looks):
    engagement = Engagement()
    for k in range(4 * fps):
        seconds = engagement({'a'} if k / fps <= looks else set(), {'a'}, k / fps)
    assert looks - 1 / fps <= seconds['a'] <= looks + 1e-6
