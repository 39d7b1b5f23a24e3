"""The appearance network: a crop in, an embedding out, the same in each form of its file."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception import appearance
from emotion_estimator.perception.appearance import AppearanceNetwork, Branches
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.runtimes import runtimes

pytestmark = pytest.mark.skipif(not runtimes(), reason='no TFLite runtime installed')

RNG = np.random.default_rng(2)
CROPS = RNG.integers(0, 256, (5, 48, 48), np.uint8)


@pytest.fixture(scope='module')
def network() -> AppearanceNetwork:
    return AppearanceNetwork.load()


def test_a_crop_becomes_numbers_of_its_own(network):
    embeddings = [network(crop) for crop in CROPS]
    for embedding in embeddings:
        assert embedding.shape == (network.size,) == (64,)
        assert embedding.dtype == np.float32
        assert embedding.min() >= 0 and embedding.max() > 0
    assert not np.array_equal(embeddings[0], embeddings[1])
    kept = embeddings[0].copy()
    np.testing.assert_array_equal(network(CROPS[0]), kept)
    np.testing.assert_array_equal(embeddings[0], kept)


@pytest.mark.parametrize(
    'crop',
    [
        np.zeros((48, 47), np.uint8),
        np.zeros((48, 48, 1), np.uint8),
        np.zeros((48, 48), np.float32),
    ],
)
def test_what_is_no_crop_is_refused(network, crop):
    with pytest.raises(InputError, match='48x48 8-bit grey values') as caught:
        network(crop)
    assert '\n' not in str(caught.value)


class Interpreter:
    """An interpreter whose network returns the first pixels of its input, in its own numbers."""

    def __init__(self, kind=np.float32, scale=0.0, zero=0, size=64):
        self.kind = kind
        self.details = [
            {'index': 0, 'shape': np.array(shape), 'dtype': kind, 'quantization': (scale, zero)}
            for shape in ((1, 48, 48, 1), (1, size))
        ]

    def get_input_details(self):
        return self.details[:1]

    def get_output_details(self):
        return self.details[1:]

    def set_tensor(self, index, values):
        assert values.dtype == self.kind
        assert values.shape == (1, 48, 48, 1)
        self.values = values

    def invoke(self):
        pass

    def get_tensor(self, index):
        return self.values.reshape(1, -1)[:, :64]


@pytest.mark.parametrize(
    'interpreter',
    [
        Interpreter(),
        Interpreter(np.int8, 4 / 255, 0),
        Interpreter(np.uint8, 1 / 60, 120),
    ],
    ids=['float32', 'int8', 'uint8'],
)
def test_the_network_reads_the_same_numbers_whatever_its_type(monkeypatch, interpreter):
    monkeypatch.setattr(appearance, 'open_interpreter', lambda path, runtime, threads: interpreter)
    found = AppearanceNetwork.load()(CROPS[0])
    assert found.dtype == np.float32
    expected = (CROPS[0].reshape(-1)[:64].astype(float) - 128) / 64
    scale = interpreter.details[0]['quantization'][0]
    assert np.abs(found - expected).max() <= 0.51 * scale + 1e-6


def copied_card(folder, **settings):
    for name in ('appearance.tflite', 'appearance.json'):
        shutil.copy(models_dir() / name, folder)
    card = folder / 'appearance.json'
    raw = json.loads(card.read_text())
    raw['settings'].update(settings)
    card.write_text(json.dumps(raw))
    return card


@pytest.mark.parametrize(
    ('settings', 'says'),
    [
        ({'crop': 'square-64'}, "crops 'square-64', this code has"),
        ({'embedding_size': 32}, 'not an appearance network of 32 numbers'),
        ({'embedding_size': '64'}, "invalid setting 'embedding_size'"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path, settings, says):
    with pytest.raises(ModelError, match=says) as caught:
        AppearanceNetwork.load(copied_card(tmp_path, **settings))
    assert '\n' not in str(caught.value)


def test_a_card_of_another_kind_is_refused():
    with pytest.raises(ModelError, match="expected 'appearance'"):
        AppearanceNetwork.load(models_dir() / 'emotion_lstm.json')


def test_branches_open_what_they_need(tmp_path):
    size = EmotionClassifier.load().embedding_size
    for choice in ('fused', 'blendshapes', 'appearance'):
        assert Branches.open(choice, size).name == choice
    # Blendshapes alone need no file.
    assert Branches.open('blendshapes', size, tmp_path / 'gone.json').name == 'blendshapes'
    with pytest.raises(ModelError, match=r'gone\.json cannot be read'):
        Branches.open('fused', size, tmp_path / 'gone.json')
    with pytest.raises(ModelError, match='the classifier needs 32'):
        Branches.open('fused', 32)


def test_a_classifier_takes_no_appearance_network_but_that_it_was_trained_with():
    classifier = EmotionClassifier.load()
    size, trained = classifier.embedding_size, classifier.appearance_sha256
    assert trained == AppearanceNetwork.load().sha256
    assert Branches.open('fused', size, sha256=trained).name == 'fused'
    with pytest.raises(ModelError, match='trained with another appearance network than appear'):
        Branches.open('fused', size, sha256='0' * 64)
    # No appearance network is read, so none can be wrong.
    assert Branches.open('blendshapes', size, sha256='0' * 64).name == 'blendshapes'


def test_the_estimator_opens_the_appearance_network_its_classifier_was_trained_with(monkeypatch):
    opened = {}

    def look(*_, **found):
        opened.update(found)
        raise ModelError('far enough')

    monkeypatch.setattr(Branches, 'open', look)
    with pytest.raises(ModelError, match='far enough'):
        EmotionEstimator.load()
    assert opened == {'sha256': AppearanceNetwork.load().sha256, 'threads': 1}
