"""The streaming network: what it is made of, as a sequence model to train and a step to ship."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.feature_set import EMBEDDING, SHAPES, WIDTH, whole
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
    """How probabilities are held.

    :param jump: change of the probabilities (the sum of all labels' absolute changes, 0 to 2) that
        counts as a new expression; ``width``: over what range it begins to.
    :param share: share of the time an expression has been held over which the mean is taken, and
        ``longest`` that time in seconds at most.
    """

    jump: float = 0.4
    width: float = 0.04
    share: float = 0.4
    longest: float = 4.0


def settle(probabilities: Floats, dt: Floats, how: Settling) -> Floats:
    """Return the probabilities (B, T, L) that are told.

    :param probabilities: (B, T, L), of the LSTM; ``dt`` (B, T), seconds since the frame before.
    """
    held = np.zeros_like(probabilities[:, 0])
    age = np.zeros((len(probabilities), 1), np.float32)
    told = np.empty_like(probabilities)
    for frame in range(probabilities.shape[1]):
        step = dt[:, frame, None]
        change = probabilities[:, frame] - held
        size = np.abs(change).sum(axis=-1, keepdims=True)
        jump = 1 / (1 + np.exp(-(size - how.jump) / how.width))
        slow = step / (step + np.minimum(how.share * age, how.longest))
        held = held + (slow + (1 - slow) * jump) * change
        age = (1 - jump) * (age + step)
        told[:, frame] = held
    return told


#: Shortest and longest interval that counts, seconds.
INTERVALS = (1 / 240, 1.0)
#: Interval that the network sees as zero, seconds.
_USUAL_DT = 1 / 30


@dataclass(frozen=True)
class StreamingSettings:
    """What decides the network, beside the data.

    :param branches: the layers that read a frame.
    :param units: units of the LSTM that follows.
    :param settling: how the labels' probabilities are held.
    """

    branches: BranchSettings = field(default_factory=BranchSettings)
    units: int = 32
    settling: Settling = field(default_factory=Settling)


@dataclass(frozen=True, eq=False)
class StreamingNetwork:
    """A trained network.

    :param model: Keras model of faces' vectors (B, T, 118) and seconds (B, T, 1) -> logits
        (B, T, 7).
    :param frame_model: (N, 118) -> (N, 7), without memory, from the same first layers; only for
        training.
    :param mean: (168,), of the embedding and the spread scores; ``scale`` alike.
    """

    model: Any
    frame_model: Any
    mean: Floats
    scale: Floats
    settings: StreamingSettings

    def frame_logits(self, vectors: Floats) -> Floats:
        """Return what the first layers alone say (N, 7) of faces (N, 118)."""
        parts = np.array_split(vectors, max(len(vectors) // 4096, 1))
        return np.concatenate([np.asarray(self.frame_model(part)) for part in parts])

    def logits(self, vectors: Floats, dt: Floats) -> Floats:
        """Return what faces (B, T, 52 or 118) and seconds (B, T, 1) give: (B, T, 7), no softmax."""
        parts = [
            np.asarray(self.model([whole(vectors[at : at + 512]), dt[at : at + 512]]))
            for at in range(0, len(vectors), 512)
        ]
        return np.concatenate(parts)

    def still_logits(self, vectors: Floats, steps: int, dt: float) -> Floats:
        """Return the logits (N, 7) of faces (N, 52 or 118) after ``steps`` equal frames."""
        frames = np.repeat(vectors[:, None], steps, axis=1)
        return self.logits(frames, np.full((len(frames), steps, 1), dt, np.float32))[:, -1]


def _interval(dt: Any) -> Any:
    """Return the logarithm of the interval, 0 at 30 frames per second."""
    return tf.math.log(tf.clip_by_value(dt, *INTERVALS) / _USUAL_DT)


def _read(vectors: Any, mean: Any, scale: Any, floor: float) -> tuple[Any, Any, Any]:
    """Return embedding and blendshapes, normalized, and which are known."""
    embedding = normalized(vectors[..., SHAPES:-2], mean[:EMBEDDING], scale[:EMBEDDING])
    shapes = normalized(spread(vectors[..., :SHAPES], floor), mean[EMBEDDING:], scale[EMBEDDING:])
    return embedding, shapes, vectors[..., -2:]


def build_network(pool: Floats, settings: StreamingSettings) -> StreamingNetwork:
    """Build the untrained network: dense layers for a frame, an LSTM, a dense layer.

    :param pool: (N, 118), faces to normalize by; an embedding of nought counts as unknown.
    """
    spreads = np.asarray(spread(pool[:, :SHAPES], settings.branches.floor))
    known = pool[pool[:, -2] > 0, SHAPES:-2]
    embeddings = known if len(known) else np.zeros((1, EMBEDDING), np.float32)
    mean = np.concatenate([embeddings.mean(axis=0), spreads.mean(axis=0)])
    # A unit that is hardly ever anything but nought is not blown up.
    widths = embeddings.std(axis=0)
    scale = np.concatenate([widths + 0.1 * widths.mean() + 1e-3, spreads.std(axis=0) + 0.02])
    return assemble(mean, scale, settings)


def assemble(mean: Floats, scale: Floats, settings: StreamingSettings) -> StreamingNetwork:
    """Build the untrained network with known means (168,) and scales (168,) of its inputs."""
    face = keras.Input((WIDTH,))
    read = front(*_read(face, mean, scale, settings.branches.floor), settings.branches)
    # A frame by itself: what the front is first trained on.
    frame = keras.Model(face, keras.layers.Dense(len(FER_CLASSES), name='frame')(read))
    faces, dt = keras.Input((None, WIDTH)), keras.Input((None, 1))
    over_time = keras.Model(face, read, name='front')
    values = keras.layers.TimeDistributed(over_time, name='fronts')(faces)
    values = keras.layers.Concatenate()([values, _interval(dt)])
    values = keras.layers.LSTM(settings.units, return_sequences=True, name='lstm')(values)
    logits = keras.layers.Dense(len(FER_CLASSES), name='logits')(values)
    return StreamingNetwork(keras.Model([faces, dt], logits), frame, mean, scale, settings)


def round_weights(network: StreamingNetwork, names: tuple[str, ...]) -> None:
    """Round layers' matrices to the 255 values that int8 weights can have, in place.

    What is trained after this, and the float reference, then have the weights of the shipped file,
    one scale to a matrix. The LSTM's two matrices share theirs, as they do in a step.

    :param names: of layers; ``front`` stands for all before the LSTM.
    """
    for name, layer in _layers(network).items():
        if name.startswith(names):
            *matrices, bias = layer.get_weights()
            scale = max(float(np.abs(one).max()) for one in matrices) / 127
            layer.set_weights([*(np.round(one / scale) * scale for one in matrices), bias])


def _layers(network: StreamingNetwork) -> dict[str, Any]:
    """Return the layers that have weights and are shipped, by name."""
    inner = network.model.get_layer('fronts').layer
    found = {name: inner.get_layer(name) for name in FRONT}
    return {**found, **{name: network.model.get_layer(name) for name in ('lstm', 'logits')}}


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """One of the sets of labels that a step tells.

    :param grouping: (7, L), from classes to labels.
    :param operating_point: (7,), added to the logits.
    :param temperature: divides the logarithms of the labels' probabilities: calibration.
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

    Inputs ``blendshapes`` [1, 52], ``embedding`` [1, 64], ``present`` [1, 2] (1 where the embedding
    and where the blendshapes are known), ``dt`` [1, 1] seconds, ``state`` [1, S]; outputs the
    probabilities of each vocabulary's labels [1, L] and the new state [1, S]: output and cell of
    the LSTM, and of each vocabulary its probabilities and how long the expression has been held.
    """
    weights = {name: layer.get_weights() for name, layer in _layers(network).items()}
    # The layer's input and state share a product, hence one quantized matrix.
    kernel, kernel_bias = np.concatenate(weights['lstm'][:2]), weights['lstm'][2]
    units, settings = network.settings.units, network.settings
    sizes = tuple(one.size for one in vocabularies)

    @tf.function(
        input_signature=[
            tf.TensorSpec((1, SHAPES), tf.float32, 'blendshapes'),
            tf.TensorSpec((1, EMBEDDING), tf.float32, 'embedding'),
            tf.TensorSpec((1, 2), tf.float32, 'present'),
            tf.TensorSpec((1, 1), tf.float32, 'dt'),
            tf.TensorSpec((1, state_size(units, sizes)), tf.float32, 'state'),
        ]
    )
    def step(blendshapes: Any, embedding: Any, present: Any, dt: Any, state: Any) -> Any:
        face = tf.concat([blendshapes, embedding, present], axis=-1)
        seen = front_step(
            *_read(face, network.mean, network.scale, settings.branches.floor), weights
        )
        output, cell, *held = tf.split(
            state, [units, units, *(one for size in sizes for one in (size, 1))], axis=-1
        )
        gates = tf.concat([seen, _interval(dt), output], axis=-1) @ kernel + kernel_bias
        enter, forget, candidate, leave = tf.split(gates, 4, axis=-1)
        cell = tf.sigmoid(forget) * cell + tf.sigmoid(enter) * tf.tanh(candidate)
        output = tf.sigmoid(leave) * tf.tanh(cell)
        logits = output @ weights['logits'][0] + weights['logits'][1]
        steps = tf.clip_by_value(dt, *INTERVALS)
        told, memory = [], []
        for number, one in enumerate(vocabularies):
            classes = tf.nn.softmax(logits + one.operating_point)
            # Seven of seven is the classes themselves; no product for that.
            labels = classes if one.size == len(FER_CLASSES) else classes @ one.grouping
            now = tf.nn.softmax(tf.math.log(labels + LEAST) / one.temperature)
            settled, age = _settle(
                now, held[2 * number], held[2 * number + 1], steps, settings.settling
            )
            told.append(settled)
            memory += [settled, age]
        return (*told, tf.concat([output, cell, *memory], axis=-1))

    return step.get_concrete_function()


def state_size(units: int, labels: tuple[int, ...]) -> int:
    """Return the length of the packed state, for vocabularies of so many labels."""
    return 2 * units + sum(labels) + len(labels)


def _settle(now: Any, held: Any, age: Any, dt: Any, how: Settling) -> Any:
    """Do in TensorFlow what ``settling.settle`` does for one frame."""
    change = now - held
    size = tf.reduce_sum(tf.abs(change), axis=-1, keepdims=True)
    jump = tf.sigmoid((size - how.jump) / how.width)
    slow = dt / (dt + tf.minimum(how.share * age, how.longest))
    return held + (slow + (1 - slow) * jump) * change, (1 - jump) * (age + dt)
