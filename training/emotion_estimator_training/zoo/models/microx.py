"""MicroX: one ConvLSTM block for each part of the face, joined at the end (Pua et al.).

ConvLSTM: Shi et al. 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator.perception.window_classifier import IMAGE, WindowInput
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import ZooFitSettings, read
from emotion_estimator_training.zoo.models.layers import ConvLSTM2D, Dropout
from emotion_estimator_training.zoo.models.model import RunContext
from emotion_estimator_training.zoo.models.network_model import NetworkModel


@dataclass(frozen=True)
class MicroXSettings:
    """Settings of Pua et al., figures 4 to 6; the defaults are the published ones.

    :param parts: of the face, or ``face`` itself; a single one has no joining layer.
    :param side: of each part, in pixels. Chapter III resizes to 30, chapter IV.C states 60.
    :param window: frames in a segment.
    :param filters: of the ConvLSTM, with kernels of ``kernel`` x ``kernel``.
    :param dense: units after the ConvLSTM.
    """

    parts: tuple[str, ...] = ('left_eye', 'right_eye', 'nose', 'mouth', 'face')
    side: int = 30
    colour: bool = True
    window: int = 10
    filters: int = 64
    kernel: int = 3
    dropout: float = 0.2
    dense: int = 256
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class MicroX(NetworkModel):
    """The network of Pua et al."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = chosen = read(MicroXSettings, entry.settings, entry.name)
        if len(set(chosen.parts)) < len(chosen.parts):
            raise InputError(f'{entry.name} lists a part twice; remove one')
        inputs = [WindowInput(IMAGE, part, chosen.side, chosen.colour) for part in chosen.parts]
        super().__init__(entry, context, chosen.window, inputs, chosen.fit, chosen.overlap)

    def build(self) -> Any:
        """Return the untrained network."""
        inputs = self.keras_inputs()
        ends = [self._block(one, part) for one, part in zip(inputs, self.settings.parts)]
        if len(ends) > 1:
            joined = keras.layers.Concatenate(name='joined')(ends)
            ends = [keras.layers.Dense(len(self.classes), 'softmax', name='emotion')(joined)]
        return keras.Model(inputs, ends[0], name='microx')

    def _block(self, frames: Any, part: str) -> Any:
        use, chosen = keras.layers, self.settings
        values = ConvLSTM2D(chosen.filters, chosen.kernel, name=f'{part}_convlstm')(frames)
        values = Dropout(chosen.dropout, name=f'{part}_dropout')(values)
        values = use.Flatten(name=f'{part}_flatten')(values)
        values = use.Dense(chosen.dense, 'relu', name=f'{part}_dense')(values)
        values = Dropout(chosen.dropout, name=f'{part}_dropout_2')(values)
        return use.Dense(len(self.classes), 'softmax', name=f'{part}_emotion')(values)

    def of_stills(self) -> tuple[Any, tuple[WindowInput, ...]]:
        """Return the blocks, which answer with the mean of what each says, and their inputs.

        Through the joining layer, which reads nothing but their probabilities, blocks learn hardly
        anything from a few stills.
        """
        parts = self.settings.parts
        if len(parts) == 1:
            return super().of_stills()
        ends = [self.network.get_layer(f'{part}_emotion').output for part in parts]
        mean = keras.layers.Average(name='mean')(ends)
        return keras.Model(self.network.inputs, mean, name='microx_blocks'), self.inputs
