"""Feature sets and the vectors that models read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from still_features import made_features

from emotion_estimator.errors import InputError
from emotion_estimator_training.evaluation.recognizers import split_vector
from emotion_estimator_training.features.feature_set import (
    PRESENT,
    WIDTH,
    FeatureSet,
    complete_vectors,
    face_vectors,
    load_sources,
    only_branch,
    save_features,
)


def features(source: str, ids: list[int]) -> FeatureSet:
    number = np.array(ids, np.int64)
    return FeatureSet(
        source,
        np.full((len(ids), 52), 0.1, np.float32),
        number % 7,
        number % 3,
        number,
        np.zeros(len(ids), bool),
        np.arange(len(ids)) >= len(ids) - 2,
        np.zeros((len(ids), 48, 48), np.uint8),
    )


def keep(run: Path, *sets: FeatureSet) -> Path:
    for one in sets:
        save_features(one, run / 'features' / f'{one.source}.npz')
    return run


def test_sources_that_find_other_faces_of_the_same_images_go_together(tmp_path) -> None:
    run = keep(
        tmp_path,
        features('face_landmarker', [1, 2, 5, 8, 9]),
        features('face_mesh', [2, 3, 5, 9, 4]),
    )
    assert [one.source for one in load_sources(run)] == ['face_landmarker', 'face_mesh']


@pytest.mark.parametrize(
    'other',
    [
        replace(features('face_mesh', [1, 2, 5, 8]), emotion=np.array([1, 3, 5, 1])),
        replace(features('face_mesh', [1, 2, 5, 8]), usage=np.array([1, 0, 2, 2])),
        features('face_mesh', [11, 12, 15, 18]),
    ],
)
def test_sources_of_different_data_are_refused(tmp_path, other) -> None:
    run = keep(tmp_path, features('face_landmarker', [1, 2, 5, 8]), other)
    with pytest.raises(InputError, match='different images'):
        load_sources(run)


def test_a_run_without_features_says_what_makes_them(tmp_path) -> None:
    with pytest.raises(InputError, match='training features'):
        load_sources(tmp_path)


RNG = np.random.default_rng(5)
SCORES = RNG.random((4, 3, 52)).astype(np.float32)
EMBEDDINGS = RNG.random((4, 3, 64)).astype(np.float32)


def test_a_row_is_taken_apart_again() -> None:
    rows = face_vectors(SCORES, EMBEDDINGS)
    assert rows.shape == (4, 3, WIDTH)
    assert rows.dtype == np.float32
    blendshapes, embedding = split_vector(rows[1, 2])
    np.testing.assert_array_equal(blendshapes, SCORES[1, 2])
    np.testing.assert_array_equal(embedding, EMBEDDINGS[1, 2])


def test_blendshapes_alone_say_that_there_is_no_embedding() -> None:
    rows = face_vectors(SCORES)
    assert (rows[..., -2:] == (0, 1)).all()
    np.testing.assert_array_equal(complete_vectors(SCORES), rows)
    for row in (rows[0, 0], SCORES[0, 0]):
        blendshapes, embedding = split_vector(row)
        np.testing.assert_array_equal(blendshapes, SCORES[0, 0])
        assert embedding is None


def test_complete_rows_stay_as_they_are() -> None:
    rows = face_vectors(SCORES, EMBEDDINGS)
    assert complete_vectors(rows) is rows


@pytest.mark.parametrize('branch', PRESENT)
def test_a_branch_knows_no_more_than_it_reads(branch: str) -> None:
    rows = face_vectors(SCORES, EMBEDDINGS)
    rows[0, 0, -2] = 0
    before = rows.copy()
    seen = only_branch(rows, branch)
    np.testing.assert_array_equal(rows, before)
    assert (seen[1:, ..., -2:] == PRESENT[branch]).all()
    # What was not known stays unknown.
    assert seen[0, 0, -2] == 0
    blendshapes, embedding = split_vector(seen[1, 1])
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
