"""Where eyes look, relative to the head, and whether head and eyes together point at the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import FloatArray
from emotion_estimator.perception.head_pose import HeadPose

#: Below this angle between head and eyes together and the line to the camera, somebody looks at it.
LOOKING_DEGREES = 15.0

#: Centres of both irises, and outer and inner corners of both eyes; the weights give the mean
#: offset of an iris from the middle between its eye's corners.
_EYES = np.array([468, 473, 33, 133, 362, 263])
_OFFSET = np.array([0.5, 0.5, -0.25, -0.25, -0.25, -0.25])

#: Centimetres of a mean face by which the irises move for a degree, to the side.
_SHIFT = 0.0155
#: Blendshapes for a degree, and at rest: to the side in the image, and up. MediaPipe's are not
#: symmetric, and at rest the lids cover more of the eye from above.
_ACROSS, _ACROSS_AT_REST = 0.027, 0.05
_UP, _UP_AT_REST = 0.035, -0.15

#: Eyes turn no farther in their sockets.
_FARTHEST = 45.0


def _look(**signs: float) -> FloatArray:
    weights = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
    for name, sign in signs.items():
        weights[BLENDSHAPE_NAMES.index(name)] = sign / 2
    return weights


#: (2, 52): times the blendshapes, how far both eyes look to the right in the image, and up.
_LOOKS = np.stack([
    _look(eyeLookOutLeft=1, eyeLookInLeft=-1, eyeLookInRight=1, eyeLookOutRight=-1),
    _look(eyeLookUpLeft=1, eyeLookUpRight=1, eyeLookDownLeft=-1, eyeLookDownRight=-1),
])  # fmt: skip


@dataclass(frozen=True)
class Gaze:
    """The direction of the eyes relative to the head.

    :param yaw: degrees, -45 to 45; positive to the right side of the image.
    :param pitch: likewise; positive up.
    """

    yaw: float
    pitch: float

    def off_camera(self, pose: HeadPose) -> float:
        """Return the angle between the line of sight and the line to the camera, in degrees.

        :returns: 0 to 180; 180 if the landmarks form no face.
        """
        if not pose.size:
            return 180.0
        yaw, pitch = math.radians(self.yaw), math.radians(self.pitch)
        across, down, back = pose.axes
        # How much of it points away from the camera.
        away = (
            math.cos(pitch) * (math.sin(yaw) * across[2] - math.cos(yaw) * back[2])
            - math.sin(pitch) * down[2]
        )
        return math.degrees(math.acos(min(max(-away, -1.0), 1.0)))


def gaze(landmarks: FloatArray, blendshapes: FloatArray, pose: HeadPose) -> Gaze:
    """Return where the eyes of one face look.

    To the side it is the mean of what the irises' places between the eyes' corners say, and the
    blendshapes; up and down the blendshapes alone, since lids move with the eyes and hide the
    irises.

    :param landmarks: (478, 3) in pixels, as in ``FaceLandmarks``; so are the blendshapes (52,).
    :param pose: of the same landmarks.
    :returns: straight ahead if the landmarks form no face.
    """
    if not pose.size:
        return Gaze(0.0, 0.0)
    x, y, z = (_OFFSET @ landmarks[_EYES]).tolist()
    across, up = (_LOOKS @ blendshapes).tolist()
    right = pose.axes[0]
    shift = (x * right[0] + y * right[1] + z * right[2]) / pose.size
    yaw = (shift / _SHIFT + (across - _ACROSS_AT_REST) / _ACROSS) / 2
    return Gaze(_within(yaw), _within((up - _UP_AT_REST) / _UP))


def _within(angle: float) -> float:
    """Return an angle that eyes can turn to; 0 for NaN."""
    return 0.0 if math.isnan(angle) else min(max(angle, -_FARTHEST), _FARTHEST)
