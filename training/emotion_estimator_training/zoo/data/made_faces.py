"""Faces of a made set: stills and the shipped portrait, moved by the shapes of expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.perception.face_crop import rigid_frame
from emotion_estimator_training.data.made_set import MIDDLE, SCALE, WIDTH, MadeFace
from emotion_estimator_training.zoo.data.made_film import FilmCourse

Points = NDArray[np.float32]

#: Stills that one movement is the mean of: enough to hide who they are, few enough to differ. They
#: are alike, since the mean of shouting and of pressed lips is neither.
_OF = 6
#: Points that expressions hardly move: eye corners, nose, temples, forehead, sides.
_STEADY = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 127, 356, 234, 454, 10, 93, 323, 21, 251)


@dataclass(frozen=True, eq=False)
class Shapes:
    """Faces in a frame of their own: no place, no size, no roll.

    :param points: by class, float32 (N, 478, 3), in units of the rigid points' size.
    """

    points: dict[str, Points]

    @classmethod
    def of(cls, landmarks: Points, labels: list[str]) -> Shapes:
        """Take the shapes of faces.

        :param landmarks: (N, 478, 3), in pixels.
        :param labels: each face's class; ``neutral`` must be among them.
        :raises InputError: it is not.
        """
        level = own_frame(landmarks)
        points = {name: level[[one == name for one in labels]] for name in sorted(set(labels))}
        if 'neutral' not in points:
            raise InputError('there is no neutral face among the stills to learn movements from')
        return cls(points)

    def movement(self, label: str, rng: np.random.Generator) -> Points:
        """Return how a neutral face moves to express ``label``, (478, 2), alike on both sides.

        It is the difference of the mean neutral face and the mean of a few alike that express it.

        :raises InputError: there are no faces of that class.
        """
        if label not in self.points:
            raise InputError(f'there is no {label} face among the stills to learn movements from')
        points = self.points[label]
        one = points[rng.integers(len(points))]
        nearest = np.square(points - one).sum(axis=(1, 2)).argsort()[:_OF]
        shift = self._expressed(points[nearest].mean(axis=0))
        other = shift[self._mirror()] * np.float32((-1, 1))
        return np.asarray((shift + other) / 2, np.float32)

    def own_movement(self, landmarks: Points) -> Points:
        """Return how a face (478, 3) in pixels moved from neutral to what it shows, (478, 2)."""
        return self._expressed(own_frame(landmarks))

    def _expressed(self, points: Points) -> Points:
        """Return where points lie beside those of a neutral face in the same pose.

        Turns of the head and proportions of the face are what an affine map of the neutral face's
        points brings to the steady ones.
        """
        neutral = self._neutral()
        known = np.hstack([neutral, np.ones((len(neutral), 1), np.float32)])
        steady = list(_STEADY)
        fit = np.linalg.lstsq(known[steady], points[steady, :2], rcond=None)[0]
        return np.asarray(points[:, :2] - known @ fit, np.float32)

    def _neutral(self) -> Points:
        return self.points['neutral'].mean(axis=0)

    def _mirror(self) -> NDArray[np.int64]:
        """Return each point's counterpart on the other side."""
        mean = self._neutral()[:, :2]
        mean = mean - np.float32((mean[:, 0].mean(), 0))
        flipped = mean * np.float32((-1, 1))
        return np.square(flipped[:, None] - mean[None]).sum(axis=-1).argmin(axis=1)


def own_frame(landmarks: Points) -> Points:
    """Return landmarks (..., 478, 3) without place, size and roll."""
    points = np.asarray(landmarks, np.float32)
    centre, size, across = rigid_frame(points)
    moved = (points - centre[..., None, :]) / np.maximum(size, 1e-6)[..., None, None]
    cosine, sine = across[..., 0, None], across[..., 1, None]
    x, y, z = moved[..., 0], moved[..., 1], moved[..., 2]
    return np.stack([cosine * x + sine * y, cosine * y - sine * x, z], axis=-1)


def in_picture(movement: Points, landmarks: Points) -> Points:
    """Return a movement (478, 2) in pixels of a face's picture."""
    _, size, (cosine, sine) = rigid_frame(np.asarray(landmarks, np.float32))
    x, y = movement[:, 0], movement[:, 1]
    return float(size) * np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)


Image = NDArray[np.uint8]

#: The second map of ``cv2.remap``, unused; OpenCV 5 would take an empty array for a map.
_NO_MAP: Any = None

#: Face widths over which pixels follow a point, for each kind of movement.
_EXPRESSION, _SPEECH, _LIDS, _TURN = 0.045, 0.06, 0.02, 0.12
#: Side of the grid on which fields are computed.
_GRID = 64
#: Share of the picture's side that the still's side takes.
_STILL = 0.8

_RIGHT_CHEEK, _LEFT_CHEEK = 234, 454
_LOWER_LIP = (
    146,
    91,
    181,
    84,
    17,
    314,
    405,
    321,
    375,
    95,
    88,
    178,
    87,
    14,
    317,
    402,
    318,
    324,
)
_CHIN = (152, 148, 377, 176, 400, 175, 199, 200, 18, 83, 313, 171, 396, 208, 428, 201, 421)
_CORNERS = (61, 291)
#: Points of the upper lids, and those of the lower ones that they fall on.
_UPPER = (159, 158, 157, 160, 161, 173, 246, 386, 385, 384, 387, 388, 398, 466)
_LOWER = (145, 153, 154, 144, 163, 155, 7, 374, 380, 381, 373, 390, 382, 249)
#: The lips' inner edge, around.
_MOUTH = (
    78,
    191,
    80,
    81,
    82,
    13,
    312,
    311,
    310,
    415,
    308,
    324,
    318,
    402,
    317,
    14,
    87,
    178,
    88,
    95,
)
_TOP, _BOTTOM = 13, 14


class StillFace:
    """Renders a still's face as it moves."""

    def __init__(self, still: Image, landmarks: Points, movement: Points, own: bool, size: int):
        """Take a still.

        :param still: uint8 (48, 48), grey.
        :param landmarks: (478, 3), in its pixels.
        :param movement: (478, 2), from neutral to the expression, in its pixels.
        :param own: the still shows the expression, and moves back to be neutral; else it is
            neutral.
        :param size: side of the frames in pixels.
        """
        self._size = size
        scale = _STILL * size / len(still)
        middle = (size - 1) / 2 - scale * (len(still) - 1) / 2
        to_picture = np.float32([[scale, 0, middle], [0, scale, middle]])
        self._picture = cv2.warpAffine(
            still, to_picture, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        self._points = np.asarray(landmarks, np.float32) * scale
        self._points[:, :2] += middle
        across = self._points[_LEFT_CHEEK, :2] - self._points[_RIGHT_CHEEK, :2]
        self._width = max(float(np.hypot(*across)), 1.0)
        self._right = across / self._width
        self._down = np.array([-self._right[1], self._right[0]], np.float32)
        self._own = own
        self._shifts = [scale * movement, *self._own_shifts()]
        spreads = (_EXPRESSION, _SPEECH, _LIDS, _TURN, _TURN)
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
        shares = np.float32(
            [
                expression,
                course.speech[i] * self._width,
                course.lids[i],
                *course.turn[i],
            ]
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
        image = self._with_mouth(image, points)
        image = cv2.warpAffine(
            image,
            self._pose(course, i),
            (self._size, self._size),
            borderMode=cv2.BORDER_REPLICATE,
        )
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)

    @property
    def middle(self) -> Points:
        """Middle of the face in the frame, before it moves."""
        return self._points[:, :2].mean(axis=0)

    @property
    def width(self) -> float:
        """Width of the face in pixels of the frame."""
        return self._width

    def _own_shifts(self) -> list[Points]:
        """Return how points move by speech (a pixel), by a blink, and by turns (a radian)."""
        points, count = self._points, len(self._points)
        speech, lids = np.zeros((2, count, 2), np.float32)
        corners = points[list(_CORNERS), :2]
        half = max(float(np.hypot(*(corners[1] - corners[0]))) / 2, 1.0)
        along = (points[list(_LOWER_LIP), :2] - corners.mean(axis=0)) @ self._right / half
        speech[list(_LOWER_LIP)] = np.clip(1 - along**2, 0, 1)[:, None] * self._down
        speech[list(_CHIN)] = self._down
        lids[list(_UPPER)] = points[list(_LOWER), :2] - points[list(_UPPER), :2]
        # Nearer points (smaller z) move further to where the head turns.
        depth = (points[:, 2] - points[:, 2].mean())[:, None]
        return [speech, lids, -depth * self._right, -depth * self._down]

    def _field(self, shift: Points, spread: float) -> Points:
        """Return the points' shifts spread over the picture, (size, size, 2)."""
        scale = self._size / _GRID
        places = (np.arange(_GRID, dtype=np.float32) + 0.5) * scale - 0.5
        away_x = (places[:, None] - self._points[:, 0]) ** 2
        away_y = (places[:, None] - self._points[:, 1]) ** 2
        near_x, near_y = (np.exp(-away / (2 * spread**2)) for away in (away_x, away_y))
        weights = near_y[:, None, :] * near_x[None, :, :]
        coarse = weights @ shift / (weights.sum(axis=-1, keepdims=True) + 0.05)
        return cv2.resize(coarse, (self._size, self._size), interpolation=cv2.INTER_LINEAR)

    def _opening(self, points: Points) -> float:
        return float((points[_BOTTOM] - points[_TOP]) @ self._down) / self._width

    def _with_mouth(self, image: Image, points: Points) -> Image:
        """Darken what opens between the lips: the still has no inside of a mouth."""
        opened = self._opening(points) - max(self._gape, 0.0)
        share = np.clip(opened / 0.04, 0, 1)
        if share <= 0:
            return image
        mask = np.zeros(image.shape[:2], np.uint8)
        outline = np.rint(points[list(_MOUTH)] * 16).astype(np.int32)
        cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, 4)
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.012 * self._width, 0.7)) * (share / 255.0)
        lips = cv2.mean(image, mask)[0]
        return np.asarray(image + soft * (0.4 * lips - image), np.uint8)

    def _pose(self, course: FilmCourse, i: int) -> NDArray[np.float64]:
        """Return the matrix (2, 3) of head roll, nearness and place about the face's middle."""
        x, y = (float(value) for value in self.middle)
        matrix = cv2.getRotationMatrix2D(
            (x, y), float(np.degrees(course.roll[i])), float(course.zoom[i])
        )
        matrix[:, 2] += course.shift[i] * self._width
        return matrix


#: Share of the frame's side that the face is wide, and how far a turn moves it, in its widths.
_FACE, _ASIDE = 0.48, 0.15


class PortraitFace:
    """Renders the portrait with one expression as it moves; it does not turn, but moves aside."""

    def __init__(self, face: MadeFace, expression: str, size: int) -> None:
        """Take the portrait.

        :param expression: one of ``FER_CLASSES``.
        :param size: side of the frames in pixels.
        """
        self._face, self._expression, self._size = face, expression, size
        self.width = _FACE * size

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
        matrix = cv2.getRotationMatrix2D((x, y), float(np.degrees(course.roll[i])), zoom)
        aside = (course.shift[i] + _ASIDE * course.turn[i]) * self.width
        matrix[:, 2] += self.middle - (x, y) + aside
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
