"""Rows of what is known of a face: blendshapes, embedding, and which of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from still_features import made_features

from emotion_estimator_training.evaluation.recognizers import known
from emotion_estimator_training.features.feature_set import (
    PRESENT,
    WIDTH,
    face_vectors,
    only,
    whole,
)

RNG = np.random.default_rng(5)
SCORES = RNG.random((4, 3, 52)).astype(np.float32)
EMBEDDINGS = RNG.random((4, 3, 64)).astype(np.float32)


def test_a_row_is_taken_apart_again() -> None:
    rows = face_vectors(SCORES, EMBEDDINGS)
    assert rows.shape == (4, 3, WIDTH)
    assert rows.dtype == np.float32
    blendshapes, embedding = known(rows[1, 2])
    np.testing.assert_array_equal(blendshapes, SCORES[1, 2])
    np.testing.assert_array_equal(embedding, EMBEDDINGS[1, 2])


def test_blendshapes_alone_say_that_there_is_no_embedding() -> None:
    rows = face_vectors(SCORES)
    assert (rows[..., -2:] == (0, 1)).all()
    np.testing.assert_array_equal(whole(SCORES), rows)
    for row in (rows[0, 0], SCORES[0, 0]):
        blendshapes, embedding = known(row)
        np.testing.assert_array_equal(blendshapes, SCORES[0, 0])
        assert embedding is None


def test_whole_rows_stay_as_they_are() -> None:
    rows = face_vectors(SCORES, EMBEDDINGS)
    assert whole(rows) is rows


@pytest.mark.parametrize('branch', PRESENT)
def test_a_branch_knows_no_more_than_it_reads(branch: str) -> None:
    rows = face_vectors(SCORES, EMBEDDINGS)
    rows[0, 0, -2] = 0
    before = rows.copy()
    seen = only(rows, branch)
    np.testing.assert_array_equal(rows, before)
    assert (seen[1:, ..., -2:] == PRESENT[branch]).all()
    # What was not known stays unknown.
    assert seen[0, 0, -2] == 0
    blendshapes, embedding = known(seen[1, 1])
    assert (blendshapes is None) == (branch == 'appearance')
    assert (embedding is None) == (branch == 'blendshapes')


def test_features_without_a_crop_have_no_embedding() -> None:
    features = made_features()
    assert features.augmented.any()
    assert not features.crops[features.augmented].any()
    embeddings = np.arange(len(features) * 64, dtype=np.float32).reshape(-1, 64) + 1
    vectors = replace(features, embeddings=embeddings).vectors
    np.testing.assert_array_equal(vectors[:, :52], features.blendshapes)
    cropped = features.crops.any(axis=(1, 2))
    np.testing.assert_array_equal(cropped, ~features.augmented)
    np.testing.assert_array_equal(vectors[cropped, 52:-2], embeddings[cropped])
    assert (vectors[cropped, -2:] == (1, 1)).all()
    assert not vectors[~cropped, 52:-1].any()
    assert (vectors[:, -1] == 1).all()


def test_embeddings_that_nobody_asked_for_are_unknown() -> None:
    assert not made_features().vectors[:, 52:-1].any()


def test_some_faces_keep_their_embeddings_and_moves() -> None:
    features = made_features(0)
    embeddings = RNG.random((180, 64)).astype(np.float32)
    moves = RNG.random((180, 2, 64)).astype(np.float32)
    some = replace(features, embeddings=embeddings, moves=moves).where(np.array([7, 3]))
    np.testing.assert_array_equal(some.embeddings, embeddings[[7, 3]])
    np.testing.assert_array_equal(some.moves, moves[[7, 3]])
    assert made_features(0).where(np.array([7, 3])).moves is None
