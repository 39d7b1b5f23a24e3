"""How long each face has been looking towards the camera."""

from __future__ import annotations

import math
from collections.abc import Collection, Set

from emotion_estimator.emotion import FloatArray

#: A head turned away by less looks towards the camera. The angle below differs by up to 7 degrees
#: from the pose that the Face Landmarker itself reports (clips and stills with up to 50 degrees).
FACING_DEGREES = 25.0

#: Outer eye corners of the person's right and left eye; top of the forehead, tip of the chin.
_RIGHT_EYE, _LEFT_EYE, _FOREHEAD, _CHIN = 33, 263, 10, 152


def turned_away(landmarks: FloatArray) -> float:
    """Return the angle between the face's normal and the line to the camera, in degrees.

    Yaw and pitch together; roll does not count. The mesh is fitted in each face's own crop, as if
    that were seen straight on, so a face at the image's border that looks at the camera has a
    small angle too.

    :param landmarks: (478, 3) in pixels, as in ``FaceLandmarks``.
    :returns: 0 to 90; 90 where the points span no plane.
    """
    # By hand: numpy's cross product takes ten times as long on three numbers.
    ax, ay, az = (landmarks[_LEFT_EYE] - landmarks[_RIGHT_EYE]).tolist()
    dx, dy, dz = (landmarks[_CHIN] - landmarks[_FOREHEAD]).tolist()
    x, y, z = ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx
    return math.degrees(math.atan2(math.hypot(x, y), abs(z))) if x or y or z else 90.0


class Engagement:
    """Adds up, for each face, the seconds that it was seen looking towards the camera.

    A time between two frames counts for a face that looks in both of them.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._looking: Set[str] = frozenset()
        self._last_stamp = 0.0

    def __call__(
        self, looking: Set[str], alive: Collection[str], stamp: float
    ) -> dict[str, float]:
        """Take one frame; return the seconds of each face that is alive.

        :param looking: ids of the faces that look towards the camera in this frame.
        :param alive: ids of all faces to remember, unseen ones included.
        :param stamp: seconds; must not decrease.
        """
        both = looking & self._looking
        self._seconds = {
            face_id: self._seconds.get(face_id, 0.0)
            + (stamp - self._last_stamp if face_id in both else 0.0)
            for face_id in alive
        }
        self._looking, self._last_stamp = looking, stamp
        return self._seconds
