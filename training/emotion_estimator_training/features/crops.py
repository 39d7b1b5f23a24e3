"""Face crops of stills: cut as on the robot, and varied like real cameras and faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.face_crop import SIDE, crop_matrix, cut, even
from emotion_estimator_training.data.augment import Enlargement

Crop = NDArray[np.uint8]
Crops = NDArray[np.uint8]
Floats = NDArray[np.float32]

#: Rows and columns of a crop that dark glasses (eyes and brows) and a mask (mouth) hide, roughly.
EYES = (slice(8, 25), slice(3, 45))
MOUTH = (slice(27, 48), slice(7, 41))
#: Coordinate across a crop, -1 to 1.
_ACROSS = np.linspace(-1, 1, SIDE)


@dataclass(frozen=True)
class CropVariation:
    """How much crops vary.

    Each share is the probability that a crop is affected, independently of the others.

    :param roll: standard deviation in degrees.
    :param size: standard deviation of the logarithm of the scale.
    :param shift: standard deviation in pixels of the crop.
    :param stretch: standard deviation of the logarithm of height over width.
    :param gamma: standard deviation of the logarithm of the gamma.
    :param shaded: share lit from one side.
    :param coarse: share downscaled and enlarged again.
    :param least_side: smallest side of the downscaled crop in pixels.
    :param blurred: share blurred; ``noisy`` and ``compressed`` (JPEG) alike.
    :param hidden: share with eyes, mouth or another part covered.
    """

    roll: float = 6.0
    size: float = 0.08
    shift: float = 1.5
    stretch: float = 0.05
    gamma: float = 0.25
    shaded: float = 0.25
    coarse: float = 0.2
    least_side: int = 20
    blurred: float = 0.2
    noisy: float = 0.25
    compressed: float = 0.2
    hidden: float = 0.25


def jitter(matrix: Floats, how: CropVariation, rng: np.random.Generator) -> Floats:
    """Return a crop's affine map (2, 3), randomly rotated, scaled, stretched and shifted."""
    roll = np.deg2rad(np.clip(rng.normal() * how.roll, -3 * how.roll, 3 * how.roll))
    scale = np.exp(np.clip(rng.normal(), -2.5, 2.5) * how.size)
    stretch = np.exp(np.clip(rng.normal(), -2.5, 2.5) * how.stretch / 2)
    turn = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    linear = turn @ np.diag([1 / stretch, stretch])
    middle = np.full(2, (SIDE - 1) / 2)
    offset = middle - linear @ middle + np.clip(rng.normal(size=2), -2.5, 2.5) * how.shift
    moved = np.column_stack([linear @ matrix[:, :2], linear @ matrix[:, 2] + offset])
    return moved.astype(np.float32)


def mirror(matrix: Floats) -> Floats:
    """Return a crop's affine map (2, 3) with left and right swapped."""
    flip = np.array([[-1.0, 0.0], [0.0, 1.0]], np.float32)
    moved = flip @ matrix
    moved[0, 2] += SIDE - 1
    return np.asarray(moved, np.float32)


def damage(crop: Crop, how: CropVariation, rng: np.random.Generator) -> tuple[Crop, bool]:
    """Return a crop (48, 48) with random light, camera defects and covers.

    :returns: the crop, and whether a part is covered.
    """
    table = 255 * (np.arange(256) / 255) ** np.exp(rng.normal() * how.gamma)
    crop = np.asarray(cv2.LUT(crop, table.astype(np.uint8)), np.uint8)
    if rng.random() < how.shaded:
        angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.7)
        across = np.cos(angle) * _ACROSS[None] + np.sin(angle) * _ACROSS[:, None]
        crop = np.clip(crop * (1 + strength * across), 0, 255).astype(np.uint8)
    hidden = rng.random() < how.hidden
    if hidden:
        crop = cover(crop, _part(rng), rng)
    if rng.random() < how.coarse:
        side = int(rng.integers(how.least_side, SIDE))
        small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        crop = np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < how.blurred:
        crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.4, 1.3)), np.uint8)
    if rng.random() < how.noisy:
        noise = rng.normal(size=crop.shape) * rng.uniform(2, 14)
        crop = np.clip(crop + noise, 0, 255).astype(np.uint8)
    if rng.random() < how.compressed:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))]
        crop = np.asarray(
            cv2.imdecode(cv2.imencode('.jpg', crop, quality)[1], cv2.IMREAD_GRAYSCALE), np.uint8
        )
    return crop, bool(hidden)


def cover(crop: Crop, part: tuple[slice, slice], rng: np.random.Generator) -> Crop:
    """Return a crop with a part covered by a random grey, plain or textured like cloth."""
    covered = crop.copy()
    area = covered[part]
    grey = rng.uniform(0, 255)
    rough = rng.normal(size=area.shape) * rng.uniform(0, 25)
    covered[part] = np.clip(grey + rough, 0, 255).astype(np.uint8)
    return covered


def _part(rng: np.random.Generator) -> tuple[slice, slice]:
    chosen = rng.random()
    if chosen < 0.3:
        return EYES
    if chosen < 0.6:
        return MOUTH
    height, width = rng.integers(8, 25, 2)
    top, left = rng.integers(0, SIDE - height + 1), rng.integers(0, SIDE - width + 1)
    return slice(int(top), int(top + height)), slice(int(left), int(left + width))


def landmarks_in_stills(landmarks: Floats, scale: float = Enlargement.scale) -> Floats:
    """Convert landmarks to pixels of the stills, (N, 478, 2).

    :param landmarks: (N, 478, 2 or more), in pixels of the stills enlarged without variation.
    :param scale: of :meth:`~.augment.Enlargement.by`.
    """
    matrix = Enlargement.by(scale).matrix
    back = np.linalg.inv(matrix[:, :2]).T
    return ((landmarks[..., :2] - matrix[:, 2]) @ back).astype(np.float32)


def still_matrices(landmarks: Floats, found: NDArray[np.bool_]) -> Floats:
    """Return the affine maps (N, 2, 3) from the pixels of stills to those of their crops.

    :param landmarks: (N, 478, 2), in pixels of the stills.
    :param found: bool (N,); the crop of a still without a face is the still itself.
    """
    matrices = np.tile(np.eye(2, 3, dtype=np.float32), (len(landmarks), 1, 1))
    for row in np.flatnonzero(found):
        matrices[row] = crop_matrix(landmarks[row])
    return matrices


def plain_crops(pixels: Crops | Sequence[Crop], matrices: Floats) -> Crops:
    """Return the crops (N, 48, 48) of stills (N, 48, 48), or N of any size, cut as on the robot."""
    made = np.empty((len(pixels), SIDE, SIDE), np.uint8)
    for row, (still, matrix) in enumerate(zip(pixels, matrices)):
        made[row] = even(cut(still, matrix))
    return made


class CropMaker:
    """Makes randomly varied crops of stills."""

    def __init__(
        self, pixels: Crops | Sequence[Crop], matrices: Floats, variation: CropVariation
    ) -> None:
        """Take the stills.

        :param pixels: uint8 (N, 48, 48), or N pictures of any size.
        :param matrices: (N, 2, 3), of :func:`still_matrices`.
        """
        self._pixels, self._matrices, self._variation = pixels, matrices, variation

    def __call__(
        self, rows: NDArray[np.int64], seed: int | Sequence[int]
    ) -> tuple[Crops, NDArray[np.bool_], NDArray[np.bool_]]:
        """Return crops (B, 48, 48) of some stills, the same for the same seed.

        :returns: the crops, which of them are mirrored (B,), and which are partly hidden (B,).
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
