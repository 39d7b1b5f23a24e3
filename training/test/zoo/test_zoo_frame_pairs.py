"""Frames and pairs of frames, fused (Terbouche and Chaoui, figure 8)."""

from __future__ import annotations

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from zoo_models import tiny_context, tiny_model
from zoo_tracks import CLASSES

from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo.models.catalog import Catalog
from emotion_estimator_training.zoo.models.frame_pairs import ConsecutiveFrames
from emotion_estimator_training.zoo.models.model import RunContext
from emotion_estimator_training.zoo.models.registry import build


@pytest.mark.parametrize('size', ['paper', 'reduced'])
def test_structure_is_that_of_the_figure(tmp_path, size):
    catalog = Catalog.load()
    model = build(catalog.entry('frame-pairs', size), RunContext(tmp_path, catalog, CLASSES, size))
    layers = {layer.name: layer for layer in model.structure()}
    chosen = model.settings
    steps, side = chosen.window, chosen.side
    assert layers['face_input'].output == (None, steps, side, side, 3)
    assert layers['pairs'].output == (None, steps - 1, side, side, 6)
    # What the networks of a frame and of a pair consist of is listed too.
    assert layers['spatial/spatial_image'].output == (None, side, side, 3)
    assert layers['temporal/temporal_image'].output == (None, side, side, 6)
    assert layers['fused'].output == (None, steps - 1, 2 * chosen.encoding)
    assert layers['bi_lstm'].kind == 'Bidirectional LSTM'
    assert layers['bi_lstm'].after == ('fused',)
    assert model.parameters == model.network.count_params()


def test_a_pair_is_a_frame_and_the_next():
    frames = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 1, 1, 4)
    pairs = ConsecutiveFrames()(frames).numpy()
    assert pairs.shape == (2, 2, 1, 1, 8)
    np.testing.assert_array_equal(pairs[1, 0, 0, 0], [*frames[1, 0].ravel(), *frames[1, 1].ravel()])


def test_both_networks_decide(tmp_path):
    network = tiny_model('frame-pairs', tiny_context(tmp_path)).network
    rng = np.random.default_rng(2)
    frames = rng.uniform(size=(1, 4, 16, 16, 3)).astype(np.float32)
    before = network(frames).numpy()
    for name in ('spatial', 'temporal'):
        kept = network.get_layer(name).get_weights()
        network.get_layer(name).set_weights([one * 2 for one in kept])
        assert np.abs(network(frames).numpy() - before).max() > 1e-6, name
        network.get_layer(name).set_weights(kept)


@pytest.mark.parametrize(
    'changes, message',
    [({'window': 1}, 'a pair needs two frames'), ({'filters': [2] * 5}, '16 pixels are too few')],
)
def test_invalid_settings_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        tiny_model('frame-pairs', tiny_context(tmp_path), **changes)
