"""The report's part on trust, on made faces: what is there and what is not, of which split."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from robot_stub import stub_networks, written

from emotion_estimator.model_card import models_dir
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.data.stills import FER_CLASSES, Stills
from emotion_estimator_training.evaluation import trust
from emotion_estimator_training.evaluation.compared_models import ComparedModels, OneBranch
from emotion_estimator_training.evaluation.measuring import Material, MeasurementPlan
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.features.extract import Outlines
from emotion_estimator_training.features.features import Places
from emotion_estimator_training.report.pictures import trust_charts
from emotion_estimator_training.report.tables import trust_tables

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


def test_one_branch_hides_the_other() -> None:
    class Remembers:
        name, labels = 'streaming', ('a',)

        def stills(self, vectors):
            return vectors[:, -2:]

        sequences = None

    both = np.ones((1, 118), np.float32)
    assert OneBranch(Remembers(), 'blendshapes').stills(both).tolist() == [[0, 1]]
    assert OneBranch(Remembers(), 'appearance').stills(both).tolist() == [[1, 0]]
