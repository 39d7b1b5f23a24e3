"""What the shipped appearance network makes of the faces of tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.face_crop import crop
from emotion_estimator.perception.face_parts import cover
from emotion_estimator_training.features.embeddings import Embedder
from emotion_estimator_training.zoo.data.frames import FaceTrack
from emotion_estimator_training.zoo.models.fitting import Floats
from emotion_estimator_training.zoo.models.model import Place


class Embeddings:
    """Embeddings of tracks' faces by the shipped appearance network; each track once."""

    def __init__(self, folder: Path) -> None:
        """Open the network.

        :raises ModelError: the folder has none.
        """
        self._embed = Embedder(folder / 'appearance.json')
        self.sha256 = self._embed.sha256
        self._known: dict[tuple[FaceTrack, bool], Floats] = {}

    def __call__(self, track: FaceTrack, covered: bool = False) -> Floats:
        """Return (T, 64); faces that cannot be cut out give noughts."""
        if (track, covered) not in self._known:
            crops = np.stack([
                crop(cover(face, points) if covered else face, points)
                for face, points in zip(track.crops, track.landmarks)
            ])
            self._known[track, covered] = self._embed(crops)
        return self._known[track, covered]


def embeddings_of(place: Place) -> Embeddings | None:
    """Return what embeds faces, once for a run; None where no appearance network is there."""
    if 'embeddings' not in place.shared:
        try:
            place.shared['embeddings'] = Embeddings(place.models or models_dir())
        except ModelError as error:
            place.shared['embeddings'] = None
            place.notes.append(f'there is no appearance network: {error}')
    found: Embeddings | None = place.shared['embeddings']
    return found
