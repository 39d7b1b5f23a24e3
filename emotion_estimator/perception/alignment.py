"""Brings landmarks into a face's own frame: no place, no size, no head roll.

The same function feeds training and the robot, so that both see the same numbers.
"""

from __future__ import annotations

import numpy as np

from emotion_estimator.emotion import FloatArray

#: Name of this alignment; a model card that names another one is refused.
ALIGNMENT = 'roll-free-146x3-v1'

#: The mesh points the head reads: those the Face Landmarker's own blendshape model reads
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
)

#: Points that expressions hardly move; they give centre and size: outer and inner eye corners,
#: bridge of the nose, temples.
_RIGID = np.array([33, 133, 362, 263, 168, 6, 197, 127, 356, 234, 454, 10])

#: Outer eye corners of the person's right and left eye.
_RIGHT_EYE, _LEFT_EYE = 33, 263


def align(landmarks: FloatArray) -> FloatArray:
    """Return the head's input points, centred, rotated level and scaled.

    Unchanged by translation, uniform scale and rotation in the image plane; mirroring the
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
    return level.astype(np.float32)


def rigid_frame(points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return where a face is, how large, and which way its eyes lie: what expressions hardly move.

    :param points: float32 (..., 478, D), landmarks in pixels; D is 2, or 3.
    :returns: the rigid points' centre (..., D), their root mean square distance from it (...), and
        the unit vector (..., 2) from the person's right eye to the left.
    """
    # Once per face and frame: no array functions written in Python, such as mean and norm.
    rigid = points[..., _RIGID, :]
    centre = np.add.reduce(rigid, axis=-2, keepdims=True) / np.float32(len(_RIGID))
    away = np.square(rigid - centre)
    mean = np.add.reduce(np.add.reduce(away, axis=-1), axis=-1) / np.float32(len(_RIGID))
    across = points[..., _LEFT_EYE, :2] - points[..., _RIGHT_EYE, :2]
    length = np.sqrt(np.add.reduce(np.square(across), axis=-1, keepdims=True))
    across = across / np.maximum(length, 1e-6)
    return centre[..., 0, :], np.sqrt(mean), across
