"""The report on made faces: one page, one JSON file, whatever is missing is said."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from smiling_recognizers import Flickers, Smiles, faces

from emotion_estimator.emotion import LABELS
from emotion_estimator.errors import InputError
from emotion_estimator.model_card import models_dir
from emotion_estimator.runtimes import import_mediapipe
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.data.stills import Stills
from emotion_estimator_training.evaluation.compared_models import ComparedModels
from emotion_estimator_training.evaluation.evaluate import Predictions
from emotion_estimator_training.evaluation.measuring import Material, MeasurementPlan, measure
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.features import Places
from emotion_estimator_training.report.charts import confusion_chart, threshold_chart
from emotion_estimator_training.report.pictures import most_missed, worst_errors
from emotion_estimator_training.report.report import compose, page_template
from emotion_estimator_training.report.tables import (
    threshold_document,
    threshold_table,
    time_rows,
    video_table,
)


def plan(tmp_path, public_only: bool = True) -> MeasurementPlan:
    places = Places(tmp_path / 'made.npz', None, tmp_path / 'cache', models_dir())
    return MeasurementPlan(
        places,
        tmp_path / 'run',
        load_grouping(),
        public_only=public_only,
        faces=20,
        pairs=8,
        command='emotion-estimator training evaluate --data <made>',
    )


def material() -> Material:
    seen = faces(smile=0.52)
    usage = np.where(np.arange(60) % 2, 1, 2)
    duplicate = np.arange(60) == 0
    features = FeatureSet(
        'face_mesh',
        seen.blendshapes,
        seen.emotion,
        usage,
        seen.image_id,
        duplicate,
        seen.augmented,
        seen.crops,
    )
    stills = Stills(
        np.full((60, 48, 48), 90, np.uint8), seen.emotion, usage, seen.image_id, duplicate
    )
    # One image in which nobody is found, and one that every model takes for another.
    features.blendshapes[3] = 0.0
    features = features.where(np.arange(60) != 5)
    models = ComparedModels(
        {'dense': Smiles(), 'streaming': Smiles(3)},
        penalty={'dense': 0.25},
        structure={
            'dense': [{'name': 'a', 'kind': 'Dense', 'output': [None, 3], 'parameters': 159}]
        },
    )
    times = np.arange(60) / 30
    track = Track(
        'portrait',
        'face_mesh',
        times,
        seen.blendshapes,
        ('happy',) * 20 + ('sad',) * 20 + ('unknown',) * 20,
    )
    return Material(stills, {'face_mesh': features}, models, [track])


def test_everything_is_measured_on_public_test_alone(tmp_path) -> None:
    report = measure(plan(tmp_path), material())
    assert list(report['stills']['dense']['face_mesh']) == ['public_test']
    metrics = report['stills']['dense']['face_mesh']['public_test']
    assert (metrics['n'], metrics['accuracy']) == (29, round(28 / 29, 4))
    assert metrics['loss'] == pytest.approx(metrics['cross_entropy'] + 0.25)
    assert list(report['coverage']['face_mesh']) == ['public_test']
    assert report['coverage']['face_mesh']['public_test']['happy'] == 0.9
    assert report['stability']['videos'][0]['changes_shown'] == 2
    assert any('PrivateTest is left out' in note for note in report['notes'])
    assert any('No --teacher' in note for note in report['notes'])
    assert 'private' not in json.dumps(report['stills'])


def test_private_test_comes_with_and_without_duplicates(tmp_path) -> None:
    report = measure(plan(tmp_path, public_only=False), material())
    counts = {split: each['n'] for split, each in report['stills']['dense']['face_mesh'].items()}
    assert counts == {'public_test': 29, 'private_test': 30, 'private_test_without_duplicates': 29}
    assert report['split'] == 'private_test'


def test_worst_errors_are_the_surest_and_the_most_missed() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.6, 0.1, 0.3], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    truth, image_id = np.array([1, 2, 2, 2]), np.array([7, 8, 9, 10])
    predictions = Predictions(probabilities.astype(np.float32), truth, image_id)
    assert [error.image_id for error in worst_errors(predictions, LABELS, 2)] == [7, 9]
    missed = most_missed(predictions, LABELS, 'sad', 9)
    assert [(e.image_id, e.guess, e.of_truth) for e in missed] == [
        (9, 'unknown', 0.1),
        (8, 'happy', 0.3),
    ]


def test_tables_in_time_say_never_and_unknown() -> None:
    metrics = {
        'flips_per_s': 0.5,
        'flips_to_dense': None,
        'right_while_steady': 0.8,
        'median_s': 0.1,
        'p95_s': None,
        'never': 0.1,
        'changes': 20,
    }
    rows = time_rows({'models': {'a': {'30_fps': metrics, 'flips_by_strength': {}}}})
    assert rows == [['30 fps', 'a', '0.500', '-', '0.800', '0.100', '-', '0.100', '20']]
    assert video_table([]) == (['video', 'source', 'seconds', 'changes shown'], [])


def test_thresholds_of_sad_and_happy_stand_beside_each_other() -> None:
    row = {
        'recall': 0.5, 'precision': None, 'neutral_told': 0.03, 'macro_f1': 0.75,
        'n_label': 12, 'n_neutral': 1234,
    }  # fmt: skip
    curves = {
        'sad': [{**row, 'threshold': step} for step in (0.0, 0.05)],
        'happy': [{**row, 'threshold': step, 'recall': 0.25} for step in (0.0, 0.05)],
    }
    header, _, own, first = threshold_table(curves).splitlines()
    assert header.startswith(
        '| threshold | neutral (1,234) reported sad | recall of sad (12) | precision of sad |'
    )
    assert 'neutral (1,234) reported happy | recall of happy (12)' in header
    assert own == '| none | 0.030 | 0.500 | - | 0.750 | 0.030 | 0.250 | - | 0.750 |'
    assert first.startswith('| 0.05 | 0.030 |')
    document = threshold_document({'emotion_lstm-9.0.0, 12 photographs': curves})
    assert document.startswith('Thresholds, emotion_lstm-9.0.0, 12 photographs:\n\n| threshold |')


def test_curves_of_thresholds_are_drawn_whatever_is_missing() -> None:
    row = {'recall': 0.5, 'neutral_told': 0.03}
    rows = [{**row, 'threshold': step / 20} for step in range(21)]
    without = [{**one, 'neutral_told': None} for one in rows]
    for curves in ({'sad': rows, 'happy': rows}, {'sad': rows, 'happy': without}):
        assert threshold_chart({'face_mesh': curves, 'photographs': curves}).startswith(b'\x89PNG')


def test_labels_are_no_formulas() -> None:
    odd = r'$\frac{$'
    chart = confusion_chart({f'{odd} \udcff': [[3, 1], [0, 2]]}, [odd, 'a\x1bb'])
    assert chart.startswith(b'\x89PNG')


def test_data_without_the_split_are_refused(tmp_path, monkeypatch) -> None:
    from emotion_estimator_training.evaluation import measuring as asked

    made = material()
    only = made.features['face_mesh']
    monkeypatch.setattr(asked, 'load_stills', lambda path: made.stills)
    monkeypatch.setattr(
        asked, 'feature_sets', lambda *_, **__: {'face_mesh': only.where(only.usage == 2)}
    )
    with pytest.raises(InputError, match='no face is found in the public_test images'):
        asked.gather(plan(tmp_path))


def test_the_page_needs_nothing_else(tmp_path) -> None:
    pytest.importorskip('jinja2', reason='the page needs Jinja2 (pip install ./training)')
    if not hasattr(import_mediapipe(), 'solutions'):
        pytest.skip('this mediapipe bundles no face mesh to look at the pictures with')
    page = compose(plan(tmp_path), material(), page_template(), tmp_path / 'out')
    text = page.read_text()
    assert not re.search(r'<script|src="(?!data:)|https?://', text)
    assert '&lt;made&gt;' in text
    assert 'image 3:' in text
    assert 'paper, as published' in text
    assert text.count('<img src="data:image/') >= 7
    assert '| 30 fps | dense |' in (page.parent / 'tables.md').read_text()
    report = json.loads((page.parent / 'report.json').read_text())
    assert report['errors'][0]['image_id'] == 3
    assert {row['what']: row['reached'] for row in report['targets']}[
        "flips on steady faces, share of dense's, face_mesh, 30 fps"
    ] is False
    assert (page.parent / 'figures' / 'flips-against-delay.png').stat().st_size > 10_000


def test_flickering_is_seen_on_video(tmp_path) -> None:
    made = material()
    made.models.recognizers['flickers'] = Flickers()
    videos = measure(plan(tmp_path), made)['stability']['videos']
    assert videos[0]['flips']['flickers'] == 59
