"""The papers' fitted networks as recognizers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emotion_estimator.errors import ModelError
from emotion_estimator_training.evaluation.recognizer import Floats
from emotion_estimator_training.models.checkpoints import Checkpoint, best
from emotion_estimator_training.models.networks import Layer, build, probabilities, structure
from emotion_estimator_training.models.still_fit import CARD
from emotion_estimator_training.models.still_settings import StillSettings


class StillRecognizer:
    """A network without memory: every frame is read for itself.

    :param name: what tables call it.
    :param labels: in output order.
    :param inputs: indices of the blendshapes that the network reads.
    :param model: Keras model of the network.
    """

    def __init__(
        self, name: str, labels: tuple[str, ...], inputs: tuple[int, ...], model: Any
    ) -> None:
        self.name, self.labels, self.inputs, self.model = name, labels, inputs, model

    @classmethod
    def load(cls, folder: Path) -> StillRecognizer:
        """Load the best checkpoint of ``<run>/checkpoints/<model>``.

        :raises ModelError: nothing was fitted there, or its files do not fit each other.
        """
        checkpoint: Checkpoint = best(folder)
        path = folder / CARD
        try:
            card = json.loads(path.read_text())
            raw = card['settings']
            settings = StillSettings(**{**raw, 'units': tuple(raw['units'])})
            labels, inputs = tuple(card['labels']), tuple(card['inputs'])
            model = build(settings, len(inputs), len(labels))
            model.load_weights(checkpoint.weights)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f'{path} does not fit the weights beside it; remove {folder} and fit again'
            ) from error
        return cls(folder.name, labels, inputs, model)

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) over ``labels`` of faces (N, 52 or 118)."""
        # Blendshapes come first, and are all that the papers' networks read.
        return probabilities(self.model, vectors[:, list(self.inputs)])

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) of faces (B, T, 52 or 118), frame by frame."""
        batch, steps, width = vectors.shape
        return self.stills(vectors.reshape(-1, width)).reshape(batch, steps, -1)

    @property
    def parameters(self) -> int:
        """Return how many numbers were trained."""
        return int(self.model.count_params())

    def structure(self) -> list[Layer]:
        """Return the network's layers in order, as data."""
        return structure(self.model)


def load_recognizers(run: Path) -> dict[str, StillRecognizer]:
    """Return the fitted networks of single frames of a run folder, by name.

    :raises ModelError: one's files do not fit each other.
    """
    cards = sorted((run / 'checkpoints').glob(f'*/{CARD}'))
    return {card.parent.name: StillRecognizer.load(card.parent) for card in cards}
