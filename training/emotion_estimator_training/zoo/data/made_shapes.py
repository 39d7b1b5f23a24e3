"""How expressions move a face's points, taken from labelled stills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.perception.alignment import rigid_frame

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
