"""Faces of a made set: how expressions move landmarks, and stills and the portrait that move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import NEUTRAL
from emotion_estimator.errors import InputError
from emotion_estimator.perception.face_crop import rigid_frame
from emotion_estimator_training.data.made_set import MIDDLE, SCALE, WIDTH, MadeFace
from emotion_estimator_training.zoo.data.made_video import FilmCourse

Points = NDArray[np.float32]
Image = NDArray[np.uint8]

#: Number of similar stills whose mean is one movement: enough to hide their identity, few enough
#: to differ. Similar, since the mean of shouting and of pressed lips is neither.
_SIMILAR = 6
#: Landmarks that expressions hardly move: eye corners, nose, temples, forehead, sides.
_STEADY = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 127, 356, 234, 454, 10, 93, 323, 21, 251)

#: Factors on x and y that mirror a face.
_MIRRORED = np.array((-1, 1), np.float32)

# Landmarks by their place in the face.
_RIGHT_CHEEK, _LEFT_CHEEK = 234, 454
# fmt: off
_LOWER_LIP = (146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324)
_CHIN = (152, 148, 377, 176, 400, 175, 199, 200, 18, 83, 313, 171, 396, 208, 428, 201, 421)
_CORNERS = (61, 291)
#: The upper lids, and the points of the lower lids that they fall on.
_UPPER = (159, 158, 157, 160, 161, 173, 246, 386, 385, 384, 387, 388, 398, 466)
_LOWER = (145, 153, 154, 144, 163, 155, 7, 374, 380, 381, 373, 390, 382, 249)
#: The inner edge of the lips, around the mouth; its top and bottom.
_MOUTH = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
_TOP, _BOTTOM = 13, 14
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


@dataclass(frozen=True, eq=False)
class Shapes:
    """Landmarks of faces by class, normalized for position, size and roll.

    :param points: by class, float32 (N, 478, 3), see :func:`own_frame`.
    """

    points: dict[str, Points]

    @classmethod
    def of(cls, landmarks: Points, labels: list[str]) -> Shapes:
        """Return the shapes of faces.

        :param landmarks: (N, 478, 3), in pixels.
        :param labels: class of each face.
        :raises InputError: no face is ``neutral``.
        """
        level = own_frame(landmarks)
        points = {name: level[[one == name for one in labels]] for name in sorted(set(labels))}
        if NEUTRAL not in points:
            raise InputError('no neutral face among the stills to learn movements from')
        return cls(points)

    def movement(self, label: str, rng: np.random.Generator) -> Points:
        """Return a random symmetric movement (478, 2) from neutral to ``label``.

        It is the difference between the mean of a few similar faces of the class and the mean
        neutral face.

        :raises InputError: there is no face of the class.
        """
        if label not in self.points:
            raise InputError(f'no {label} face among the stills to learn movements from')
        points = self.points[label]
        one = points[rng.integers(len(points))]
        nearest = np.square(points - one).sum(axis=(1, 2)).argsort()[:_SIMILAR]
        shift = self._expressed(points[nearest].mean(axis=0))
        other = shift[self._mirror()] * _MIRRORED
        return np.asarray((shift + other) / 2, np.float32)

    def own_movement(self, landmarks: Points) -> Points:
        """Return the movement (478, 2) from neutral to a face (478, 3) in pixels."""
        return self._expressed(own_frame(landmarks))

    def _expressed(self, points: Points) -> Points:
        """Return the displacement (478, 2) of points from those of a neutral face in the same pose.

        Head turns and facial proportions are removed by the affine map from the neutral face that
        fits the steady points best.
        """
        neutral = self._neutral()
        known = np.hstack([neutral, np.ones((len(neutral), 1), np.float32)])
        steady = list(_STEADY)
        fit = np.linalg.lstsq(known[steady], points[steady, :2], rcond=None)[0]
        return np.asarray(points[:, :2] - known @ fit, np.float32)

    def _neutral(self) -> Points:
        return np.asarray(self.points[NEUTRAL].mean(axis=0), np.float32)

    def _mirror(self) -> NDArray[np.int64]:
        """Return the index of each point's counterpart on the other side."""
        mean = self._neutral()[:, :2]
        mean = mean - np.array((mean[:, 0].mean(), 0), np.float32)
        flipped = mean * _MIRRORED
        return np.asarray(np.square(flipped[:, None] - mean[None]).sum(axis=-1).argmin(axis=1))


def own_frame(landmarks: Points) -> Points:
    """Return landmarks (..., 478, 3) without position, size and roll.

    The unit is the size of the rigid points.
    """
    points = np.asarray(landmarks, np.float32)
    centre, size, across = rigid_frame(points)
    moved = (points - centre[..., None, :]) / np.maximum(size, 1e-6)[..., None, None]
    cosine, sine = across[..., 0, None], across[..., 1, None]
    x, y, z = moved[..., 0], moved[..., 1], moved[..., 2]
    return np.stack([cosine * x + sine * y, cosine * y - sine * x, z], axis=-1)


def in_picture(movement: Points, landmarks: Points) -> Points:
    """Return a normalized movement (478, 2) in pixels of a face.

    :param landmarks: of that face, (478, 3), in pixels.
    """
    _, size, (cosine, sine) = rigid_frame(np.asarray(landmarks, np.float32))
    x, y = movement[:, 0], movement[:, 1]
    moved = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)
    return np.asarray(float(size) * moved, np.float32)


class StillFace:
    """Renders the moving face of a still.

    :param still: uint8 (48, 48), grey.
    :param landmarks: (478, 3), in pixels of the still.
    :param movement: (478, 2), from neutral to the expression, in pixels of the still.
    :param own: whether the still shows the expression, so that neutral frames move it back.
    :param size: side of the frames in pixels.
    """

    def __init__(self, still: Image, landmarks: Points, movement: Points, own: bool, size: int):
        self._size = size
        scale = _STILL_SHARE * size / len(still)
        middle = (size - 1) / 2 - scale * (len(still) - 1) / 2
        to_frame = np.array([[scale, 0, middle], [0, scale, middle]], np.float32)
        self._picture = cv2.warpAffine(
            still, to_frame, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        self._points = np.asarray(landmarks, np.float32) * scale
        self._points[:, :2] += middle
        across = self._points[_LEFT_CHEEK, :2] - self._points[_RIGHT_CHEEK, :2]
        self._width = max(float(np.hypot(*across)), 1.0)
        self._right = across / self._width
        self._down = np.array([-self._right[1], self._right[0]], np.float32)
        self._own = own
        self._shifts = [scale * movement, *self._own_shifts()]
        spreads = (
            _EXPRESSION_SPREAD,
            _SPEECH_SPREAD,
            _LIDS_SPREAD,
            _TURN_SPREAD,
            _TURN_SPREAD,
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
        lids[list(_UPPER)] = points[list(_LOWER), :2] - points[list(_UPPER), :2]
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
        return float((points[_BOTTOM] - points[_TOP]) @ self._down) / self._width

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
