"""What the appearance network makes of many crops: as on the robot, and of varied ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'ai_edge_litert'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from still_features import made_features
from tiny_appearance import SETTINGS

from emotion_estimator.errors import ModelError
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator_training.features.crops import CropVariation
from emotion_estimator_training.features.embeddings import (
    FROM_FRAME_TO_FRAME,
    Embedder,
    varied_embeddings,
    with_embeddings,
)
from emotion_estimator_training.models.appearance_network import build_appearance
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.shipping.appearance import int8_network, write_appearance
from emotion_estimator_training.shipping.quantize import operators

NOTHING = CropVariation(
    roll=0.0,
    size=0.0,
    shift=0.0,
    stretch=0.0,
    gamma=0.0,
    shaded=0.0,
    coarse=0.0,
    blurred=0.0,
    noisy=0.0,
    compressed=0.0,
    hidden=0.0,
)
FEATURES = made_features()


@pytest.fixture(scope='module')
def content() -> bytes:
    keras.utils.set_random_seed(8)
    return int8_network(build_appearance(SETTINGS))


@pytest.fixture(scope='module')
def card(content, tmp_path_factory) -> Path:
    return write_appearance(
        content,
        {
            'trained_on': 'nothing',
            'settings': {'embedding_size': 64},
            'metrics': {},
        },
        tmp_path_factory.mktemp('models'),
    )


@pytest.fixture(scope='module')
def embed(card: Path) -> Embedder:
    return Embedder(card)


class Sides:
    """Stands for a network: the mean of a crop's left half, and of its right one."""

    def __call__(self, crops, name=''):
        made = np.zeros((len(crops), 64), np.float32)
        made[:, 0] = crops[:, :, :24].mean(axis=(1, 2))
        made[:, 1] = crops[:, :, 24:].mean(axis=(1, 2))
        return made


def test_weights_are_int8_and_products_float(content: bytes) -> None:
    found = list(operators(content))
    assert sum(name == 'DEQUANTIZE' for name, _ in found) > 10
    assert all(is_float for name, is_float in found if name in ('CONV_2D', 'FULLY_CONNECTED'))
    assert len(content) < 2 * build_appearance(SETTINGS).count_params() + 16_000


def test_many_crops_at_once_are_what_the_robot_sees_one_by_one(card: Path, embed) -> None:
    crops = FEATURES.crops[:150]
    found = embed(crops)
    assert found.shape == (150, 64)
    assert found.min() >= 0
    assert found.dtype == np.float32
    robot = AppearanceNetwork.load(card)
    np.testing.assert_allclose(
        found, np.array([robot(crop) for crop in crops]), atol=1e-4 * found.max()
    )
    # The last batch, which is smaller, does not change the next ones.
    np.testing.assert_array_equal(embed(crops[:3]), found[:3])
    assert embed(crops[:0]).shape == (0, 64)


@pytest.mark.parametrize(
    'change',
    [
        {'crop': 'another way'},
        {'crop': None},
        {'embedding_size': 32},
    ],
)
def test_a_network_of_other_crops_is_refused(card: Path, tmp_path, change) -> None:
    raw = json.loads(card.read_text())
    raw['settings'] |= change
    (tmp_path / raw['file']).write_bytes((card.parent / raw['file']).read_bytes())
    other = tmp_path / card.name
    other.write_text(json.dumps(raw))
    with pytest.raises(ModelError, match='train it again') as caught:
        Embedder(other)
    assert '\n' not in str(caught.value)


def test_a_network_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(ModelError, match=r'appearance\.json'):
        Embedder(tmp_path / 'appearance.json')


def test_faces_without_a_crop_get_zeros(embed) -> None:
    features = with_embeddings(FEATURES, embed)
    cropped = FEATURES.crops.any(axis=(1, 2))
    assert 0 < cropped.sum() < len(cropped)
    np.testing.assert_array_equal(features.embeddings[cropped], embed(FEATURES.crops[cropped]))
    assert not features.embeddings[~cropped].any()
    assert features.moves is None
    assert FEATURES.embeddings is None


def test_moves_are_how_far_varied_crops_lie(embed) -> None:
    features = with_embeddings(FEATURES, embed, moves=2)
    cropped = FEATURES.crops.any(axis=(1, 2))
    assert features.moves.shape == (len(features), 2, 64)
    assert not features.moves[~cropped].any()
    distance = np.abs(features.moves[cropped]).mean(axis=(1, 2))
    assert distance.min() > 0
    assert (features.moves[cropped][:, 0] != features.moves[cropped][:, 1]).any()
    np.testing.assert_array_equal(with_embeddings(FEATURES, embed, moves=2).moves, features.moves)


def test_varied_crops_are_never_mirrored() -> None:
    # Its left half is dark, its right one bright.
    crops = np.tile(np.repeat([60, 200], 24), (40, 48, 1)).astype(np.uint8)
    features = replace(made_features(0).where(np.arange(40)), crops=crops)
    found = varied_embeddings(features, Sides(), NOTHING, 2, 4)
    assert found.shape == (40, 2, 64)
    assert (found[..., 1] - found[..., 0]).min() > 80
    moved = varied_embeddings(features, Sides(), FROM_FRAME_TO_FRAME, 2, 4)
    assert (moved[..., 1] - moved[..., 0]).min() > 50
    assert (moved[:, 0] != moved[:, 1]).any()
    np.testing.assert_array_equal(
        moved, varied_embeddings(features, Sides(), FROM_FRAME_TO_FRAME, 2, 4)
    )
    assert (moved != varied_embeddings(features, Sides(), FROM_FRAME_TO_FRAME, 2, [4, 1])).any()
