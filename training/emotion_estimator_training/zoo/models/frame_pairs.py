"""Frames and pairs of frames, fused before a bidirectional LSTM (Liang et al. 2020).

Terbouche and Chaoui, figure 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator.perception.window_classifier import IMAGE, WindowInput
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import ZooFitSettings, read
from emotion_estimator_training.zoo.models.layers import Dropout, encoded_image
from emotion_estimator_training.zoo.models.model import RunContext
from emotion_estimator_training.zoo.models.network_model import NetworkModel


@dataclass(frozen=True)
class FramePairsSettings:
    """Settings of Liang et al. 2020, as described by Terbouche and Chaoui (1.4.5, figure 8).

    :param window: frames.
    :param side: of the face, in pixels.
    :param filters: of each convolution of both networks.
    :param encoding: size of what each network says of a frame, or of a pair.
    :param hidden: units of the LSTM in each direction.
    """

    window: int = 16
    side: int = 96
    filters: tuple[int, ...] = (64, 128, 256, 256)
    encoding: int = 256
    hidden: int = 256
    dropout: float = 0.5
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class FramePairs(NetworkModel):
    """A network of frames, one of pairs of frames, and an LSTM over both; all learn together."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = chosen = read(FramePairsSettings, entry.settings, entry.name)
        if chosen.window < 2:
            raise InputError(
                f'{entry.name}: window {chosen.window} is too short; a pair needs two frames'
            )
        if chosen.side >> len(chosen.filters) < 1:
            raise InputError(
                f'{entry.name}: {chosen.side} pixels are too few for {len(chosen.filters)} '
                'convolutions, each of which halves them'
            )
        inputs = [WindowInput(IMAGE, side=chosen.side)]
        super().__init__(entry, context, chosen.window, inputs, chosen.fit, chosen.overlap)

    def build(self) -> Any:
        """Return the untrained network."""
        use, chosen = keras.layers, self.settings
        [frames] = inputs = self.keras_inputs()
        spatial = use.TimeDistributed(self._encoder(3, 'spatial'), name='spatial')
        temporal = use.TimeDistributed(self._encoder(6, 'temporal'), name='temporal')
        # The first frame has none before it, and is seen in the first pair.
        later = use.Cropping1D((1, 0), name='later_frames')(spatial(frames))
        fused = use.Concatenate(name='fused')(
            [later, temporal(ConsecutiveFrames(name='pairs')(frames))]
        )
        values = use.Bidirectional(use.LSTM(chosen.hidden), name='bi_lstm')(fused)
        values = Dropout(chosen.dropout, name='dropout')(values)
        answer = use.Dense(len(self.classes), 'softmax', name='emotion')(values)
        return keras.Model(inputs, answer, name='frame_pairs')

    def _encoder(self, channels: int, name: str) -> Any:
        chosen = self.settings
        image = keras.Input((chosen.side, chosen.side, channels), name=f'{name}_image')
        values = encoded_image(image, chosen.filters, chosen.encoding, name)
        return keras.Model(image, values, name=name)


class ConsecutiveFrames(keras.layers.Layer):  # type: ignore[misc]
    """Each frame of (N, L, S, S, C) beside the next one: (N, L - 1, S, S, 2 C)."""

    def call(self, inputs: Any) -> Any:
        """Return (N, L - 1, S, S, 2 C)."""
        return tf.concat([inputs[:, :-1], inputs[:, 1:]], axis=-1)
