"""The shipped portrait's face as a subject of made clips, in colour."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.data.made_face import MIDDLE, SCALE, WIDTH, MadeFace
from emotion_estimator_training.zoo.data.made_course import Course

#: Share of the frame's side that the face is wide, and how far a turn moves it, in its widths.
_FACE, _TURN = 0.48, 0.15


class PortraitFace:
    """Renders the portrait with one expression as it moves; it does not turn, but moves aside."""

    def __init__(self, face: MadeFace, expression: str, size: int) -> None:
        """Take the portrait.

        :param expression: one of ``FER_CLASSES``.
        :param size: side of the frames in pixels.
        """
        self._face, self._expression, self._size = face, expression, size
        self.width = _FACE * size

    def __call__(self, course: Course, i: int) -> NDArray[np.uint8]:
        """Return frame ``i`` of a course: uint8 (size, size, 3), RGB."""
        picture = self._face.picture(
            self._expression, float(course.intensity[i]), float(course.lids[i]),
            float(course.speech[i]) * WIDTH,
        )
        zoom = float(course.zoom[i]) * self.width / (WIDTH * SCALE)
        x, y = ((value + 0.5) * SCALE - 0.5 for value in MIDDLE)
        matrix = cv2.getRotationMatrix2D((x, y), float(np.degrees(course.roll[i])), zoom)
        aside = (course.shift[i] + _TURN * course.turn[i]) * self.width
        matrix[:, 2] += self.middle - (x, y) + aside
        image = cv2.warpAffine(
            picture, matrix, (self._size, self._size), flags=cv2.INTER_AREA,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(image, np.uint8)

    @property
    def middle(self) -> NDArray[np.float64]:
        """Middle of the face in the frame, before it moves."""
        return np.full(2, (self._size - 1) / 2)
