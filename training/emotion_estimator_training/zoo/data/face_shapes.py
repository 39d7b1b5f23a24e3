"""How expressions move landmarks: faces without pose and proportions, and what differs in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import NEUTRAL
from emotion_estimator.errors import InputError
from emotion_estimator.perception.face_crop import rigid_frame

Points = NDArray[np.float32]

#: Number of similar stills whose mean is one movement: enough to hide their identity, few enough
#: to differ. Similar, since the mean of shouting and of pressed lips is neither.
_SIMILAR = 6
#: Landmarks that expressions hardly move: eye corners, nose, temples, forehead, sides.
_STEADY = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 127, 356, 234, 454, 10, 93, 323, 21, 251)

#: Factors on x and y that mirror a face.
_MIRRORED = np.array((-1, 1), np.float32)

# Landmarks by their place in the face.
RIGHT_CHEEK, LEFT_CHEEK = 234, 454
#: The upper lids, and the points of the lower lids that they fall on.
UPPER_LIDS = (159, 158, 157, 160, 161, 173, 246, 386, 385, 384, 387, 388, 398, 466)
LOWER_LIDS = (145, 153, 154, 144, 163, 155, 7, 374, 380, 381, 373, 390, 382, 249)
#: Top and bottom of the lips' inner edge.
MOUTH_TOP, MOUTH_BOTTOM = 13, 14


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

    def mean_movements(self) -> dict[str, Points]:
        """Return the mean movement (478, 2) from neutral to each other class."""
        return {
            label: self._expressed(np.asarray(points.mean(axis=0), np.float32))
            for label, points in self.points.items()
            if label != NEUTRAL
        }

    def own_movement(self, landmarks: Points) -> Points:
        """Return the movement (478, 2) from neutral to a face (478, 3) in pixels."""
        return self._expressed(own_frame(landmarks))

    def _expressed(self, points: Points) -> Points:
        return expressed(points, self._neutral())

    def _neutral(self) -> Points:
        return np.asarray(self.points[NEUTRAL].mean(axis=0), np.float32)

    def _mirror(self) -> NDArray[np.int64]:
        """Return the index of each point's counterpart on the other side."""
        mean = self._neutral()[:, :2]
        mean = mean - np.array((mean[:, 0].mean(), 0), np.float32)
        flipped = mean * _MIRRORED
        return np.asarray(np.square(flipped[:, None] - mean[None]).sum(axis=-1).argmin(axis=1))


def expressed(points: Points, neutral: Points) -> Points:
    """Return the displacement (478, 2) of points from those of a neutral face in the same pose.

    Head turns and facial proportions are removed by the affine map from the neutral face that fits
    the steady points best.

    :param points: (478, 3), see :func:`own_frame`, as for ``neutral``.
    """
    known = np.hstack([neutral, np.ones((len(neutral), 1), np.float32)])
    steady = list(_STEADY)
    fit = np.linalg.lstsq(known[steady], points[steady, :2], rcond=None)[0]
    return np.asarray(points[:, :2] - known @ fit, np.float32)


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
