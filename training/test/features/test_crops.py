"""Crops of stills: the robot's pixels where nothing varies, and each variation by itself."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.perception.face_crop import SIDE, crop, crop_matrix, even
from emotion_estimator_training.data.augment import Enlargement, enlarge
from emotion_estimator_training.features.crops import (
    EYES,
    MOUTH,
    CropMaker,
    CropVariation,
    cover,
    damage,
    jitter,
    landmarks_in_stills,
    mirror,
    plain_crops,
    still_matrices,
)

NOTHING = CropVariation(
    roll=0.0,
    size=0.0,
    shift=0.0,
    stretch=0.0,
    gamma=0.0,
    shaded=0.0,
    coarse=0.0,
    blurred=0.0,
    noisy=0.0,
    compressed=0.0,
    hidden=0.0,
)
RIGID = [33, 133, 362, 263, 168, 6, 197, 127, 356, 234, 454, 10]
#: Where they lie in a face of a still, about its middle, in pixels.
PLACES = [
    (-11, -2),
    (-4, -1),
    (4, -1),
    (11, -2),
    (0, -2),
    (0, 1),
    (0, 3),
    (-17, -3),
    (17, -3),
    (-17, 1),
    (17, 1),
    (0, -19),
]

seeds = st.integers(0, 10**6)


def faces(count: int = 6) -> np.ndarray:
    """Return landmarks (N, 478, 2) of faces of different place, size and roll in stills."""
    rng = np.random.default_rng(2)
    points = np.zeros((count, 478, 2))
    points[:, RIGID] = PLACES
    for face in points:
        roll, size = rng.uniform(-0.4, 0.4), rng.uniform(0.7, 1.2)
        turn = size * np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
        face[:] = face @ turn + rng.uniform(20, 28, 2)
    return points.astype(np.float32)


def stills(count: int = 6) -> np.ndarray:
    """Return smooth pictures, bright to the left."""
    rng = np.random.default_rng(3)
    noise = rng.uniform(0, 255, (count, 48, 48)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(one, (0, 0), 2.5) for one in noise])
    slope = np.linspace(60, -60, 48, dtype=np.float32)
    return np.clip(smooth + slope, 0, 255).astype(np.uint8)


STILLS, FACES = stills(), faces()
MATRICES = still_matrices(FACES, np.ones(6, bool))


def test_landmarks_are_mapped_back_to_where_they_lie_in_the_still() -> None:
    still = np.zeros((48, 48), np.uint8)
    still[30, 11] = 255
    large = enlarge(still, Enlargement())[..., 0]
    rows, columns = np.nonzero(large > 200)
    points = np.zeros((1, 478, 3), np.float32)
    points[:, :, :2] = columns.mean(), rows.mean()
    np.testing.assert_allclose(landmarks_in_stills(points)[0, 7], (11, 30), atol=0.05)


@given(x=st.floats(0, 47), y=st.floats(0, 47), scale=st.sampled_from([1, 2.5, 4]))
@settings(max_examples=20, deadline=None)
def test_mapping_back_undoes_enlarging(x: float, y: float, scale: float) -> None:
    matrix = Enlargement.by(scale).matrix
    points = np.zeros((2, 478, 3))
    points[..., :2] = matrix[:, :2] @ (x, y) + matrix[:, 2]
    back = landmarks_in_stills(points.astype(np.float32), scale)
    assert back.shape == (2, 478, 2)
    np.testing.assert_allclose(back, np.broadcast_to((x, y), back.shape), atol=1e-3)


def test_plain_crops_are_what_the_robot_cuts() -> None:
    made = plain_crops(STILLS, MATRICES)
    for still, landmarks, one in zip(STILLS, FACES, made):
        colour = np.repeat(still[..., None], 3, axis=2)
        np.testing.assert_array_equal(one, crop(colour, landmarks))


def test_a_still_without_a_face_is_its_own_crop() -> None:
    found = np.array([True, False, True, True, True, False])
    matrices = still_matrices(FACES, found)
    np.testing.assert_array_equal(matrices[0], crop_matrix(FACES[0]))
    made = plain_crops(STILLS, matrices)
    np.testing.assert_array_equal(made[1], even(STILLS[1]))
    assert (made[0] != even(STILLS[0])).any()


def test_without_variation_crops_are_plain_or_mirrored_ones() -> None:
    rows = np.tile(np.arange(6), 5)
    crops, mirrored, hidden = CropMaker(STILLS, MATRICES, NOTHING)(rows, 1)
    plain = plain_crops(STILLS, MATRICES)[rows]
    assert not hidden.any()
    assert 0.2 < mirrored.mean() < 0.8
    np.testing.assert_array_equal(crops[~mirrored], plain[~mirrored])
    # Interpolation rounds places to a 32nd of a pixel, either way.
    away = np.abs(crops[mirrored].astype(int) - plain[mirrored][:, :, ::-1])
    assert away.mean() < 1
    assert np.abs(crops[mirrored].astype(int) - plain[mirrored]).mean() > 20


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_the_same_seed_makes_the_same_crops_and_another_does_not(seed: int) -> None:
    maker, rows = CropMaker(STILLS, MATRICES, CropVariation()), np.array([5, 0, 3, 3, 1])
    first, again, other = (maker(rows, one) for one in ([seed, 4], [seed, 4], [seed, 5]))
    for one, two in zip(first, again):
        np.testing.assert_array_equal(one, two)
    assert first[0].shape == (5, SIDE, SIDE)
    assert first[0].dtype == np.uint8
    assert (first[0] != other[0]).any()
    assert (first[0][2] != first[0][3]).any(), 'the same still varies each time'


def test_mirroring_twice_changes_nothing() -> None:
    np.testing.assert_allclose(mirror(mirror(MATRICES[2])), MATRICES[2], atol=1e-5)
    # The middle of the crop stays, its left edge becomes the right one.
    inner = np.linalg.inv(MATRICES[2][:, :2]) @ ((0, 10) - MATRICES[2][:, 2])
    moved = mirror(MATRICES[2])
    np.testing.assert_allclose(moved[:, :2] @ inner + moved[:, 2], (SIDE - 1, 10), atol=1e-3)


def test_no_jitter_leaves_the_map_alone() -> None:
    moved = jitter(MATRICES[0], NOTHING, np.random.default_rng(0))
    np.testing.assert_allclose(moved, MATRICES[0], atol=1e-6)


@pytest.mark.parametrize('name', ['roll', 'size', 'shift', 'stretch'])
def test_each_jitter_is_as_strong_as_asked_and_moves_nothing_else(name: str) -> None:
    rng, identity = np.random.default_rng(8), np.eye(2, 3, dtype=np.float32)
    how = replace(NOTHING, **{name: 8.0 if name == 'roll' else 0.1})
    maps = np.stack([jitter(identity, how, rng) for _ in range(800)]).astype(float)
    linear, middle = maps[:, :, :2], np.full(2, (SIDE - 1) / 2)
    stretch = np.sqrt((linear[:, 0] ** 2).sum(axis=1)), np.sqrt((linear[:, 1] ** 2).sum(axis=1))
    found = {
        'roll': np.rad2deg(np.arctan2(linear[:, 1, 0], linear[:, 0, 0])),
        'size': np.log(np.linalg.det(linear)) / 2,
        'shift': (maps @ [*middle, 1] - middle).ravel(),
        'stretch': np.log(stretch[1] / stretch[0]),
    }
    assert found[name].std() == pytest.approx(getattr(how, name), rel=0.12)
    assert np.abs(found[name]).max() < 3.2 * getattr(how, name)
    for other in {*found} - {name}:
        assert np.abs(found[other]).max() < 1e-4, other


@pytest.mark.parametrize(
    'name', ['gamma', 'shaded', 'coarse', 'blurred', 'noisy', 'compressed', 'hidden']
)
def test_each_damage_changes_a_crop_by_itself(name: str) -> None:
    plain = even(STILLS[0])
    before = plain.copy()
    found, hidden = damage(plain, replace(NOTHING, **{name: 1.0}), np.random.default_rng(1))
    assert found.shape == (SIDE, SIDE)
    assert found.dtype == np.uint8
    assert (found != plain).mean() > 0.05
    assert hidden == (name == 'hidden')
    np.testing.assert_array_equal(plain, before)


def test_what_is_not_damaged_stays() -> None:
    for still in STILLS:
        found, hidden = damage(still, NOTHING, np.random.default_rng(1))
        np.testing.assert_array_equal(found, still)
        assert not hidden


def test_damage_comes_in_the_shares_asked_for() -> None:
    rng, plain = np.random.default_rng(6), even(STILLS[0])
    how = replace(NOTHING, hidden=0.3)
    damaged = [damage(plain, how, rng) for _ in range(400)]
    assert np.mean([hidden for _, hidden in damaged]) == pytest.approx(0.3, abs=0.07)
    assert all((found != plain).any() == hidden for found, hidden in damaged)


@pytest.mark.parametrize('part', [EYES, MOUTH])
def test_a_cover_hides_its_part_and_no_more(part) -> None:
    plain = even(STILLS[1])
    before = plain.copy()
    covered = cover(plain, part, np.random.default_rng(4))
    np.testing.assert_array_equal(plain, before)
    outside = np.ones((SIDE, SIDE), bool)
    outside[part] = False
    np.testing.assert_array_equal(covered[outside], plain[outside])
    # Nothing of what was there shows through.
    shown = np.corrcoef(covered[part].ravel(), plain[part].ravel())[0, 1]
    assert abs(shown) < 0.2


def test_eyes_and_mouth_are_hidden_most_and_other_parts_too() -> None:
    rng, how = np.random.default_rng(3), replace(NOTHING, hidden=1.0)
    plain = np.full((SIDE, SIDE), 128, np.uint8)
    covered = np.stack([damage(plain, how, rng)[0] != plain for _ in range(400)])
    # Of a rough cover a few pixels are the picture's by chance.
    share = {
        name: (covered[:, part[0], part[1]].mean(axis=(1, 2)) > 0.9).mean()
        for name, part in (('eyes', EYES), ('mouth', MOUTH))
    }
    assert 0.2 < share['eyes'] < 0.45
    assert 0.2 < share['mouth'] < 0.45
    # The tip of the nose, which neither of both covers.
    assert 0.03 < covered[:, 26, 24].mean() < 0.3
