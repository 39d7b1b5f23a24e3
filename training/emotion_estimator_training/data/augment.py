"""Enlarges stills for the landmark models, and varies them, including their expression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Points = NDArray[np.float32]

#: Mesh points that expressions move, as pairs (person's right, left; equal on the middle line), the
#: standard deviation of the skin around that follows, and the typical shift (x, y), in face widths.
_HANDLES = (
    ((61, 291), 0.09, (0.05, 0.08)),  # mouth corners
    ((37, 267), 0.06, (0.01, 0.04)),  # upper lip
    ((84, 314), 0.06, (0.01, 0.05)),  # lower lip
    ((13, 13), 0.04, (0.01, 0.03)),  # upper lip's edge
    ((14, 14), 0.04, (0.01, 0.04)),  # lower lip's edge
    ((152, 152), 0.18, (0.04, 0.08)),  # chin
    ((55, 285), 0.07, (0.03, 0.05)),  # inner brows
    ((105, 334), 0.08, (0.01, 0.05)),  # outer brows
    ((159, 386), 0.03, (0.0, 0.025)),  # upper lids
    ((145, 374), 0.03, (0.0, 0.02)),  # lower lids
    ((50, 280), 0.1, (0.02, 0.04)),  # cheeks
    ((129, 358), 0.05, (0.01, 0.03)),  # wings of the nose
    ((468, 473), 0.03, (0.03, 0.01)),  # irises
)
_RIGHT_CHEEK, _LEFT_CHEEK = 234, 454

#: Maximum rotation in degrees, in either direction.
_GREATEST_ROLL = 0.2 * 180


@dataclass(frozen=True)
class Enlargement:
    """How a 48x48 still is enlarged so that faces in it are detected.

    :param scale: factor of the enlargement, cubic.
    :param pad: black border in pixels of the still (16 are 64 pixels at scale 4).
    :param roll: rotation in the image plane, degrees.
    :param stretch: factor of height over width.
    :param mirror: whether left and right are swapped.
    """

    scale: float = 4.0
    pad: float = 16.0
    roll: float = 0.0
    stretch: float = 1.0
    mirror: bool = False

    @classmethod
    def by(cls, scale: float, roll: float = 0.0, mirror: bool = False) -> Enlargement:
        """Return the enlargement by a factor: 1 leaves the still as it is, without a border."""
        return cls(scale, pad=cls.pad if scale > 1 else 0.0, roll=roll, mirror=mirror)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Affine map (2, 3) from the still to the enlarged image, between pixel centres."""
        radians = np.deg2rad(self.roll)
        turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
        flip = np.diag([-1.0 if self.mirror else 1.0, self.stretch])
        linear = self.scale * turn @ flip
        middle, target = np.full(2, 23.5), np.full(2, (self.size - 1) / 2)
        return np.hstack([linear, (target - linear @ middle)[:, None]])

    @property
    def size(self) -> int:
        """Side of the enlarged image, pixels."""
        return round(self.scale * (48 + 2 * self.pad))


def enlarge(still: Image, how: Enlargement) -> Image:
    """Return a still, uint8 (48, 48), enlarged: uint8 (size, size, 3), RGB."""
    grey = cv2.warpAffine(
        still, how.matrix, (how.size, how.size), flags=cv2.INTER_CUBIC, borderValue=(0,)
    )
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def displacement(landmarks: Points, rng: np.random.Generator) -> Points:
    """Return a smooth random displacement field that moves brows, lids, cheeks, lips and jaw.

    Stills show few strong expressions; the field adds some, often symmetric ones.

    :param landmarks: (478, 2 or more), in pixels of the 48x48 still.
    :returns: float32 (48, 48, 2), the shift of each pixel's content in pixels.
    """
    points = landmarks[:, :2]
    across = points[_LEFT_CHEEK] - points[_RIGHT_CHEEK]
    width = float(np.linalg.norm(across))
    right = across / max(width, 1e-6)
    down = np.array([-right[1], right[0]])
    ys, xs = np.mgrid[0:48, 0:48].astype(np.float32)
    field = np.zeros((48, 48, 2), np.float32)
    strength = rng.uniform(0.2, 1.4)
    for pair, spread, usual in _HANDLES:
        if rng.random() < 0.4:
            continue
        shift = rng.normal(size=2) * usual * strength * width
        symmetric = rng.random() < 0.7
        for side, point in enumerate(dict.fromkeys(pair)):
            if side and not symmetric:
                shift = rng.normal(size=2) * usual * strength * width
            # Mirrored: the same shift down, the opposite shift across.
            outward = -shift[0] if side else shift[0]
            x, y = points[point]
            sigma = spread * width * rng.uniform(0.7, 1.4)
            bump = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * sigma**2))
            field += bump[..., None] * (outward * right + shift[1] * down).astype(np.float32)
    return field


def warp(image: Image, field: Points) -> Image:
    """Return an image whose content is moved by a displacement field.

    :param image: uint8 (S, S) or (S, S, C).
    :param field: float32 (48, 48, 2), in pixels of a still; resized and scaled to the image.
    """
    side = image.shape[0]
    shift = cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC) * (side / len(field))
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    moved = cv2.remap(
        image,
        xs - shift[..., 0],
        ys - shift[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.uint8)


def vary(still: Image, landmarks: Points | None, rng: np.random.Generator) -> Image:
    """Return the still randomly enlarged, with a random expression, light and sharpness.

    :param still: uint8 (48, 48).
    :param landmarks: (478, 2 or more) in pixels of the still; None keeps the expression.
    :param rng: the only source of randomness.
    :returns: uint8 (S, S, 3), RGB.
    """
    how = Enlargement(
        scale=rng.uniform(3.0, 7.0),
        pad=rng.uniform(10.0, 20.0),
        roll=float(np.clip(rng.normal(scale=12.0), -35, 35)),
        stretch=rng.uniform(0.9, 1.12),
        mirror=rng.random() < 0.5,
    )
    if landmarks is not None and rng.random() < 0.85:
        # Warped at four times the size, so that lids and lips do not tear.
        large = np.asarray(cv2.resize(still, (192, 192), interpolation=cv2.INTER_CUBIC), np.uint8)
        moved = warp(large, displacement(landmarks, rng))
        to_still = np.array([[0.25, 0, -0.375], [0, 0.25, -0.375], [0, 0, 1]])
        matrix = how.matrix @ to_still
        grey = cv2.warpAffine(moved, matrix, (how.size, how.size), flags=cv2.INTER_AREA)
        image = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    else:
        image = enlarge(still, how)
    if rng.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.0)), np.uint8)
    light = np.linspace(0, 1, 256) ** rng.uniform(0.7, 1.4) * rng.uniform(0.7, 1.15) * 255
    return np.asarray(cv2.LUT(image, np.clip(light, 0, 255).astype(np.uint8)), np.uint8)


def rotate_and_flip(
    still: Image, rng: np.random.Generator, scale: float = Enlargement.scale
) -> Image:
    """Return the still enlarged, rotated by up to 36 degrees (0.2 x 180), randomly flipped.

    The augmentation of Attrah 2025 (section 3.2.4) and of Attrah's report (4.5).

    :param still: uint8 (48, 48).
    :param rng: the only source of randomness.
    :param scale: of :meth:`Enlargement.by`.
    :returns: uint8 (S, S, 3), RGB.
    """
    roll = rng.uniform(-_GREATEST_ROLL, _GREATEST_ROLL)
    return enlarge(still, Enlargement.by(scale, roll, mirror=rng.random() < 0.5))
