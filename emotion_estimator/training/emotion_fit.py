"""Trains the streaming LSTM and exports it as one explicit step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import LABELS
from emotion_estimator.training.dataset import FER_CLASSES, TO_LABEL
from emotion_estimator.training.sequences import SequenceMaker

Floats = NDArray[np.float32]

#: Below this score a blendshape is noise; the root spreads the small ones, which tell most.
_FLOOR = 0.01
#: Interval that the network sees as zero, seconds.
_USUAL_DT = 1 / 30


@dataclass(frozen=True)
class EmotionSettings:
    """What decides the network, beside the data."""

    front: int = 64
    units: tuple[int, ...] = (48,)
    steps: int = 4000
    batch: int = 192
    learning_rate: float = 3e-3
    dropout: float = 0.1
    smoothing: float = 0.02
    seed: int = 11


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """The trained network: a Keras model (B, T, 52), (B, T, 1) -> logits (B, T, 7)."""

    model: Any
    mean: Floats
    scale: Floats


def spread(blendshapes: Any) -> Any:
    """Return the scores with the small ones spread out; tensor of scores, 0 to 1."""
    return tf.sqrt(tf.maximum(blendshapes, 0.0) + _FLOOR)


def network_input(scores: Any, dt: Any, mean: Floats, scale: Floats) -> Any:
    """Return what the first layer reads (..., 53): normalized scores, logarithm of the interval.

    The logarithm is 0 at 30 frames per second. Clipping keeps one odd score from coarsening the
    int8 steps of all the others.
    """
    normal = tf.clip_by_value((spread(scores) - mean) / scale, -4.0, 4.0)
    interval = tf.math.log(tf.clip_by_value(dt, 1 / 240, 1.0) / _USUAL_DT)
    return tf.concat([normal, interval], axis=-1)


def build_network(mean: Floats, scale: Floats, settings: EmotionSettings) -> Any:
    """Build the sequence model: dense, LSTMs, dense."""
    scores = keras.Input((None, len(BLENDSHAPE_NAMES)))
    dt = keras.Input((None, 1))
    values = network_input(scores, dt, mean, scale)
    values = keras.layers.Dense(settings.front, 'tanh', name='front')(values)
    values = keras.layers.Dropout(settings.dropout)(values)
    for index, units in enumerate(settings.units):
        values = keras.layers.LSTM(units, return_sequences=True, name=f'lstm{index}')(values)
    values = keras.layers.Dropout(settings.dropout)(values)
    return keras.Model([scores, dt], keras.layers.Dense(len(FER_CLASSES), name='logits')(values))


def fit_network(
    maker: SequenceMaker,
    pool: Floats,
    validate: Callable[[FloatNetwork], float],
    settings: EmotionSettings,
    report_every: int = 500,
) -> FloatNetwork:
    """Train on sequences made on the way.

    :param maker: makes the sequences; ``pool`` are its stills' blendshapes (for their spread).
    :param validate: score on images held back, higher is better; the best state is kept.
    """
    keras.utils.set_random_seed(settings.seed)
    spreads = np.asarray(spread(pool))
    mean, scale = spreads.mean(axis=0), spreads.std(axis=0) + 0.02
    model = build_network(mean, scale, settings)
    network = FloatNetwork(model, mean, scale)
    schedule = keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.steps, 0.01)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-4, clipnorm=1.0)
    loss_of = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=settings.smoothing, reduction='none'
    )

    @tf.function(reduce_retracing=True)
    def step(scores: Any, dt: Any, emotion: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model([scores, dt], training=True)
            losses = loss_of(tf.one_hot(emotion, len(FER_CLASSES)), logits)
            loss = tf.reduce_sum(weight * losses) / tf.reduce_sum(weight)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    best, best_weights, losses = -1.0, model.get_weights(), []
    for number in range(1, settings.steps + 1):
        batch = maker(settings.batch)
        losses.append(float(step(batch.blendshapes, batch.dt, batch.emotion, batch.weight)))
        if number % report_every == 0 or number == settings.steps:
            score = validate(network)
            print(f'step {number}/{settings.steps}  loss {np.mean(losses):.4f}  '
                  f'validation {score:.4f}', flush=True)
            losses.clear()
            if score > best:
                best, best_weights = score, model.get_weights()
    model.set_weights(best_weights)
    return network


def still_logits(network: FloatNetwork, blendshapes: Floats, steps: int, dt: float) -> Floats:
    """Return the logits (N, 7) after ``steps`` equal frames."""
    logits = []
    for start in range(0, len(blendshapes), 1024):
        part = blendshapes[start:start + 1024]
        scores = np.repeat(part[:, None], steps, axis=1)
        intervals = np.full((len(part), steps, 1), dt, np.float32)
        logits.append(np.asarray(network.model([scores, intervals])[:, -1]))
    return np.concatenate(logits)


def state_size(settings: EmotionSettings) -> int:
    """Return the length of the packed state: output and cell of each LSTM."""
    return 2 * sum(settings.units)


def step_function(network: FloatNetwork, bias: Floats, settings: EmotionSettings) -> Any:
    """Return one step as a concrete function with explicit state.

    Inputs ``blendshapes`` [1, 52], ``dt`` [1, 1] seconds, ``state`` [1, S]; outputs the
    probabilities over ``LABELS`` [1, 3] and the new state [1, S].

    :param bias: (7,), added to the logits: the operating point.
    """
    layers = {layer.name: layer.get_weights() for layer in network.model.layers}
    grouping = np.eye(len(LABELS), dtype=np.float32)[TO_LABEL]
    # One LSTM layer's input and state share a product, hence one quantized matrix.
    kernels = [
        (np.concatenate(layers[f'lstm{i}'][:2]), layers[f'lstm{i}'][2])
        for i in range(len(settings.units))
    ]

    @tf.function(input_signature=[
        tf.TensorSpec((1, len(BLENDSHAPE_NAMES)), tf.float32, 'blendshapes'),
        tf.TensorSpec((1, 1), tf.float32, 'dt'),
        tf.TensorSpec((1, state_size(settings)), tf.float32, 'state'),
    ])
    def step(blendshapes: Any, dt: Any, state: Any) -> Any:
        values = network_input(blendshapes, dt, network.mean, network.scale)
        front, front_bias = layers['front']
        values = tf.tanh(values @ front + front_bias)
        parts = tf.split(state, [units for units in settings.units for _ in range(2)], axis=-1)
        kept = []
        for index, (kernel, kernel_bias) in enumerate(kernels):
            output, cell = parts[2 * index], parts[2 * index + 1]
            gates = tf.concat([values, output], axis=-1) @ kernel + kernel_bias
            enter, forget, candidate, leave = tf.split(gates, 4, axis=-1)
            cell = tf.sigmoid(forget) * cell + tf.sigmoid(enter) * tf.tanh(candidate)
            values = tf.sigmoid(leave) * tf.tanh(cell)
            kept += [values, cell]
        kernel, logits_bias = layers['logits']
        classes = tf.nn.softmax(values @ kernel + logits_bias + bias)
        return classes @ grouping, tf.concat(kept, axis=-1)

    return step.get_concrete_function()
