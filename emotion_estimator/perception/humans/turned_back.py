"""Places and directions of an image that was turned upright, in the image as the camera took it."""

from __future__ import annotations

import math

import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.perception.humans.face_frame import FaceFrame, Quaternion
from emotion_estimator.perception.humans.region_match import Region


def places_turned_back(places: FloatArray, degrees: int) -> FloatArray:
    """Return places in the image before it was turned.

    :param places: (N, 2), x and y in units of the turned image, 0 to 1.
    :param degrees: 0, 90, 180 or 270, clockwise, by which it was turned.
    """
    x, y = places[:, 0], places[:, 1]
    if degrees == 90:
        return np.stack([y, 1.0 - x], axis=1)
    if degrees == 180:
        return 1.0 - places
    if degrees == 270:
        return np.stack([1.0 - y, x], axis=1)
    return places


def region_turned_back(region: Region, degrees: int) -> Region:
    """Return a region of the image before it was turned, as above."""
    if not degrees:
        return region
    corners = np.array([(region.left, region.top), (region.right, region.bottom)])
    places = places_turned_back(corners, degrees)
    return Region(*places.min(axis=0).tolist(), *places.max(axis=0).tolist())


def frame_turned_back(frame: FaceFrame, degrees: int) -> FaceFrame:
    """Return a face's frame relative to the camera that took the image before it was turned."""
    if not degrees:
        return frame
    # About the optical axis, which points into the image: clockwise is positive as seen there.
    angle = -math.radians(degrees)
    sin, cos = math.sin(angle), math.cos(angle)
    x, y, z = frame.position
    turn = (0.0, 0.0, math.sin(0.5 * angle), math.cos(0.5 * angle))
    position = cos * x - sin * y, sin * x + cos * y, z
    return FaceFrame(position, _product(turn, frame.rotation), frame.gaze)


def _product(first: Quaternion, second: Quaternion) -> Quaternion:
    ax, ay, az, aw = first
    bx, by, bz, bw = second
    w = aw * bw - ax * bx - ay * by - az * bz
    sign = math.copysign(1.0, w)
    return (
        sign * (aw * bx + ax * bw + ay * bz - az * by),
        sign * (aw * by - ax * bz + ay * bw + az * bx),
        sign * (aw * bz + ax * by - ay * bx + az * bw),
        sign * w,
    )
