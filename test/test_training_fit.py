"""Training's TensorFlow parts on tiny data; skipped where TensorFlow is not installed."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
pytest.importorskip('tensorflow', reason='training needs TensorFlow (requirements/training.in)')
pytest.importorskip('tf_keras', reason='training needs tf_keras (requirements/training.in)')

from emotion_estimator.emotion import LABELS
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.tflite import runtimes
from emotion_estimator.training.dataset import FER_CLASSES
from emotion_estimator.training.emotion_fit import (
    EmotionSettings,
    fit_network,
    state_size,
    step_function,
    still_logits,
)
from emotion_estimator.training.mirror import mirror_partners
from emotion_estimator.training.quantize import int8_weights, write_model
from emotion_estimator.training.sequences import SequenceMaker, SequenceSettings

SETTINGS = EmotionSettings(front=48, units=(24, 16), steps=90, batch=16, dropout=0.0)
HAPPY, NEUTRAL = FER_CLASSES.index('happy'), FER_CLASSES.index('neutral')


@pytest.fixture(scope='module')
def trained():
    rng = np.random.default_rng(0)
    pool = rng.uniform(0, 0.2, (80, 52)).astype(np.float32)
    emotion = np.array([HAPPY, NEUTRAL] * 40)
    pool[emotion == HAPPY, 44:46] += 0.7
    maker = SequenceMaker(pool, emotion, SequenceSettings(steps=12), 1)

    def validate(network) -> float:
        return float((still_logits(network, pool, 8, 1 / 30).argmax(axis=1) == emotion).mean())

    network = fit_network(maker, pool, validate, SETTINGS, report_every=30)
    return network, pool, emotion


def test_it_learns_what_is_plain_to_see(trained) -> None:
    network, pool, emotion = trained
    assert (still_logits(network, pool, 8, 1 / 30).argmax(axis=1) == emotion).mean() > 0.95


@pytest.mark.skipif(not runtimes(), reason='no TFLite runtime installed')
def test_exported_steps_equal_the_sequence_model(trained, tmp_path) -> None:
    network, pool, _ = trained
    content = int8_weights(step_function(network, np.zeros(7, np.float32), SETTINGS))
    card = write_model(content, {
        'name': 'tiny', 'version': '0', 'kind': 'emotion_lstm', 'labels': list(LABELS),
        'settings': {'state_size': state_size(SETTINGS), 'still_steps': 8, 'still_dt': 1 / 30},
    }, tmp_path)
    classifier = EmotionClassifier.load(card)
    logits = still_logits(network, pool, 8, 1 / 30)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    seven = powers / powers.sum(axis=1, keepdims=True)
    for row, wanted in zip(pool[:20], seven):
        got = dict(zip(classifier.labels, classifier.classify_still(row)))
        assert got['happy'] == pytest.approx(wanted[HAPPY], abs=0.03)


def test_mirror_partners_of_a_symmetric_cloud() -> None:
    rng = np.random.default_rng(2)
    half = rng.uniform(0.2, 1, (20, 3))
    cloud = np.concatenate([half, half * (-1, 1, 1), [[0, 0, 0], [0, 1, 0]]])
    faces = cloud + rng.normal(scale=0.01, size=(200, *cloud.shape))
    partners = mirror_partners(faces.astype(np.float32))
    assert partners.tolist() == [*range(20, 40), *range(20), 40, 41]
