"""The tables that models are trained from, as a run folder keeps them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotion_estimator.errors import InputError
from emotion_estimator_training.features.feature_set import FeatureSet, load_sources, save_features


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
