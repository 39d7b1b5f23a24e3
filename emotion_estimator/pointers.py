"""Where the head points and the eyes look, as lines in the picture."""

from __future__ import annotations

import math
from typing import NamedTuple

from emotion_estimator.emotion import FaceEmotion

Point = tuple[float, float]

#: Landmarks: the tip of the nose, and the irises.
_NOSE, _IRISES = 4, (468, 473)
#: Lengths in widths of the face's box.
_HEAD, _GAZE = 0.6, 0.4


class Pointer(NamedTuple):
    """A line from the nose where the head points, or from an eye where it looks.

    :param begin: x and y in pixels of the frame.
    :param end: likewise.
    """

    begin: Point
    end: Point


def head_pointer(face: FaceEmotion) -> Pointer:
    """Return the line from the nose; without landmarks from the middle of the box."""
    box, marks = face.roi, face.landmarks
    nose = (box.x + box.width / 2, box.y + box.height / 2)
    if len(marks) > max(_IRISES):
        nose = float(marks[_NOSE, 0]), float(marks[_NOSE, 1])
    return _pointer(nose, face.head_yaw, face.head_pitch, _HEAD * box.width)


def gaze_pointers(face: FaceEmotion) -> list[Pointer]:
    """Return a line from each eye; without landmarks from where eyes are in a frontal face."""
    box, marks = face.roi, face.landmarks
    eyes = [(box.x + share * box.width, box.y + 0.31 * box.height) for share in (0.3, 0.7)]
    if len(marks) > max(_IRISES):
        eyes = [(float(marks[eye, 0]), float(marks[eye, 1])) for eye in _IRISES]
    yaw, pitch = face.head_yaw + face.gaze_yaw, face.head_pitch + face.gaze_pitch
    return [_pointer(eye, yaw, pitch, _GAZE * box.width) for eye in eyes]


def _pointer(begin: Point, yaw: float, pitch: float, length: float) -> Pointer:
    """Return a line of ``length`` pixels in a direction in degrees, as of :class:`FaceEmotion`."""
    x, y = begin
    right, down = math.sin(math.radians(yaw)), -math.sin(math.radians(pitch))
    return Pointer(begin, (x + length * right, y + length * down))
