"""Enlarged and varied stills."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator_training.data.augment import (
    Enlargement,
    displacement,
    enlarge,
    rotate_and_flip,
    vary,
    warp,
)


def test_enlargement_puts_the_still_in_the_middle_of_black() -> None:
    image = enlarge(np.full((48, 48), 200, np.uint8), Enlargement())
    assert image.shape == (320, 320, 3)
    assert image[160, 160].tolist() == [200, 200, 200]
    assert image[40, 160].tolist() == [0, 0, 0]
    matrix = Enlargement(mirror=True, roll=20).matrix
    np.testing.assert_allclose(matrix[:, :2] @ (23.5, 23.5) + matrix[:, 2], (159.5, 159.5))


def test_a_still_can_be_left_as_it_is() -> None:
    still = np.random.default_rng(3).integers(0, 256, (48, 48)).astype(np.uint8)
    image = enlarge(still, Enlargement.by(1))
    assert image.shape == (48, 48, 3)
    np.testing.assert_array_equal(image[..., 0], still)
    turned = rotate_and_flip(still, np.random.default_rng(0), 1)
    assert turned.shape == (48, 48, 3)
    assert Enlargement.by(4) == Enlargement()


def _landmarks() -> np.ndarray:
    points = np.random.default_rng(0).uniform(12, 36, (478, 3)).astype(np.float32)
    points[234, :2], points[454, :2] = (8, 24), (40, 24)
    return points


def test_displacement_moves_a_face_by_a_few_pixels() -> None:
    fields = [displacement(_landmarks(), np.random.default_rng(seed)) for seed in range(20)]
    largest = np.array([np.abs(field).max() for field in fields])
    assert largest.max() > 1.0
    assert largest.max() < 24.0


def test_warp_moves_content_along_the_field() -> None:
    image = np.zeros((48, 48), np.uint8)
    image[20:24, 20:24] = 255
    field = np.zeros((48, 48, 2), np.float32)
    field[..., 0] = 5
    moved = warp(image, field)
    assert np.argwhere(moved > 128).mean(axis=0).tolist() == [21.5, 26.5]


@given(seed=st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_variation_is_decided_by_its_seed_alone(seed: int) -> None:
    still = np.random.default_rng(1).integers(0, 255, (48, 48)).astype(np.uint8)
    a, b = (vary(still, _landmarks(), np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.dtype == np.uint8
    assert a.shape[2] == 3


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_copies_are_turned_by_36_degrees_at_most_and_only_so(seed: int) -> None:
    still = np.full((48, 48), 40, np.uint8)
    still[:, 24:] = 200
    copy = rotate_and_flip(still, np.random.default_rng(seed))
    ys, xs = np.nonzero(copy[..., 0] > 100)
    bright = np.stack([xs, ys], axis=1) - 159.5
    # The bright half's centre lies to one side: on the right, or flipped on the left.
    x, y = bright.mean(axis=0)
    assert np.degrees(np.arctan2(abs(y), abs(x))) <= 36.5
    assert np.hypot(x, y) == pytest.approx(48, abs=3)


def test_copies_are_flipped_and_turned_both_ways() -> None:
    still = np.zeros((48, 48), np.uint8)
    still[:, 36:] = 255
    sides = []
    for seed in range(20):
        copy = rotate_and_flip(still, np.random.default_rng(seed))
        sides.append(np.argwhere(copy[..., 0] > 100).mean(axis=0) - 159.5)
    ys, xs = np.array(sides).T
    assert (xs > 0).any()
    assert (xs < 0).any()
    assert (ys > 10).any()
    assert (ys < -10).any()
