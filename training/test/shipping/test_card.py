"""The classifier's card: metrics written into it, for choosing and for reporting."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from still_features import made_features

from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.runtimes import runtimes
from emotion_estimator_training.data.stills import Stills
from emotion_estimator_training.shipping.cards import measure_card, write_markdown

pytestmark = pytest.mark.skipif(not runtimes(), reason='no TFLite runtime installed')

FEW = {'faces': 4, 'pairs': 4}


@pytest.fixture
def card(tmp_path):
    for suffix in ('.tflite', '.json'):
        shutil.copy(models_dir() / f'emotion_lstm{suffix}', tmp_path)
    path = tmp_path / 'emotion_lstm.json'
    raw = json.loads(path.read_text())
    path.write_text(json.dumps({**raw, 'metrics': {'kept': 1, 'fer2013': 'old'}}))
    return path


def seen():
    """Half of the test faces of PublicTest, half of PrivateTest, one image without a face."""
    features = made_features(0)
    usage = np.where(np.arange(180) < 120, 0, np.where(np.arange(180) < 150, 1, 2))
    stills = Stills(
        np.zeros((180, 48, 48), np.uint8),
        features.emotion,
        usage,
        np.arange(180),
        np.zeros(180, bool),
    )
    return replace(features, usage=usage).where(np.arange(180) != 170), stills


def test_for_choosing_private_test_is_left_alone(card) -> None:
    features, _ = seen()
    metrics = measure_card(card, {'face_mesh': features}, public_only=True, **FEW)
    assert set(metrics['fer2013']['face_mesh']) == {'public_test', 'response'}
    assert metrics['fer2013']['face_mesh']['public_test']['n'] == 30
    assert metrics['kept'] == 1
    assert json.loads(card.read_text())['metrics'] == metrics
    text = card.with_suffix('.md').read_text()
    assert '| face_mesh | public_test | 30 | - |' in text
    assert 'private_test |' not in text
    # Card and weights still belong together.
    ModelCard.load(card, 'emotion_lstm')


def test_in_the_end_private_test_and_coverage_are_written(card) -> None:
    features, stills = seen()
    measure_card(card, {'face_mesh': features}, False, stills, **FEW)
    measured = json.loads(card.read_text())['metrics']['fer2013']['face_mesh']
    assert measured['private_test']['n'] == 29
    assert measured['private_test']['coverage'] == round(29 / 30, 4)
    assert min(measured['coverage_by_class'].values()) == 0.9
    assert '| face_mesh | private_test | 29 | 0.9667 |' in card.with_suffix('.md').read_text()


def test_the_text_shows_how_the_file_was_chosen_and_timed(card) -> None:
    features, _ = seen()
    measure_card(card, {'face_mesh': features}, public_only=True, **FEW)
    raw = json.loads(card.read_text())
    one = {'frames': 12000, 'agreement': 0.999, 'greatest': 0.01, 'mean': 0.001}
    row = {'step_median': 9.1, 'step_p95': 12.0, 'invoke_median': 3.3, 'invoke_p95': 4.0}
    raw['metrics'] |= {
        'quantization': {
            'frames': 12000,
            'rule': 'the best',
            'chosen': 'small',
            'not_convertible': {'x': 'no x'},
            'candidates': {
                'small': {
                    'bytes': 38448,
                    'parity': {'a': one},
                    'refused': '',
                    'float_operators': ['LOG'],
                }
            },
        },
        'time': {
            'machine': 'x',
            'rounds': 40,
            'runtimes': {'a': '2.0'},
            'notes': ['b is left out'],
            'networks': {'small': {'a': row}},
            'paper': 'as fitted',
            'share_of_paper': {'fastest form': 0.0123},
        },
    }
    card.write_text(json.dumps(raw))
    text = write_markdown(card).read_text()
    for words in (
        '| small | 38448 | log | 0.999 | 0.01 | 0.001 | shipped |',
        'no x',
        '0.0123',
        '| small | a | 9.1 | 12.0 | 3.3 | 4.0 |',
        'b is left out',
        '12000 frames',
    ):
        assert words in text


@pytest.mark.parametrize(
    ('part', 'way'), [('last', ''), ('long', ' --long'), ('continued', ' --continue-released')]
)
def test_the_appearance_networks_card_names_the_command_that_made_it(tmp_path, part, way) -> None:
    raw = json.loads((models_dir() / 'appearance.json').read_text())
    trained = {k: one for k, one in raw['settings'].items() if not k.startswith('training ')}
    trained[f'training {part}'] = {}
    path = tmp_path / 'appearance.json'
    path.write_text(json.dumps({**raw, 'settings': trained}))
    write_markdown(path)
    assert f'`emotion-estimator training appearance{way}`' in path.with_suffix('.md').read_text()
