"""Cut out faces and their parts in colour, as the models of the literature read them.

Training and the robot share these functions, so that both see the same pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.face_crop import SIDE as _GREY_SIDE
from emotion_estimator.perception.face_crop import crop_matrix

#: Name of this method; model cards with another one are refused.
CUT = 'aligned-parts-v1'

#: Side of an aligned face in pixels.
FACE_SIDE = 96

#: Names the complete face, where a part is expected.
FACE = 'face'

#: Mesh points around each component of MicroX (Pua et al.); left and right are the person's.
PARTS: dict[str, tuple[int, ...]] = {
    'left_eyebrow': (276, 283, 282, 295, 285, 300, 293, 334, 296, 336),
    'right_eyebrow': (46, 53, 52, 65, 55, 70, 63, 105, 66, 107),
    'left_eye': (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398),
    'right_eye': (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173),
    'nose': (168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 327, 48, 278, 64, 294),
    'mouth': (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40,
              185),
    # The fused network of Reddy et al. 2019 reads both eyes as one region.
    'eyes': (46, 53, 70, 33, 133, 145, 276, 283, 300, 263, 362, 374),
}  # fmt: skip

#: Limit of supersampling: pixels across that are averaged for one pixel of an aligned face.
_FINEST = 12

#: Size of a part relative to the box around its points.
_MARGIN = 1.3

#: A face mask's outline: the bridge of the nose, and the jaw from ear to ear.
_MASK = (
    197, 118, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288,
    361, 323, 347,
)  # fmt: skip
_MASK_COLOUR = (172, 201, 214)


def aligned_face(
    image: RgbImage, landmarks: FloatArray, side: int = FACE_SIDE
) -> tuple[RgbImage, FloatArray]:
    """Return a face upright, centred and of fixed size (Terbouche and Chaoui, chapter 2.2).

    :param image: uint8 (H, W, 3), RGB; its edge is replicated beyond its border.
    :param landmarks: (478, 2 or 3), in pixels of the image.
    :param side: side of the result in pixels.
    :returns: uint8 (side, side, 3), and the landmarks float32 (478, 2 or 3) in its pixels.
    :raises InputError: the landmarks do not form a face: not finite, or all in one place.
    """
    matrix = _enlarged(
        np.asarray(crop_matrix(np.asarray(landmarks, np.float32)), np.float64), side / _GREY_SIDE
    )
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    moved = np.array(landmarks, np.float32) * np.float32(scale)
    moved[:, :2] = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    # A crop coarser than the image is cut finer and averaged, to avoid aliasing.
    times = min(max(int(1 / scale), 1), _FINEST)
    cut = _warped(image, _enlarged(matrix, times), side * times)
    if times > 1:
        cut = np.asarray(cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return cut, moved


def part_matrix(landmarks: FloatArray, part: str, side: int) -> FloatArray:
    """Return the affine map (2, 3) from an aligned face to the square around a part.

    :param landmarks: (478, 2 or more), in pixels of the aligned face.
    :param part: one of ``PARTS``.
    :param side: side of the part in pixels.
    :raises InputError: unknown part.
    """
    points = landmarks[list(_points(part)), :2]
    low, high = points.min(axis=0), points.max(axis=0)
    # At least a few pixels: in profile, the far eye has no width.
    extent = max(_MARGIN * float((high - low).max()), 4.0)
    scale = side / extent
    shift = (side - 1) / 2 - scale * (low + high) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)


def part_image(
    face: RgbImage, landmarks: FloatArray, part: str, side: int, colour: bool = True
) -> RgbImage:
    """Return a part of an aligned face, or the face itself, resized.

    :param face: uint8 (S, S, 3), from :func:`aligned_face`.
    :param landmarks: from the same call.
    :param part: one of ``PARTS``, or ``face``.
    :returns: uint8 (side, side, 3), or (side, side, 1) grey without ``colour``.
    :raises InputError: unknown part.
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
    """Return an aligned face with mouth and nose behind a face mask (Pua et al., chapter V.F).

    :param face: uint8 (S, S, 3), from :func:`aligned_face`, with its ``landmarks``.
    """
    masked = np.ascontiguousarray(face).copy()
    outline = np.rint(landmarks[list(_MASK), :2]).astype(np.int32)
    cv2.fillPoly(masked, [outline], _MASK_COLOUR, lineType=cv2.LINE_AA)
    return masked


def motion(before: RgbImage, after: RgbImage) -> FloatArray:
    """Return the optical flow between two grey images (Farnebäck 2003), scaled for networks.

    :param before: uint8 (S, S) or (S, S, 1).
    :param after: likewise.
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
            f'a face has no part {part!r}; choose one of {", ".join([*PARTS, FACE])}'
        ) from None


def _enlarged(matrix: FloatArray, times: float) -> FloatArray:
    """Return the affine map to an enlarged image, mapping pixel centres to pixel centres."""
    larger: FloatArray = times * matrix
    larger[:, 2] += (times - 1) / 2
    return larger


def _warped(image: RgbImage, matrix: FloatArray, side: int) -> RgbImage:
    warped = cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)
