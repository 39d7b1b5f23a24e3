"""Dropout whose noise depends on seed and epoch alone, so that a resumed training agrees."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotion_estimator_training.models.legacy_keras import keras


class Dropout(keras.layers.Dropout):
    """Keras' dropout, with a generator of its own that can begin anew."""

    def __init__(self, rate: float, **others: Any) -> None:
        super().__init__(rate, **{**others, 'force_generator': True})

    def reseed(self, seed: int) -> None:
        """Begin the noise anew."""
        random = self._random_generator
        random._maybe_init()
        random._generator.reset_from_seed(seed)


def reseed_dropout(model: Any, seed: int, epoch: int) -> None:
    """Begin the noise of all of a model's dropout layers anew, each with its own."""
    for number, layer in enumerate(_dropouts(model)):
        layer.reseed(int(np.random.SeedSequence([seed, epoch, number]).generate_state(1)[0]))


def _dropouts(model: Any) -> list[Dropout]:
    found: list[Dropout] = []
    for layer in model.layers:
        if hasattr(layer, 'layers'):
            found += _dropouts(layer)
        elif isinstance(layer, Dropout):
            found.append(layer)
    return found
