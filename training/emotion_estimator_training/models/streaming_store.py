"""A trained streaming network in a run folder: the float reference of the shipped file."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import ModelError, first_line
from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.models.branches import BranchSettings
from emotion_estimator_training.models.operating_point import sharpen, softmax
from emotion_estimator_training.models.streaming_network import (
    INTERVALS,
    Settling,
    StreamingNetwork,
    StreamingSettings,
    Vocabulary,
    assemble,
    settle,
    state_size,
)

Floats = NDArray[np.float32]

#: A still face is read as this many equal frames, this many seconds apart.
STILL_STEPS, STILL_DT = 15, 1 / 30


#: The vocabularies of a step's outputs, in order: the labels of the grouping, and all classes.
THREE, SEVEN = 'three', 'seven'


@dataclass(frozen=True, eq=False)
class FittedStreaming:
    """A trained network with its operating points: the float reference of the shipped file.

    :param grouping: from the classes to the labels of the vocabulary ``THREE``.
    :param operating_points: (7,) per vocabulary, added to the logits.
    :param temperatures: per vocabulary, for calibration.
    :param settings: how it was trained, for the card.
    """

    network: StreamingNetwork
    grouping: Grouping
    operating_points: dict[str, Floats]
    temperatures: dict[str, float]
    settings: dict[str, Any]

    @property
    def vocabularies(self) -> tuple[Vocabulary, ...]:
        """Return the vocabularies of a step's outputs, in order."""
        matrices = {THREE: self.grouping.matrix, SEVEN: np.eye(len(FER_CLASSES), dtype=np.float32)}
        return tuple(
            Vocabulary(matrix, self.operating_points[name], self.temperatures[name])
            for name, matrix in matrices.items()
        )

    @property
    def state_size(self) -> int:
        """Return the length of the step's packed state."""
        return state_size(self.network.settings.units, tuple(one.size for one in self.vocabularies))

    def of_logits(self, logits: Floats, vocabulary: str = THREE) -> Floats:
        """Return the labels' probabilities (..., L) for logits (..., 7), without smoothing."""
        one = self.vocabularies[(THREE, SEVEN).index(vocabulary)]
        return sharpen(softmax(logits + one.operating_point) @ one.grouping, one.temperature)

    def probabilities(self, vectors: Floats, dt: Floats, vocabulary: str = THREE) -> Floats:
        """Return the labels' probabilities (B, T, L) for faces (B, T, 52 or 118).

        :param dt: (B, T, 1), seconds.
        """
        now = self.of_logits(self.network.logits(vectors, dt), vocabulary)
        steps = np.clip(dt[..., 0], *INTERVALS)
        return settle(now, steps, self.network.settings.settling)

    def stills(self, vectors: Floats, vocabulary: str = THREE) -> Floats:
        """Return the labels' probabilities (N, L) for unrelated faces (N, 52 or 118)."""
        parts = [
            self.probabilities(
                np.repeat(part[:, None], STILL_STEPS, axis=1),
                np.full((len(part), STILL_STEPS, 1), STILL_DT, np.float32),
                vocabulary,
            )[:, -1]
            for part in np.array_split(vectors, max(len(vectors) // 2048, 1))
        ]
        return np.concatenate(parts)


def save_streaming(fitted: FittedStreaming, folder: Path) -> None:
    """Write ``streaming.json`` and ``streaming.npz`` into ``folder``."""
    weights = fitted.network.model.get_weights()
    np.savez(
        folder / 'streaming.npz',
        mean=fitted.network.mean,
        scale=fitted.network.scale,
        **{f'weights{number}': array for number, array in enumerate(weights)},
    )
    grouping = fitted.grouping
    (folder / 'streaming.json').write_text(
        json.dumps(
            {
                'grouping': grouping.name,
                'labels': list(grouping.labels),
                'to_label': grouping.to_label.tolist(),
                'temperatures': fitted.temperatures,
                'biases': {
                    name: [round(float(one), 3) for one in point]
                    for name, point in fitted.operating_points.items()
                },
                'arrays': len(weights),
                'settings': fitted.settings,
            },
            indent=1,
        )
        + '\n'
    )


def load_streaming(run: Path) -> FittedStreaming:
    """Load the network that ``fit streaming`` saved in a run folder.

    :raises ModelError: there is none, or it cannot be read.
    """
    folder = streaming_folder(run)
    try:
        card = json.loads((folder / 'streaming.json').read_text())
        trained = card['settings']
        settings = StreamingSettings(
            BranchSettings(**trained['branches']),
            trained['units'],
            Settling(**trained['settling']),
        )
        with np.load(folder / 'streaming.npz') as stored:
            network = assemble(stored['mean'], stored['scale'], settings)
            network.model.set_weights([stored[f'weights{i}'] for i in range(card['arrays'])])
        grouping = Grouping(
            card['grouping'], tuple(card['labels']), np.array(card['to_label'], np.int64)
        )
        return FittedStreaming(
            network,
            grouping,
            {name: np.array(card['biases'][name], np.float32) for name in (THREE, SEVEN)},
            {name: float(card['temperatures'][name]) for name in (THREE, SEVEN)},
            trained,
        )
    except (
        OSError,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
        IndexError,
        zipfile.BadZipFile,
    ) as error:
        raise ModelError(
            f'{folder} holds no fitted streaming network ({first_line(error)}); '
            'run "emotion-estimator training fit streaming"'
        ) from error


def streaming_folder(run: Path) -> Path:
    """Return the folder of the streaming network in a run folder."""
    return run / 'checkpoints' / 'streaming'
