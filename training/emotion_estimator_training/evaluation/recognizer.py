"""What evaluation asks of every model, whether the papers' or ours."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Recognizer(Protocol):
    """Reads the emotion of stills and of sequences; ``name`` is what tables call it."""

    name: str
    labels: tuple[str, ...]

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) over ``labels`` of unrelated faces.

        :param vectors: (N, 118), or (N, 52), blendshapes alone; see ``face_vector``.
        """

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) at each frame of B faces that move.

        :param vectors: (B, T, 118 or 52); ``dt`` (B, T), seconds since the frame before.
        """
