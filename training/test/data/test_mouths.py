"""Faces made to talk: another mouth is in, the eyes are untouched, and borders do no harm."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from available import needs_face_mesh
from hypothesis import given, settings
from hypothesis import strategies as st

import emotion_estimator
from emotion_estimator_training.data.mouths import direction, with_mouth_of, with_syllable

PICTURE = Path(emotion_estimator.__path__[0]) / 'sources' / 'data' / 'astronaut.jpg'
#: Left and right of the points that direction reads.
PAIRS = ((33, 263), (133, 362), (127, 356), (234, 454))


def points(seed: int) -> np.ndarray:
    """Return random landmarks (478, 2) about as wide as high, their eyes apart."""
    made = np.random.default_rng(seed).normal(0, 30, (478, 2))
    made[263] = made[33] + (60, 5)
    return made.astype(np.float32)


@given(seed=st.integers(0, 999))
@settings(deadline=None)
def test_direction_mirrors(seed: int) -> None:
    landmarks = points(seed)
    mirrored = landmarks * np.float32([-1, 1])
    for left, right in PAIRS:
        mirrored[[left, right]] = mirrored[[right, left]]
    x, y = direction(landmarks)
    np.testing.assert_allclose(direction(mirrored), (-x, y), atol=1e-4)


@given(
    seed=st.integers(0, 999),
    roll=st.floats(-3, 3),
    size=st.floats(0.2, 5),
    shift=st.floats(-500, 500),
)
@settings(deadline=None)
def test_direction_depends_on_neither_place_nor_size_nor_roll(seed, roll, size, shift) -> None:
    landmarks = points(seed)
    turn = size * np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    moved = (landmarks @ turn + shift).astype(np.float32)
    np.testing.assert_allclose(direction(moved), direction(landmarks), atol=2e-3)


@pytest.fixture(scope='module')
def face() -> tuple[np.ndarray, np.ndarray]:
    """Return a grey picture of a face, about 130 pixels wide, and its landmarks."""
    from emotion_estimator.frame import Frame
    from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh

    picture = cv2.cvtColor(cv2.imread(str(PICTURE)), cv2.COLOR_BGR2RGB)[:260, 90:350]
    mesh = FaceMesh(BlendshapeHead.load(), static=True)
    [found] = mesh(Frame(np.ascontiguousarray(picture), 0.0))
    mesh.close()
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8), found.landmarks


def area(landmarks: np.ndarray, of: tuple[int, ...], margin: float) -> tuple[slice, slice]:
    """Return where some points are, with a margin in pixels."""
    low = (landmarks[list(of), :2].min(axis=0) - margin).astype(int)
    high = (landmarks[list(of), :2].max(axis=0) + margin).astype(int)
    return slice(max(low[1], 0), high[1]), slice(max(low[0], 0), high[0])


EYES, LIPS = (33, 263, 105, 334, 145, 374), (61, 291, 0, 17)


def striped(face: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the face with stripes for a mouth."""
    grey, landmarks = face
    made = grey.copy()
    rows, columns = area(landmarks, LIPS, 2)
    stripes = 128 + 100 * np.sin(np.arange(made[rows, columns].shape[1]) * 0.8)
    made[rows, columns] = stripes
    return made


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@needs_face_mesh
@pytest.mark.parametrize(('roll', 'size'), [(0.0, 1.0), (0.35, 0.7), (-0.5, 1.6)])
def test_the_mouth_of_another_face_is_in_and_the_eyes_are_untouched(face, roll, size) -> None:
    grey, landmarks = face
    turn = size * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    shift = np.array([130, 130]) * size - turn @ (130, 130)
    matrix = np.column_stack([turn, shift])
    side = round(260 * size)
    other = cv2.warpAffine(striped(face), matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    theirs = landmarks.copy()
    theirs[:, :2] = landmarks[:, :2] @ turn.T + shift
    before = grey.copy()
    made = with_mouth_of(grey, landmarks, np.asarray(other, np.uint8), theirs)
    assert made is not None
    assert (made.shape, made.dtype) == (grey.shape, np.uint8)
    np.testing.assert_array_equal(grey, before)
    lips, eyes = area(landmarks, LIPS, -2), area(landmarks, EYES, 8)
    np.testing.assert_array_equal(made[eyes], grey[eyes])
    assert alike(made[lips], striped(face)[lips]) > 0.85 > alike(made[lips], grey[lips])


@needs_face_mesh
def test_syllables_move_the_lower_face_alone_and_differ(face) -> None:
    grey, landmarks = face
    lips, eyes = area(landmarks, LIPS, 6), area(landmarks, EYES, 4)
    moved = [with_syllable(grey, landmarks, np.random.default_rng(seed)) for seed in range(8)]
    for made in moved:
        assert (made.shape, made.dtype) == (grey.shape, np.uint8)
        change = np.abs(made.astype(int) - grey)
        assert change[eyes].max() <= 2
        assert change[lips].mean() > 1
    assert len({made.tobytes() for made in moved}) == 8
    again = with_syllable(grey, landmarks, np.random.default_rng(3))
    np.testing.assert_array_equal(again, moved[3])


@needs_face_mesh
def test_a_lying_face_moves_its_own_way(face) -> None:
    grey, landmarks = face
    lying, points = np.ascontiguousarray(np.rot90(grey)), landmarks.copy()
    points[:, 0], points[:, 1] = landmarks[:, 1], grey.shape[1] - 1 - landmarks[:, 0]
    upright = with_syllable(grey, landmarks, np.random.default_rng(1))
    turned = with_syllable(lying, points, np.random.default_rng(1))
    assert np.abs(np.rot90(upright).astype(int) - turned).mean() < 0.5


@needs_face_mesh
@pytest.mark.parametrize(
    ('left', 'up'), [(0, 90), (0, 60), (80, 0), (-80, 0), (90, 70), (0, 400), (-400, 0), (0, -400)]
)
def test_faces_at_the_border_are_done_or_refused(face, left: int, up: int) -> None:
    """The picture is moved, so that the face lies partly or wholly beyond its border."""
    grey, landmarks = face
    matrix = np.float32([[1, 0, -left], [0, 1, up]])
    moved = cv2.warpAffine(grey, matrix, grey.shape[::-1])
    points = landmarks + np.float32([-left, up, 0])
    made = with_mouth_of(np.asarray(moved, np.uint8), points, striped(face), landmarks)
    outside = max(abs(left), abs(up)) == 400
    assert (made is None) == outside
    assert made is None or (made.shape == grey.shape and (made != moved).any())
    syllable = with_syllable(np.asarray(moved, np.uint8), points, np.random.default_rng(0))
    assert syllable.shape == grey.shape
    # As the lender it is not refused: what it lacks is its border's pixels.
    lent = with_mouth_of(grey, landmarks, np.asarray(moved, np.uint8), points)
    assert lent is not None and lent.shape == grey.shape
