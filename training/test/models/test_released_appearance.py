"""The released appearance network as a Keras model: it says the same, and is trained further."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'ai_edge_litert'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from tiny_appearance import (
    FIT,
    MATRICES,
    SETTINGS,
    VARIATION,
    made_scores,
    made_stills,
    train,
)

from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator_training.data.stills import votes_of
from emotion_estimator_training.features.crops import CropMaker, plain_crops
from emotion_estimator_training.models import appearance_run
from emotion_estimator_training.models.appearance_network import (
    AppearanceData,
    AppearanceSettings,
    build_appearance,
    build_heads,
    network_pixels,
)
from emotion_estimator_training.models.appearance_run import blendshapes_of, planned
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.models.released_appearance import fit_heads, restore_released

CARD = models_dir() / 'appearance.json'
STILLS = made_stills(votes=True)
CROPS = plain_crops(STILLS.pixels, MATRICES)
SCORES, KNOWN = blendshapes_of(STILLS, [made_scores(STILLS)])
DATA = AppearanceData(
    CropMaker(STILLS.pixels, MATRICES, VARIATION),
    np.eye(7, dtype=np.float32)[STILLS.emotion],
    np.ones(144, np.float32),
    votes_of(STILLS),
    SCORES,
    KNOWN,
)


def released(crops: np.ndarray) -> np.ndarray:
    robot = AppearanceNetwork.load(CARD)
    return np.array([robot(crop) for crop in crops])


@pytest.fixture(scope='module')
def network():
    made = build_appearance(AppearanceSettings())
    restore_released(made, CARD, DATA)
    return made


def test_its_embeddings_are_the_released_files(network) -> None:
    wanted = released(CROPS[:24])
    found = np.asarray(network(network_pixels(CROPS[:24])))
    assert wanted.max() > 0.5
    np.testing.assert_allclose(found, wanted, atol=1e-4 * wanted.max())


def test_in_training_its_embeddings_are_nearly_the_same(network) -> None:
    pixels = network_pixels(DATA.maker(np.arange(144), 1)[0])
    usual = np.asarray(network(pixels))
    other = keras.models.clone_model(network)
    other.set_weights(network.get_weights())
    trained = np.asarray(other(pixels, training=True))
    assert np.abs(trained - usual).mean() < 0.1 * usual.mean()


@pytest.mark.parametrize(
    'settings',
    [
        SETTINGS,
        replace(AppearanceSettings(), embedding=32),
        replace(AppearanceSettings(), narrow=40),
    ],
)
def test_a_network_of_other_sizes_is_refused_in_one_line(settings) -> None:
    with pytest.raises(ModelError, match=r'not a network of these sizes; .*--continue-rel') as no:
        restore_released(build_appearance(settings), CARD, DATA)
    assert '\n' not in str(no.value)


def test_heads_are_trained_alone(network) -> None:
    settings = AppearanceSettings()
    keras.utils.set_random_seed(2)
    heads = build_heads(settings, np.zeros(104, np.float32), np.ones(104, np.float32))
    before = network.get_weights()
    # Of so few faces each is shown as often as one of many.
    fit_heads(network, heads, many(DATA, 40), np.tile(CROPS, (40, 1, 1)))
    for one, other in zip(before, network.get_weights()):
        np.testing.assert_array_equal(one, other)
    present = np.ones((144, 2), np.float32)
    embedded = np.asarray(network(network_pixels(CROPS)))
    alone, votes, joined = (np.asarray(one) for one in heads([embedded, SCORES[:, 0], present]))
    assert (alone.argmax(axis=1) == STILLS.emotion).mean() > 0.8
    assert (joined.argmax(axis=1) == STILLS.emotion).mean() > 0.8
    assert (votes.argmax(axis=1) == DATA.votes.argmax(axis=1)).mean() > 0.8


def many(data: AppearanceData, times: int) -> AppearanceData:
    return AppearanceData(
        data.maker,
        *(
            np.concatenate([one] * times)
            for one in (data.target, data.weight, data.votes, data.scores, data.known)
        ),
    )


def test_a_run_may_begin_with_the_released_network(monkeypatch, tmp_path) -> None:
    begun = []
    monkeypatch.setattr(
        appearance_run, 'fit', lambda network, *_: begun.append(network) or [{'epoch': 1}]
    )
    plan = planned(epochs=1, continue_released=True)
    assert list(plan) == ['continued']
    train(tmp_path, plan=plan, name='continued')
    wanted = released(CROPS[:4])
    found = np.asarray(begun[0](network_pixels(CROPS[:4])))
    np.testing.assert_allclose(found, wanted, atol=1e-4 * wanted.max())
    assert plan['continued'].training.epochs == 1 and FIT.epochs != 1
