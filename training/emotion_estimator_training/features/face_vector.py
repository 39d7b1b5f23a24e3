"""What is known of a face in a frame, in one row of numbers, for tables and batches.

First its 52 blendshapes, then the embedding of its crop, then whether the embedding and the
blendshapes are known (1 or 0). A row of the blendshapes alone stands for a face without a crop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES

Floats = NDArray[np.float32]

SHAPES = len(BLENDSHAPE_NAMES)
EMBEDDING = 64
WIDTH = SHAPES + EMBEDDING + 2

#: What each branch is called, and the two columns that say what is known.
PRESENT = {'fused': (1.0, 1.0), 'appearance': (1.0, 0.0), 'blendshapes': (0.0, 1.0)}


def face_vectors(blendshapes: Floats, embedding: Floats | None = None) -> Floats:
    """Return rows (..., 118) of blendshapes (..., 52) and embeddings (..., 64), if there are."""
    rows = np.zeros((*blendshapes.shape[:-1], WIDTH), np.float32)
    rows[..., :SHAPES] = blendshapes
    rows[..., -1] = 1
    if embedding is not None:
        rows[..., SHAPES:-2] = embedding
        rows[..., -2] = 1
    return rows


def whole(rows: Floats) -> Floats:
    """Return rows (..., 118), of which some may be blendshapes alone (..., 52)."""
    return rows if rows.shape[-1] == WIDTH else face_vectors(rows)


def only(rows: Floats, branch: str) -> Floats:
    """Return rows (..., 118) of which no more is known than ``branch`` of ``PRESENT`` reads."""
    known = whole(rows).copy()
    known[..., -2:] *= np.array(PRESENT[branch], np.float32)
    return known
