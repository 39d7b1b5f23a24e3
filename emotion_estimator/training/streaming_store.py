"""A trained streaming network on disk: the float reference of what is shipped."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.training.grouping import Grouping
from emotion_estimator.training.operating_point import sharpen, softmax
from emotion_estimator.training.settling import Settling, settle
from emotion_estimator.training.streaming_network import (
    INTERVALS,
    StreamingNetwork,
    StreamingSettings,
    assemble,
    state_size,
)

Floats = NDArray[np.float32]

#: A still face is shown for so many equal frames of so many seconds.
STILL_STEPS, STILL_DT = 15, 1 / 30


@dataclass(frozen=True, eq=False)
class FittedStreaming:
    """A trained network with its operating point: the float reference of what is shipped.

    :param bias: (7,), added to the logits.
    :param temperature: of the labels' probabilities.
    :param settings: how it was trained, for the card.
    """

    network: StreamingNetwork
    grouping: Grouping
    bias: Floats
    temperature: float
    settings: dict[str, Any]

    @property
    def state_size(self) -> int:
        """Length of the step's packed state."""
        return state_size(self.network.settings.units, len(self.grouping.labels))

    def of_logits(self, logits: Floats) -> Floats:
        """Return the labels' probabilities (..., L) of raw logits (..., 7), frame by frame."""
        labels = softmax(logits + self.bias) @ self.grouping.matrix
        return sharpen(labels, self.temperature)

    def probabilities(self, blendshapes: Floats, dt: Floats) -> Floats:
        """Return how probable each label is, (B, T, L), of faces (B, T, 52), seconds (B, T, 1)."""
        now = self.of_logits(self.network.logits(blendshapes, dt))
        steps = np.clip(dt[..., 0], *INTERVALS)
        return settle(now, steps, self.network.settings.settling)

    def stills(self, blendshapes: Floats) -> Floats:
        """Return the labels' probabilities (N, L) of unrelated faces (N, 52)."""
        parts = [
            self.probabilities(
                np.repeat(part[:, None], STILL_STEPS, axis=1),
                np.full((len(part), STILL_STEPS, 1), STILL_DT, np.float32),
            )[:, -1] for part in np.array_split(blendshapes, max(len(blendshapes) // 2048, 1))
        ]
        return np.concatenate(parts)


def save_streaming(fitted: FittedStreaming, folder: Path) -> None:
    """Write ``streaming.json`` and ``streaming.npz``."""
    weights = fitted.network.model.get_weights()
    np.savez(
        folder / 'streaming.npz', mean=fitted.network.mean, scale=fitted.network.scale,
        **{f'weights{number}': array for number, array in enumerate(weights)},
    )
    grouping = fitted.grouping
    (folder / 'streaming.json').write_text(json.dumps({
        'grouping': grouping.name, 'labels': list(grouping.labels),
        'to_label': grouping.to_label.tolist(), 'temperature': fitted.temperature,
        'bias': [round(float(one), 3) for one in fitted.bias], 'arrays': len(weights),
        'settings': fitted.settings,
    }, indent=1) + '\n')


def load_streaming(run: Path) -> FittedStreaming:
    """Load what ``fit streaming`` left in a run folder.

    :raises ModelError: nothing was fitted there, or it cannot be read.
    """
    folder = streaming_folder(run)
    try:
        told = json.loads((folder / 'streaming.json').read_text())
        made = told['settings']
        settings = StreamingSettings(
            tuple(made['front']), made['units'][0], made['floor'], made['dropout'],
            Settling(**made['settling']),
        )
        with np.load(folder / 'streaming.npz') as stored:
            network = assemble(stored['mean'], stored['scale'], settings)
            network.model.set_weights([stored[f'weights{i}'] for i in range(told['arrays'])])
        grouping = Grouping(
            told['grouping'], tuple(told['labels']), np.array(told['to_label'], np.int64)
        )
        return FittedStreaming(
            network, grouping, np.array(told['bias'], np.float32), told['temperature'], made
        )
    except (
        OSError, EOFError, KeyError, ValueError, TypeError, IndexError, zipfile.BadZipFile
    ) as error:
        raise ModelError(
            f'{folder} holds no fitted streaming network ({first_line(error)}); '
            '"emotion-estimator training fit streaming" makes it'
        ) from error


def streaming_folder(run: Path) -> Path:
    """Return where a run folder keeps it."""
    return run / 'checkpoints' / 'streaming'
