"""Where a face is and how it and its gaze are turned, as frames of REP-155.

The origin is the sellion, between the eyes at the root of the nose. In the frame of a face, x
points out of it, y to the person's left and z to the top of the head; in the frame of its gaze, z
points where the eyes look, x to the person's right and y down. Positions are in the camera's
optical frame (REP-103): x right, y down, z away from the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.perception.head_pose import Axes, Intrinsics, head_pose

#: Horizontal field of view in degrees that a camera without calibration is taken to have. Those of
#: robots have 55 to 70 degrees; the distance of a face is wrong by the ratio of the focal lengths.
USUAL_FIELD_OF_VIEW = 60.0

#: The sellion's point of the mesh, and where it lies from the centre of a mean face's pose, in
#: centimetres along the face's axes: above it, and in front of it.
_SELLION = 6
_BELOW, _BEHIND = -2.73, -2.05

#: A rotation as (x, y, z, w), of length 1, with w at least 0.
Quaternion = tuple[float, float, float, float]

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class FaceFrame:
    """The frames of one face.

    :param position: of the sellion in metres, in the camera's optical frame.
    :param rotation: from the frame of the face to the camera's.
    :param gaze: from the frame of the gaze to that of the face, from which it only differs by its
        rotation.
    """

    position: Vector
    rotation: Quaternion
    gaze: Quaternion


def usual_camera(width: int, height: int) -> Intrinsics:
    """Return a camera with the usual field of view that looks through the image's centre.

    :param width: of the image in pixels, as is ``height``; at least 1.
    """
    focal = width / (2.0 * math.tan(math.radians(USUAL_FIELD_OF_VIEW) / 2.0))
    return Intrinsics(focal, focal, width / 2.0, height / 2.0, width, height)


def face_frame(face: FaceEmotion, camera: Intrinsics, width: int, height: int) -> FaceFrame | None:
    """Return the frames of a face; None if its landmarks form none.

    The distance follows from the size of a mean adult's face. A child's face is smaller and
    therefore seems farther away.

    :param face: with its landmarks.
    :param camera: the one that took the image, or :func:`usual_camera`.
    :param width: of the image in pixels, as is ``height``.
    """
    if not len(face.landmarks):
        return None
    pose = head_pose(face.landmarks)
    if not pose.size:
        return None
    image = (width, height)
    right, down, back = head_axes(*pose.angles_in(camera, image))
    # Pixels of the image that a centimetre takes at a distance of 1 cm.
    focal = math.sqrt(camera.fx * width / camera.width * camera.fy * height / camera.height)
    depth = focal / pose.size + _BELOW * down[2] + _BEHIND * back[2]
    x, y = face.landmarks[_SELLION, :2].tolist()
    ray = camera.ray(x, y, image)
    if not (depth > 0 and math.isfinite(depth * (abs(ray[0]) + abs(ray[1])))):
        return None
    depth *= 0.01
    # The columns are the frame's axes: out of the face, to its left, to its top.
    forward, up = _negative(back), _negative(down)
    return FaceFrame(
        (depth * ray[0], depth * ray[1], depth),
        quaternion(forward, right, up),
        gaze_rotation(face.gaze_yaw, face.gaze_pitch),
    )


def head_axes(yaw: float, pitch: float, roll: float) -> Axes:
    """Return a head's own axes (to its left, down, to its back) from its angles.

    :param yaw: degrees, as in ``FaceEmotion``, and so are ``pitch`` and ``roll``.
    """
    yaw, pitch, roll = math.radians(yaw), math.radians(pitch), math.radians(roll)
    sin_yaw, cos_yaw = math.sin(yaw), math.cos(yaw)
    sin_pitch, cos_pitch = math.sin(pitch), math.cos(pitch)
    sin_roll, cos_roll = math.sin(roll), math.cos(roll)
    # Of a head that looks there and is level, then tilted: its left and down are mixed.
    low_x, low_z = sin_yaw * sin_pitch, -cos_yaw * sin_pitch
    return (
        (
            cos_roll * cos_yaw + sin_roll * low_x,
            sin_roll * cos_pitch,
            cos_roll * sin_yaw + sin_roll * low_z,
        ),
        (
            cos_roll * low_x - sin_roll * cos_yaw,
            cos_roll * cos_pitch,
            cos_roll * low_z - sin_roll * sin_yaw,
        ),
        (-sin_yaw * cos_pitch, sin_pitch, cos_yaw * cos_pitch),
    )


def gaze_rotation(yaw: float, pitch: float) -> Quaternion:
    """Return the rotation from the frame of a gaze to that of its face.

    :param yaw: degrees to the person's left, as ``FaceEmotion.gaze_yaw`` (the right side of the
        image).
    :param pitch: degrees up.
    """
    sin_yaw, cos_yaw = math.sin(math.radians(yaw)), math.cos(math.radians(yaw))
    sin_pitch, cos_pitch = math.sin(math.radians(pitch)), math.cos(math.radians(pitch))
    ahead = (cos_pitch * cos_yaw, cos_pitch * sin_yaw, sin_pitch)
    down = (sin_pitch * cos_yaw, sin_pitch * sin_yaw, -cos_pitch)
    return quaternion((sin_yaw, -cos_yaw, 0.0), down, ahead)


def quaternion(x: Vector, y: Vector, z: Vector) -> Quaternion:
    """Return the rotation that takes the unit vectors of one frame to ``x``, ``y`` and ``z``.

    :param x: unit vector, orthogonal to the two others, right-handed with them.
    """
    # Shepperd's method: from the largest component, which is far from zero.
    trace = x[0] + y[1] + z[2]
    squares = (trace, x[0], y[1], z[2])
    largest = squares.index(max(squares))
    if largest == 0:
        q = (y[2] - z[1], z[0] - x[2], x[1] - y[0], 1.0 + trace)
    elif largest == 1:
        q = (1.0 + 2.0 * x[0] - trace, x[1] + y[0], z[0] + x[2], y[2] - z[1])
    elif largest == 2:
        q = (x[1] + y[0], 1.0 + 2.0 * y[1] - trace, y[2] + z[1], z[0] - x[2])
    else:
        q = (z[0] + x[2], y[2] + z[1], 1.0 + 2.0 * z[2] - trace, x[1] - y[0])
    length = math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    scale = math.copysign(1.0 / length, q[3])
    return (q[0] * scale, q[1] * scale, q[2] * scale, q[3] * scale)


def _negative(vector: Vector) -> Vector:
    return (-vector[0], -vector[1], -vector[2])
