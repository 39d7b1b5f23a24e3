"""Keras layers: reproducible dropout, a small CNN, and recurrent layers unrolled for TFLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emotion_estimator_training.models.legacy_keras import keras


class Dropout(keras.layers.Dropout):  # type: ignore[misc]
    """Keras' dropout with a random generator that can be reseeded."""

    def __init__(self, rate: float, **others: Any) -> None:
        super().__init__(rate, **{**others, 'force_generator': True})

    def reseed(self, seed: int) -> None:
        """Restart the random generator."""
        random = self._random_generator
        random._maybe_init()
        random._generator.reset_from_seed(seed)


def reseed_dropout(model: Any, seed: int, epoch: int) -> None:
    """Reseed all dropout layers of a model for an epoch, each with a seed of its own.

    A resumed training then drops the same units as an uninterrupted one.
    """
    for number, layer in enumerate(_dropouts(model)):
        layer.reseed(int(np.random.SeedSequence([seed, epoch, number]).generate_state(1)[0]))


def _dropouts(model: Any) -> list[Dropout]:
    found: list[Dropout] = []
    for layer in model.layers:
        if hasattr(layer, 'layers'):
            found += _dropouts(layer)
        elif isinstance(layer, Dropout):
            found.append(layer)
    return found


def encoded_image(values: Any, filters: Sequence[int], units: int, name: str) -> Any:
    """Return what a small CNN makes of images: (N, S, S, C) -> (N, units).

    :param filters: of each convolution of 3x3, with batch normalization and pooling by 2.
    :param name: of the stream; layers are called ``<name>_convolution_1`` and so on.
    """
    use = keras.layers
    for number, count in enumerate(filters, start=1):
        values = use.Conv2D(
            count, 3, padding='same', use_bias=False, name=f'{name}_convolution_{number}'
        )(values)
        values = use.BatchNormalization(momentum=0.9, name=f'{name}_norm_{number}')(values)
        values = use.ReLU(name=f'{name}_relu_{number}')(values)
        values = use.MaxPooling2D(2, name=f'{name}_pool_{number}')(values)
    values = use.Flatten(name=f'{name}_flatten')(values)
    return use.Dense(units, 'relu', name=f'{name}_dense')(values)


class UnrolledConvLSTM2D(keras.layers.ConvLSTM2D):  # type: ignore[misc]
    """ConvLSTM2D whose steps are separate operations, since TFLite cannot convert its loop."""

    def call(self, inputs: Any, **_: Any) -> Any:
        """Return the last output, (B, H, W, filters)."""
        state = self.get_initial_state(inputs)
        output = state[0]
        for step in range(inputs.shape[1]):
            output, state = self.cell(inputs[:, step], state)
        return output


def unrolled(model: Any) -> Any:
    """Return a copy of a Keras model with unrolled ConvLSTM and simple RNN layers.

    Not for training, where the number of frames of a batch is unknown.
    """

    def copy(layer: Any) -> Any:
        kind, config = type(layer), layer.get_config()
        if kind is keras.layers.ConvLSTM2D:
            kind = UnrolledConvLSTM2D
        elif kind is keras.layers.SimpleRNN:
            config['unroll'] = True
        return kind.from_config(config)

    copied = keras.models.clone_model(model, clone_function=copy)
    copied.set_weights(model.get_weights())
    return copied
