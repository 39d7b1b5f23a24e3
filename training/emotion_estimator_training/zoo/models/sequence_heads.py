"""Recurrent networks over encodings of frames (Terbouche and Chaoui, 2.4.2; Kahou et al. 2015).

LSTM: Hochreiter and Schmidhuber 1997; bidirectional: Schuster and Paliwal 1997; IRNN: Le et al.
2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import ZooFitSettings, read
from emotion_estimator_training.zoo.models.frame_aggregation import OnFrames
from emotion_estimator_training.zoo.models.frame_model import FrameModel
from emotion_estimator_training.zoo.models.layers import Dropout, SimpleRNN
from emotion_estimator_training.zoo.models.model import RunContext


@dataclass(frozen=True)
class SequenceHeadSettings:
    """Settings of Terbouche and Chaoui, figures 18 to 20; the defaults won their grid search.

    :param window: frames.
    :param hidden: units of each LSTM.
    :param layers: number of stacked LSTMs; two in their deep LSTM.
    :param dropout: after each LSTM.
    """

    window: int = 16
    hidden: int = 128
    layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.4
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class SequenceModel(OnFrames):
    """One or more LSTMs, many to one, over the encodings of the shared frame model."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = chosen = read(SequenceHeadSettings, entry.settings, entry.name)
        super().__init__(entry, context, chosen.window, chosen.fit, chosen.overlap)

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
    """Settings of Kahou et al. 2015, as described by Terbouche and Chaoui (1.4.3).

    :param window: frames.
    :param frame: settings of the CNN that is trained on single frames.
    """

    window: int = 16
    hidden: int = 200
    dropout: float = 0.5
    frame: Any = None
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class CnnRnn(OnFrames):
    """An RNN of rectified units, initialized with the identity, over a CNN of its own."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = chosen = read(IrnnSettings, entry.settings, entry.name)
        frame = Entry(
            f'{entry.name}:frame',
            'frame',
            'the CNN of single frames',
            chosen.frame if isinstance(chosen.frame, Mapping) else {},
        )
        super().__init__(
            entry, context, chosen.window, chosen.fit, chosen.overlap, FrameModel(frame, context)
        )

    def build(self) -> Any:
        """Return the untrained network."""
        [values] = inputs = self.keras_inputs()
        values = SimpleRNN(
            self.settings.hidden,
            'relu',
            recurrent_initializer=keras.initializers.Identity(),
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name='irnn',
        )(values)
        values = Dropout(self.settings.dropout, name='dropout')(values)
        answer = keras.layers.Dense(len(self.classes), 'softmax', name='emotion')(values)
        return keras.Model(inputs, answer, name='cnn_rnn')
