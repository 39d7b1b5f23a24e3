"""The papers' networks in Keras, and their layers as data.

LSTM: Hochreiter and Schmidhuber 1997; AdamW: Loshchilov and Hutter 2019; cosine schedule:
Loshchilov and Hutter 2017, without restarts; dropout: Srivastava et al. 2014.
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
    if settings.dropout:
        # Layers with generators that reseed() sets; the noise of Keras' others cannot be resumed.
        keras.backend.experimental.enable_tf_random_generator()
    try:
        hidden = _recurrent if settings.kind == 'lstm' else _dense
        layers = hidden(settings, inputs)
    finally:
        keras.backend.experimental.disable_tf_random_generator()
    return keras.Sequential([*layers, keras.layers.Dense(labels, 'softmax', name='probabilities')])


def _recurrent(settings: StillSettings, inputs: int) -> list[Any]:
    layers: list[Any] = [keras.Input((inputs, 1), name='blendshapes')]
    for number, units in enumerate(settings.units, start=1):
        layers.append(
            keras.layers.LSTM(
                units,
                activation=_activation(settings.activation),
                recurrent_activation=settings.recurrent_activation,
                kernel_initializer=settings.kernel_initializer,
                name=f'lstm_{number}',
                kernel_regularizer=keras.regularizers.L2(settings.l2),
                return_sequences=number < len(settings.units),
                go_backwards=settings.go_backwards,
                dropout=settings.dropout,
            )
        )
    return layers


def _dense(settings: StillSettings, inputs: int) -> list[Any]:
    layers: list[Any] = [keras.Input((inputs,), name='blendshapes')]
    for number, units in enumerate(settings.units, start=1):
        layers.append(
            keras.layers.Dense(
                units,
                _activation(settings.activation),
                kernel_initializer=settings.kernel_initializer,
                name=f'dense_{number}',
                kernel_regularizer=keras.regularizers.L2(settings.l2),
            )
        )
        if settings.dropout:
            layers.append(keras.layers.Dropout(settings.dropout, name=f'dropout_{number}'))
    return layers


def reseed(model: Any, seed: int, epoch: int) -> None:
    """Set the noise of a network's dropout for an epoch, so that a resumed training has the same.

    :param model: of :func:`build`.
    """
    # An LSTM draws by itself or lets its cell draw, depending on its activations.
    parts = [part for layer in model.layers for part in (layer, getattr(layer, 'cell', None))]
    for number, part in enumerate(parts):
        random = getattr(part, '_random_generator', None)
        # One without dropout draws nothing, and has no generator.
        if random is None or random._rng_type != random.RNG_STATEFUL:
            continue
        random._maybe_init()
        noise = np.random.SeedSequence([seed, epoch, number]).generate_state(1)[0]
        random._generator.reset_from_seed(int(noise))


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
    shared: dict[str, Any] = {
        'weight_decay': settings.weight_decay,
        'use_ema': settings.ema,
        'ema_momentum': settings.ema_momentum,
    }
    if settings.clipnorm:
        shared['clipnorm'] = settings.clipnorm
    elif settings.global_clipnorm:
        shared['global_clipnorm'] = settings.global_clipnorm
    if settings.optimizer == 'sgd':
        optimizer = keras.optimizers.SGD(rate, settings.momentum, **shared)
    else:
        optimizer = keras.optimizers.AdamW(
            rate,
            beta_1=settings.beta_1,
            beta_2=settings.beta_2,
            amsgrad=settings.amsgrad,
            **shared,
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
