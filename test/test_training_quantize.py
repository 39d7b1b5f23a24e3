"""Conversions of a streaming network: what they hold, what the gate stops, what is written."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'ai_edge_litert'):
    pytest.importorskip(module, reason=f'needs {module} (requirements/training.in)')

from click.testing import CliRunner
from still_features import made_features

from emotion_estimator.cli.training.streaming import quantize
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.training import quantize_run
from emotion_estimator.training.feature_set import save_features
from emotion_estimator.training.grouping import load_grouping
from emotion_estimator.training.parity import ParityError
from emotion_estimator.training.quantize import (
    DYNAMIC_RANGE,
    FLOAT,
    INT8,
    INT8_PRODUCTS,
    converted,
    int8_weights,
    write_model,
)
from emotion_estimator.training.quantize_run import quantize_streaming
from emotion_estimator.training.streaming_network import (
    StreamingSettings,
    build_network,
    step_function,
)
from emotion_estimator.training.streaming_recognizer import StreamingRecognizer
from emotion_estimator.training.streaming_store import (
    FittedStreaming,
    save_streaming,
    streaming_folder,
)
from emotion_estimator.training.tflite_file import float_operators, lean

FEATURES = made_features(0)
SMALL = StreamingSettings(front=(16, 12), units=8)


def fitted() -> FittedStreaming:
    from emotion_estimator.training.legacy_keras import keras

    keras.utils.set_random_seed(3)
    network = build_network(FEATURES.blendshapes, SMALL)
    return FittedStreaming(network, load_grouping(), np.zeros(7, np.float32), 1.0, {
        'front': [16, 12], 'units': [8], 'floor': SMALL.floor, 'dropout': SMALL.dropout,
        'settling': vars(SMALL.settling), 'sources': ['face_landmarker'], 'seed': 3,
        'training': {'steps': 0},
    })


def step(one: FittedStreaming):
    return step_function(one.network, one.grouping.matrix, one.bias, one.temperature)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    save_features(FEATURES, folder / 'features' / 'face_landmarker.npz')
    streaming_folder(folder).mkdir(parents=True)
    save_streaming(fitted(), streaming_folder(folder))
    return folder


def one_face_in_order():
    """Return inputs of 60 steps: scores, seconds and states that might occur."""
    rng = np.random.default_rng(2)
    size = fitted().state_size
    return [
        [rng.random((1, 52)).astype(np.float32) ** 2, np.full((1, 1), 1 / 30, np.float32),
         rng.uniform(-0.5, 0.5, (1, size)).astype(np.float32)] for _ in range(60)
    ]


def test_float_stays_float_and_int8_products_are_the_only_integers() -> None:
    function, inputs = step(fitted()), one_face_in_order()
    whole = float_operators(converted(function, FLOAT, lambda: inputs))
    products = float_operators(converted(function, INT8_PRODUCTS, lambda: inputs))
    assert 'FULLY_CONNECTED' in whole
    assert set(whole) - set(products) == {'FULLY_CONNECTED'}
    # For a division there is no int8 kernel.
    assert float_operators(converted(function, INT8, lambda: inputs)) == ['DIV']


def test_the_lean_file_answers_as_the_whole_one_does(tmp_path) -> None:
    one = fitted()
    content = int8_weights(step(one))
    short = lean(content)
    assert len(short) < 0.95 * len(content)
    answers = []
    for name, each in (('whole', content), ('short', short)):
        card = write_model(each, quantize_run._card(one, DYNAMIC_RANGE), tmp_path / name)
        recognizer = StreamingRecognizer(EmotionClassifier.load(card))
        answers.append(recognizer.sequences(
            FEATURES.blendshapes[None, :40], np.full((1, 40), 1 / 30, np.float32)
        ))
    np.testing.assert_array_equal(*answers)


def test_the_best_is_written_with_its_card(run, tmp_path) -> None:
    done = CliRunner().invoke(quantize, [
        '--run', str(run), '--models', str(tmp_path), '--no-paper', '--rounds', '2', '--faces', '5',
    ], catch_exceptions=False)
    assert done.exit_code == 0
    card = json.loads((tmp_path / 'emotion_lstm.json').read_text())
    assert card['version'] == '2.0.0'
    metrics = card['metrics']
    assert metrics['quantization']['frames'] == 12_000
    chosen = metrics['quantization']['candidates'][metrics['quantization']['chosen']]
    assert chosen['bytes'] == card['bytes'] == (tmp_path / 'emotion_lstm.tflite').stat().st_size
    for figures in chosen['parity'].values():
        assert figures['frames'] >= 10_000
        assert figures['agreement'] >= 0.99
    assert set(metrics['fer2013']['face_landmarker']) == {'public_test', 'response'}
    times = metrics['time']['networks'][metrics['quantization']['chosen']]
    for row in times.values():
        assert 0 < row['invoke_median'] < row['step_median'] <= row['step_p95']
    text = (tmp_path / 'emotion_lstm.md').read_text()
    assert 'held to the float network over 12000 frames' in text
    assert 'emotion_lstm.json' in done.output
    # It is what the estimator takes, and answers as the float network does.
    face = FEATURES.blendshapes[:1]
    found = EmotionClassifier.load(tmp_path / 'emotion_lstm.json').classify_still(face[0])
    np.testing.assert_allclose(found, fitted().stills(face)[0], atol=0.02)


def test_a_file_that_says_other_things_is_not_written(run, tmp_path, monkeypatch) -> None:
    def bent(one, *_):
        # The operating point moved on the way to the file, as a bug would.
        moved = replace(one, bias=np.array([0, 0, 0, 0, 4, 0, 0], np.float32))
        return {way: converted(step(moved), way, list) for way in (FLOAT, DYNAMIC_RANGE)}, {}

    monkeypatch.setattr(quantize_run, '_conversions', bent)
    with pytest.raises(ParityError) as caught:
        quantize_streaming(run, tmp_path / 'models', with_paper=False, rounds=1)
    assert '\n' not in str(caught.value)
    assert 'needed are 99%' in str(caught.value)
    assert not (tmp_path / 'models').exists()
    table = json.loads((run / 'tables' / 'quantization.json').read_text())
    assert table['quantization']['candidates'][DYNAMIC_RANGE]['refused']


def test_what_is_missing_is_named(tmp_path) -> None:
    with pytest.raises(ModelError, match='fit streaming'):
        quantize_streaming(tmp_path, tmp_path / 'models')
    streaming_folder(tmp_path).mkdir(parents=True)
    save_streaming(fitted(), streaming_folder(tmp_path))
    with pytest.raises(InputError, match='training features'):
        quantize_streaming(tmp_path, tmp_path / 'models')
