"""Cut a face out of an image (small, grey, upright, normalized), and align its landmarks."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage

#: Name of this alignment; model cards with another one are refused.
ALIGNMENT = 'roll-free-146x3-v1'

#: The mesh points that the blendshape head reads, the same as the Face Landmarker's own model
#: (MediaPipe ``face_blendshapes_graph.cc``): contours of face, brows, eyes, irises, nose, lips.
INPUT_POINTS: tuple[int, ...] = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65,
    66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136,
    144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172,
    173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283,
    284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324,
    332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385,
    386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472,
    473, 474, 475, 476, 477,
)  # fmt: skip

#: Points that expressions hardly move, which define centre and size: outer and inner eye corners,
#: bridge of the nose, temples.
_RIGID = np.array([33, 133, 362, 263, 168, 6, 197, 127, 356, 234, 454, 10])

#: Outer eye corners of the person's right and left eye.
_RIGHT_EYE, _LEFT_EYE = 33, 263

#: Name of this crop; model cards with another one are refused.
CROP = 'rigid-48-even-v1'

#: Side of a crop in pixels.
SIDE = 48

#: Side of the crop, and how far its centre lies below the centre of the rigid points, in units of
#: their root mean square distance from it: from the forehead to the chin of an open mouth.
_EXTENT, _BELOW = 3.7, 0.4

#: Mean and standard deviation that grey values are normalized to, and the least deviation of a
#: usable crop.
_MEAN, _DEVIATION, _LEAST_DEVIATION = 128.0, 56.0, 4.0

#: Beyond any image, in pixels.
_FARTHEST = 1e6

#: Points of a crop sampled for how much of it lies in the image, and how much must.
_SAMPLES = tuple((x * SIDE / 4 + 5.5, y * SIDE / 4 + 5.5) for x in range(4) for y in range(4))
_LEAST_SHOWN = 0.5

_GREYS = np.arange(256, dtype=np.float64)
_CORNERS = ((-1, -1), (SIDE, -1), (SIDE, SIDE), (-1, SIDE))


def align(landmarks: FloatArray) -> FloatArray:
    """Return the blendshape head's input points, centred, rotated level and scaled.

    Invariant to translation, uniform scale and rotation in the image plane; mirroring the
    landmarks mirrors x only.

    :param landmarks: (..., 478, 3) in pixels.
    :returns: float32 (..., 146, 3) in units of the rigid points' root mean square distance from
        their centre.
    """
    points = np.asarray(landmarks, np.float32)
    centre, size, across = rigid_frame(points)
    centre, size = centre[..., None, :], size[..., None, None]
    cosine, sine = across[..., 0, None], across[..., 1, None]
    moved = (points[..., INPUT_POINTS, :] - centre) / np.maximum(size, 1e-6)
    x, y, z = moved[..., 0], moved[..., 1], moved[..., 2]
    level = np.stack([cosine * x + sine * y, cosine * y - sine * x, z], axis=-1)
    aligned: FloatArray = level.astype(np.float32)
    return aligned


def rigid_frame(points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return position, size and roll of a face, from points that expressions hardly move.

    :param points: float32 (..., 478, D), landmarks in pixels; D is 2 or 3.
    :returns: the rigid points' centre (..., D), their root mean square distance from it (...), and
        the unit vector (..., 2) from the person's right eye to the left.
    """
    # Once per face and frame: no NumPy functions implemented in Python, such as mean and norm.
    rigid = points[..., _RIGID, :]
    centre = np.add.reduce(rigid, axis=-2, keepdims=True) / np.float32(len(_RIGID))
    away = np.square(rigid - centre)
    mean = np.add.reduce(np.add.reduce(away, axis=-1), axis=-1) / np.float32(len(_RIGID))
    across = points[..., _LEFT_EYE, :2] - points[..., _RIGHT_EYE, :2]
    length = np.sqrt(np.add.reduce(np.square(across), axis=-1, keepdims=True))
    across = across / np.maximum(length, 1e-6)
    size: FloatArray = np.sqrt(mean)
    return centre[..., 0, :], size, across


def crop_matrix(landmarks: FloatArray) -> FloatArray:
    """Return the affine map (2, 3) from pixels of the image to pixels of the crop.

    It depends on the rigid points alone, and so hardly on the expression.

    :param landmarks: (478, 2 or more) in pixels.
    :raises InputError: they do not form a face: not finite, or all, or both eyes, in one place.
    """
    with np.errstate(over='ignore', invalid='ignore'):
        centre, spread, (cosine, sine) = rigid_frame(landmarks[:, :2])
    # Python floats, which all versions of NumPy multiply by float32 in the same way.
    size, away = float(spread), float(abs(centre).max())
    # Written so that NaN fails each condition.
    if not (0 < size < _FARTHEST and away < _FARTHEST and abs(cosine) + abs(sine) > 0):
        raise InputError(
            f'face crop needs the landmarks of a face in pixels, got some of size {size:g} up to '
            f'{away:g} from the first pixel; leave this face out'
        )
    scale = SIDE / (_EXTENT * max(size, 1e-6))
    matrix = np.empty((2, 3), np.float32)
    turn = scale * np.array([[cosine, sine], [-sine, cosine]], np.float32)
    middle = np.array([(SIDE - 1) / 2, (SIDE - 1) / 2 - scale * _BELOW * size], np.float32)
    matrix[:, :2] = turn
    matrix[:, 2] = middle - turn @ centre
    return matrix


def cut(image: RgbImage, matrix: FloatArray) -> RgbImage:
    """Return the crop that ``matrix`` defines, without normalizing its grey values.

    :param image: uint8 (H, W, 3) RGB or (H, W) grey; its edge is replicated beyond its border.
    :returns: uint8 (48, 48), grey.
    """
    part, matrix = _reduced(image, matrix)
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) if part.ndim == 3 else part
    patch = cv2.warpAffine(
        grey, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(patch, np.uint8)


def even(grey: RgbImage) -> RgbImage:
    """Return the crop with the brightness and contrast common to all crops.

    :param grey: uint8 (48, 48).
    :returns: uint8 (48, 48), clipped to 0 to 255. A uniform area stays uniform.
    """
    return _evened(grey, *_light(grey))


def crop(image: RgbImage, landmarks: FloatArray) -> RgbImage:
    """Return a face as the appearance network reads it.

    :param image: uint8 (H, W, 3), RGB.
    :param landmarks: (478, 2 or more), in pixels of the image.
    :returns: uint8 (48, 48), grey.
    :raises InputError: the landmarks do not form a face, see :func:`crop_matrix`.
    """
    return even(cut(image, crop_matrix(landmarks)))


def visible_crop(image: RgbImage, landmarks: FloatArray) -> RgbImage | None:
    """Return the same as :func:`crop`, or None if the image does not show the face.

    That is, if more than half of the crop lies outside the image, if all of it has nearly the same
    grey, as in the dark or behind a covered lens, or if the landmarks do not form a face.
    """
    try:
        matrix = crop_matrix(landmarks)
    except InputError:
        return None
    height, width = image.shape[:2]
    points = _in_image(matrix, _SAMPLES)
    shown = sum(-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5 for x, y in points)
    if shown < _LEAST_SHOWN * len(_SAMPLES):
        return None
    grey = cut(image, matrix)
    mean, deviation = _light(grey)
    return _evened(grey, mean, deviation) if deviation >= _LEAST_DEVIATION else None


def _in_image(
    matrix: FloatArray, points: tuple[tuple[float, float], ...]
) -> list[tuple[float, float]]:
    """Return the positions in the image of points of the crop."""
    (a, b, right), (c, d, down) = matrix.tolist()
    area = a * d - b * c
    moved = [(x - right, y - down) for x, y in points]
    return [((d * x - b * y) / area, (a * y - c * x) / area) for x, y in moved]


def _reduced(image: RgbImage, matrix: FloatArray) -> tuple[RgbImage, FloatArray]:
    """Return the part of the image that the crop needs, at most twice as fine, and its map.

    Large faces are averaged first, to avoid aliasing.
    """
    height, width = image.shape[:2]
    # Python floats: for so few, arrays take several times as long.
    across, along = zip(*_in_image(matrix, _CORNERS))
    (a, b, right), (c, d, down) = matrix.tolist()
    times = max(int(1 / max(math.hypot(a, c), 1e-6)), 1)
    # At least one pixel, even for a face outside the image.
    left, end = _range(across, width)
    top, bottom = _range(along, height)
    part: Any = image[top:bottom, left:end]
    columns, rows = (end - left) // times, (bottom - top) // times
    if times > 1 and min(columns, rows) > 0:
        part = cv2.resize(
            part[: rows * times, : columns * times], (columns, rows), interpolation=cv2.INTER_AREA
        )
    else:
        times = 1
    # From centres of pixels to centres of groups of pixels.
    x, y = left + (times - 1) / 2, top + (times - 1) / 2
    return part, np.array(
        [
            [a * times, b * times, right + (a * x + b * y)],
            [c * times, d * times, down + (c * x + d * y)],
        ]
    )


def _range(values: tuple[float, ...], size: int) -> tuple[int, int]:
    """Return the half-open range of pixels that values span, within 0 to ``size``."""
    first = min(max(math.floor(min(values)) - 1, 0), size - 1)
    return first, min(max(math.ceil(max(values)) + 2, first + 1), size)


def _light(grey: RgbImage) -> tuple[float, float]:
    """Return mean and standard deviation of the grey values."""
    mean, deviation = cv2.meanStdDev(grey)
    return float(mean[0, 0]), float(deviation[0, 0])


def _evened(grey: RgbImage, mean: float, deviation: float) -> RgbImage:
    gain = _DEVIATION / max(deviation, _LEAST_DEVIATION)
    table = np.rint((_GREYS - mean) * gain + _MEAN)
    return np.asarray(cv2.LUT(grey, table.clip(0, 255).astype(np.uint8)), np.uint8)
