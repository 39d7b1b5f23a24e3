"""Cuts a face out of an image: small, grey, upright, of even light.

The same functions feed training and the robot, so that both see the same pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.alignment import rigid_frame

#: Name of this way to cut; a model card that names another one is refused.
CROP = 'rigid-48-even-v1'

#: Side of a crop in pixels.
SIDE = 48

#: Side of the crop, and how far its middle lies below the centre of the rigid points, in units of
#: their root mean square distance from it: forehead to chin of an open mouth.
_EXTENT, _BELOW = 3.7, 0.4

#: Mean and standard deviation that grey values are brought to, and the least deviation that counts
#: as a picture.
_MEAN, _DEVIATION, _LEAST_DEVIATION = 128.0, 56.0, 4.0


def crop_matrix(landmarks: FloatArray) -> FloatArray:
    """Return the affine map (2, 3) from pixels of the image to pixels of the crop.

    Unchanged by what the face expresses as far as its rigid points are.

    :param landmarks: (478, 2 or more) in pixels.
    """
    centre, size, (cosine, sine) = rigid_frame(landmarks[:, :2])
    scale = SIDE / (_EXTENT * max(size, 1e-6))
    turn = scale * np.array([[cosine, sine], [-sine, cosine]], np.float32)
    middle = np.array([(SIDE - 1) / 2, (SIDE - 1) / 2 - scale * _BELOW * size], np.float32)
    return np.column_stack([turn, middle - turn @ centre]).astype(np.float32)


def cut(image: RgbImage, matrix: FloatArray) -> RgbImage:
    """Return the crop that ``matrix`` describes, as :func:`crop` does, without evening its light.

    :param image: uint8 (H, W, 3) RGB or (H, W) grey; beyond its border its edge goes on.
    :returns: uint8 (48, 48), grey.
    """
    part, matrix = _reduced(image, np.asarray(matrix, np.float64))
    if part.ndim == 3:
        part = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    patch = cv2.warpAffine(
        part, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(patch, np.uint8)


def _reduced(image: RgbImage, matrix: FloatArray) -> tuple[RgbImage, FloatArray]:
    """Return the part of the image that the crop needs, no finer than twice as fine, and its map.

    Without averaging first, single pixels of a large face would stand for many.
    """
    height, width = image.shape[:2]
    corners = np.array([(-1, -1), (SIDE, -1), (SIDE, SIDE), (-1, SIDE)], np.float64)
    outline = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    times = max(int(1 / max(np.hypot(*matrix[:, 0]), 1e-6)), 1)
    # At least one pixel of the image, also of a face that lies outside of it.
    low = np.clip(np.floor(outline.min(axis=0)) - 1, 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(outline.max(axis=0)) + 2, low + 1, (width, height)).astype(int)
    part = image[low[1]:high[1], low[0]:high[0]]
    size = (high - low) // times
    if times > 1 and size.min() > 0:
        part = cv2.resize(
            part[:size[1] * times, :size[0] * times], (int(size[0]), int(size[1])),
            interpolation=cv2.INTER_AREA,
        )
    else:
        times = 1
    # Centres of pixels, to centres of groups of pixels.
    offset = low + (times - 1) / 2
    linear = matrix[:, :2] * times
    return part, np.column_stack([linear, matrix[:, 2] + matrix[:, :2] @ offset])


def even(grey: RgbImage) -> RgbImage:
    """Return the crop with the brightness and contrast that all crops have.

    :param grey: uint8 (48, 48).
    :returns: the same; what leaves 0 to 255 is clipped. A plain area stays plain.
    """
    mean, deviation = (float(one[0, 0]) for one in cv2.meanStdDev(grey))
    gain = _DEVIATION / max(deviation, _LEAST_DEVIATION)
    table = np.clip(np.round((np.arange(256) - mean) * gain + _MEAN), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(grey, table), np.uint8)


def crop(image: RgbImage, landmarks: FloatArray) -> RgbImage:
    """Return a face as the appearance network sees it.

    :param image: uint8 (H, W, 3), RGB.
    :param landmarks: (478, 2 or more), of the face, in pixels of the image.
    :returns: uint8 (48, 48), grey.
    """
    return even(cut(image, crop_matrix(landmarks)))
