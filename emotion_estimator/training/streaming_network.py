"""The streaming network: what it is made of, as a sequence model to train and a step to ship."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.training.dataset import FER_CLASSES
from emotion_estimator.training.legacy_keras import keras, tf
from emotion_estimator.training.operating_point import LEAST
from emotion_estimator.training.settling import Settling

Floats = NDArray[np.float32]

#: Shortest and longest interval that counts, seconds.
INTERVALS = (1 / 240, 1.0)
#: Interval that the network sees as zero, seconds.
_USUAL_DT = 1 / 30


@dataclass(frozen=True)
class StreamingSettings:
    """What decides the network, beside the data.

    :param front: units of the dense layers that read a frame.
    :param units: units of the LSTM that follows.
    :param floor: added to a score before its logarithm is taken: what is far below is noise.
    :param dropout: share of each front layer's outputs left out while training.
    :param settling: how the labels' probabilities are held.
    """

    front: tuple[int, ...] = (96, 64)
    units: int = 32
    floor: float = 1e-3
    dropout: float = 0.3
    settling: Settling = field(default_factory=Settling)


@dataclass(frozen=True, eq=False)
class StreamingNetwork:
    """A trained network.

    :param model: Keras model (B, T, 52), (B, T, 1) -> logits (B, T, 7).
    :param frame_model: the same without memory, from the same dense layers; only for training.
    :param mean: (104,), of the spread scores; ``scale`` alike.
    """

    model: Any
    frame_model: Any
    mean: Floats
    scale: Floats
    settings: StreamingSettings

    def frame_logits(self, blendshapes: Floats) -> Floats:
        """Return what the dense layers alone say (N, 7) of faces (N, 52)."""
        parts = [
            np.asarray(self.frame_model([part[:, None], np.full((len(part), 1, 1), _USUAL_DT)]))
            for part in np.array_split(blendshapes, max(len(blendshapes) // 4096, 1))
        ]
        return np.concatenate(parts)[:, 0]

    def logits(self, blendshapes: Floats, dt: Floats) -> Floats:
        """Return what faces (B, T, 52) and seconds (B, T, 1) give: (B, T, 7), no softmax."""
        parts = [
            np.asarray(self.model([blendshapes[at:at + 512], dt[at:at + 512]]))
            for at in range(0, len(blendshapes), 512)
        ]
        return np.concatenate(parts)

    def still_logits(self, blendshapes: Floats, steps: int, dt: float) -> Floats:
        """Return the logits (N, 7) of faces (N, 52) after ``steps`` equal frames."""
        scores = np.repeat(blendshapes[:, None], steps, axis=1)
        return self.logits(scores, np.full((len(scores), steps, 1), dt, np.float32))[:, -1]


def spread(blendshapes: Any, floor: float) -> Any:
    """Return scores (..., 52) as (..., 104): their logarithms, and themselves.

    The scores are skewed: most are near nought, where their order of magnitude tells much. Trees,
    which see only order, do far better on plain scores than networks do.
    """
    scores = tf.maximum(blendshapes, 0.0)
    return tf.concat([tf.math.log(scores + floor), scores], axis=-1)


def network_input(scores: Any, dt: Any, network: StreamingNetwork) -> Any:
    """Return what the first layer reads (..., 105): normalized scores, logarithm of the interval.

    The logarithm is 0 at 30 frames per second. Clipping keeps one odd score from coarsening the
    int8 steps of all the others.
    """
    normal = tf.clip_by_value(
        (spread(scores, network.settings.floor) - network.mean) / network.scale, -4.0, 4.0
    )
    interval = tf.math.log(tf.clip_by_value(dt, *INTERVALS) / _USUAL_DT)
    return tf.concat([normal, interval], axis=-1)


def build_network(pool: Floats, settings: StreamingSettings) -> StreamingNetwork:
    """Build the untrained network: dense layers for a frame, an LSTM, a dense layer.

    :param pool: (N, 52), blendshapes to normalize by.
    """
    spreads = np.asarray(spread(pool, settings.floor))
    return assemble(spreads.mean(axis=0), spreads.std(axis=0) + 0.02, settings)


def assemble(mean: Floats, scale: Floats, settings: StreamingSettings) -> StreamingNetwork:
    """Build the untrained network with known means (104,) and scales (104,) of its inputs."""
    scores, dt = keras.Input((None, len(BLENDSHAPE_NAMES))), keras.Input((None, 1))
    values = network_input(scores, dt, StreamingNetwork(None, None, mean, scale, settings))
    for number, units in enumerate(settings.front):
        values = keras.layers.Dense(units, 'swish', name=f'front{number}')(values)
        values = keras.layers.Dropout(settings.dropout)(values)
    # A frame by itself: what the front is first trained on.
    frame = keras.layers.Dense(len(FER_CLASSES), name='frame')(values)
    values = keras.layers.LSTM(settings.units, return_sequences=True, name='lstm')(values)
    logits = keras.layers.Dense(len(FER_CLASSES), name='logits')(values)
    return StreamingNetwork(
        keras.Model([scores, dt], logits), keras.Model([scores, dt], frame), mean, scale, settings
    )


def round_weights(network: StreamingNetwork, names: tuple[str, ...]) -> None:
    """Round layers' matrices to the 255 values that int8 weights can have, in place.

    What is trained after this, and the float reference, then have the weights of the shipped file,
    one scale to a matrix. The LSTM's two matrices share theirs, as they do in a step.

    :param names: of layers: ``front`` stands for all dense layers before the LSTM.
    """
    for layer in network.model.layers:
        if layer.name.startswith(names) and layer.weights:
            *matrices, bias = layer.get_weights()
            scale = max(float(np.abs(one).max()) for one in matrices) / 127
            layer.set_weights([*(np.round(one / scale) * scale for one in matrices), bias])


def step_function(
    network: StreamingNetwork, grouping: Floats, bias: Floats, temperature: float = 1.0
) -> Any:
    """Return one step as a concrete function with explicit state.

    Inputs ``blendshapes`` [1, 52], ``dt`` [1, 1] seconds, ``state`` [1, S]; outputs the
    probabilities over the labels [1, L] and the new state [1, S]: output and cell of the LSTM, the
    probabilities, and how long the expression has been held.

    :param grouping: (7, L), from classes to labels.
    :param bias: (7,), added to the logits: the operating point.
    :param temperature: divides the logarithms of the labels' probabilities: calibration.
    """
    layers = {layer.name: layer.get_weights() for layer in network.model.layers}
    # The layer's input and state share a product, hence one quantized matrix.
    kernel, kernel_bias = np.concatenate(layers['lstm'][:2]), layers['lstm'][2]
    units, labels = network.settings.units, grouping.shape[1]

    @tf.function(input_signature=[
        tf.TensorSpec((1, len(BLENDSHAPE_NAMES)), tf.float32, 'blendshapes'),
        tf.TensorSpec((1, 1), tf.float32, 'dt'),
        tf.TensorSpec((1, state_size(units, labels)), tf.float32, 'state'),
    ])
    def step(blendshapes: Any, dt: Any, state: Any) -> Any:
        values = network_input(blendshapes, dt, network)
        for number in range(len(network.settings.front)):
            weights, front_bias = layers[f'front{number}']
            values = values @ weights + front_bias
            values *= tf.sigmoid(values)
        output, cell, held, age = tf.split(state, [units, units, labels, 1], axis=-1)
        gates = tf.concat([values, output], axis=-1) @ kernel + kernel_bias
        enter, forget, candidate, leave = tf.split(gates, 4, axis=-1)
        cell = tf.sigmoid(forget) * cell + tf.sigmoid(enter) * tf.tanh(candidate)
        output = tf.sigmoid(leave) * tf.tanh(cell)
        weights, logits_bias = layers['logits']
        classes = tf.nn.softmax(output @ weights + (logits_bias + bias))
        now = tf.nn.softmax(tf.math.log(classes @ grouping + LEAST) / temperature)
        steps = tf.clip_by_value(dt, *INTERVALS)
        held, age = _settle(now, held, age, steps, network.settings.settling)
        return held, tf.concat([output, cell, held, age], axis=-1)

    return step.get_concrete_function()


def state_size(units: int, labels: int) -> int:
    """Return the length of the packed state."""
    return 2 * units + labels + 1


def _settle(now: Any, held: Any, age: Any, dt: Any, how: Settling) -> Any:
    """Do in TensorFlow what ``settling.settle`` does for one frame."""
    change = now - held
    size = tf.reduce_sum(tf.abs(change), axis=-1, keepdims=True)
    jump = tf.sigmoid((size - how.jump) / how.width)
    slow = dt / (dt + tf.minimum(how.share * age, how.longest))
    return held + (slow + (1 - slow) * jump) * change, (1 - jump) * (age + dt)
