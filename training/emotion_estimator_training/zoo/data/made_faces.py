"""Faces of a made set: stills and the portrait, which move."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.data.made_set import MIDDLE, SCALE, WIDTH, MadeFace
from emotion_estimator_training.zoo.data.face_shapes import (
    LEFT_CHEEK,
    LOWER_LIDS,
    MOUTH_BOTTOM,
    MOUTH_TOP,
    RIGHT_CHEEK,
    UPPER_LIDS,
    Points,
)
from emotion_estimator_training.zoo.data.made_video import FilmCourse

Image = NDArray[np.uint8]

# Landmarks by their place in the face.
# fmt: off
_LOWER_LIP = (146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324)
_CHIN = (152, 148, 377, 176, 400, 175, 199, 200, 18, 83, 313, 171, 396, 208, 428, 201, 421)
_CORNERS = (61, 291)
#: The inner edge of the lips, around the mouth.
_MOUTH = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
# fmt: on

#: Distance over which pixels follow a landmark, in face widths, for each kind of movement.
_EXPRESSION_SPREAD, _SPEECH_SPREAD, _LIDS_SPREAD, _TURN_SPREAD = 0.045, 0.06, 0.02, 0.12
#: Side of the grid on which displacement fields are computed.
_GRID = 64
#: Side of the still relative to that of the frame.
_STILL_SHARE = 0.8
#: Width of the portrait's face relative to the side of the frame, and how far a turn of one radian
#: moves it, in face widths.
_PORTRAIT_SHARE, _PORTRAIT_TURN = 0.48, 0.15
#: The second map of ``cv2.remap``, unused; OpenCV 5 would read an empty array as a map.
_NO_MAP: Any = None


class StillFace:
    """Renders the moving face of a still.

    :param still: uint8 (48, 48), grey.
    :param landmarks: (478, 3), in pixels of the still.
    :param movement: (478, 2), from neutral to the expression, in pixels of the still.
    :param own: whether the still shows the expression, so that neutral frames move it back.
    :param size: side of the frames in pixels.
    :param basis: (K, 478, 2), movements that a course's ``shares`` add, in pixels of the still.
    """

    def __init__(
        self,
        still: Image,
        landmarks: Points,
        movement: Points,
        own: bool,
        size: int,
        basis: Points | None = None,
    ) -> None:
        self._size = size
        scale = _STILL_SHARE * size / len(still)
        middle = (size - 1) / 2 - scale * (len(still) - 1) / 2
        to_frame = np.array([[scale, 0, middle], [0, scale, middle]], np.float32)
        self._picture = cv2.warpAffine(
            still, to_frame, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        self._points = np.asarray(landmarks, np.float32) * scale
        self._points[:, :2] += middle
        across = self._points[LEFT_CHEEK, :2] - self._points[RIGHT_CHEEK, :2]
        self._width = max(float(np.hypot(*across)), 1.0)
        self._right = across / self._width
        self._down = np.array([-self._right[1], self._right[0]], np.float32)
        self._own = own
        recorded = [] if basis is None else [scale * one for one in basis]
        self._shifts = [scale * movement, *self._own_shifts(), *recorded]
        spreads = (
            _EXPRESSION_SPREAD,
            _SPEECH_SPREAD,
            _LIDS_SPREAD,
            _TURN_SPREAD,
            _TURN_SPREAD,
            *[_EXPRESSION_SPREAD] * len(recorded),
        )
        self._fields = np.stack(
            [
                self._field(shift, spread * self._width)
                for shift, spread in zip(self._shifts, spreads)
            ]
        )
        rows, columns = np.mgrid[:size, :size].astype(np.float32)
        self._identity = np.dstack([columns, rows])
        self._gape = self._opening(self._points[:, :2])

    def __call__(self, course: FilmCourse, i: int) -> Image:
        """Return frame ``i`` of a course: uint8 (size, size, 3)."""
        expression = course.intensity[i] - (1.0 if self._own else 0.0)
        shares = np.array(
            [
                expression,
                course.speech[i] * self._width,
                course.lids[i],
                *course.turn[i],
                *course.shares[i],
            ],
            np.float32,
        )
        field = np.tensordot(shares, self._fields, axes=1)
        image = cv2.remap(
            self._picture,
            self._identity - field,
            _NO_MAP,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        points = self._points[:, :2] + np.tensordot(shares, np.stack(self._shifts), axes=1)
        image = self._with_mouth(np.asarray(image, np.uint8), points)
        image = cv2.warpAffine(
            image,
            self._pose(course, i),
            (self._size, self._size),
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)

    @property
    def middle(self) -> Points:
        """Middle of the face in the frame, before it moves."""
        return np.asarray(self._points[:, :2].mean(axis=0), np.float32)

    @property
    def width(self) -> float:
        """Width of the face in pixels of the frame."""
        return self._width

    def _own_shifts(self) -> list[Points]:
        """Return shifts (478, 2) by speech (per pixel), by a blink, and by turns (per radian)."""
        points, count = self._points, len(self._points)
        speech, lids = np.zeros((2, count, 2), np.float32)
        corners = points[list(_CORNERS), :2]
        half = max(float(np.hypot(*(corners[1] - corners[0]))) / 2, 1.0)
        along = (points[list(_LOWER_LIP), :2] - corners.mean(axis=0)) @ self._right / half
        speech[list(_LOWER_LIP)] = np.clip(1 - along**2, 0, 1)[:, None] * self._down
        speech[list(_CHIN)] = self._down
        lids[list(UPPER_LIDS)] = points[list(LOWER_LIDS), :2] - points[list(UPPER_LIDS), :2]
        # Nearer points (smaller z) move further in the direction of the turn.
        depth = (points[:, 2] - points[:, 2].mean())[:, None]
        return [speech, lids, -depth * self._right, -depth * self._down]

    def _field(self, shift: Points, spread: float) -> Points:
        """Return the displacement field (size, size, 2) that spreads the points' shifts."""
        scale = self._size / _GRID
        centres = (np.arange(_GRID, dtype=np.float32) + 0.5) * scale - 0.5
        away_x = (centres[:, None] - self._points[:, 0]) ** 2
        away_y = (centres[:, None] - self._points[:, 1]) ** 2
        near_x, near_y = (np.exp(-away / (2 * spread**2)) for away in (away_x, away_y))
        weights = near_y[:, None, :] * near_x[None, :, :]
        coarse = weights @ shift / (weights.sum(axis=-1, keepdims=True) + 0.05)
        field = cv2.resize(coarse, (self._size, self._size), interpolation=cv2.INTER_LINEAR)
        return np.asarray(field, np.float32)

    def _opening(self, points: Points) -> float:
        return float((points[MOUTH_BOTTOM] - points[MOUTH_TOP]) @ self._down) / self._width

    def _with_mouth(self, image: Image, points: Points) -> Image:
        """Darken the opening between the lips: stills lack the inside of the mouth."""
        opening = self._opening(points) - max(self._gape, 0.0)
        share = np.clip(opening / 0.04, 0, 1)
        if share <= 0:
            return image
        mask = np.zeros(image.shape[:2], np.uint8)
        outline = np.rint(points[list(_MOUTH)] * 16).astype(np.int32)
        cv2.fillPoly(mask, [outline], (255,), cv2.LINE_AA, 4)
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.012 * self._width, 0.7)) * (share / 255.0)
        lips = cv2.mean(image, mask)[0]
        return np.asarray(image + soft * (0.4 * lips - image), np.uint8)

    def _pose(self, course: FilmCourse, i: int) -> NDArray[np.float64]:
        """Return the matrix (2, 3) of roll, zoom and shift about the middle of the face."""
        x, y = (float(value) for value in self.middle)
        return _similarity((x, y), course.roll[i], course.zoom[i], course.shift[i] * self._width)


class PortraitFace:
    """Renders the moving portrait with one expression; turns of the head become shifts.

    :param expression: one of ``FER_CLASSES``.
    :param size: side of the frames in pixels.
    """

    def __init__(self, face: MadeFace, expression: str, size: int) -> None:
        self._face, self._expression, self._size = face, expression, size
        self.width = _PORTRAIT_SHARE * size

    def __call__(self, course: FilmCourse, i: int) -> NDArray[np.uint8]:
        """Return frame ``i`` of a course: uint8 (size, size, 3), RGB."""
        picture = self._face.picture(
            self._expression,
            float(course.intensity[i]),
            float(course.lids[i]),
            float(course.speech[i]) * WIDTH,
        )
        zoom = float(course.zoom[i]) * self.width / (WIDTH * SCALE)
        x, y = ((value + 0.5) * SCALE - 0.5 for value in MIDDLE)
        aside = (course.shift[i] + _PORTRAIT_TURN * course.turn[i]) * self.width
        matrix = _similarity((x, y), course.roll[i], zoom, self.middle - (x, y) + aside)
        image = cv2.warpAffine(
            picture,
            matrix,
            (self._size, self._size),
            flags=cv2.INTER_AREA,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(image, np.uint8)

    @property
    def middle(self) -> NDArray[np.float64]:
        """Middle of the face in the frame, before it moves."""
        return np.full(2, (self._size - 1) / 2)


def _similarity(
    middle: tuple[float, float], roll: float, zoom: float, shift: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Return the matrix (2, 3) that turns by radians and scales about ``middle``, then shifts."""
    matrix = cv2.getRotationMatrix2D(middle, float(np.degrees(roll)), float(zoom))
    moved = np.asarray(matrix, np.float64)
    moved[:, 2] += shift
    return moved
