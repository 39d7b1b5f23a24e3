"""How expressions move a face's points, taken from labelled stills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.perception.alignment import rigid_frame

Points = NDArray[np.float32]

#: Stills that one movement is the mean of: enough to hide who they are, few enough to differ.
_OF = 12


@dataclass(frozen=True, eq=False)
class Shapes:
    """Faces in a frame of their own: no place, no size, no roll.

    :param points: by class, float32 (N, 478, 2), in units of the rigid points' size.
    """

    points: dict[str, Points]

    @classmethod
    def of(cls, landmarks: Points, labels: list[str]) -> Shapes:
        """Take the shapes of faces.

        :param landmarks: (N, 478, 2 or more), in pixels.
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

        :raises InputError: there are no faces of that class.
        """
        if label not in self.points:
            raise InputError(f'there is no {label} face among the stills to learn movements from')
        shift = self._mean(label, rng) - self._mean('neutral', rng)
        other = shift[self._mirror()] * np.float32((-1, 1))
        return np.asarray((shift + other) / 2, np.float32)

    def _mean(self, label: str, rng: np.random.Generator) -> Points:
        points = self.points[label]
        chosen = rng.choice(len(points), min(_OF, len(points)), replace=False)
        return points[chosen].mean(axis=0)

    def _mirror(self) -> NDArray[np.int64]:
        """Return each point's counterpart on the other side."""
        mean = self.points['neutral'].mean(axis=0)
        mean = mean - np.float32((mean[:, 0].mean(), 0))
        flipped = mean * np.float32((-1, 1))
        return ((flipped[:, None] - mean[None]) ** 2).sum(axis=-1).argmin(axis=1)


def own_frame(landmarks: Points) -> Points:
    """Return landmarks (..., 478, 2) without place, size and roll."""
    points = np.asarray(landmarks[..., :2], np.float32)
    centre, size, across = rigid_frame(points)
    moved = (points - centre[..., None, :]) / np.maximum(size, 1e-6)[..., None, None]
    cosine, sine = across[..., 0, None], across[..., 1, None]
    x, y = moved[..., 0], moved[..., 1]
    return np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=-1)


def in_picture(movement: Points, landmarks: Points) -> Points:
    """Return a movement (478, 2) in pixels of a face's picture."""
    _, size, (cosine, sine) = rigid_frame(np.asarray(landmarks[:, :2], np.float32))
    x, y = movement[:, 0], movement[:, 1]
    return float(size) * np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)
