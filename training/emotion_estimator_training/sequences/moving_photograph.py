"""Stills whose faces move as a course says: their landmarks, and the photograph itself."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.sequences.mouth_courses import MOVEMENTS, MouthCourse

Points = NDArray[np.float32]
Image = NDArray[np.uint8]

_RIGHT_CHEEK, _LEFT_CHEEK, _CHIN = 234, 454, 152
# fmt: off
_LOWER_LIP = (146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324)
_UPPER_LIP = (
    185, 40, 39, 37, 0, 267, 269, 270, 409, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)
_LIP_EDGES = ((185, 40, 39, 37, 0, 267, 269, 270, 409), (146, 91, 181, 84, 17, 314, 405, 321, 375))
_CORNERS = (61, 291)
_MORE_CORNERS = ((61, 78, 76, 62), (291, 308, 306, 292))
_CHIN_POINTS = (
    152, 148, 377, 176, 400, 175, 199, 200, 18, 83, 313, 171, 396, 208, 428, 201, 421, 149, 378,
    140, 369, 32, 262, 194, 418, 182, 406, 106, 335, 204, 424, 211, 431,
)
_CHEEKS = ((50, 205, 207, 187, 147), (280, 425, 427, 411, 376))
_UPPER_LIDS = (159, 158, 157, 160, 161, 173, 246, 386, 385, 384, 387, 388, 398, 466)
_LOWER_LIDS = (145, 153, 154, 144, 163, 155, 7, 374, 380, 381, 373, 390, 382, 249)
_MOUTH = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
# fmt: on

#: What the field of displacements moves; the rest of ``MOVEMENTS`` moves the whole picture.
WARPED = ('jaw', 'upper_lip', 'spread', 'smile', 'press', 'aside', 'lids', 'yaw', 'pitch')
#: How far pixels follow a landmark, in face widths.
_SPREAD = {'lids': 0.02, 'yaw': 0.12, 'pitch': 0.12, 'press': 0.025, 'upper_lip': 0.03, 'jaw': 0.06}
_USUAL_SPREAD = 0.045
#: Side of the grid on which displacement fields are computed.
_GRID = 64
#: Rounds in which a field is turned into where each moved pixel comes from.
_ROUNDS = 4
#: Darkness of the mouth's inside, relative to the lips, and opening at which it is seen at all.
_DARK, _SEEN = 0.4, 0.015
_NO_MAP: Any = None


class MovingLandmarks:
    """Moves the landmarks of a still.

    :param landmarks: (478, 3), in pixels.
    """

    def __init__(self, landmarks: Points) -> None:
        self.points = np.asarray(landmarks, np.float32)
        across = self.points[_LEFT_CHEEK, :2] - self.points[_RIGHT_CHEEK, :2]
        #: Width of the face in pixels.
        self.width = max(float(np.hypot(*across)), 1.0)
        self._right = across / self.width
        self._down = np.array([-self._right[1], self._right[0]], np.float32)
        #: How each unit of the movements in ``WARPED`` shifts the landmarks, in pixels.
        self.shifts = self._shifts()
        #: How far the mouth is open in the still, in face widths.
        self.gape = max(self.opening(self.points[:, :2]), 0.0)

    def __call__(self, course: MouthCourse, rng: np.random.Generator) -> Points:
        """Return the landmarks in each frame, as a landmark source sees them.

        :param rng: determines the noise, which differs from face to face.
        :returns: float32 (T, 478, 3), in pixels.
        """
        moves = {name: course.moves[:, i].astype(np.float32) for i, name in enumerate(MOVEMENTS)}
        moves['jaw'] = np.maximum(moves['jaw'], -self.gape)
        # Turned as the solid that it is, not as the picture is warped.
        flat = [name for name in WARPED if name not in ('yaw', 'pitch')]
        shares = np.stack([moves[name] for name in flat], axis=1)
        points = np.repeat(self.points[None], len(course.times), axis=0)
        moved = np.stack([self.shifts[WARPED.index(name)] for name in flat])
        points[..., :2] += np.tensordot(shares, moved, axes=1)
        middle = self.points.mean(axis=0) + np.array((0, 0, 0.3 * self.width))
        turned = np.einsum('tij,tpj->tpi', _turns(moves), points - middle)
        turned *= (1 + moves['nearer'])[:, None, None]
        # Landmark sources see depth less well than the rest, and worse in turned heads.
        turned[..., 2] *= rng.uniform(0.5, 1.3)
        aside = self.width * np.stack([moves['right'], moves['down'], 0 * moves['down']], axis=1)
        return np.asarray(turned + middle + aside[:, None] + self._noise(len(turned), rng), 'f4')

    def _noise(self, count: int, rng: np.random.Generator) -> Points:
        """Draw how landmarks tremble: neighbours together, some faces more than others."""
        size = self.width * rng.uniform(0.0005, 0.004)
        own = rng.normal(size=(count, 478, 3), scale=0.4)
        anchors = self.points[rng.choice(478, 12, replace=False), :2]
        near = np.square(self.points[:, None, :2] - anchors[None]).sum(axis=-1)
        weights = np.exp(-near / (2 * (0.15 * self.width) ** 2))
        together = np.einsum('tkc,pk->tpc', rng.normal(size=(count, 12, 3)), weights)
        return np.asarray(size * (own + together), np.float32)

    def opening(self, points: Points) -> float:
        """Return how far the lips are apart, in face widths."""
        return float((points[14] - points[13]) @ self._down) / self.width

    def _shifts(self) -> Points:
        """Return how each unit of movement shifts the landmarks: float32 (9, 478, 2), pixels."""
        points, right, down = self.points, self._right, self._down
        shifts = {name: np.zeros((len(points), 2), np.float32) for name in WARPED}
        corners = points[list(_CORNERS), :2]
        half = max(float(np.hypot(*(corners[1] - corners[0]))) / 2, 1.0)
        centre = corners.mean(axis=0)

        def along(which: tuple[int, ...]) -> Points:
            return np.asarray((points[list(which), :2] - centre) @ right / half, np.float32)

        def vault(which: tuple[int, ...]) -> Points:
            return np.asarray(np.clip(1 - along(which) ** 2, 0, 1)[:, None], np.float32)

        shifts['jaw'][list(_LOWER_LIP)] = vault(_LOWER_LIP) * down
        shifts['jaw'][list(_CHIN_POINTS)] = down
        shifts['upper_lip'][list(_UPPER_LIP)] = -vault(_UPPER_LIP) * down
        lips = (*_UPPER_LIP, *_LOWER_LIP)
        shifts['spread'][list(lips)] = along(lips)[:, None] * right
        for side, (near, cheeks) in enumerate(zip(_MORE_CORNERS, _CHEEKS)):
            sign = 1.0 if side else -1.0
            shifts['spread'][list(near)] = sign * right
            shifts['smile'][list(near)] = 0.7 * sign * right - 0.7 * down
            shifts['smile'][list(cheeks)] = -0.35 * down
        upper, lower = (list(edge) for edge in _LIP_EDGES)
        shifts['press'][upper], shifts['press'][lower] = down, -down
        shifts['aside'][list(_LOWER_LIP)] = vault(_LOWER_LIP) * right
        shifts['aside'][list(_CHIN_POINTS)] = right
        scaled = {name: shift * self.width for name, shift in shifts.items()}
        scaled['lids'][list(_UPPER_LIDS)] = (
            points[list(_LOWER_LIDS), :2] - points[list(_UPPER_LIDS), :2]
        )
        # Nearer points (smaller z) move further in the direction of the turn.
        depth = (points[:, 2] - points[:, 2].mean())[:, None]
        scaled['yaw'], scaled['pitch'] = -depth * right, -depth * down
        return np.stack([scaled[name] for name in WARPED])


class MovingPhotograph:
    """Renders a photograph whose face moves.

    :param picture: uint8 (S, S, 3), RGB, square.
    :param landmarks: (478, 3), in its pixels.
    """

    def __init__(self, picture: Image, landmarks: Points) -> None:
        self._picture, self._side = picture, len(picture)
        face = self._face = MovingLandmarks(landmarks)
        #: Width of the face in pixels.
        self.width = face.width
        self._fields = np.stack(
            [
                self._field(shift, _SPREAD.get(name, _USUAL_SPREAD) * face.width)
                for name, shift in zip(WARPED, face.shifts)
            ]
        )
        rows, columns = np.mgrid[: self._side, : self._side].astype(np.float32)
        self._identity = np.dstack([columns, rows])

    def __call__(self, course: MouthCourse, i: int) -> Image:
        """Return frame ``i`` of a course: uint8 (S, S, 3), RGB."""
        moves = dict(zip(MOVEMENTS, course.moves[i].tolist()))
        shares = np.array([moves[name] for name in WARPED], np.float32)
        # Lips cannot pass each other.
        shares[0] = max(shares[0], -self._face.gape)
        field = _inverted(np.tensordot(shares, self._fields, axes=1) * (_GRID / self._side))
        shift = cv2.resize(field, (self._side,) * 2, interpolation=cv2.INTER_LINEAR)
        image = cv2.remap(
            self._picture,
            self._identity - shift * (self._side / _GRID),
            _NO_MAP,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        points = self._face.points[:, :2] + np.tensordot(shares, self._face.shifts, axes=1)
        image = self._with_mouth(np.asarray(image, np.uint8), points)
        middle = tuple(float(v) for v in self._face.points[:, :2].mean(axis=0))
        matrix = cv2.getRotationMatrix2D(
            (middle[0], middle[1]), float(np.degrees(moves['roll'])), 1 + moves['nearer']
        )
        aside = self.width * np.array([moves['right'], moves['down']])
        matrix = np.hstack([matrix[:, :2], matrix[:, 2:] + aside[:, None]])
        return np.asarray(
            cv2.warpAffine(image, matrix, (self._side,) * 2, borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )

    def _field(self, shift: Points, spread: float) -> Points:
        """Return the field of displacements that spreads the points' shifts: (G, G, 2), pixels."""
        scale = self._side / _GRID
        centres = (np.arange(_GRID, dtype=np.float32) + 0.5) * scale - 0.5
        away_x = (centres[:, None] - self._face.points[:, 0]) ** 2
        away_y = (centres[:, None] - self._face.points[:, 1]) ** 2
        near_x, near_y = (np.exp(-away / (2 * spread**2)) for away in (away_x, away_y))
        weights = near_y[:, None, :] * near_x[None, :, :]
        field = weights @ shift / (weights.sum(axis=-1, keepdims=True) + 0.05)
        return np.asarray(field, np.float32)

    def _with_mouth(self, image: Image, points: Points) -> Image:
        """Darken the opening between the lips: a closed mouth has no inside to show."""
        share = np.clip((self._face.opening(points) - self._face.gape) / _SEEN, 0, 1)
        if share <= 0:
            return image
        mask = np.zeros(image.shape[:2], np.uint8)
        outline = np.rint(points[list(_MOUTH)] * 16).astype(np.int32)
        cv2.fillPoly(mask, [outline], (255,), cv2.LINE_AA, 4)
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.01 * self.width, 0.6)) * (share / 255.0)
        lips = np.array(cv2.mean(image, mask)[:3])
        return np.asarray(image + soft[..., None] * (_DARK * lips - image), np.uint8)


def _turns(moves: dict[str, Points]) -> Points:
    """Return the head's rotation in each frame: (T, 3, 3)."""
    yaw, pitch, roll = moves['yaw'], moves['pitch'], moves['roll']
    one, none = np.ones_like(yaw), np.zeros_like(yaw)

    def rows(*values: Points) -> Points:
        return np.stack(values, axis=-1).reshape(-1, 3, 3)

    about_y = rows(np.cos(yaw), none, -np.sin(yaw), none, one, none, np.sin(yaw), none, np.cos(yaw))
    about_x = rows(
        one, none, none, none, np.cos(pitch), -np.sin(pitch), none, np.sin(pitch), np.cos(pitch)
    )
    about_z = rows(
        np.cos(roll), np.sin(roll), none, -np.sin(roll), np.cos(roll), none, none, none, one
    )
    return about_z @ about_y @ about_x


def _inverted(field: Points) -> Points:
    """Return by how much what is now at each place has moved, from how much each place moves.

    :param field: float32 (G, G, 2), in cells of the grid.
    """
    rows, columns = np.mgrid[: len(field), : len(field)].astype(np.float32)
    here = np.dstack([columns, rows])
    moved = field
    for _ in range(_ROUNDS):
        found = cv2.remap(
            field, here - moved, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        moved = np.asarray(found, np.float32)
    return moved
