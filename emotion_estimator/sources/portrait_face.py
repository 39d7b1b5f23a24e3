"""The portrait's expressions, as displacements of points of the face.

The picture itself is ``happy``. The others are described by what muscles do, in the terms of the
Facial Action Coding System (Ekman and Friesen 1978), in pixels of the picture, whose face is 90
pixels wide.

How sad the pixels get: at 30 frames per second the shipped classifier (2.0.0) labels the sad
stretch sad but for its first half second, at a probability that settles at 0.75 by the Face
Landmarker and 0.67 by the face mesh (the smile reaches 0.97). It took lids half fallen beside drawn
corners and raised inner brows. Corners drawn further look less sad to the face mesh, not more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotion_estimator.sources import portrait_points as face
from emotion_estimator.sources.portrait_points import Points

_RIGHT = np.array([np.cos(face.ROLL), np.sin(face.ROLL)])
_DOWN = np.array([-np.sin(face.ROLL), np.cos(face.ROLL)])
#: Origin of mouth coordinates: between the corners of the smile.
_MOUTH = np.array([223.2, 139.8])


@dataclass(frozen=True)
class Expression:
    """One expression; lengths in pixels of the picture, y down.

    :param mouth: None leaves the smile; else the closed mouth.
    :param brow_inner: displacement (towards the nose, down) of the brows' inner ends; AU 1 and 4.
    :param brow_outer: the same of their outer ends; AU 2.
    :param upper_lid: share of the eye's opening that the upper lid covers, 0 to 1; AU 43, 45.
    :param lower_lid: share that the lower lid covers; negative lowers it.
    :param cheeks: how far the cheeks sink from the smile; AU 6 relaxed.
    :param chin: how far the chin's boss rises; AU 17.
    """

    mouth: Mouth | None = None
    brow_inner: tuple[float, float] = (0.0, 0.0)
    brow_outer: tuple[float, float] = (0.0, 0.0)
    upper_lid: float = 0.0
    lower_lid: float = 0.0
    cheeks: float = 0.0
    chin: float = 0.0


@dataclass(frozen=True)
class Mouth:
    """Closed lips; lengths in pixels of the picture.

    :param half_width: from the middle to a corner.
    :param seam: how far the middle of the line between the lips lies below the smile's corners.
    :param drop: how far the corners lie below that middle; AU 15.
    :param upper: height of the upper lip in the middle.
    :param lower: height of the lower lip in the middle.
    """

    half_width: float
    seam: float
    drop: float
    upper: float
    lower: float

    def seam_at(self, u: Points) -> Points:
        """Return the line between the lips at ``u`` (n,), -1 left corner to 1 right: (n, 2)."""
        return self._place(u, self.seam + self.drop * np.abs(u) ** 2.2)

    def contours(self, u: Points) -> tuple[Points, Points]:
        """Return the upper lip's top and the lower lip's bottom at ``u``: two arrays (n, 2)."""
        line = self.seam + self.drop * np.abs(u) ** 2.2
        bow = (1.0 - np.abs(u) ** 1.7) * (1.0 - 0.14 * np.exp(-((u / 0.13) ** 2)))
        bowl = (1.0 - u**2) ** 0.9
        return self._place(u, line - self.upper * bow), self._place(u, line + self.lower * bowl)

    def _place(self, u: Points, below: Points) -> Points:
        across = np.asarray(u * self.half_width)
        return np.asarray(_MOUTH + across[:, None] * _RIGHT + below[:, None] * _DOWN)


NEUTRAL = Expression(
    mouth=Mouth(half_width=17.9, seam=8.6, drop=1.85, upper=3.3, lower=6.0),
    brow_inner=(0.0, 0.8),
    brow_outer=(-0.2, -1.2),
    lower_lid=-0.12,
    cheeks=4.0,
    chin=0.9,
)

SAD = Expression(
    mouth=Mouth(half_width=16.6, seam=9.6, drop=3.8, upper=4.8, lower=5.6),
    brow_inner=(3.4, -6.2),
    brow_outer=(0.8, 2.2),
    upper_lid=0.6,
    lower_lid=0.12,
    cheeks=2.2,
    chin=1.5,
)

BLINK = Expression(upper_lid=0.92, lower_lid=0.05)

EXPRESSIONS: dict[str, Expression] = {'neutral': NEUTRAL, 'sad': SAD, 'blink': BLINK}


def controls(expression: Expression) -> tuple[Points, Points]:
    """Return the control points (n, 2) of the picture and where ``expression`` puts them (n, 2)."""
    pairs = [*_mouth(expression.mouth), *_eyes(expression), *_brows(expression)]
    pairs.append((face.CHEEKS, face.CHEEKS + expression.cheeks * _DOWN))
    pairs.append((face.CHIN, face.CHIN - expression.chin * _DOWN))
    pairs.append((face.JAW, face.JAW - 0.3 * expression.chin * _DOWN))
    pairs.append((face.FIXED, face.FIXED))
    return np.vstack([p for p, _ in pairs]), np.vstack([q for _, q in pairs])


def openings() -> tuple[Points, ...]:
    """Return the outlines of the mouth, lips included, and of the eyes, each (n, 2)."""
    return (
        np.vstack([face.UPPER_LIP_TOP, face.LOWER_LIP_BOTTOM[::-1]]),
        np.vstack([face.LEFT_LID_UPPER, face.LEFT_LID_LOWER[::-1]]),
        np.vstack([face.RIGHT_LID_UPPER, face.RIGHT_LID_LOWER[::-1]]),
    )


def _mouth(mouth: Mouth | None) -> list[tuple[Points, Points]]:
    lines = [face.UPPER_LIP_TOP, face.UPPER_LIP_EDGE, face.LOWER_LIP_EDGE, face.LOWER_LIP_BOTTOM]
    if mouth is None:
        return [(line, line) for line in lines]
    along = [_along(line) for line in lines]
    top, _ = mouth.contours(along[0])
    _, bottom = mouth.contours(along[3])
    return list(zip(lines, [top, mouth.seam_at(along[1]), mouth.seam_at(along[2]), bottom]))


def _along(line: Points) -> Points:
    """Return each point's place between the line's ends, -1 to 1, as projected on the chord."""
    chord = line[-1] - line[0]
    return np.asarray(2.0 * ((line - line[0]) @ chord) / (chord @ chord) - 1.0)


def _eyes(expression: Expression) -> list[tuple[Points, Points]]:
    pairs = []
    for upper, lower in (
        (face.LEFT_LID_UPPER, face.LEFT_LID_LOWER),
        (face.RIGHT_LID_UPPER, face.RIGHT_LID_LOWER),
    ):
        opening = np.interp(upper[:, 0], lower[:, 0], lower[:, 1]) - upper[:, 1]
        opening[[0, -1]] = 0.0
        closed = upper + (expression.upper_lid * opening)[:, None] * [0.0, 1.0]
        depth = lower[:, 1] - np.interp(lower[:, 0], upper[:, 0], upper[:, 1])
        raised = lower - (expression.lower_lid * depth)[:, None] * [0.0, 1.0]
        pairs += [(upper, closed), (lower, raised)]
    return pairs


def _brows(expression: Expression) -> list[tuple[Points, Points]]:
    pairs = []
    for brow, inwards in ((face.LEFT_BROW, _RIGHT), (face.RIGHT_BROW, -_RIGHT)):
        # The pull of the inner end fades faster than linearly: the brow bends, not only tilts.
        inner = np.linspace(1.0, 0.0, len(brow)) ** 1.5
        outer = np.linspace(0.0, 1.0, len(brow)) ** 1.5
        move = np.zeros_like(brow)
        for share, (towards, down) in (
            (inner, expression.brow_inner),
            (outer, expression.brow_outer),
        ):
            move += share[:, None] * (towards * inwards + down * _DOWN)
        pairs.append((brow, brow + move))
    return pairs
