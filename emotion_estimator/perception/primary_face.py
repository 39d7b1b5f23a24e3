"""Choose the primary face, which the robot talks to; measure how long each face looks at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass

from emotion_estimator.emotion import FaceEmotion, FloatArray
from emotion_estimator.errors import InputError
from emotion_estimator.perception.head_pose import head_pose

#: Below this angle a face looks towards the camera; see :attr:`HeadPose.away`.
FACING_DEGREES = 25.0


def turned_away(landmarks: FloatArray) -> float:
    """Return the angle between where a face points and the line to the camera, in degrees.

    Yaw and pitch combined, without roll: 0 to 180, and 180 if the landmarks form no face.

    :param landmarks: (478, 3) in pixels, as in ``FaceLandmarks``.
    """
    return head_pose(landmarks).away


class Engagement:
    """Sum up the seconds that each face looks towards the camera.

    The time between two frames counts if the face looks in both.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._looking: Set[str] = frozenset()
        self._last_stamp = 0.0

    def __call__(self, looking: Set[str], alive: Collection[str], stamp: float) -> dict[str, float]:
        """Add one frame; return the seconds of each face that is alive.

        :param looking: ids of the faces that look towards the camera in this frame.
        :param alive: ids of all faces to remember, including undetected ones.
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


@dataclass(frozen=True)
class _Rule:
    """A rule for the primary face.

    :param score: score of a face in an image of (width, height) pixels; higher is better.
    :param margin: how much higher another face must score to replace the primary one.
    """

    score: Callable[[FaceEmotion, tuple[int, int]], float]
    margin: float


def _size(face: FaceEmotion, image: tuple[int, int]) -> float:
    return math.log(face.roi.area)


def _centrality(face: FaceEmotion, image: tuple[int, int]) -> float:
    roi, (width, height) = face.roi, image
    off_x, off_y = roi.x + (roi.width - width) / 2, roi.y + (roi.height - height) / 2
    return -math.hypot(off_x, off_y) / math.hypot(width, height)


def _engagement(face: FaceEmotion, image: tuple[int, int]) -> float:
    return face.engaged


#: The margins: a quarter more area (an open mouth adds a tenth), a twentieth of the image's
#: diagonal nearer to the centre, one second more.
_RULES = {
    'largest': _Rule(_size, math.log(1.25)),
    'nearest_centre': _Rule(_centrality, 0.05),
    'longest_engaged': _Rule(_engagement, 1.0),
}


class PrimaryFace:
    """Choose one of the faces in each frame, and keep it until another is clearly better.

    While the primary face goes undetected, another replaces it. Detected again before its timeout,
    it is primary again unless another has become clearly better. Of faces with the same score, as
    before anybody has looked at the camera, the larger one is chosen.
    """

    def __init__(self, rule: str = 'largest') -> None:
        """Start with ``rule``: ``largest``, ``nearest_centre`` or ``longest_engaged``."""
        self._name = ''
        self.use(rule)

    def use(self, rule: str) -> None:
        """Change the rule; a new one ignores the current primary face in the next frame.

        :raises InputError: unknown rule.
        """
        if rule not in _RULES:
            raise InputError(f'primary_face must be one of {", ".join(_RULES)}, got {rule!r}')
        if rule != self._name:
            self._name, self._rule = rule, _RULES[rule]
            self._holder: str | None = None
            self._deputy: str | None = None

    def __call__(
        self, faces: Sequence[FaceEmotion], alive: Collection[str], image: tuple[int, int]
    ) -> FaceEmotion | None:
        """Return the primary one of ``faces``, or None if there are none.

        :param faces: those detected in this frame, in any order.
        :param alive: ids of faces not yet forgotten, including undetected ones.
        :param image: width and height in pixels.
        """
        if self._holder not in alive:
            self._holder, self._deputy = self._deputy, None
            if self._holder not in alive:
                self._holder = None
        if not faces:
            return None
        if self._holder is None or any(face.face_id == self._holder for face in faces):
            chosen = self._choose(faces, self._holder, image)
            self._holder, self._deputy = chosen.face_id, None
        else:
            chosen = self._choose(faces, self._deputy, image)
            self._deputy = chosen.face_id
        return chosen

    def _choose(
        self, faces: Sequence[FaceEmotion], incumbent: str | None, image: tuple[int, int]
    ) -> FaceEmotion:
        score, margin = self._rule.score, self._rule.margin
        best = max(faces, key=lambda face: (score(face, image), face.roi.area, face.face_id))
        for face in faces:
            if face.face_id == incumbent and score(best, image) - score(face, image) < margin:
                return face
        return best
