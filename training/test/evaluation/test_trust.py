"""Calibration, abstention, hard stills and clips, with networks whose answers are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from robot_stub import STEP, stub_networks, written

from emotion_estimator.model_card import models_dir
from emotion_estimator_training.data import hard_stills
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.data.hard_stills import CONDITIONS
from emotion_estimator_training.data.stills import FER_CLASSES, Stills
from emotion_estimator_training.evaluation import trust
from emotion_estimator_training.evaluation.compared_models import ComparedModels
from emotion_estimator_training.evaluation.measuring import Material, MeasurementPlan
from emotion_estimator_training.evaluation.trust import (
    at_thresholds,
    falls,
    lost,
    mean_risk,
    risk_coverage,
)
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.features.extract import Outlines
from emotion_estimator_training.features.features import Places
from emotion_estimator_training.report.pictures import trust_charts
from emotion_estimator_training.report.tables import occlusion_table, trust_tables

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


def test_what_a_cover_costs_is_measured_on_the_faces_found_in_both(monkeypatch, stills) -> None:
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
    found = trust.occlusion_metrics(stub_networks(), stills, rows, outlines(), plain, PLACES)[
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
    table = trust.condition_metrics(
        stub_networks(), stills, np.arange(4), written(stills.emotion, stills.image_id), PLACES
    )
    assert len(table) == 1 + sum(map(len, CONDITIONS.values()))
    assert (table[0]['what'], table[0]['found']) == ('unchanged', 1.0)
    assert {row['found'] for row in table[1:]} == {0.5}
    assert table[1]['fused']['accuracy'] == 1.0


def test_a_condition_in_which_nobody_is_found_claims_nothing(monkeypatch, stills) -> None:
    monkeypatch.setattr(trust, 'feature_sets', lambda made, *_: {'face_mesh': written([], [])})
    table = trust.condition_metrics(
        stub_networks(), stills, np.arange(4), written(stills.emotion, stills.image_id), PLACES
    )
    assert table[1]['found'] == 0.0
    assert 'fused' not in table[1]


def test_turned_away_faces_are_measured_by_themselves(monkeypatch, stills) -> None:
    plain = written(stills.emotion, stills.image_id, by_crop=np.full(10, SAD))
    found = outlines()
    found.landmarks[:, 0, 0] = (45, 45, *[5] * 8)
    monkeypatch.setattr(hard_stills, 'turned_away', lambda landmarks: float(landmarks[0, 0]))
    rows = trust.yaw_metrics(stub_networks(), stills, found, plain)
    assert [(row['how_much'], row['images']) for row in rows] == [
        ('0 to 10 degrees', 8),
        ('over 30 degrees', 2),
    ]
    assert rows[0]['appearance']['accuracy'] == 0.5
    assert rows[0]['blendshapes']['accuracy'] == 1.0
    assert plain.crops[0, 0, 0] == SAD * STEP + 1


def test_falls_are_of_the_same_faces() -> None:
    one = {
        'n': 4,
        'accuracy': 0.6,
        'macro_f1': 0.5,
        'lost': np.array([1, 0, 0, 0]),
        'uncovered': {'accuracy': 0.75, 'macro_f1': 0.48},
    }
    other = {**one, 'lost': np.array([1, 1, 0, 0])}
    fused, crop = falls({'mouth': {'fused': one, 'appearance': other}})
    assert (fused['fall'], fused['macro_f1_fall']) == (0.15, -0.02)
    assert (
        '| mouth | fused | 4 | 0.600 | 0.750 | 0.150 |  | 0.500 | 0.480 | -0.020 |'
        in occlusion_table([fused])
    )
    # One face of four more: 1.96 standard errors of (0, 1, 0, 0).
    assert (crop['more_than_fused'], crop['margin']) == (0.25, 0.4244)
    assert '| 0.150 | +0.250 ± 0.424 | 0.500 |' in occlusion_table([crop])


def test_a_face_that_a_cover_helps_counts_against_one_that_it_costs() -> None:
    before, after = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert lost(before, after).tolist() == [0, 1, -1, 0]


def certain(sure, right):
    """Return probabilities (N, 2) of the first label, which is ``right`` or not, and the truth."""
    sure = np.asarray(sure, np.float32)
    return np.column_stack([sure, 1 - sure]), np.where(right, 0, 1)


def test_a_threshold_withholds_the_unsure() -> None:
    probabilities, truth = certain([0.95, 0.85, 0.7, 0.6], [True, True, False, False])
    rows = {row['abstain_below']: row for row in at_thresholds(probabilities, truth)}
    assert (rows[0.0]['answered'], rows[0.0]['accuracy']) == (1.0, 0.5)
    assert (rows[0.8]['answered'], rows[0.8]['accuracy']) == (0.5, 1.0)
    assert (rows[0.9]['answered'], rows[0.9]['accuracy']) == (0.25, 1.0)


def test_where_nothing_is_answered_nothing_is_claimed() -> None:
    probabilities, truth = certain([0.6], [True])
    (row,) = at_thresholds(probabilities, truth, (0.9,))
    assert row == {'abstain_below': 0.9, 'answered': 0.0, 'accuracy': None, 'macro_f1': None}


def test_risk_grows_where_the_unsure_are_wrong() -> None:
    coverage, risk = risk_coverage(*certain([0.6, 0.95, 0.7, 0.85], [False, True, False, True]))
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 0, 1 / 3, 0.5], atol=1e-6)
    assert mean_risk(*certain([0.9, 0.8], [True, True])) == 0.0


def test_no_threshold_parts_what_is_equally_sure() -> None:
    _, risk = risk_coverage(*certain([0.8, 0.8, 0.8, 0.8], [True, True, False, False]))
    np.testing.assert_allclose(risk, 0.5)


@given(st.lists(st.tuples(st.floats(0.5, 1, width=32), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_curve_ends_at_the_error_of_all(faces) -> None:
    probabilities, truth = certain(*zip(*faces))
    # Exact halves are either label's.
    wrong = float((probabilities.argmax(axis=1) != truth).mean())
    coverage, risk = risk_coverage(probabilities, truth)
    assert coverage[-1] == 1.0
    assert risk[-1] == pytest.approx(wrong, abs=1e-6)
    assert ((risk >= 0) & (risk <= 1)).all()
    assert (np.diff(coverage) > 0).all()


HAPPY, SAD, NEUTRAL = (FER_CLASSES.index(name) for name in ('happy', 'sad', 'neutral'))


class Rests:
    """Of the classifier, what adaptation asks for too."""

    def __init__(self, classifier) -> None:
        self._classifier = classifier

    def __getattr__(self, name):
        return getattr(self._classifier, name)

    def __call__(self, *seen):
        return self._classifier(*seen)

    def step(self, blendshapes, state, dt, embedding=None):
        class Answer:
            pass

        Answer.probabilities, Answer.state = self._classifier(blendshapes, state, dt, embedding)
        Answer.expressions = np.full(7, 1 / 7, np.float32)
        return Answer


@pytest.fixture
def networks():
    made = stub_networks()
    return replace(made, classifiers={k: Rests(one) for k, one in made.classifiers.items()})


def material(networks) -> Material:
    emotion = np.array([HAPPY, SAD, NEUTRAL] * 10)
    usage = np.repeat([1, 2], 15)
    stills = Stills(
        np.full((30, 48, 48), 99, np.uint8), emotion, usage, np.arange(30), np.arange(30) == 0
    )
    # Pixels take the private test's faces for sad.
    features = replace(
        networks.seen(written(emotion, by_crop=np.where(usage == 2, SAD, emotion))),
        usage=usage,
        duplicate=stills.duplicate,
    )
    clip = Track(
        'generated_sadness',
        'face_mesh',
        np.arange(15) / 10,
        features.blendshapes[:15],
        crops=features.crops[:15],
    )
    return Material(
        stills,
        {'face_mesh': features},
        ComparedModels(),
        [clip],
        networks=networks,
        tracks_of_stills=[clip],
    )


def plan(tmp_path, **more) -> MeasurementPlan:
    places = Places(tmp_path / 'made.npz', None, tmp_path / 'cache', models_dir())
    return MeasurementPlan(places, tmp_path, load_grouping(), **{'pairs': 9, 'hard': 0, **more})


@pytest.fixture
def measured(tmp_path, networks, monkeypatch):
    monkeypatch.setattr(
        trust, '_face_times', lambda *_: {'fused': {'median_ms': 0.5, 'p95_ms': 0.7}}
    )
    return trust.measure_trust(plan(tmp_path, public_only=True), material(networks), networks)


def test_only_the_public_test_is_looked_at_where_that_is_asked(measured) -> None:
    fused = [row for row in measured.metrics['side_by_side'] if row['model'] == 'fused']
    assert {row['n'] for row in fused} == {14, 15}
    assert all(row['accuracy'] == 1.0 for row in fused), 'the private test would be wrong'
    assert measured.metrics['split'] == 'public_test'


def test_answers_of_nine_tenths_that_are_always_right_are_a_tenth_too_modest(measured) -> None:
    fused = measured.metrics['sure']['face_mesh']['branches']['fused']
    assert fused['ece'] == pytest.approx(0.1, abs=1e-3)
    assert fused['aurc'] == 0.0
    assert fused['thresholds'][-1]['answered'] == 1.0


def test_every_threshold_below_nine_tenths_leaves_answers_of_nine_tenths(measured) -> None:
    curves = measured.metrics['thresholds']['face_mesh']
    assert set(curves) == {'sad', 'happy'}
    for label, rows in curves.items():
        at = {row['threshold']: row for row in rows}
        assert (at[0.0]['recall'], at[0.85]['recall'], at[0.95]['recall']) == (1.0, 1.0, 0.0)
        assert at[0.05]['neutral_told'] == 1.0, f'the others have 0.05 of {label} each'
        assert at[0.1]['neutral_told'] == 0.0
    (title,) = (title for title in trust_tables(measured.metrics) if title.startswith('Thresholds'))
    assert title == f'Thresholds, {measured.metrics["model"]}, face_mesh, public_test'
    assert measured.metrics['model'].startswith('emotion_lstm-')


def test_what_was_not_asked_for_is_left_out_and_groups_are_said(measured) -> None:
    assert measured.metrics['occlusion'] == measured.metrics['conditions'] == {}
    assert 'no such labels' in measured.metrics['groups']
    tables = trust_tables(measured.metrics)
    assert not any('Covered' in title for title in tables)
    assert '| generated_sadness | face_mesh | fused | 15 |' in tables['Clips, vocabulary three']
    assert '| fused | 0.500 | 0.700 |' in next(
        table for title, table in tables.items() if title.startswith('Milliseconds')
    )
    pictures = trust_charts(measured)
    assert set(pictures) == {
        'risk face_mesh',
        'calibration face_mesh',
        'thresholds',
        'clip generated_sadness, face_mesh',
    }
    assert all(content.startswith(b'\x89PNG') for content in pictures.values())
    json.dumps(measured.metrics)


def test_hard_stills_are_of_the_split_and_of_faces_that_are_known(
    tmp_path, networks, monkeypatch
) -> None:
    asked = {}

    def outlines(stills, *_, wanted):
        found = np.arange(30) != 3
        return {'face_mesh': Outlines(np.zeros((30, 478, 3), np.float32), found)}

    def covers(networks, stills, rows, *_):
        asked['rows'] = rows
        return {}

    monkeypatch.setattr(trust, 'outlines', outlines)
    monkeypatch.setattr(trust, 'occlusion_metrics', covers)
    monkeypatch.setattr(trust, 'condition_metrics', lambda *_: [])
    monkeypatch.setattr(trust, 'yaw_metrics', lambda *_: [])
    monkeypatch.setattr(trust, '_face_times', lambda *_: {})
    made = trust.measure_trust(
        plan(tmp_path, public_only=True, hard=100), material(networks), networks
    )
    assert asked['rows'].tolist() == [row for row in range(15) if row != 3]
    assert made.metrics['hard_images'] == 14
