"""Whom the robot talks to, where there are several faces."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.errors import InputError


@dataclass(frozen=True)
class _Rule:
    """What makes a face the primary one.

    :param score: of a face in an image of (width, height) pixels; more is better.
    :param margin: by so much another face must be better than the primary one to take its place.
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


#: The margins: a quarter more area (an open mouth adds a tenth), nearer by a twentieth of the
#: image's diagonal, engaged one second longer.
_RULES = {
    'largest': _Rule(_size, math.log(1.25)),
    'nearest_centre': _Rule(_centrality, 0.05),
    'longest_engaged': _Rule(_engagement, 1.0),
}


class PrimaryFace:
    """Chooses one of the faces in each frame, and keeps to it while none is clearly better.

    While the primary face goes undetected another stands in for it; seen again before its timeout,
    it is primary again unless another has become clearly better. Of faces that score the same the
    larger comes first, as where nobody has looked at the camera yet.
    """

    def __init__(self, rule: str = 'largest') -> None:
        """Begin with ``rule``: ``largest``, ``nearest_centre`` or ``longest_engaged``."""
        self._name = ''
        self.use(rule)

    def use(self, rule: str) -> None:
        """Change the rule; if it is another one, the next frame is decided by it alone.

        :raises InputError: there is no such rule.
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
        """Return the primary one of ``faces``, whose order decides nothing; None without faces.

        :param faces: those detected in this frame.
        :param alive: ids of faces that are not forgotten yet, undetected ones included.
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
