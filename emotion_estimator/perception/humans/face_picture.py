"""Pictures of single faces as REP-155 has them: cropped, and aligned with level eyes."""

from __future__ import annotations

import cv2
import numpy as np

from emotion_estimator.emotion import FloatArray, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.face_parts import aligned_face

#: Width and height of both pictures in pixels: the default of REP-155.
PICTURE_SIDE = 128


def cropped_picture(image: RgbImage, roi: Roi, side: int = PICTURE_SIDE) -> RgbImage | None:
    """Return a face's box scaled to fit a square, centred, black around it.

    :param image: uint8 (H, W, 3), RGB.
    :returns: uint8 (side, side, 3), RGB; None if the box is empty or outside the image.
    """
    left, top = max(roi.x, 0), max(roi.y, 0)
    part = image[top : max(roi.y + roi.height, 0), left : max(roi.x + roi.width, 0)]
    height, width = part.shape[:2]
    if not height or not width:
        return None
    scale = side / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    x, y = (side - size[0]) // 2, (side - size[1]) // 2
    picture = np.zeros((side, side, 3), np.uint8)
    picture[y : y + size[1], x : x + size[0]] = cv2.resize(part, size, interpolation=kind)
    return picture


def aligned_picture(
    image: RgbImage, landmarks: FloatArray, side: int = PICTURE_SIDE
) -> RgbImage | None:
    """Return a face upright: its eyes at the same height.

    :param image: uint8 (H, W, 3), RGB; its edge is replicated beyond its border.
    :param landmarks: float32 (478, 3), in pixels of the image.
    :returns: uint8 (side, side, 3), RGB; None if the landmarks form no face.
    """
    if not len(landmarks):
        return None
    try:
        return aligned_face(image, landmarks, side)[0]
    except InputError:
        return None
