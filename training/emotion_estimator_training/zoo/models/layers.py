"""Keras layers: reproducible dropout, a small CNN, and recurrent layers without loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emotion_estimator_training.models.legacy_keras import keras, tf


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


class _KnownFrames:
    """Mixin of recurrent layers that read a known number of frames.

    ``fit`` does not say how many frames the batches of a generator have.
    """

    def build(self, shape: Any) -> None:
        super().build(shape)  # type: ignore[misc]
        self._frames = tuple(shape)[1:]

    def known(self, inputs: Any) -> Any:
        """Return inputs (B, T, ...) whose shape but the batch's is known."""
        return tf.ensure_shape(inputs, (None, *self._frames))


class SimpleRNN(_KnownFrames, keras.layers.SimpleRNN):  # type: ignore[misc]
    """Keras' layer with its loop over frames written out, which TFLite cannot convert."""

    def __init__(self, *positional: Any, **others: Any) -> None:
        super().__init__(*positional, **{**others, 'unroll': True})

    def call(self, inputs: Any, **others: Any) -> Any:
        """Return the last output, (B, units), of (B, T, E)."""
        return super().call(self.known(inputs), **others)


class ConvLSTM2D(_KnownFrames, keras.layers.ConvLSTM2D):  # type: ignore[misc]
    """Keras' layer with its loop over frames written out, and the gates' convolutions in one.

    TFLite cannot convert the loop, and eight small convolutions a frame take longer than one.
    Weights and answers are those of Keras' layer. It returns the last output alone.
    """

    def call(self, inputs: Any, **_: Any) -> Any:
        """Return the last output, (B, H', W', filters), of frames (B, T, H, W, C)."""
        cell, inputs = self.cell, self.known(inputs)
        frames = inputs.shape[1]
        read = cell.input_conv(
            tf.reshape(inputs, (-1, *inputs.shape[2:])), cell.kernel, cell.bias, cell.padding
        )
        read = tf.reshape(read, (-1, frames, *read.shape[1:]))
        memory = output = None
        for frame in range(frames):
            gates = read[:, frame]
            if output is not None:
                gates += cell.recurrent_conv(output, cell.recurrent_kernel)
            let_in, keep, value, let_out = tf.split(gates, 4, axis=-1)
            new = cell.recurrent_activation(let_in) * cell.activation(value)
            # The first memory is nothing.
            memory = new if memory is None else cell.recurrent_activation(keep) * memory + new
            output = cell.recurrent_activation(let_out) * cell.activation(memory)
        return output
