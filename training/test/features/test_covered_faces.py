"""Covered faces of Training: which are covered, what changes, and that they are learned from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.errors import InputError
from emotion_estimator.model_card import models_dir
from emotion_estimator_training.data.hard_stills import covered_by_chance
from emotion_estimator_training.data.stills import PUBLIC_TEST, TRAINING, Stills
from emotion_estimator_training.data.truth import truth_of_stills
from emotion_estimator_training.features import features as covered_faces
from emotion_estimator_training.features.extract import Outlines
from emotion_estimator_training.features.feature_set import FeatureSet, save_features
from emotion_estimator_training.features.features import Places

PLACES = Places(Path('none'), None, Path('none'), models_dir())
COUNT = 24


def made_stills() -> Stills:
    rng = np.random.default_rng(5)
    usage = np.where(np.arange(COUNT) % 3 == 2, PUBLIC_TEST, TRAINING)
    return Stills(
        rng.integers(60, 160, (COUNT, 48, 48)).astype(np.uint8),
        rng.integers(0, 7, COUNT),
        usage,
        np.arange(COUNT) + 500,
        np.zeros(COUNT, bool),
    )


def made_outlines(found: np.ndarray) -> Outlines:
    """Return faces that fill the still's middle, in pixels of the enlarged image."""
    landmarks = np.random.default_rng(2).uniform(110, 210, (COUNT, 478, 3)).astype(np.float32)
    return Outlines(landmarks, found)


@pytest.fixture
def looked(monkeypatch):
    """Return the stills that sources were given to look at."""
    given_to = []
    found = np.arange(COUNT) % 4 > 0
    monkeypatch.setattr(
        covered_faces,
        'outlines',
        lambda *_: {'face_landmarker': None, 'face_mesh': made_outlines(found)},
    )
    monkeypatch.setattr(
        covered_faces, 'feature_sets', lambda stills, *_: given_to.append(stills) or {}
    )
    return given_to


def test_faces_of_training_alone_are_covered(looked) -> None:
    stills = made_stills()
    covered_faces.covered_sets(stills, PLACES, 100, 3)
    rows = looked[0].image_id - 500
    np.testing.assert_array_equal(rows, [row for row in range(COUNT) if row % 4 and row % 3 != 2])
    assert (looked[0].usage == TRAINING).all()
    np.testing.assert_array_equal(looked[0].emotion, stills.emotion[rows])
    changed = (looked[0].pixels != stills.pixels[rows]).mean(axis=(1, 2))
    assert (changed > 0.02).all(), 'something is covered'
    assert (changed < 0.9).all(), 'and something is not'


def test_the_seed_alone_decides_which_and_how(looked) -> None:
    stills = made_stills()
    for seed in (3, 3, 4):
        covered_faces.covered_sets(stills, PLACES, 6, seed)
    one, same, other = looked
    assert len(one.image_id) == 6
    np.testing.assert_array_equal(one.pixels, same.pixels)
    assert not np.array_equal(one.pixels, other.pixels)


def test_without_a_face_of_training_that_is_said(looked) -> None:
    alone = replace(made_stills(), usage=np.full(COUNT, PUBLIC_TEST))
    with pytest.raises(InputError, match='no face to cover'):
        covered_faces.covered_sets(alone, PLACES, 6, 3)


@given(st.integers(0, 2**32 - 1))
def test_a_cover_changes_a_part_of_a_copy(seed: int) -> None:
    landmarks = np.random.default_rng(8).uniform(8, 40, (478, 2)).astype(np.float32)
    still = np.random.default_rng(9).integers(0, 256, (48, 48)).astype(np.uint8)
    before = still.copy()
    made = covered_by_chance(still, landmarks, np.random.default_rng(seed))
    assert (made.shape, made.dtype) == ((48, 48), np.uint8)
    np.testing.assert_array_equal(still, before)
    assert (made != still).any()
    assert (made == still).any()


def test_covered_faces_are_learned_from_with_their_crops(tmp_path) -> None:
    for module in ('tensorflow', 'tf_keras'):
        pytest.importorskip(module, reason=f'training needs {module}')
    from emotion_estimator_training.models import streaming_run

    rng = np.random.default_rng(1)

    def features(count: int, shade: int) -> FeatureSet:
        return FeatureSet(
            'face_mesh',
            rng.random((count, 52)).astype(np.float32),
            np.arange(count) % 7,
            np.zeros(count, np.int64),
            np.arange(count),
            np.zeros(count, bool),
            np.zeros(count, bool),
            np.full((count, 48, 48), shade, np.uint8),
        )

    def embed(crops, name=''):
        return np.repeat(crops.mean(axis=(1, 2))[:, None], 64, axis=1).astype(np.float32)

    assert covered_faces.load_covered(tmp_path, 'face_mesh') is None
    save_features(features(4, 200), covered_faces.covered_folder(tmp_path) / 'face_mesh.npz')
    covered = covered_faces.load_covered(tmp_path, 'face_mesh')
    assert covered is not None
    stills = Stills(
        np.zeros((10, 48, 48), np.uint8),
        np.arange(10) % 7,
        np.zeros(10, np.int64),
        np.arange(10),
        np.zeros(10, bool),
    )
    truth = truth_of_stills(stills)
    pool = streaming_run._pool(
        [features(10, 90)], [covered], None, stills, truth, embed, tmp_path, 13
    )
    assert len(pool.plain) == len(pool.moves) == 14
    np.testing.assert_array_equal(pool.emotion[10:], covered.emotion)
    np.testing.assert_array_equal(pool.plain[10:, :52], covered.blendshapes)
    assert (pool.plain[:, 52] == [90] * 10 + [200] * 4).all()
    assert len(pool.shown) == 3 * 14
    np.testing.assert_array_equal(pool.target[10:], truth.target[:4])
    assert pool.mouths is None
