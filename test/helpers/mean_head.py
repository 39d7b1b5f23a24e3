"""Landmarks of a mean head in any pose, where those that carry the pose are set."""

from __future__ import annotations

import numpy as np

from emotion_estimator.perception import head_pose

#: Where the points lie that are not in the table of the rigid ones: the irises and inner corners.
_PLACES = {468: (-3.15, -2.55, -3.6), 473: (3.15, -2.55, -3.6)}

#: Mesh points and their mirror images, of those that are set here.
_MIRRORED = {right: left for right, left, *_ in head_pose._PAIRS} | {468: 473}


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Return the matrix (3, 3) for image axes (right, down, away): pitch first, then yaw, roll.

    Degrees: yaw turns the face to the right, pitch up; roll is clockwise about where it points.
    """
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = [[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]]
    about_x = [[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]]
    about_z = [[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]]
    return np.array(about_y) @ np.array(about_x) @ np.array(about_z)


def mean_head(
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    size: float = 20.0,
    place: tuple[float, float] = (320.0, 240.0),
) -> np.ndarray:
    """Return landmarks float32 (478, 3); ``size`` in pixels for a centimetre, ``place`` in pixels.

    ``place`` is where the middle of the rigid points is.
    """
    points = np.zeros((478, 3))
    points[head_pose._POINTS] = head_pose._PLACES
    for index, at in _PLACES.items():
        points[index] = at
    points -= head_pose._WEIGHTS @ head_pose._PLACES
    turned = points @ rotation(yaw, pitch, roll).T * size
    turned[:, :2] += place
    return turned.astype(np.float32)


def mirrored(landmarks: np.ndarray, width: float = 640.0) -> np.ndarray:
    """Return the landmarks of the mirror image, of which the points here are right."""
    flipped = landmarks.copy()
    for right, left in _MIRRORED.items():
        flipped[[right, left]] = flipped[[left, right]]
    flipped[:, 0] = width - 1 - flipped[:, 0]
    return flipped
