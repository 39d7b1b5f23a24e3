"""Cuts whole faces out of frames: upright, in colour, of one size (seed 004, section 2.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.face_crop import SIDE, crop_matrix
from emotion_estimator.perception.landmarks import FaceLandmarks

#: Most pixels of the frame that one pixel of a crop is averaged from, across.
_FINEST = 12


def central(faces: Sequence[FaceLandmarks], width: int, height: int) -> FaceLandmarks | None:
    """Return the face nearest to the frame's middle, or None where there is none."""
    def distance(face: FaceLandmarks) -> float:
        box = face.roi
        return math.hypot(
            box.x + box.width / 2 - width / 2, box.y + box.height / 2 - height / 2
        )

    return min(faces, key=distance, default=None)


def cut_face(
    image: RgbImage, landmarks: NDArray[np.float32], side: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a face as a crop, and its landmarks in it, by an affine map on the landmarks.

    The map is ``face_crop.crop_matrix``, whose rigid points hardly move with expressions.

    :param image: uint8 (H, W, 3), RGB; beyond its border its edge goes on.
    :param landmarks: (478, 3), in pixels of the image.
    :param side: of the crop in pixels.
    :returns: uint8 (side, side, 3) and float32 (478, 3).
    :raises InputError: the landmarks are no face.
    """
    matrix = _enlarged(crop_matrix(landmarks), side / SIDE)
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    # A crop that is coarser than the frame is cut finer and averaged, or single pixels would stand
    # for many.
    times = min(max(int(1 / scale), 1), _FINEST)
    crop = cv2.warpAffine(
        image, _enlarged(matrix, times), (side * times, side * times), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if times > 1:
        crop = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    points = np.empty((len(landmarks), 3), np.float32)
    points[:, :2] = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    points[:, 2] = landmarks[:, 2] * scale
    return np.asarray(crop, np.uint8), points


def _enlarged(matrix: NDArray[np.float32], times: float) -> NDArray[np.float32]:
    """Return the affine map to a picture that is larger, centres of pixels to centres."""
    larger = times * matrix
    larger[:, 2] += (times - 1) / 2
    return larger
