"""Recurrent networks over encodings of frames (Terbouche and Chaoui, 2.4.2; Kahou et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import ZooFitSettings, read
from emotion_estimator_training.zoo.models.frame_aggregation import OnFrames
from emotion_estimator_training.zoo.models.layers import Dropout, unrolled
from emotion_estimator_training.zoo.models.model import Networks, RunContext, as_mapping
from emotion_estimator_training.zoo.models.xception import FrameModel


@dataclass(frozen=True)
class SequenceHeadSettings:
    """Terbouche and Chaoui's figures 18 to 20; the defaults are the best of its grid.

    :param hidden: units of each LSTM.
    :param layers: LSTMs one over the other; two are its deep one.
    :param dropout: between LSTMs, and before the softmax.
    """

    window: int = 16
    hidden: int = 128
    layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.4
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class SequenceModel(OnFrames):
    """LSTMs, many to one."""

    def __init__(self, entry: Entry, place: RunContext) -> None:
        self.settings = read(SequenceHeadSettings, entry.settings, entry.name)
        super().__init__(
            entry, place, self.settings.window, self.settings.fit, self.settings.overlap
        )

    def build(self) -> Any:
        """Return the untrained network."""
        [values] = inputs = self.keras_inputs()
        chosen = self.settings
        for number in range(1, chosen.layers + 1):
            lstm = keras.layers.LSTM(
                chosen.hidden, return_sequences=number < chosen.layers, name=f'lstm_{number}'
            )
            if chosen.bidirectional:
                lstm = keras.layers.Bidirectional(lstm, name=f'bidirectional_{number}')
            values = lstm(values)
            values = Dropout(chosen.dropout, name=f'dropout_{number}')(values)
        answer = keras.layers.Dense(len(self.classes), 'softmax', name='emotion')(values)
        return keras.Model(inputs, answer, name='sequence')


@dataclass(frozen=True)
class IrnnSettings:
    """Kahou et al. 2015 as Terbouche and Chaoui (1.4.3) tells it.

    :param frame: settings of the CNN that learns single frames.
    """

    window: int = 16
    hidden: int = 200
    dropout: float = 0.5
    frame: Any = None
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class CnnRnn(OnFrames):
    """An RNN of rectified units that begins as the identity, over a CNN of its own."""

    def __init__(self, entry: Entry, place: RunContext) -> None:
        self.settings = read(IrnnSettings, entry.settings, entry.name)
        of_frames = Entry(
            f'{entry.name}:frame',
            'frame',
            'the CNN of single frames',
            as_mapping(self.settings.frame),
        )
        super().__init__(
            entry,
            place,
            self.settings.window,
            self.settings.fit,
            self.settings.overlap,
            FrameModel(of_frames, place),
        )

    def build(self) -> Any:
        """Return the untrained network."""
        [values] = inputs = self.keras_inputs()
        values = keras.layers.SimpleRNN(
            self.settings.hidden,
            'relu',
            recurrent_initializer=keras.initializers.Identity(),
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name='irnn',
        )(values)
        values = Dropout(self.settings.dropout, name='dropout')(values)
        answer = keras.layers.Dense(len(self.classes), 'softmax', name='emotion')(values)
        return keras.Model(inputs, answer, name='cnn_rnn')

    def networks(self) -> Networks:
        """Return the networks of a frame and of the window, its loop over frames written out."""
        return replace(super().networks(), window=unrolled(self.network))
