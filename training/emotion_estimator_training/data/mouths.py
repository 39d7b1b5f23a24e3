"""Makes faces talk: other people's mouths, and syllables, on photographs.

Stills of people who talk are rare in sets of expressions, and a stretched mouth with teeth is
mostly a smile there. Here the mouth of one face is set into another (Poisson blending: Pérez
et al. 2003), or the face's own mouth is moved.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.face_crop import rigid_frame

Grey = NDArray[np.uint8]
Points = NDArray[np.float32]

#: Outline of what is set into another face: below the nose, beside the mouth, the chin.
_OUTLINE = (
    2, 97, 165, 92, 206, 216, 212, 202, 210, 169, 170, 140, 171, 175,
    396, 369, 395, 394, 430, 422, 432, 436, 426, 322, 391, 326,
)  # fmt: skip
#: Below the nose: speech hardly moves it.
_NOSE = (2, 97, 326, 98, 327)
_NOSE_TIP = 1
_RIGHT_CHEEK, _LEFT_CHEEK = 234, 454
#: Least area of a mouth in pixels that is worth setting in.
_LEAST_AREA = 40
#: Points that a syllable moves, and the standard deviation of the skin around that follows, in face
#: widths.
_CORNERS, _UPPER, _LOWER, _CHIN = ((61, -1), (291, 1)), (37, 267), (84, 314), 152


def direction(landmarks: Points) -> Points:
    """Return (2,), where a face's nose points to, right and down, in units of the face's size.

    A cheap measure of the turn of the head, to find faces that are turned alike.

    :param landmarks: (478, 2 or more), in pixels.
    """
    points = landmarks[:, :2].astype(np.float32)
    centre, size, (cosine, sine) = rigid_frame(points)
    x, y = (points[_NOSE_TIP] - centre) / max(float(size), 1e-6)
    return np.array([cosine * x + sine * y, cosine * y - sine * x], np.float32)


def with_mouth_of(face: Grey, landmarks: Points, other: Grey, theirs: Points) -> Grey | None:
    """Return a face with another one's mouth and chin, or None if they do not fit into it.

    :param face: uint8 (H, W), grey.
    :param landmarks: (478, 2 or more), in pixels of ``face``.
    :param other: uint8, grey, the face whose mouth is taken; ``theirs`` its landmarks. It should be
        turned like the first, see :func:`direction`.
    """
    matrix = _onto(theirs, landmarks)
    height, width = face.shape
    shrinks = float(np.hypot(matrix[0, 0], matrix[1, 0])) < 1
    moved = cv2.warpAffine(
        other,
        matrix,
        (width, height),
        flags=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    outline = cv2.transform(theirs[None, _OUTLINE, :2].astype(np.float32), matrix)[0]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(outline).astype(np.int32), (255,))
    # The blending needs a border.
    mask[:2] = mask[-2:] = 0
    mask[:, :2] = mask[:, -2:] = 0
    if np.count_nonzero(mask) < _LEAST_AREA:
        return None
    x, y, across, down = cv2.boundingRect(mask)
    blended = cv2.seamlessClone(
        cv2.cvtColor(moved, cv2.COLOR_GRAY2BGR),
        cv2.cvtColor(face, cv2.COLOR_GRAY2BGR),
        mask,
        (x + across // 2, y + down // 2),
        cv2.NORMAL_CLONE,
    )
    return np.ascontiguousarray(blended[..., 0])


def _onto(theirs: Points, ours: Points) -> NDArray[np.float32]:
    """Return the map (2, 3) that brings a face to another one's size and roll, nose on nose."""
    _, their_size, (c, s) = rigid_frame(theirs[:, :2].astype(np.float32))
    _, our_size, (a, b) = rigid_frame(ours[:, :2].astype(np.float32))
    level = np.array([[c, s], [-s, c]])
    turned = np.array([[a, -b], [b, a]])
    linear = float(our_size) / max(float(their_size), 1e-6) * turned @ level
    shift = ours[_NOSE, :2].mean(axis=0) - linear @ theirs[_NOSE, :2].mean(axis=0)
    return np.column_stack([linear, shift]).astype(np.float32)


def with_syllable(face: Grey, landmarks: Points, rng: np.random.Generator) -> Grey:
    """Return a face whose jaw, lips and mouth corners are moved as by a random syllable.

    :param face: uint8 (H, W), grey.
    :param landmarks: (478, 2 or more), in pixels of ``face``.
    """
    points = landmarks[:, :2]
    across = points[_LEFT_CHEEK] - points[_RIGHT_CHEEK]
    width = max(float(np.linalg.norm(across)), 1e-6)
    right = across / width
    down = np.array([-right[1], right[0]])
    ys, xs = np.mgrid[0 : face.shape[0], 0 : face.shape[1]].astype(np.float32)
    field = np.zeros((*face.shape, 2), np.float32)

    def move(point: int, spread: float, aside: float, below: float) -> None:
        x, y = points[point]
        bump = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * (spread * width) ** 2))
        field[:] += bump[..., None] * ((aside * right + below * down) * width).astype(np.float32)

    stretch, jaw, lip, press = rng.normal(size=4) * (0.05, 0.06, 0.02, 0.015)
    for point, side in _CORNERS:
        move(point, 0.09, side * stretch, 0.01 * rng.normal())
    for point in _UPPER:
        move(point, 0.06, 0, lip - press)
    for point in _LOWER:
        move(point, 0.06, 0, 0.5 * abs(jaw) + press)
    move(_CHIN, 0.18, 0, abs(jaw))
    moved = cv2.remap(
        face,
        xs - field[..., 0],
        ys - field[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.uint8)
