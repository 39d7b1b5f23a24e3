"""Gaze from irises and blendshapes that are known, and from real eyes."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from available import FACES, needs_face_mesh, needs_faces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mean_head import mean_head, mirrored, rotation

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.frame import Frame
from emotion_estimator.perception.gaze import LOOKING_DEGREES, Gaze, gaze
from emotion_estimator.perception.head_pose import head_pose
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator.sources.portrait import Portrait

yaws = st.floats(-40, 40)
rolls = st.floats(-179, 179)


def blendshapes(**scores):
    values = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
    for name, score in scores.items():
        values[BLENDSHAPE_NAMES.index(name)] = score
    return values


def looking(across=0.0, up=0.0):
    """Return the scores of eyes that look to the right side of the image and up, -1 to 1."""
    across_too = max(across, 0.0), max(-across, 0.0)
    up_too = max(up, 0.0), max(-up, 0.0)
    return blendshapes(
        eyeLookOutLeft=across_too[0], eyeLookInRight=across_too[0],
        eyeLookInLeft=across_too[1], eyeLookOutRight=across_too[1],
        eyeLookUpLeft=up_too[0], eyeLookUpRight=up_too[0],
        eyeLookDownLeft=up_too[1], eyeLookDownRight=up_too[1],
    )  # fmt: skip


def with_irises(face, by, pose):
    """Return the landmarks after both irises moved by so many centimetres to the right."""
    moved = face.copy()
    moved[[468, 473]] += (np.array(pose.axes[0]) * by * pose.size).astype(np.float32)
    return moved


def read(face, scores):
    return gaze(face, scores, head_pose(face))


@settings(deadline=None)
@given(yaw=yaws, pitch=yaws, roll=rolls, across=st.floats(-0.3, 0.3), up=st.floats(-0.5, 0.5))
def test_the_eyes_relative_to_the_head_do_not_depend_on_where_the_head_points(
    yaw, pitch, roll, across, up
):
    scores = looking(across, up)

    def turned(*angles):
        face = mean_head(*angles)
        return read(with_irises(face, across, head_pose(face)), scores)

    there, ahead = turned(yaw, pitch, roll), turned(0, 0, 0)
    assert there.yaw == pytest.approx(ahead.yaw, abs=0.1)
    assert there.pitch == pytest.approx(ahead.pitch, abs=0.01)


def test_irises_and_blendshapes_both_turn_the_gaze_and_each_has_its_sign():
    face = mean_head()
    pose = head_pose(face)
    ahead = read(face, looking())
    assert abs(ahead.yaw) < 3
    for scores, moved in ((looking(0.3), face), (looking(), with_irises(face, 0.2, pose))):
        assert 3 < read(moved, scores).yaw - ahead.yaw < 10
    assert read(face, looking(up=0.2)).pitch > ahead.pitch > read(face, looking(up=-0.2)).pitch
    assert read(face, looking(up=-0.2)).yaw == ahead.yaw


@settings(deadline=None)
@given(yaw=yaws, pitch=yaws, across=st.floats(-0.4, 0.4), up=st.floats(-0.4, 0.4))
def test_a_mirrored_face_looks_to_the_other_side(yaw, pitch, across, up):
    face = mean_head(yaw, pitch)
    face = with_irises(face, across / 2, head_pose(face))
    there = read(face, looking(across, up))
    here = read(mirrored(face), looking(-across, up))
    # What MediaPipe's blendshapes have to one side, taken off both.
    assert there.yaw + here.yaw == pytest.approx(2 * read(mean_head(), looking()).yaw, abs=0.1)
    assert there.pitch == pytest.approx(here.pitch, abs=0.01)


@settings(deadline=None)
@given(
    landmarks=hnp.arrays(
        np.float32, (478, 3), elements=st.sampled_from([0.0, 1.0, 50.0, 2.0**60, math.nan])
    ),
    scores=hnp.arrays(np.float32, 52, elements=st.floats(0, 1, width=32)),
)
def test_any_numbers_give_finite_angles_within_reach(landmarks, scores):
    pose = head_pose(landmarks)
    found = gaze(landmarks, scores, pose)
    assert abs(found.yaw) <= 45 and abs(found.pitch) <= 45
    assert 0 <= found.off_camera(pose) <= 180


@settings(deadline=None)
@given(yaw=yaws, pitch=yaws, roll=rolls, left=st.floats(-30, 30), up=st.floats(-30, 30))
def test_the_line_of_sight_is_the_eyes_direction_turned_by_the_head(yaw, pitch, roll, left, up):
    pose = head_pose(mean_head(yaw, pitch, roll))
    y, p = np.radians([left, up])
    in_head = np.array([np.sin(y) * np.cos(p), -np.sin(p), -np.cos(y) * np.cos(p)])
    sight = rotation(yaw, pitch, roll) @ in_head
    angle = math.degrees(math.acos(np.clip(-sight[2], -1, 1)))
    assert Gaze(left, up).off_camera(pose) == pytest.approx(angle, abs=0.1)


def test_eyes_that_make_up_for_the_head_look_at_the_camera():
    pose = head_pose(mean_head(20, 0, 0))
    assert Gaze(-20, 0).off_camera(pose) < 1 < LOOKING_DEGREES < Gaze(0, 0).off_camera(pose)


def test_no_face_looks_nowhere():
    nothing = np.zeros((478, 3), np.float32)
    assert read(nothing, looking(1.0)) == Gaze(0.0, 0.0)
    assert Gaze(0.0, 0.0).off_camera(head_pose(nothing)) == 180.0


def faces_in(images):
    mesh = FaceMesh(BlendshapeHead.load(), static=True)
    found = []
    for image in images:
        (face,) = mesh(Frame(np.ascontiguousarray(image), 0.0))
        pose = head_pose(face.landmarks)
        found.append((pose, gaze(face.landmarks, face.blendshapes, pose)))
    mesh.close()
    return found


@needs_face_mesh
def test_the_portrait_looks_at_the_camera_and_so_does_its_mirror_image():
    image = next(iter(Portrait().frames())).image
    (pose, eyes), (mirror, others) = faces_in([image, image[:, ::-1]])
    assert eyes.off_camera(pose) < LOOKING_DEGREES
    assert others.off_camera(mirror) < LOOKING_DEGREES
    assert eyes.yaw + others.yaw == pytest.approx(0, abs=8)
    assert eyes.pitch == pytest.approx(others.pitch, abs=5)


@needs_face_mesh
@needs_faces('head_pose.gif')
def test_a_head_turns_while_its_eyes_stay_on_the_camera():
    film = cv2.VideoCapture(str(FACES / 'head_pose.gif'))
    images = []
    while (read := film.read())[0]:
        images.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    seen = faces_in(images)
    # By eye: the first six pictures look aside, those from the eighth on at the camera.
    off = [eyes.off_camera(pose) for pose, eyes in seen]
    assert min(off[:6]) > 40
    assert np.median(off[7:]) < LOOKING_DEGREES + 2 and max(off[7:]) < 25
    # The eyes turn against the head.
    yaws = np.array([(pose.angles[0], eyes.yaw) for pose, eyes in seen[7:]])
    assert np.corrcoef(yaws.T)[0, 1] < -0.8
