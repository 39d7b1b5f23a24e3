"""The papers' networks by name: their shape, and how long and how fast they learn."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.training_loop import loss_named

SCHEDULES = ('short', 'published')
#: Peak learning rates and epochs of the short schedule.
_SHORT = {
    'paper': {'learning_rate': 2e-3, 'epochs': 15, 'patience': 6},
    'paper-relevant': {'learning_rate': 2e-3, 'epochs': 15, 'patience': 6},
    'dense': {'learning_rate': 3e-3, 'epochs': 40, 'patience': 15},
}


@dataclass(frozen=True)
class StillSettings:
    """What decides a network that reads single frames, beside the data.

    The defaults are those that seed 001 (3.3) and seed 002 (5.3) publish for their final model.

    :param kind: ``lstm``, which reads one frame's K scores as K time steps of one number, or
        ``dense``, which reads them at once.
    :param units: of each layer but the last.
    :param l2: of each layer's kernel but the last.
    :param weight_decay: AdamW's; the papers give a range only, so this is Keras' own.
    :param learning_rate: constant, or the peak where ``cosine``: one epoch of warm-up, then a
        cosine down to a hundredth.
    :param epochs: most of them; ``patience`` is how many pass without a better macro-F1 on
        PublicTest before training stops.
    """

    kind: str = 'lstm'
    units: tuple[int, ...] = (52, 16, 48, 44)
    activation: str = 'selu'
    l2: float = 1.95e-6
    weight_decay: float = 4e-3
    learning_rate: float = 1.0955e-6
    cosine: bool = False
    amsgrad: bool = True
    global_clipnorm: float = 1.0
    batch: int = 128
    epochs: int = 5000
    patience: int = 500
    loss: str = 'cce'
    class_weights: str = 'none'
    seed: int = 11

    def identity(self) -> dict[str, Any]:
        """Return what must be equal for an interrupted run to go on.

        A constant rate can be trained for longer afterwards; a cosine ends where it ends.
        """
        raw = asdict(self)
        raw['units'] = list(self.units)
        if not self.cosine:
            del raw['epochs'], raw['patience']
        return raw


#: As published. ``dense`` is the ablation: the same widths, LSTM replaced by dense layers; the
#: papers do not give its shape.
_PUBLISHED = {
    'paper': StillSettings(),
    'paper-relevant': StillSettings(),
    'dense': StillSettings(kind='dense'),
}
STILL_MODELS = tuple(_PUBLISHED)


def still_settings(model: str, schedule: str = 'short', **changes: Any) -> StillSettings:
    """Return a model's settings.

    The published 5,000 epochs at 1.0955e-6 took the paper's author two days on a GPU. The short
    schedule replaces learning rate and epochs and nothing else: it peaks some 2,000 times higher,
    decays as a cosine, and ends once macro-F1 on PublicTest no longer rises.

    :param model: one of ``STILL_MODELS``; ``schedule``: ``short`` or ``published``.
    :param changes: fields of :class:`StillSettings`; None keeps the schedule's.
    :raises InputError: there is no such model or schedule.
    """
    if model not in _PUBLISHED:
        raise InputError(f'there is no model {model!r}; there are: {", ".join(STILL_MODELS)}')
    if schedule not in SCHEDULES:
        raise InputError(f'there is no schedule {schedule!r}; there are: {", ".join(SCHEDULES)}')
    settings = _PUBLISHED[model]
    if schedule == 'short':
        settings = replace(settings, cosine=True, **_SHORT[model])
    return replace(settings, **{k: v for k, v in changes.items() if v is not None})


Floats = NDArray[np.float32]


class Layer(NamedTuple):
    """One layer of a model: Figure 4 of seed 001 as data; None is the batch."""

    name: str
    kind: str
    output: tuple[int | None, ...]
    parameters: int


def build(settings: StillSettings, inputs: int, labels: int) -> Any:
    """Return the Keras model from one frame's scores to probabilities (N, ``labels``).

    :param inputs: K, how many scores; (N, K, 1) for ``lstm``, (N, K) for ``dense``.
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
    """Give the model its loss and optimizer; ``steps`` is the batches of an epoch."""
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
    # With its slots made, a saved optimizer can be read back.
    optimizer.build(model.trainable_variables)
    return model


def probabilities(model: Any, x: Floats, batch: int = 1024) -> Floats:
    """Return what the model makes of scores (N, K): (N, L), summing to 1 in each row."""
    if not len(x):
        return np.zeros((0, model.output_shape[-1]), np.float32)
    shaped = x[..., None] if len(model.input_shape) == 3 else x
    found: Floats = model.predict(shaped, batch_size=batch, verbose=0)
    return found


def structure(model: Any) -> list[Layer]:
    """Return the layers in order, the input first."""
    first = Layer('blendshapes', 'Input', tuple(model.input_shape), 0)
    return [
        first,
        *(
            Layer(layer.name, type(layer).__name__, tuple(layer.output_shape), layer.count_params())
            for layer in model.layers
        ),
    ]
