"""Face crops of stills: cut as on the robot, and varied as cameras, heads and hands vary them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.face_crop import SIDE, crop_matrix, cut, even
from emotion_estimator_training.data.augment import Enlargement
from emotion_estimator_training.features.crop_augment import CropVariation, damage, jitter, mirror

Crops = NDArray[np.uint8]
Floats = NDArray[np.float32]


def landmarks_in_stills(landmarks: Floats) -> Floats:
    """Return landmarks (N, 478, 2) in pixels of the stills.

    :param landmarks: (N, 478, 2 or more), in pixels of the stills enlarged without variation.
    """
    matrix = Enlargement().matrix
    back = np.linalg.inv(matrix[:, :2]).T
    return ((landmarks[..., :2] - matrix[:, 2]) @ back).astype(np.float32)


def still_matrices(landmarks: Floats, found: NDArray[np.bool_]) -> Floats:
    """Return for each still the map (N, 2, 3) from its pixels to its crop's.

    :param landmarks: (N, 478, 2), in pixels of the stills.
    :param found: bool (N,); a still without a face is its own crop.
    """
    matrices = np.tile(np.eye(2, 3, dtype=np.float32), (len(landmarks), 1, 1))
    for row in np.flatnonzero(found):
        matrices[row] = crop_matrix(landmarks[row])
    return matrices


def plain_crops(pixels: Crops, matrices: Floats) -> Crops:
    """Return the crops (N, 48, 48) of stills (N, 48, 48), as the robot would cut them."""
    made = np.empty((len(pixels), SIDE, SIDE), np.uint8)
    for row, (still, matrix) in enumerate(zip(pixels, matrices)):
        made[row] = even(cut(still, matrix))
    return made


class CropMaker:
    """Makes varied crops of stills."""

    def __init__(self, pixels: Crops, matrices: Floats, variation: CropVariation) -> None:
        """Take the stills.

        :param pixels: uint8 (N, 48, 48); ``matrices`` (N, 2, 3) of :func:`still_matrices`.
        """
        self._pixels, self._matrices, self._variation = pixels, matrices, variation

    def __call__(
        self, rows: NDArray[np.int64], seed: int | Sequence[int]
    ) -> tuple[Crops, NDArray[np.bool_], NDArray[np.bool_]]:
        """Return crops (B, 48, 48) of some stills, the same for the same seed.

        :returns: also which of them are mirrored (B,), and in which a part of the face is hidden.
        """
        rng = np.random.default_rng(seed)
        crops = np.empty((len(rows), SIDE, SIDE), np.uint8)
        mirrored = rng.random(len(rows)) < 0.5
        hidden = np.zeros(len(rows), bool)
        for place, row in enumerate(rows):
            matrix = jitter(self._matrices[row], self._variation, rng)
            if mirrored[place]:
                matrix = mirror(matrix)
            crop = cut(self._pixels[row], matrix)
            crop, hidden[place] = damage(crop, self._variation, rng)
            crops[place] = even(crop)
        return crops, mirrored, hidden
