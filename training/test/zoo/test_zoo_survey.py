"""The survey's baselines (Terbouche and Chaoui, 1.4), and ours among them."""

from __future__ import annotations

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from zoo_models import tiny_context, tiny_model, tiny_split
from zoo_tracks import CLASSES, made_tracks

from emotion_estimator.errors import InputError
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.data.windows import query_windows
from emotion_estimator_training.zoo.models.catalog import Catalog
from emotion_estimator_training.zoo.models.model import RunContext
from emotion_estimator_training.zoo.models.ours import Shipped
from emotion_estimator_training.zoo.models.registry import build
from emotion_estimator_training.zoo.models.survey_baselines import PlaceMeans, Pooling3D

ASKED = query_windows(made_tracks(1, first=9), CLASSES, 1, 4)


@pytest.mark.parametrize('size', [3, (1, 2, 2), (2, 1, 3)])
def test_pooling_is_that_of_keras(size):
    values = np.random.default_rng(1).normal(size=(2, 7, 8, 9, 3)).astype(np.float32)
    np.testing.assert_array_equal(Pooling3D(size)(values), keras.layers.MaxPooling3D(size)(values))


def of_paper(name: str, tmp_path):
    catalog = Catalog.load()
    model = build(catalog.entry(name, 'paper'), RunContext(tmp_path, catalog, CLASSES, 'paper'))
    return model, {layer.name: layer for layer in model.structure()}


def test_stcnn_is_the_published_one(tmp_path):
    _, layers = of_paper('stcnn', tmp_path)
    assert layers['face_input'].output == (None, 18, 64, 64, 1)
    assert layers['face_conv3d'].output == (None, 4, 62, 62, 32)
    assert layers['face_conv3d'].parameters == 32 * (15 * 9 + 1)
    assert layers['face_pool'].output == (None, 1, 20, 20, 32)
    assert layers['dense_1'].output == (None, 128)


def test_fusenet_reads_eyes_and_mouth(tmp_path):
    model, layers = of_paper('fusenet', tmp_path)
    assert [one.part for one in model.inputs] == ['eyes', 'mouth']
    assert layers['fused'].after == ('eyes_flatten', 'mouth_flatten')
    assert [layers[f'dense_{n}'].output[1] for n in (1, 2)] == [1024, 128]


def test_two_streams_read_a_frame_and_flows(tmp_path):
    _, layers = of_paper('two-stream', tmp_path)
    assert layers['face_input'].output == (None, 96, 96, 3)
    assert layers['flow_input'].output == (None, 96, 96, 20)
    assert layers['fusion'].after == ('spatial_emotion', 'temporal_emotion')


def test_nested_lstms_read_each_level(tmp_path):
    _, layers = of_paper('stc-nlstm', tmp_path)
    assert [layers[f't_lstm_{n}'].output for n in range(1, 5)] == [(None, 256)] * 4
    assert layers['levels'].output == (None, 4, 256)
    assert layers['c_lstm'].after == ('levels',)
    # Maps of 48, 24, 12 and 6 pixels, each averaged over 6 x 6 places.
    widths = [layers[f'level_{n}'].output for n in range(1, 5)]
    assert widths == [(None, 16, 36 * filters) for filters in (64, 128, 256, 256)]


def test_a_level_says_where_on_the_face_something_is():
    maps = np.zeros((1, 2, 8, 8, 3), np.float32)
    maps[0, 1, 0:4, 4:8, 2] = 1.0
    means = PlaceMeans(2)(maps).numpy().reshape(2, 2, 2, 3)
    assert means[1, 0, 1, 2] == 1.0
    assert means.sum() == 1.0


@pytest.mark.parametrize(('side', 'grid', 'places'), [(8, 3, 3), (7, 4, 4), (5, 4, 3), (2, 6, 2)])
def test_maps_that_are_no_multiple_of_the_grid_are_averaged_too(side, grid, places):
    maps = np.full((2, 3, side, side, 4), 0.5, np.float32)
    means = PlaceMeans(grid)(maps).numpy()
    assert means.shape == (2, 3, places * places * 4)
    np.testing.assert_allclose(means, 0.5, rtol=1e-6)


def test_ours_learns_the_expression_from_the_blendshapes(tmp_path):
    model = tiny_model('ours', tiny_context(tmp_path), fit={'batch': 4, 'epochs': 8, 'patience': 8})
    model.fit(tiny_split(count=4))
    asked = query_windows(ASKED.tracks, CLASSES, model.window, 4)
    assert (model.predict(asked).argmax(axis=1) == asked.labels).mean() > 0.8


def test_shipped_refuses_unknown_classes(tmp_path):
    catalog = Catalog.load()
    context = RunContext(tmp_path, catalog, ('happy', 'pensive'), 'reduced')
    with pytest.raises(InputError, match='pensive'):
        Shipped(catalog.entry('shipped', 'reduced'), context).fit(tiny_split())


def test_shipped_is_queried_frame_by_frame(tmp_path):
    catalog = Catalog.load()
    context = RunContext(tmp_path, catalog, CLASSES, 'reduced', 10.0)
    model = Shipped(catalog.entry('shipped', 'reduced'), context)
    found = model.predict(ASKED)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert model.parameters > 1000
    with pytest.raises(InputError, match='no export'):
        model.networks()


@pytest.mark.parametrize(
    'name, changes, message',
    [
        ('stcnn', {'window': 4}, 'window 4'),
        ('two-stream', {'window': 1}, 'two frames'),
        ('stc-nlstm', {'filters': [2] * 5}, 'too few'),
        ('stc-nlstm', {'grid': 0}, 'grid 0'),
        ('ours', {'branch': 'none'}, 'branch'),
    ],
)
def test_invalid_settings_are_refused(tmp_path, name, changes, message):
    with pytest.raises(InputError, match=message):
        tiny_model(name, tiny_context(tmp_path), **changes)
