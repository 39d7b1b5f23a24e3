"""Cuts faces out in colour, and their parts: what the papers' other models look at (Pua et al.).

The same functions feed training and the robot, so that both see the same pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.face_crop import SIDE as _GREY_SIDE
from emotion_estimator.perception.face_crop import crop_matrix

#: Name of this way to cut; a model card that names another one is refused.
CUT = 'aligned-parts-v1'

#: Side of an aligned face in pixels.
FACE_SIDE = 96

#: The name of the whole face among the parts.
FACE = 'face'

#: Mesh points around each of Pua et al.'s MicroX components; left and right are the person's.
PARTS: dict[str, tuple[int, ...]] = {
    'left_eyebrow': (276, 283, 282, 295, 285, 300, 293, 334, 296, 336),
    'right_eyebrow': (46, 53, 52, 65, 55, 70, 63, 105, 66, 107),
    'left_eye': (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398),
    'right_eye': (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173),
    'nose': (168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 327, 48, 278, 64, 294),
    'mouth': (
        61,
        146,
        91,
        181,
        84,
        17,
        314,
        405,
        321,
        375,
        291,
        409,
        270,
        269,
        267,
        0,
        37,
        39,
        40,
        185,
    ),
    # The survey's fused network (Reddy et al., 2019) reads both eyes as one region.
    'eyes': (46, 53, 70, 33, 133, 145, 276, 283, 300, 263, 362, 374),
}

#: Most pixels of the image that one pixel of an aligned face is averaged from, across.
_FINEST = 12

#: How much larger than its points' box a part is cut.
_MARGIN = 1.3

#: A face mask's outline: the bridge of the nose, and the jaw from ear to ear.
_MASK = (
    197,
    118,
    93,
    132,
    58,
    172,
    136,
    150,
    149,
    176,
    148,
    152,
    377,
    400,
    378,
    379,
    365,
    397,
    288,
    361,
    323,
    347,
)
_MASK_COLOUR = (172, 201, 214)


def aligned_face(
    image: RgbImage, landmarks: FloatArray, side: int = FACE_SIDE
) -> tuple[RgbImage, FloatArray]:
    """Return a face upright, centred and of one size (an affine transform).

    Terbouche and Chaoui, chapter 2.2.

    :param image: uint8 (H, W, 3), RGB; beyond its border its edge goes on.
    :param landmarks: (478, 2 or 3), of the face, in pixels of the image.
    :param side: of the result, in pixels.
    :returns: uint8 (side, side, 3), and the landmarks float32 (478, 2 or 3) in its pixels.
    :raises InputError: the landmarks are no face: not finite, or all in one place.
    """
    matrix = _enlarged(
        np.asarray(crop_matrix(np.asarray(landmarks, np.float32)), np.float64), side / _GREY_SIDE
    )
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    moved = np.array(landmarks, np.float32) * np.float32(scale)
    moved[:, :2] = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    # A crop that is coarser than the image is cut finer and averaged, or single pixels would stand
    # for many.
    times = min(max(int(1 / scale), 1), _FINEST)
    cut = _warped(image, _enlarged(matrix, times), side * times)
    if times > 1:
        cut = np.asarray(cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return cut, moved


def part_matrix(landmarks: FloatArray, part: str, side: int) -> FloatArray:
    """Return the map (2, 3) from pixels of an aligned face to those of a part, a square around it.

    :param landmarks: (478, 2 or more), in pixels of the aligned face.
    :param part: one of ``PARTS``.
    :param side: of the part, in pixels.
    :raises InputError: there is no such part.
    """
    points = landmarks[list(_points(part)), :2]
    low, high = points.min(axis=0), points.max(axis=0)
    # No smaller than a few pixels: a profile's far eye has no width.
    extent = max(_MARGIN * float((high - low).max()), 4.0)
    scale = side / extent
    shift = (side - 1) / 2 - scale * (low + high) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)


def part_image(
    face: RgbImage, landmarks: FloatArray, part: str, side: int, colour: bool = True
) -> RgbImage:
    """Return a part of an aligned face, or the face itself, resized.

    :param face: uint8 (S, S, 3), of :func:`aligned_face`, with its ``landmarks``.
    :param part: one of ``PARTS``, or ``face``.
    :returns: uint8 (side, side, 3), or (side, side, 1) grey where not ``colour``.
    :raises InputError: there is no such part.
    """
    if part == FACE:
        kind = cv2.INTER_AREA if side < len(face) else cv2.INTER_LINEAR
        cut = face if side == len(face) else cv2.resize(face, (side, side), interpolation=kind)
    else:
        cut = _warped(face, part_matrix(landmarks, part, side), side)
    if not colour:
        cut = cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY)[..., None]
    return np.asarray(cut, np.uint8)


def cover(face: RgbImage, landmarks: FloatArray) -> RgbImage:
    """Return an aligned face with mouth, nose and jaw behind a face mask (Pua et al., chapter V.F).

    :param face: uint8 (S, S, 3), with its ``landmarks`` (478, 2 or more).
    """
    masked = np.ascontiguousarray(face).copy()
    outline = np.rint(landmarks[list(_MASK), :2]).astype(np.int32)
    cv2.fillPoly(masked, [outline], _MASK_COLOUR, lineType=cv2.LINE_AA)
    return masked


def motion(before: RgbImage, after: RgbImage) -> FloatArray:
    """Return the optical flow between two grey images (Farnebäck 2003), as networks read it.

    :param before: uint8 (S, S) or (S, S, 1); ``after`` alike.
    :returns: float32 (S, S, 2), to the right and down, in units of a tenth of the side.
    """
    flow = cv2.calcOpticalFlowFarneback(
        np.squeeze(before),
        np.squeeze(after),
        np.zeros((*np.squeeze(before).shape, 2), np.float32),
        pyr_scale=0.5,
        levels=2,
        winsize=9,
        iterations=2,
        poly_n=5,
        poly_sigma=1.1,
        flags=0,
    )
    return np.asarray(flow * (10 / len(before)), np.float32)


def _points(part: str) -> tuple[int, ...]:
    try:
        return PARTS[part]
    except KeyError:
        raise InputError(
            f'a face has no part {part!r}; choose of {", ".join([*PARTS, FACE])}'
        ) from None


def _enlarged(matrix: FloatArray, times: float) -> FloatArray:
    """Return the affine map to a picture that is larger, centres of pixels to centres."""
    larger: FloatArray = times * matrix
    larger[:, 2] += (times - 1) / 2
    return larger


def _warped(image: RgbImage, matrix: FloatArray, side: int) -> RgbImage:
    warped = cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)
