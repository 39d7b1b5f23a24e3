"""Xception's ImageNet weights: a file in Keras' layout reaches the network, others do not."""

from __future__ import annotations

from dataclasses import replace

import click
import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

import h5py
from zoo_models import tiny_context, tiny_model

from emotion_estimator.errors import ModelError
from emotion_estimator_training.cli.zoo import models as verbs
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.models import frame_model
from emotion_estimator_training.zoo.models.frame_model import KERAS_FILE
from emotion_estimator_training.zoo.models.pretrained import (
    SAW_IMAGENET,
    SAW_NOTHING,
    PretrainedWeights,
)


@pytest.fixture(scope='module')
def keras_file(tmp_path_factory):
    """Return a file in the layout of Keras' (no top), of random values; the values; Xception."""
    base = keras.applications.Xception(False, None, input_shape=(71, 71, 3))
    rng = np.random.default_rng(3)
    values = [rng.random(one.shape, np.float32) for one in base.get_weights()]
    base.set_weights(values)
    path = tmp_path_factory.mktemp('keras') / KERAS_FILE
    base.save_weights(path)
    return path, values, base


def xception(folder, path):
    context = replace(tiny_context(folder), weights=path)
    return tiny_model('frame', context, encoder='xception', side=71)


def test_the_values_of_the_file_are_those_of_the_network(tmp_path, keras_file):
    path, values, _ = keras_file
    model = xception(tmp_path, path)
    loaded = model.network.get_layer('xception')
    for one, value in zip(loaded.get_weights(), values, strict=True):
        np.testing.assert_array_equal(one, value)
    # Read without Keras: that each kernel is its own layer's.
    with h5py.File(path) as file:
        kernel = file['block14_sepconv2']['block14_sepconv2']['pointwise_kernel:0'][()]
    held = loaded.get_layer('block14_sepconv2').get_weights()
    assert kernel.shape == (1, 1, 1536, 2048)
    np.testing.assert_array_equal(held[1], kernel)
    assert not any('RANDOM' in note for note in model.notes)


def other_network(path, _):
    keras.Sequential([keras.layers.Dense(2, input_shape=(3,))]).save_weights(path)


def one_kernel_of_another_shape(path, content):
    path.write_bytes(content)
    with h5py.File(path, 'r+') as file:
        layer = file['block1_conv1']['block1_conv1']
        del layer['kernel:0']
        layer['kernel:0'] = np.zeros((3, 3, 1, 32), np.float32)


def with_a_layer_more(path, content):
    path.write_bytes(content)
    with h5py.File(path, 'r+') as file:
        group = file.create_group('predictions')
        group['kernel:0'], group['bias:0'] = np.zeros((2048, 1000)), np.zeros(1000)
        group.attrs['weight_names'] = [b'kernel:0', b'bias:0']
        names = [*map(str, file.attrs['layer_names']), 'predictions']
        file.attrs['layer_names'] = np.array(names, np.bytes_)


def a_layer_that_is_listed_only(path, content):
    path.write_bytes(content)
    with h5py.File(path, 'r+') as file:
        del file['block1_conv1']


@pytest.mark.parametrize(
    'make',
    [
        other_network,
        one_kernel_of_another_shape,
        with_a_layer_more,
        a_layer_that_is_listed_only,
        lambda path, content: path.write_bytes(content[: len(content) // 2]),
        lambda path, _: path.write_bytes(b'no HDF5'),
    ],
)
def test_a_file_of_another_shape_is_refused_in_one_line(tmp_path, keras_file, make, monkeypatch):
    # Building it anew takes seconds.
    monkeypatch.setattr(keras.applications, 'Xception', lambda *_, **__: keras_file[2])
    path = tmp_path / 'other.h5'
    make(path, keras_file[0].read_bytes())
    with pytest.raises(ModelError) as refused:
        assert xception(tmp_path, path).network
    message = str(refused.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path} does not hold Xception's weights (")
    assert message.endswith(f"pass Keras' {KERAS_FILE}")


@pytest.mark.parametrize('name', ['--weights', '--xception-weights'])
@pytest.mark.parametrize('verb', [verbs.run, verbs.grid])
def test_the_option_has_two_names(verb, name):
    with click.Context(verb) as context:
        values, _, _ = verb.make_parser(context).parse_args([name, 'x.h5'])
    assert values['weights'] == 'x.h5'


def test_what_xception_saw_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_model, '_KERAS_FOLDER', tmp_path)
    assert xception(tmp_path, None).saw == SAW_NOTHING
    (tmp_path / KERAS_FILE).touch()
    assert xception(tmp_path, None).saw == SAW_IMAGENET
    model = tiny_model('frame', tiny_context(tmp_path), encoder='xception', weights='random')
    assert model.saw == SAW_NOTHING
    # Weights of stills replace them, and say themselves what they saw.
    weights = {'path': tmp_path / 'x.npz', 'sha256': '', 'classes': (), 'saw': 'ImageNet, stills'}
    model.pretrained = PretrainedWeights(**weights)
    assert model.saw == 'ImageNet, stills'
