"""The papers' networks in Keras, and their layers as data.

LSTM: Hochreiter and Schmidhuber 1997; AdamW: Loshchilov and Hutter 2019; cosine schedule:
Loshchilov and Hutter 2017, without restarts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.losses import loss_named
from emotion_estimator_training.models.paper_settings import StillSettings

Floats = NDArray[np.float32]


class PaperLayer(NamedTuple):
    """One layer of a model, as in Figure 4 of Attrah 2025; None is the batch size."""

    name: str
    kind: str
    output: tuple[int | None, ...]
    parameters: int


def build(settings: StillSettings, inputs: int, labels: int) -> Any:
    """Return the untrained Keras model from one frame's scores to probabilities (N, ``labels``).

    Its input is (N, K, 1) for ``lstm`` and (N, K) for ``dense``.

    :param inputs: K, the number of scores.
    """
    regularizer = keras.regularizers.L2(settings.l2)
    layers: list[Any] = []
    if settings.kind == 'lstm':
        layers.append(keras.Input((inputs, 1), name='blendshapes'))
        for number, units in enumerate(settings.units, start=1):
            layers.append(
                keras.layers.LSTM(
                    units,
                    activation=_activation(settings.activation),
                    name=f'lstm_{number}',
                    kernel_regularizer=regularizer,
                    return_sequences=number < len(settings.units),
                )
            )
    else:
        layers.append(keras.Input((inputs,), name='blendshapes'))
        for number, units in enumerate(settings.units, start=1):
            layers.append(
                keras.layers.Dense(
                    units,
                    _activation(settings.activation),
                    name=f'dense_{number}',
                    kernel_regularizer=regularizer,
                )
            )
    layers.append(keras.layers.Dense(labels, 'softmax', name='probabilities'))
    return keras.Sequential(layers)


def _activation(name: str) -> Any:
    return tf.nn.leaky_relu if name == 'leaky_relu' else name


def compiled(model: Any, settings: StillSettings, steps: int) -> Any:
    """Compile and return the model; ``steps`` is the number of batches per epoch."""
    rate: Any = settings.learning_rate
    if settings.cosine:
        rate = keras.optimizers.schedules.CosineDecay(
            0.0,
            max(steps * (settings.epochs - 1), 1),
            0.01,
            warmup_target=settings.learning_rate,
            warmup_steps=steps,
        )
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=settings.weight_decay,
        amsgrad=settings.amsgrad,
        global_clipnorm=settings.global_clipnorm,
    )
    model.compile(optimizer, loss_named(settings.loss))
    # A saved optimizer can only be restored into existing slots.
    optimizer.build(model.trainable_variables)
    return model


def probabilities(model: Any, x: Floats, batch: int = 1024) -> Floats:
    """Return the probabilities (N, L) that the model gives for scores (N, K)."""
    if not len(x):
        return np.zeros((0, model.output_shape[-1]), np.float32)
    shaped = x[..., None] if len(model.input_shape) == 3 else x
    found: Floats = model.predict(shaped, batch_size=batch, verbose=0)
    return found


def structure(model: Any) -> list[PaperLayer]:
    """Return the model's layers in order, the input first."""
    first = PaperLayer('blendshapes', 'Input', tuple(model.input_shape), 0)
    return [
        first,
        *(
            PaperLayer(
                layer.name, type(layer).__name__, tuple(layer.output_shape), layer.count_params()
            )
            for layer in model.layers
        ),
    ]
