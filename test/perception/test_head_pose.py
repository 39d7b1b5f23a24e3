"""Head pose from landmarks whose rotation is known, and from real faces."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from available import FACES, needs_face_mesh, needs_faces
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mean_head import mean_head, mirrored, rotation

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.head_pose import Intrinsics, head_pose
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator.sources.portrait import Portrait

VGA = (640, 480)
CAMERA = Intrinsics(500.0, 520.0, 310.0, 250.0, *VGA)

yaws = st.floats(-85, 85)
rolls = st.floats(-179, 179)
sizes = st.floats(2, 60)
NOISE = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).uniform(-3, 3, (478, 3)).astype(np.float32)
)
places = st.tuples(st.floats(-500, 2000), st.floats(-500, 2000))


def difference(a, b):
    return np.abs((np.subtract(a, b) + 180) % 360 - 180).max()


@settings(deadline=None)
@given(yaw=yaws, pitch=yaws, roll=rolls, size=sizes, place=places)
@example(yaw=0.0, pitch=0.0, roll=180.0, size=20.0, place=(320.0, 240.0))
def test_a_mean_head_has_the_angles_that_it_was_turned_by(yaw, pitch, roll, size, place):
    pose = head_pose(mean_head(yaw, pitch, roll, size, place))
    assert difference(pose.angles, (yaw, pitch, roll)) < 0.05
    assert pose.size == pytest.approx(size, rel=1e-3)
    away = math.degrees(math.acos(math.cos(math.radians(yaw)) * math.cos(math.radians(pitch))))
    assert pose.away == pytest.approx(away, abs=0.05)


def test_the_signs_are_those_of_the_image():
    face = mean_head(0, 0, 0, 20.0, (320.0, 240.0))
    # A point of the mesh, from above and from the side: the tip of the nose, and the forehead.
    nose, forehead = face[4], face[10]
    assert mean_head(20, 0, 0, 20.0, (320.0, 240.0))[4, 0] > nose[0]
    assert mean_head(0, 20, 0, 20.0, (320.0, 240.0))[4, 1] < nose[1]
    assert mean_head(0, 0, 20, 20.0, (320.0, 240.0))[10, 0] > forehead[0]


def direction(yaw, pitch):
    """Return the unit vector to which a face points, in axes of the image."""
    y, p = np.radians([yaw, pitch])
    return np.array([np.sin(y) * np.cos(p), -np.sin(p), -np.cos(y) * np.cos(p)])


@settings(deadline=None)
@given(yaw=yaws, pitch=yaws, roll=rolls, noise=NOISE, more=rolls)
def test_turning_any_face_in_the_image_turns_where_it_points(yaw, pitch, roll, noise, more):
    face = mean_head(yaw, pitch, roll) + noise
    turn = rotation(0, 0, more)
    before, after = head_pose(face), head_pose((face @ turn.T).astype(np.float32))
    there, expected = direction(*after.angles[:2]), turn @ direction(*before.angles[:2])
    np.testing.assert_allclose(there, expected, atol=2e-3)
    assert after.away == pytest.approx(before.away, abs=0.1)


@settings(deadline=None)
@given(yaw=yaws, pitch=yaws, roll=rolls, noise=NOISE)
def test_a_mirrored_face_has_mirrored_angles(yaw, pitch, roll, noise):
    face = mean_head(yaw, pitch, roll) + noise
    there, here = head_pose(face).angles, head_pose(mirrored(face)).angles
    assert difference((-there[0], there[1]), here[:2]) < 0.05
    assert abs(here[1]) > 80 or difference(-there[2], here[2]) < 0.5


@settings(deadline=None)
@given(landmarks=hnp.arrays(np.float32, (478, 3), elements=st.sampled_from(
    [0.0, 1.0, -(2.0**100), 2.0**100, 2.0**127, math.nan, math.inf, -math.inf])))  # fmt: skip
@example(landmarks=np.zeros((478, 3), np.float32))
@example(landmarks=np.full((478, 3), math.nan, np.float32))
def test_any_numbers_give_finite_angles(landmarks):
    pose = head_pose(landmarks)
    for number in (*pose.angles, pose.away, *pose.angles_in(CAMERA, VGA)):
        assert math.isfinite(number) and abs(number) <= 180


@pytest.mark.parametrize('width', [0.0, 1.0])
def test_points_on_a_line_point_nowhere(width):
    line = np.arange(478)[:, None] * np.array([width, 2 * width, width])
    pose = head_pose(line.astype(np.float32))
    assert (pose.angles, pose.size, pose.away) == ((0.0, 0.0, 0.0), 0.0, 180.0)


@settings(deadline=None)
@given(x=st.floats(-1, 1), y=st.floats(-1, 1), roll=st.floats(-179, 179))
def test_who_looks_at_the_camera_is_turned_towards_it_in_its_axes(x, y, roll):
    pixel = CAMERA.cx + x * CAMERA.fx, CAMERA.cy + y * CAMERA.fy
    pose = head_pose(mean_head(0, 0, roll, place=pixel))
    yaw, pitch, _ = pose.angles_in(CAMERA, VGA)
    # The ray's direction, reversed.
    assert yaw == pytest.approx(-math.degrees(math.atan(x)), abs=0.05)
    assert pitch == pytest.approx(math.degrees(math.atan2(y, math.hypot(x, 1))), abs=0.05)


@settings(deadline=None)
@given(yaw=st.floats(-60, 60), pitch=st.floats(-40, 40), roll=rolls, scale=st.floats(0.2, 4))
def test_on_the_optical_axis_and_in_a_resized_image_nothing_changes(yaw, pitch, roll, scale):
    centre = (CAMERA.cx * scale, CAMERA.cy * scale)
    pose = head_pose(mean_head(yaw, pitch, roll, place=centre))
    size = (round(640 * scale), round(480 * scale))
    # Rounding moves the axis by less than half a pixel.
    assert difference(pose.angles_in(CAMERA, size), pose.angles) < 0.6


@pytest.mark.parametrize(
    'numbers',
    [
        (0, 0, 0, 0, 640, 480),
        (500, math.nan, 320, 240, 640, 480),
        (500, 500, math.inf, 240, 640, 480),
        (500, 500, 320, 240, 0, 480),
        (-500, 500, 320, 240, 640, 480),
    ],
)
def test_a_camera_that_is_not_calibrated_is_refused(numbers):
    with pytest.raises(InputError, match='not a calibrated camera') as caught:
        Intrinsics(*numbers)
    assert '\n' not in str(caught.value)


def pose_seen(image):
    mesh = FaceMesh(BlendshapeHead.load(), static=True)
    (face,) = mesh(Frame(np.ascontiguousarray(image), 0.0))
    mesh.close()
    return head_pose(face.landmarks)


@needs_face_mesh
@pytest.mark.parametrize('turn', [-60, -20, 35, 70])
def test_a_picture_turned_in_its_plane_changes_the_roll_by_as_much(turn):
    image = next(iter(Portrait().frames())).image
    height, width = image.shape[:2]
    # OpenCV counts counter-clockwise.
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -turn, 1.0)
    turned = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    before, after = pose_seen(image), pose_seen(turned)
    assert difference(after.angles[2] - before.angles[2], turn) < 3
    assert abs(after.away - before.away) < 6


@needs_face_mesh
def test_a_mirrored_picture_has_mirrored_angles():
    image = next(iter(Portrait().frames())).image
    (yaw, pitch, roll), (back, same, other) = (
        pose_seen(picture).angles for picture in (image, image[:, ::-1])
    )
    assert difference((yaw, pitch, roll), (-back, same, -other)) < 4


@needs_face_mesh
@needs_faces('head_pose.gif')
def test_a_real_head_turns_from_one_side_to_the_other():
    film = cv2.VideoCapture(str(FACES / 'head_pose.gif'))
    yaws = []
    while (read := film.read())[0]:
        yaws.append(pose_seen(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)).angles[0])
    # By eye: far to the left side of the image, across to the right, and back.
    assert max(yaws[:6]) < -40 and max(yaws[11:15]) > 25 and -35 < yaws[-1] < -15
    assert (np.diff(yaws[6:13]) > 0).all() and (np.diff(yaws[15:]) < 0).all()
