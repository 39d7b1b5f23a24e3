"""Baselines surveyed by Terbouche and Chaoui (1.4): 3D convolutions, two streams, nested LSTMs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator.perception.window_classifier import FLOW, IMAGE, WindowInput
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import ZooFitSettings, read
from emotion_estimator_training.zoo.models.layers import Dropout, encoded_image
from emotion_estimator_training.zoo.models.model import RunContext
from emotion_estimator_training.zoo.models.network_model import NetworkModel


class Pooling3D(keras.layers.MaxPooling3D):  # type: ignore[misc]
    """Keras' MaxPooling3D without padding, made of operations that TFLite has."""

    def build(self, shape: Any) -> None:
        """Remember the input shape: it is unknown within ``fit``."""
        self._shape = tuple(int(one) for one in shape[1:])
        super().build(shape)

    def call(self, inputs: Any) -> Any:
        """Return (N, L // l, H // h, W // w, C)."""
        steps, height, width, channels = self._shape
        deep, high, wide = self.pool_size
        flat = tf.reshape(inputs, (-1, height, width, channels))
        flat = tf.nn.max_pool2d(flat, (high, wide), (high, wide), 'VALID')
        kept, rows, columns = steps // deep, height // high, width // wide
        values = tf.reshape(flat, (-1, steps, rows * columns * channels))
        if deep > 1:
            values = tf.reshape(values[:, : kept * deep], (-1, deep, rows * columns * channels))
            values = tf.reduce_max(values, axis=1)
        return tf.reshape(values, (-1, kept, rows, columns, channels))


@dataclass(frozen=True)
class StcnnSettings:
    """Settings of MicroExpSTCNN, or with two parts of MicroExpFuseNet (Reddy et al. 2019).

    :param window: frames.
    :param side: of each part, in pixels.
    :param depth: frames that a convolution kernel spans.
    :param dense: units of each dense layer.
    """

    window: int = 18
    side: int = 64
    filters: int = 32
    depth: int = 15
    dense: tuple[int, ...] = (128,)
    dropout: float = 0.5
    parts: tuple[str, ...] = ('face',)
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class Stcnn(NetworkModel):
    """One 3D convolution and pooling for each part, fused before the dense layers."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = chosen = read(StcnnSettings, entry.settings, entry.name)
        if chosen.window < chosen.depth + 2:
            raise InputError(
                f'{entry.name}: window {chosen.window} is too short; convolution and pooling need '
                f'{chosen.depth + 2} frames or more'
            )
        inputs = [WindowInput(IMAGE, part, chosen.side, False) for part in chosen.parts]
        super().__init__(entry, context, chosen.window, inputs, chosen.fit, chosen.overlap)

    def build(self) -> Any:
        """Return the untrained network."""
        use, chosen = keras.layers, self.settings
        inputs, ends = self.keras_inputs(), []
        for frames, part in zip(inputs, chosen.parts):
            values = use.Conv3D(
                chosen.filters, (chosen.depth, 3, 3), activation='relu', name=f'{part}_conv3d'
            )(frames)
            values = Pooling3D(3, name=f'{part}_pool')(values)
            values = Dropout(chosen.dropout, name=f'{part}_dropout')(values)
            ends.append(use.Flatten(name=f'{part}_flatten')(values))
        values = use.Concatenate(name='fused')(ends) if len(ends) > 1 else ends[0]
        for number, units in enumerate(chosen.dense, start=1):
            values = use.Dense(units, 'relu', name=f'dense_{number}')(values)
            values = Dropout(chosen.dropout, name=f'dropout_{number}')(values)
        answer = use.Dense(len(self.classes), 'softmax', name='emotion')(values)
        return keras.Model(inputs, answer, name='stcnn')


@dataclass(frozen=True)
class TwoStreamSettings:
    """Settings of Simonyan and Zisserman 2014, as described by Terbouche and Chaoui (1.4.5).

    :param window: frames; the flows between them are stacked.
    :param side: of the face, in pixels.
    :param filters: of each convolution of a stream.
    """

    window: int = 11
    side: int = 96
    filters: tuple[int, ...] = (96, 256, 512, 512)
    dense: int = 512
    dropout: float = 0.5
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class TwoStream(NetworkModel):
    """The mean of a spatial stream over the last frame and a temporal one over the flows."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = chosen = read(TwoStreamSettings, entry.settings, entry.name)
        if chosen.window < 2:
            raise InputError(
                f'{entry.name}: window {chosen.window} is too short; flow needs two frames or more'
            )
        inputs = [
            WindowInput(IMAGE, side=chosen.side, last=True),
            WindowInput(FLOW, side=chosen.side, colour=False),
        ]
        super().__init__(entry, context, chosen.window, inputs, chosen.fit, chosen.overlap)

    def build(self) -> Any:
        """Return the untrained network."""
        inputs = self.keras_inputs()
        ends = [self._stream(one, name) for one, name in zip(inputs, ('spatial', 'temporal'))]
        return keras.Model(inputs, keras.layers.Average(name='fusion')(ends), name='two_stream')

    def of_stills(self) -> tuple[Any, tuple[WindowInput, ...]]:
        """Return the spatial stream: stills do not move."""
        [image, _], answer = self.network.inputs, self.network.get_layer('spatial_emotion').output
        return keras.Model(image, answer, name='spatial'), self.inputs[:1]

    def _stream(self, values: Any, name: str) -> Any:
        chosen = self.settings
        values = encoded_image(values, chosen.filters, chosen.dense, name)
        values = Dropout(chosen.dropout, name=f'{name}_dropout')(values)
        return keras.layers.Dense(len(self.classes), 'softmax', name=f'{name}_emotion')(values)


@dataclass(frozen=True)
class NestedSettings:
    """Settings of Yu et al. 2018, as described by Terbouche and Chaoui (1.4.4, figure 6).

    :param window: frames.
    :param side: of the face, in pixels.
    :param filters: of each level of the 3D CNN.
    :param grid: rows and columns of places that each level's maps are averaged over, so that its
        LSTM knows where on the face something is.
    :param hidden: units of each LSTM.
    """

    window: int = 16
    side: int = 96
    filters: tuple[int, ...] = (64, 128, 256, 256)
    grid: int = 6
    hidden: int = 256
    dropout: float = 0.5
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class StcNlstm(NetworkModel):
    """A 3D CNN, an LSTM over time (T-LSTM) for each level, and one over the levels (C-LSTM)."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = chosen = read(NestedSettings, entry.settings, entry.name)
        if chosen.side >> len(chosen.filters) < 1:
            raise InputError(
                f'{entry.name}: {chosen.side} pixels are too few for {len(chosen.filters)} levels, '
                'each of which halves them'
            )
        if chosen.grid < 1:
            raise InputError(f'{entry.name}: grid {chosen.grid} must be 1 or more')
        inputs = [WindowInput(IMAGE, side=chosen.side)]
        super().__init__(entry, context, chosen.window, inputs, chosen.fit, chosen.overlap)

    def build(self) -> Any:
        """Return the untrained network."""
        use, chosen = keras.layers, self.settings
        inputs = self.keras_inputs()
        values, levels = inputs[0], []
        for number, filters in enumerate(chosen.filters, start=1):
            values = use.Conv3D(
                filters, 3, padding='same', activation='relu', name=f'conv3d_{number}'
            )(values)
            # Time is not pooled: each level has a step for every frame.
            values = Pooling3D((1, 2, 2), name=f'pool_{number}')(values)
            pooled = PlaceMeans(chosen.grid, name=f'level_{number}')(values)
            pooled = use.LSTM(chosen.hidden, name=f't_lstm_{number}')(pooled)
            levels.append(use.Reshape((1, chosen.hidden), name=f'step_{number}')(pooled))
        nested = use.Concatenate(axis=1, name='levels')(levels) if len(levels) > 1 else levels[0]
        nested = use.LSTM(chosen.hidden, name='c_lstm')(nested)
        nested = Dropout(chosen.dropout, name='dropout')(nested)
        answer = use.Dense(len(self.classes), 'softmax', name='emotion')(nested)
        return keras.Model(inputs, answer, name='stc_nlstm')


class PlaceMeans(keras.layers.Layer):  # type: ignore[misc]
    """The means of square maps over a grid of places, as one vector for each frame.

    :param grid: rows and columns; maps that are smaller, or no multiple of it, have fewer places.
    """

    def __init__(self, grid: int, **others: Any) -> None:
        super().__init__(**others)
        self.grid = grid

    def build(self, shape: Any) -> None:
        """Remember the input shape: it is unknown within ``fit``."""
        self._shape = tuple(int(one) for one in shape[1:])
        super().build(shape)

    def call(self, inputs: Any) -> Any:
        """Return (N, L, places * C) of (N, L, S, S, C); places is grid * grid at most."""
        steps, side, _, channels = self._shape
        wide = -(-side // self.grid)
        flat = tf.reshape(inputs, (-1, side, side, channels))
        flat = tf.nn.avg_pool2d(flat, wide, wide, 'SAME')
        places = -(-side // wide)
        return tf.reshape(flat, (-1, steps, places * places * channels))
