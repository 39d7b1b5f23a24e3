"""Covered and changed stills, measured on the same faces by networks whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from robot_stub import STEP, stub_networks, written

from emotion_estimator.model_card import models_dir
from emotion_estimator_training.data.hard_stills import CONDITIONS
from emotion_estimator_training.data.stills import FER_CLASSES, Stills
from emotion_estimator_training.evaluation import trust
from emotion_estimator_training.features.extract import Outlines
from emotion_estimator_training.features.features import Places

HAPPY, SAD = FER_CLASSES.index('happy'), FER_CLASSES.index('sad')
PLACES = Places(Path('none'), None, Path('none'), models_dir())


@pytest.fixture
def stills() -> Stills:
    emotion = np.array([HAPPY, SAD] * 5)
    return Stills(
        np.full((10, 48, 48), 99, np.uint8),
        emotion,
        np.ones(10, np.int64),
        np.arange(10),
        np.zeros(10, bool),
    )


def outlines() -> Outlines:
    landmarks = np.random.default_rng(2).uniform(60, 260, (10, 478, 3)).astype(np.float32)
    return Outlines(landmarks, np.ones(10, bool))


def test_a_sample_is_of_its_split_and_always_the_same() -> None:
    split = np.arange(100) % 2 == 0
    rows = trust.sampled(split, 20)
    assert len(set(rows.tolist())) == 20
    assert not (rows % 2).any()
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, trust.sampled(split, 20))
    assert len(trust.sampled(split, 1000)) == 50


def test_what_a_cover_costs_is_told_of_the_faces_found_in_both(monkeypatch, stills) -> None:
    looked = []

    def look(made, places, augment, processes, sources):
        looked.append(made)
        # Two faces are lost; blendshapes take all for happy, crops stay what they are.
        kept = np.arange(len(made)) >= 2
        number, emotion = made.image_id[kept], made.emotion[kept]
        said = written(np.full(len(number), HAPPY), number, by_crop=emotion)
        return {'face_mesh': replace(said, emotion=emotion)}

    monkeypatch.setattr(trust, 'feature_sets', look)
    plain = {'face_mesh': written(stills.emotion, stills.image_id)}
    rows = np.arange(6)
    found = trust.occlusion_figures(stub_networks(), stills, rows, outlines(), plain, PLACES)[
        'face_mesh'
    ]
    assert [len(made) for made in looked] == [6, 6]
    assert not np.array_equal(looked[0].pixels, looked[1].pixels)
    assert (looked[0].pixels != 99).any()
    by_branch = {row['branch']: row for row in found if row['cover'] == 'mouth'}
    assert {row['n'] for row in found} == {4}
    assert {row['images'] for row in found} == {6}
    assert by_branch['blendshapes']['fall'] == 0.5
    assert (by_branch['appearance']['fall'], by_branch['fused']['fall']) == (0.0, 0.0)


def test_conditions_begin_with_the_unchanged_and_count_lost_faces(monkeypatch, stills) -> None:
    def look(made, places, augment, processes, sources):
        assert sources == ('face_mesh',)
        some = np.arange(len(made)) % 2 == 0
        return {'face_mesh': written(made.emotion[some], made.image_id[some])}

    monkeypatch.setattr(trust, 'feature_sets', look)
    table = trust.condition_figures(
        stub_networks(), stills, np.arange(4), written(stills.emotion, stills.image_id), PLACES
    )
    assert len(table) == 1 + sum(map(len, CONDITIONS.values()))
    assert (table[0]['what'], table[0]['found']) == ('unchanged', 1.0)
    assert {row['found'] for row in table[1:]} == {0.5}
    assert table[1]['fused']['accuracy'] == 1.0


def test_a_condition_in_which_nobody_is_found_claims_nothing(monkeypatch, stills) -> None:
    monkeypatch.setattr(trust, 'feature_sets', lambda made, *_: {'face_mesh': written([], [])})
    table = trust.condition_figures(
        stub_networks(), stills, np.arange(4), written(stills.emotion, stills.image_id), PLACES
    )
    assert table[1]['found'] == 0.0
    assert 'fused' not in table[1]


def test_turned_away_faces_are_measured_by_themselves(stills) -> None:
    plain = written(stills.emotion, stills.image_id, by_crop=np.full(10, SAD))
    found = outlines()
    found.landmarks[:, :, :] = 0
    found.landmarks[:, 263, 0] = found.landmarks[:, 152, 1] = 50
    # Images 0 and 1 turn by 45 degrees.
    found.landmarks[:2, 263, 2] = 50
    rows = trust.yaw_figures(stub_networks(), stills, found, plain)
    assert [(row['how_much'], row['images']) for row in rows] == [
        ('0 to 10 degrees', 8),
        ('over 30 degrees', 2),
    ]
    assert rows[0]['appearance']['accuracy'] == 0.5
    assert rows[0]['blendshapes']['accuracy'] == 1.0
    assert plain.crops[0, 0, 0] == SAD * STEP + 1
