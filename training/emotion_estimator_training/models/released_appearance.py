"""The released appearance network as a Keras model, to train it further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import ModelCard
from emotion_estimator.runtimes import quiet
from emotion_estimator_training.models.appearance_network import (
    AppearanceData,
    cross_entropy,
    network_pixels,
)
from emotion_estimator_training.models.legacy_keras import keras, tf

Floats = NDArray[np.float32]

#: Crops from which the statistics of the batch normalization are computed.
_CROPS = 3000
#: How the heads, which are not released, are trained before the network is.
_EPOCHS, _BATCH, _RATE = 12, 512, 2e-3


def restore_released(network: Any, card: Path, data: AppearanceData) -> None:
    """Give a network the released weights, as float, in place.

    The file has no batch normalization: its weights contain it. Here it gets the statistics of the
    data, so that the network's embeddings are the file's, and in training nearly so.

    :param network: of the same sizes, from :func:`~.appearance_network.build_appearance`.
    :param card: JSON card of the released network.
    :param data: what it is to be trained on.
    :raises ModelError: the file cannot be read, or is of another network.
    """
    found = ModelCard.load(card, 'appearance')
    convolutions, dense = _weights(found.path)
    other = ModelError(
        f'{found.title} is not a network of these sizes; train from the start, without '
        '--continue-released'
    )
    layers = keras.layers
    into = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    norms = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    biases = []
    for layer, norm in zip(into, norms):
        shape = tuple(layer.kernel.shape)
        # The converter keeps the order of layers of one shape.
        match = next((n for n, (one, _) in enumerate(convolutions) if one.shape == shape), None)
        if match is None:
            raise other
        kernel, bias = convolutions.pop(match)
        layer.set_weights([kernel])
        one = np.ones_like(bias)
        norm.set_weights([one, bias, 0 * bias, one - norm.epsilon])
        biases.append(bias)
    embedding = network.get_layer('embedding')
    if convolutions or [one.shape for one in dense] != [
        tuple(one.shape) for one in embedding.weights
    ]:
        raise other
    embedding.set_weights(dense)
    rows = np.linspace(0, len(data) - 1, min(_CROPS, len(data))).astype(np.int64)
    pixels = network_pixels(data.maker(rows, 1)[0])
    outputs = keras.Model(network.input, [layer.output for layer in into])(pixels)
    for norm, output, bias in zip(norms, outputs, biases):
        values = np.asarray(output)
        mean, variance = values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))
        norm.set_weights([np.sqrt(variance + norm.epsilon), bias + mean, mean, variance])


def _weights(path: Path) -> tuple[list[tuple[Floats, Floats]], list[Floats]]:
    """Return kernels (H, W, I, O) and biases of a file's convolutions, and of its dense layer."""
    with quiet():
        run = tf.lite.Interpreter(
            model_path=str(path),
            experimental_preserve_all_tensors=True,
            # A delegate would hide the operators.
            experimental_op_resolver_type=(
                tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            ),
        )
        run.allocate_tensors()
        [into] = run.get_input_details()
        # Weights are stored as int8 and are float only after a first run.
        run.set_tensor(into['index'], np.zeros(into['shape'], np.float32))
        run.invoke()
    kernels, dense = [], []
    for operator in run._get_ops_details():
        if operator['op_name'] in ('CONV_2D', 'FULLY_CONNECTED'):
            kernel, bias = (run.get_tensor(index) for index in operator['inputs'][1:3])
            if operator['op_name'] == 'CONV_2D':
                kernels.append((np.moveaxis(kernel, 0, -1), bias))
            else:
                dense = [kernel.T, bias]
    return kernels, dense


def fit_heads(network: Any, heads: Any, data: AppearanceData, crops: NDArray[np.uint8]) -> None:
    """Train the heads alone, in place, so that they do not disturb a trained network at first.

    :param crops: (N, 48, 48), the plain crops of ``data``.
    """
    embedding = np.concatenate(
        [
            np.asarray(network(network_pixels(few)))
            for few in np.array_split(crops, len(crops) // 256 + 1)
        ]
    )
    seen = data.known.argmax(axis=1)
    present = np.stack([np.ones(len(data)), data.known.any(axis=1)], axis=1).astype(np.float32)
    shapes = data.scores[np.arange(len(data)), seen]
    weight = data.weight[:, None]
    heads.compile(
        keras.optimizers.AdamW(_RATE, weight_decay=1e-3),
        [cross_entropy] * 3,
        loss_weights=[1.0, 0.5, 0.7],
    )
    heads.fit(
        [embedding, shapes, present],
        # Scaled targets weigh the faces: see cross_entropy.
        [weight * data.target, weight * data.votes, weight * data.target],
        batch_size=_BATCH,
        epochs=_EPOCHS,
        verbose=0,
    )
