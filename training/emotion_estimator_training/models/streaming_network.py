"""The streaming network: as a sequence model to train, and as one step to ship.

The recurrent layers are LSTMs (Hochreiter and Schmidhuber 1997).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.feature_set import (
    EMBEDDING,
    SHAPES,
    WIDTH,
    complete_vectors,
)
from emotion_estimator_training.models.branches import (
    FRONT,
    BranchSettings,
    front,
    front_step,
    normalized,
    spread,
)
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.operating_point import LEAST

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Settling:
    """How probabilities are smoothed over time.

    They are averaged while a face keeps its expression, and follow at once when it changes.

    :param jump: change of the probabilities (sum of the labels' absolute changes, 0 to 2) that
        counts as a new expression.
    :param width: of the sigmoid around ``jump``.
    :param share: share of an expression's duration so far over which the mean is taken.
    :param longest: longest duration of that mean, seconds.
    """

    jump: float = 0.4
    width: float = 0.04
    share: float = 0.4
    longest: float = 4.0


def settle(probabilities: Floats, dt: Floats, how: Settling) -> Floats:
    """Return the smoothed probabilities (B, T, L).

    :param probabilities: (B, T, L), of the LSTM.
    :param dt: (B, T), seconds since the previous frame.
    """
    settled = np.zeros_like(probabilities[:, 0])
    age = np.zeros((len(probabilities), 1), np.float32)
    smoothed = np.empty_like(probabilities)
    for frame in range(probabilities.shape[1]):
        step = dt[:, frame, None]
        change = probabilities[:, frame] - settled
        size = np.abs(change).sum(axis=-1, keepdims=True)
        jump = 1 / (1 + np.exp(-(size - how.jump) / how.width))
        slow = step / (step + np.minimum(how.share * age, how.longest))
        settled = settled + (slow + (1 - slow) * jump) * change
        age = (1 - jump) * (age + step)
        smoothed[:, frame] = settled
    return smoothed


#: Intervals between frames are clipped to these, seconds.
INTERVALS = (1 / 240, 1.0)
#: The interval that the network sees as zero, seconds.
_USUAL_DT = 1 / 30


@dataclass(frozen=True)
class StreamingSettings:
    """The network's sizes and its smoothing.

    :param branches: the layers that read a frame.
    :param units: of the LSTM that follows.
    :param settling: how the labels' probabilities are smoothed.
    """

    branches: BranchSettings = field(default_factory=BranchSettings)
    units: int = 32
    settling: Settling = field(default_factory=Settling)


@dataclass(frozen=True, eq=False)
class StreamingNetwork:
    """A network with the normalization of its inputs.

    :param model: Keras model, face vectors (B, T, 118) and seconds (B, T, 1) -> logits (B, T, 7).
    :param frame_model: (N, 118) -> logits (N, 7), the same first layers without memory; only for
        training.
    :param mean: (168,), of the embedding and the spread scores.
    :param scale: (168,), their standard deviation.
    """

    model: Any
    frame_model: Any
    mean: Floats
    scale: Floats
    settings: StreamingSettings

    def frame_logits(self, vectors: Floats) -> Floats:
        """Return the logits (N, 7) of the first layers alone for faces (N, 118)."""
        parts = np.array_split(vectors, max(len(vectors) // 4096, 1))
        return np.concatenate([np.asarray(self.frame_model(part)) for part in parts])

    def logits(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the logits (B, T, 7) for faces (B, T, 52 or 118) and seconds (B, T, 1)."""
        parts = [
            np.asarray(self.model([complete_vectors(vectors[at : at + 512]), dt[at : at + 512]]))
            for at in range(0, len(vectors), 512)
        ]
        return np.concatenate(parts)

    def still_logits(self, vectors: Floats, steps: int, dt: float) -> Floats:
        """Return the logits (N, 7) for faces (N, 52 or 118) after ``steps`` equal frames."""
        frames = np.repeat(vectors[:, None], steps, axis=1)
        return self.logits(frames, np.full((len(frames), steps, 1), dt, np.float32))[:, -1]


def _interval(dt: Any) -> Any:
    """Return the logarithm of the interval, 0 at 30 frames per second."""
    return tf.math.log(tf.clip_by_value(dt, *INTERVALS) / _USUAL_DT)


def _read(vectors: Any, mean: Any, scale: Any, floor: float) -> tuple[Any, Any, Any]:
    """Return embedding and blendshapes, normalized, and which of them are known."""
    embedding = normalized(vectors[..., SHAPES:-2], mean[:EMBEDDING], scale[:EMBEDDING])
    shapes = normalized(spread(vectors[..., :SHAPES], floor), mean[EMBEDDING:], scale[EMBEDDING:])
    return embedding, shapes, vectors[..., -2:]


def build_network(pool: Floats, settings: StreamingSettings) -> StreamingNetwork:
    """Build the untrained network: dense layers for a frame, an LSTM, a dense layer.

    :param pool: (N, 118), faces that the normalization is computed from.
    """
    spreads = np.asarray(spread(pool[:, :SHAPES], settings.branches.floor))
    known = pool[pool[:, -2] > 0, SHAPES:-2]
    embeddings = known if len(known) else np.zeros((1, EMBEDDING), np.float32)
    mean = np.concatenate([embeddings.mean(axis=0), spreads.mean(axis=0)])
    # Units that are nearly always zero are not amplified.
    widths = embeddings.std(axis=0)
    scale = np.concatenate([widths + 0.1 * widths.mean() + 1e-3, spreads.std(axis=0) + 0.02])
    return assemble(mean, scale, settings)


def assemble(mean: Floats, scale: Floats, settings: StreamingSettings) -> StreamingNetwork:
    """Build the untrained network with given means (168,) and scales (168,) of its inputs."""
    face = keras.Input((WIDTH,))
    read = front(*_read(face, mean, scale, settings.branches.floor), settings.branches)
    # The first layers are trained on single frames first.
    frame = keras.Model(face, keras.layers.Dense(len(FER_CLASSES), name='frame')(read))
    faces, dt = keras.Input((None, WIDTH)), keras.Input((None, 1))
    over_time = keras.Model(face, read, name='front')
    values = keras.layers.TimeDistributed(over_time, name='fronts')(faces)
    values = keras.layers.Concatenate()([values, _interval(dt)])
    values = keras.layers.LSTM(settings.units, return_sequences=True, name='lstm')(values)
    logits = keras.layers.Dense(len(FER_CLASSES), name='logits')(values)
    return StreamingNetwork(keras.Model([faces, dt], logits), frame, mean, scale, settings)


def round_weights(network: StreamingNetwork, names: tuple[str, ...]) -> None:
    """Round layers' matrices to the 255 values of int8 weights, in place, one scale per matrix.

    Layers trained after this, and the float reference, then see the weights of the shipped file.
    The LSTM's two matrices share a scale, since a step multiplies by them at once.

    :param names: beginnings of layers' names; ``front`` matches all before the LSTM.
    """
    for name, layer in _layers(network).items():
        if name.startswith(names):
            *matrices, bias = layer.get_weights()
            scale = max(float(np.abs(one).max()) for one in matrices) / 127
            layer.set_weights([*(np.round(one / scale) * scale for one in matrices), bias])


def _layers(network: StreamingNetwork) -> dict[str, Any]:
    """Return the shipped layers with weights, by name."""
    inner = network.model.get_layer('fronts').layer
    found = {name: inner.get_layer(name) for name in FRONT}
    return {**found, **{name: network.model.get_layer(name) for name in ('lstm', 'logits')}}


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A set of labels, and how logits become their probabilities.

    :param grouping: (7, L), from classes to labels.
    :param operating_point: (7,), added to the logits.
    :param temperature: divides the logarithms of the labels' probabilities, for calibration.
    """

    grouping: Floats
    operating_point: Floats
    temperature: float = 1.0

    @property
    def size(self) -> int:
        """Return the number of labels."""
        return int(self.grouping.shape[1])


def step_function(network: StreamingNetwork, vocabularies: tuple[Vocabulary, ...]) -> Any:
    """Return one step as a concrete function with explicit state.

    Inputs are ``blendshapes`` [1, 52], ``embedding`` [1, 64], ``present`` [1, 2] (1 if the
    embedding is known, and 1 if the blendshapes are), ``dt`` [1, 1] seconds and ``state`` [1, S].
    Outputs are the probabilities of each vocabulary's labels [1, L] and the new state [1, S]: the
    LSTM's output and cell and, per vocabulary, its probabilities and for how long the face has kept
    its expression.
    """
    weights = {name: layer.get_weights() for name, layer in _layers(network).items()}
    # One product for the layer's input and state, hence one quantized matrix.
    kernel, kernel_bias = np.concatenate(weights['lstm'][:2]), weights['lstm'][2]
    units, settings = network.settings.units, network.settings
    sizes = tuple(one.size for one in vocabularies)

    def step(blendshapes: Any, embedding: Any, present: Any, dt: Any, state: Any) -> Any:
        face = tf.concat([blendshapes, embedding, present], axis=-1)
        seen = front_step(
            *_read(face, network.mean, network.scale, settings.branches.floor), weights
        )
        output, cell, *memory = tf.split(
            state, [units, units, *(one for size in sizes for one in (size, 1))], axis=-1
        )
        gates = tf.concat([seen, _interval(dt), output], axis=-1) @ kernel + kernel_bias
        enter, forget, candidate, leave = tf.split(gates, 4, axis=-1)
        cell = tf.sigmoid(forget) * cell + tf.sigmoid(enter) * tf.tanh(candidate)
        output = tf.sigmoid(leave) * tf.tanh(cell)
        logits = output @ weights['logits'][0] + weights['logits'][1]
        steps = tf.clip_by_value(dt, *INTERVALS)
        probabilities, kept = [], []
        for number, one in enumerate(vocabularies):
            classes = tf.nn.softmax(logits + one.operating_point)
            # All seven labels are the classes themselves: no product.
            labels = classes if one.size == len(FER_CLASSES) else classes @ one.grouping
            now = tf.nn.softmax(tf.math.log(labels + LEAST) / one.temperature)
            settled, age = _settle(
                now, memory[2 * number], memory[2 * number + 1], steps, settings.settling
            )
            probabilities.append(settled)
            kept += [settled, age]
        return (*probabilities, tf.concat([output, cell, *kept], axis=-1))

    return tf.function(step).get_concrete_function(
        tf.TensorSpec((1, SHAPES), tf.float32, 'blendshapes'),
        tf.TensorSpec((1, EMBEDDING), tf.float32, 'embedding'),
        tf.TensorSpec((1, 2), tf.float32, 'present'),
        tf.TensorSpec((1, 1), tf.float32, 'dt'),
        tf.TensorSpec((1, state_size(units, sizes)), tf.float32, 'state'),
    )


def state_size(units: int, labels: tuple[int, ...]) -> int:
    """Return the length of the packed state.

    :param labels: number of labels of each vocabulary.
    """
    return 2 * units + sum(labels) + len(labels)


def _settle(now: Any, settled: Any, age: Any, dt: Any, how: Settling) -> Any:
    """Do in TensorFlow what :func:`settle` does for one frame."""
    change = now - settled
    size = tf.reduce_sum(tf.abs(change), axis=-1, keepdims=True)
    jump = tf.sigmoid((size - how.jump) / how.width)
    slow = dt / (dt + tf.minimum(how.share * age, how.longest))
    return settled + (slow + (1 - slow) * jump) * change, (1 - jump) * (age + dt)
