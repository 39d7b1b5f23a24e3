"""Conversions of a streaming network: what they hold, what the gate stops, what is written."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'ai_edge_litert'):
    pytest.importorskip(module, reason=f'needs {module} (pip install ./training)')

from click.testing import CliRunner
from still_features import made_features
from tiny_appearance import SETTINGS

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator_training.cli.training.quantize import quantize
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.evaluation.recognizers import StreamingRecognizer
from emotion_estimator_training.features.feature_set import (
    PRESENT,
    face_vectors,
    only_branch,
    save_features,
)
from emotion_estimator_training.models.appearance_network import build_appearance
from emotion_estimator_training.models.branches import BranchSettings
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.models.streaming_network import (
    StreamingSettings,
    build_network,
    step_function,
)
from emotion_estimator_training.models.streaming_store import (
    SEVEN,
    THREE,
    FittedStreaming,
    save_streaming,
    streaming_folder,
)
from emotion_estimator_training.shipping import streaming
from emotion_estimator_training.shipping.appearance import int8_network, write_appearance
from emotion_estimator_training.shipping.cards import write_model
from emotion_estimator_training.shipping.identity import load_release
from emotion_estimator_training.shipping.parity import ParityError
from emotion_estimator_training.shipping.quantize import (
    DYNAMIC_RANGE,
    FLOAT,
    INT8,
    INT8_PRODUCTS,
    converted,
    float_operators,
    int8_weights,
    lean,
)
from emotion_estimator_training.shipping.streaming import quantize_streaming

FEATURES = made_features(0)
FACES = face_vectors(
    FEATURES.blendshapes, np.random.default_rng(5).gamma(0.4, 0.2, (180, 64)).astype(np.float32)
)
SMALL = StreamingSettings(BranchSettings(embedding=8, blendshapes=16, joined=12), units=8)
ZEROS = np.zeros(7, np.float32)


def fitted(appearance: str = '') -> FittedStreaming:
    keras.utils.set_random_seed(3)
    return FittedStreaming(
        build_network(FACES, SMALL),
        load_grouping(),
        {THREE: ZEROS, SEVEN: ZEROS},
        {THREE: 1.0, SEVEN: 1.0},
        {
            **asdict(SMALL),
            'sources': ['face_landmarker'],
            'seed': 3,
            'training': {'steps': 0},
            'appearance_sha256': appearance,
        },
    )


def step(one: FittedStreaming):
    return step_function(one.network, one.vocabularies)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    save_features(FEATURES, folder / 'features' / 'face_landmarker.npz')
    keras.utils.set_random_seed(8)
    card = write_appearance(
        int8_network(build_appearance(SETTINGS)),
        {
            'trained_on': 'nothing',
            'settings': {'embedding_size': 64},
            'metrics': {},
        },
        folder / 'models',
    )
    streaming_folder(folder).mkdir(parents=True)
    sha256 = ModelCard.load(card, 'appearance').sha256
    save_streaming(fitted(sha256), streaming_folder(folder))
    return folder


def one_face_in_order():
    """Return inputs of 60 steps: a face, what is known of it, seconds and states that may occur."""
    rng = np.random.default_rng(2)
    size = fitted().state_size
    return [
        [
            row[None, :52],
            row[None, 52:-2],
            row[None, -2:],
            np.full((1, 1), 1 / 30, np.float32),
            rng.uniform(-0.5, 0.5, (1, size)).astype(np.float32),
        ]
        for row in FACES[:60]
    ]


def test_float_stays_float_and_int8_products_are_the_only_integers() -> None:
    function, inputs = step(fitted()), one_face_in_order()
    complete = float_operators(converted(function, FLOAT, lambda: inputs))
    products = float_operators(converted(function, INT8_PRODUCTS, lambda: inputs))
    assert 'FULLY_CONNECTED' in complete
    assert set(complete) - set(products) == {'FULLY_CONNECTED'}
    # For a division there is no int8 kernel.
    assert float_operators(converted(function, INT8, lambda: inputs)) == ['DIV']


def test_the_lean_file_answers_as_the_complete_one_does(tmp_path) -> None:
    one = fitted()
    content = int8_weights(step(one))
    short = lean(content)
    assert len(short) < 0.95 * len(content)
    answers = []
    for name, each in (('complete', content), ('short', short)):
        card = write_model(each, streaming._card(one, DYNAMIC_RANGE), tmp_path / name)
        recognizer = StreamingRecognizer(EmotionClassifier.load(card))
        answers.append(recognizer.sequences(FACES[None, :40], np.full((1, 40), 1 / 30, np.float32)))
    np.testing.assert_array_equal(*answers)


def test_the_best_is_written_with_its_card(run, tmp_path) -> None:
    done = CliRunner().invoke(
        quantize,
        [
            '--run',
            str(run),
            '--models',
            str(tmp_path),
            '--no-paper',
            '--rounds',
            '2',
            '--faces',
            '5',
        ],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    card = json.loads((tmp_path / 'emotion_lstm.json').read_text())
    assert card['version'] == f'{load_release("emotion_lstm").version}+local.{card["sha256"][:8]}'
    assert card['data_licence'] == 'not stated'
    one = fitted()
    assert card['settings']['state_size'] == one.state_size == 28
    assert card['settings']['expressions'] == list(FER_CLASSES)
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
    assert 'compared with the float network over 12000 frames' in text
    assert 'emotion_lstm.json' in done.output
    # It is what the estimator takes, and answers as the float network does.
    for vocabulary in (THREE, SEVEN):
        robot = EmotionClassifier.load(tmp_path / 'emotion_lstm.json', vocabulary=vocabulary)
        for branch in PRESENT:
            faces = only_branch(FACES[:3], branch)
            np.testing.assert_allclose(
                StreamingRecognizer(robot).stills(faces),
                one.stills(faces, vocabulary),
                atol=0.02,
            )


def test_a_file_that_differs_is_not_written(run, tmp_path, monkeypatch) -> None:
    def bent(one, *_):
        # The operating point moved on the way to the file, as a bug would.
        bias = np.array([0, 0, 0, 0, 4, 0, 0], np.float32)
        moved = replace(one, operating_points={**one.operating_points, THREE: bias})
        return {way: converted(step(moved), way, list) for way in (FLOAT, DYNAMIC_RANGE)}, {}

    monkeypatch.setattr(streaming, '_conversions', bent)
    with pytest.raises(ParityError) as caught:
        quantize_streaming(run, tmp_path / 'models', with_paper=False, rounds=1)
    assert '\n' not in str(caught.value)
    assert 'below 99%' in str(caught.value)
    assert not (tmp_path / 'models').exists()
    table = json.loads((run / 'tables' / 'quantization.json').read_text())
    assert table['quantization']['candidates'][DYNAMIC_RANGE]['refused']


def test_one_that_read_other_embeddings_is_refused(run, tmp_path) -> None:
    folder = streaming_folder(tmp_path)
    folder.mkdir(parents=True)
    save_streaming(fitted('of an earlier network'), folder)
    save_features(FEATURES, tmp_path / 'features' / 'face_landmarker.npz')
    shutil.copytree(run / 'models', tmp_path / 'models')
    with pytest.raises(ModelError, match=r'another appearance network .*fit streaming'):
        quantize_streaming(tmp_path, tmp_path / 'out')


def test_what_is_missing_is_named(run, tmp_path) -> None:
    with pytest.raises(ModelError, match='fit streaming'):
        quantize_streaming(tmp_path, tmp_path / 'models')
    shutil.copytree(run / 'models', tmp_path / 'models')
    shutil.copytree(streaming_folder(run), streaming_folder(tmp_path))
    with pytest.raises(InputError, match='training features'):
        quantize_streaming(tmp_path, tmp_path / 'out')
