"""C3D: 3D convolutions of 3x3x3 throughout (Tran et al. 2015; Terbouche and Chaoui, 1.4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator.perception.window_classifier import IMAGE, WindowInput
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import ZooFitSettings, read
from emotion_estimator_training.zoo.models.layers import Dropout
from emotion_estimator_training.zoo.models.model import RunContext
from emotion_estimator_training.zoo.models.network_model import NetworkModel
from emotion_estimator_training.zoo.models.survey_baselines import Pooling3D


@dataclass(frozen=True)
class C3dSettings:
    """Settings of Tran et al. 2015; the defaults are the published ones.

    :param window: frames.
    :param side: of the face, in pixels.
    :param filters: of the convolutions of each level, which pooling ends.
    :param convolutions: their number in each level.
    :param dense: units of each dense layer.
    :param dropout: after each dense layer.
    """

    window: int = 16
    side: int = 112
    filters: tuple[int, ...] = (64, 128, 256, 512, 512)
    convolutions: tuple[int, ...] = (1, 1, 2, 2, 2)
    dense: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class C3d(NetworkModel):
    """Levels of 3D convolutions, each halved in space and, but for the first, in time."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = chosen = read(C3dSettings, entry.settings, entry.name)
        levels = len(chosen.filters)
        if len(chosen.convolutions) != levels:
            raise InputError(
                f'{entry.name}: filters has {levels} levels, convolutions '
                f'{len(chosen.convolutions)}; give one number of each for a level'
            )
        if chosen.window >> (levels - 1) < 1:
            raise InputError(
                f'{entry.name}: window {chosen.window} is too short for {levels} levels, all but '
                f'one of which halve it; give {2 ** (levels - 1)} frames or more'
            )
        inputs = [WindowInput(IMAGE, side=chosen.side)]
        super().__init__(entry, context, chosen.window, inputs, chosen.fit, chosen.overlap)

    def build(self) -> Any:
        """Return the untrained network."""
        use, chosen = keras.layers, self.settings
        inputs = self.keras_inputs()
        values = inputs[0]
        for level, (filters, count) in enumerate(zip(chosen.filters, chosen.convolutions), start=1):
            for letter in 'abcdefgh'[:count]:
                values = use.Conv3D(
                    filters, 3, padding='same', activation='relu', name=f'conv{level}{letter}'
                )(values)
            odd = int(values.shape[2]) % 2
            if odd:
                # As in the published network, where pooling rounds 7 places up to 4.
                values = use.ZeroPadding3D(((0, 0), (0, odd), (0, odd)), name=f'pad{level}')(values)
            values = Pooling3D((1 if level == 1 else 2, 2, 2), name=f'pool{level}')(values)
        values = use.Flatten(name='flatten')(values)
        # The published dense layers are the sixth and seventh.
        for number, units in enumerate(chosen.dense, start=len(chosen.filters) + 1):
            values = use.Dense(units, 'relu', name=f'fc{number}')(values)
            values = Dropout(chosen.dropout, name=f'dropout{number}')(values)
        answer = use.Dense(len(self.classes), 'softmax', name='emotion')(values)
        return keras.Model(inputs, answer, name='c3d')
