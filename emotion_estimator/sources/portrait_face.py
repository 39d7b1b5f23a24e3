"""The portrait's face: its points in ``data/astronaut.jpg``, and how expressions move them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

#: The head's roll towards the viewer's right.
ROLL = np.radians(2.7)

#: The part of the picture that changes: x, y, width, height.
PATCH = (168, 56, 118, 142)

#: Mouth contours from the left corner to the right one.
UPPER_LIP_TOP: Points = np.array([
    (202.3, 138.8), (206.0, 139.0), (209.0, 139.3), (212.0, 139.6), (215.0, 139.8),
    (218.0, 139.8), (222.5, 140.3), (227.0, 139.8), (230.0, 139.8), (234.0, 139.7),
    (238.0, 139.8), (241.0, 139.9), (244.6, 140.2),
])  # fmt: skip
UPPER_LIP_EDGE: Points = np.array([
    (202.8, 139.3), (206.0, 140.3), (209.0, 141.1), (212.0, 142.0), (215.0, 143.0),
    (218.0, 143.6), (222.0, 144.0), (226.0, 143.6), (230.0, 143.2), (234.0, 142.4),
    (238.0, 141.5), (241.0, 140.9), (243.7, 140.7),
])  # fmt: skip
LOWER_LIP_EDGE: Points = np.array([
    (203.2, 140.1), (205.5, 142.8), (208.0, 145.2), (211.0, 147.0), (214.0, 148.4),
    (217.0, 149.0), (222.5, 149.4), (226.0, 149.2), (229.0, 148.8), (232.0, 147.7),
    (235.0, 146.4), (238.5, 144.4), (243.6, 141.1),
])  # fmt: skip
LOWER_LIP_BOTTOM: Points = np.array([
    (203.3, 140.9), (206.0, 144.5), (208.0, 147.0), (210.0, 149.8), (213.0, 152.0),
    (216.0, 153.4), (222.5, 154.4), (227.0, 154.3), (230.0, 153.5), (233.0, 152.2),
    (236.0, 150.4), (239.5, 147.3), (244.0, 141.9),
])  # fmt: skip

#: Lids from the left corner to the right one; the lower contour without the corners.
LEFT_LID_UPPER: Points = np.array([
    (193.3, 101.3), (195.5, 99.5), (198.0, 98.4), (201.0, 97.5), (204.0, 97.3), (206.7, 97.8),
    (209.2, 99.2), (211.0, 101.0), (212.6, 103.0),
])  # fmt: skip
LEFT_LID_LOWER: Points = np.array([
    (195.5, 101.9), (198.0, 102.8), (201.0, 103.8), (204.0, 104.3), (207.0, 104.2),
    (209.5, 103.9), (211.2, 103.5),
])  # fmt: skip
RIGHT_LID_UPPER: Points = np.array([
    (236.8, 104.6), (239.0, 102.7), (241.5, 101.1), (244.0, 100.2), (247.0, 99.8), (250.0, 100.1),
    (253.0, 101.3), (255.6, 102.6), (258.0, 103.8),
])  # fmt: skip
RIGHT_LID_LOWER: Points = np.array([
    (239.0, 105.1), (242.0, 105.5), (245.0, 105.9), (248.0, 106.1), (251.0, 105.6),
    (253.5, 105.0), (255.8, 104.4),
])  # fmt: skip

#: Brows from the nose outwards.
LEFT_BROW: Points = np.array([
    (213.0, 92.2), (210.0, 91.0), (206.5, 90.0), (202.0, 88.9), (197.5, 88.2), (193.5, 89.0),
    (189.8, 90.0),
])  # fmt: skip
RIGHT_BROW: Points = np.array([
    (238.5, 92.7), (242.5, 92.4), (247.0, 92.0), (251.0, 91.7), (255.0, 92.0), (258.5, 93.3),
    (261.5, 95.0),
])  # fmt: skip

#: Points that only the dropping jaw moves: hairline, sides, nose.
FIXED: Points = np.array([
    (190.0, 78.0), (206.0, 74.0), (222.0, 73.0), (240.0, 76.0), (256.0, 82.0), (182.0, 92.0),
    (182.0, 106.0), (183.0, 120.0), (186.0, 140.0), (193.0, 158.0), (206.0, 172.0),
    (268.0, 100.0), (268.0, 112.0), (266.0, 126.0), (261.0, 144.0), (252.0, 161.0),
    (239.0, 173.0), (225.0, 101.0), (224.5, 112.0), (223.5, 121.0), (213.0, 127.0),
    (234.5, 128.5), (223.5, 133.5),
])  # fmt: skip

#: Centre of each cheek, centre of the chin, and edge of the chin.
CHEEKS: Points = np.array([(197.0, 121.0), (251.0, 123.5)])
CHIN: Points = np.array([(221.5, 163.0)])
JAW: Points = np.array([(221.0, 177.0)])
#: The neck above the collar: the limit of what the dropping jaw moves.
NECK: Points = np.array([
    (197.0, 178.0), (205.0, 183.0), (213.0, 186.0), (222.0, 187.5), (232.0, 187.0),
    (241.0, 184.0), (249.0, 179.0),
])  # fmt: skip

#: The smile's folds, from the wings of the nose past the corners of the mouth.
FOLDS: tuple[Points, ...] = (
    np.array([(205.0, 127.5), (202.0, 130.5), (198.5, 133.5), (196.5, 136.0), (195.5, 140.0)]),
    np.array([(241.5, 129.0), (245.0, 132.5), (248.0, 136.0), (249.5, 140.0), (249.0, 144.0)]),
)


_RIGHT = np.array([np.cos(ROLL), np.sin(ROLL)])
_DOWN = np.array([-np.sin(ROLL), np.cos(ROLL)])
#: Origin of the mouth's coordinates: midway between the corners of the smile.
_MOUTH = np.array([223.2, 139.8])

#: Share of an open mouth's opening by which the upper lip rises; the lower one moves with the jaw.
_UPPER_SHARE = 0.2


@dataclass(frozen=True)
class Expression:
    """One expression; lengths in pixels of the picture, y down.

    The action units (AU) are those of FACS (Ekman and Friesen 1978).

    :param mouth: the closed mouth; None keeps the smile.
    :param brow_inner: displacement (towards the nose, down) of the brows' inner ends; AU 1 and 4.
    :param brow_outer: displacement of their outer ends; AU 2.
    :param upper_lid: fraction of the eye's opening that the upper lid covers, 0 to 1; AU 43, 45.
    :param lower_lid: fraction that the lower lid covers; negative lowers it.
    :param cheeks: how far the cheeks sink compared with the smile; AU 6 relaxed.
    :param chin: how far the chin rises; AU 17.
    :param jaw: how far the jaw drops; AU 26.
    """

    mouth: Mouth | None = None
    brow_inner: tuple[float, float] = (0.0, 0.0)
    brow_outer: tuple[float, float] = (0.0, 0.0)
    upper_lid: float = 0.0
    lower_lid: float = 0.0
    cheeks: float = 0.0
    chin: float = 0.0
    jaw: float = 0.0


@dataclass(frozen=True)
class Mouth:
    """Lips, closed unless ``opening`` is given; lengths in pixels of the picture.

    :param half_width: from the centre to a corner.
    :param seam: how far the centre of the line between the lips lies below the smile's corners.
    :param drop: how far the corners lie below that centre; AU 15.
    :param upper: height of the upper lip at the centre.
    :param lower: height of the lower lip at the centre.
    :param opening: distance between the lips at the centre; AU 25.
    """

    half_width: float
    seam: float
    drop: float
    upper: float
    lower: float
    opening: float = 0.0

    def seam_at(self, u: Points) -> Points:
        """Return the line between the lips at ``u`` (n,), -1 left corner to 1 right: (n, 2).

        Of an open mouth it is the upper lip's lower edge.
        """
        return self._place(u, self._line(u) - _UPPER_SHARE * self._gap(u))

    def lower_edge_at(self, u: Points) -> Points:
        """Return the lower lip's upper edge at ``u``: (n, 2)."""
        return self._place(u, self._line(u) + (1.0 - _UPPER_SHARE) * self._gap(u))

    def contours(self, u: Points) -> tuple[Points, Points]:
        """Return the upper lip's top and the lower lip's bottom at ``u``: two arrays (n, 2)."""
        line, gap = self._line(u), self._gap(u)
        bow = (1.0 - np.abs(u) ** 1.7) * (1.0 - 0.14 * np.exp(-((u / 0.13) ** 2)))
        bowl = (1.0 - u**2) ** 0.9
        return (
            self._place(u, line - _UPPER_SHARE * gap - self.upper * bow),
            self._place(u, line + (1.0 - _UPPER_SHARE) * gap + self.lower * bowl),
        )

    def _line(self, u: Points) -> Points:
        return np.asarray(self.seam + self.drop * np.abs(u) ** 2.2)

    def _gap(self, u: Points) -> Points:
        return np.asarray(self.opening * np.clip(1.0 - u**2, 0.0, None) ** 0.7)

    def _place(self, u: Points, below: Points) -> Points:
        across = np.asarray(u * self.half_width)
        return np.asarray(_MOUTH + across[:, None] * _RIGHT + below[:, None] * _DOWN)


NEUTRAL_FACE = Expression(
    mouth=Mouth(half_width=17.9, seam=8.6, drop=1.85, upper=3.3, lower=6.0),
    brow_inner=(0.0, 0.8),
    brow_outer=(-0.2, -1.2),
    lower_lid=-0.12,
    cheeks=4.0,
    chin=0.9,
)

SAD_FACE = Expression(
    mouth=Mouth(half_width=16.6, seam=9.6, drop=3.8, upper=4.8, lower=5.6),
    brow_inner=(3.4, -6.2),
    brow_outer=(0.8, 2.2),
    upper_lid=0.6,
    lower_lid=0.12,
    cheeks=2.2,
    chin=1.5,
)


def _speaking(jaw: float, mouth: Mouth) -> Expression:
    """Return the neutral face with another mouth and the jaw dropped."""
    return replace(NEUTRAL_FACE, mouth=mouth, jaw=jaw, chin=0.4)


#: Mouths of a person who speaks with a neutral face: an open vowel, a rounded and a spread one.
VOWELS: dict[str, Expression] = {
    'open': _speaking(5.0, Mouth(16.6, seam=8.9, drop=1.7, upper=3.3, lower=5.6, opening=8.6)),
    'round': _speaking(3.0, Mouth(13.0, seam=8.8, drop=1.2, upper=4.2, lower=6.2, opening=5.6)),
    'spread': _speaking(2.8, Mouth(18.0, seam=8.6, drop=1.6, upper=3.0, lower=5.6, opening=5.6)),
}

#: What the picture's smile can be changed to.
PORTRAIT_EXPRESSIONS: dict[str, Expression] = {
    'neutral': NEUTRAL_FACE,
    'sad': SAD_FACE,
    **VOWELS,
    'blink': Expression(upper_lid=0.92, lower_lid=0.05),
}


def controls(expression: Expression) -> tuple[Points, Points]:
    """Return the control points of the picture and where ``expression`` moves them: (n, 2) each."""
    pairs = [*_mouth(expression.mouth), *_eyes(expression), *_brows(expression)]
    pairs.append((CHEEKS, CHEEKS + expression.cheeks * _DOWN))
    pairs.append((CHIN, CHIN + (expression.jaw - expression.chin) * _DOWN))
    pairs.append((JAW, JAW + (expression.jaw - 0.3 * expression.chin) * _DOWN))
    # The jaw line follows the chin, the less the higher it is.
    follows = np.where(FIXED[:, 1] > 150.0, (FIXED[:, 1] - 150.0) / (JAW[0, 1] - 150.0), 0.0) ** 1.5
    pairs.append((FIXED, FIXED + expression.jaw * follows[:, None] * _DOWN))
    if expression.jaw:
        pairs.append((NECK, NECK))
    return np.vstack([p for p, _ in pairs]), np.vstack([q for _, q in pairs])


def movable(expression: Expression) -> Points:
    """Return the outline of what may move, (n, 2): not hair, collar or the cut-out's edge."""
    neck = [NECK] if expression.jaw else []
    hull = cv2.convexHull(np.vstack([FIXED, JAW, *neck]).astype(np.float32))
    return np.asarray(hull[:, 0], np.float64)


def openings() -> tuple[Points, ...]:
    """Return the outlines of the mouth, including the lips, and of the eyes, each (n, 2)."""
    return (
        np.vstack([UPPER_LIP_TOP, LOWER_LIP_BOTTOM[::-1]]),
        np.vstack([LEFT_LID_UPPER, LEFT_LID_LOWER[::-1]]),
        np.vstack([RIGHT_LID_UPPER, RIGHT_LID_LOWER[::-1]]),
    )


def _mouth(mouth: Mouth | None) -> list[tuple[Points, Points]]:
    lines = [UPPER_LIP_TOP, UPPER_LIP_EDGE, LOWER_LIP_EDGE, LOWER_LIP_BOTTOM]
    if mouth is None:
        return [(line, line) for line in lines]
    along = [_along(line) for line in lines]
    top, _ = mouth.contours(along[0])
    _, bottom = mouth.contours(along[3])
    return list(zip(lines, [top, mouth.seam_at(along[1]), mouth.lower_edge_at(along[2]), bottom]))


def _along(line: Points) -> Points:
    """Return each point's position between the line's ends, -1 to 1, projected on the chord."""
    chord = line[-1] - line[0]
    return np.asarray(2.0 * ((line - line[0]) @ chord) / (chord @ chord) - 1.0)


def _eyes(expression: Expression) -> list[tuple[Points, Points]]:
    pairs = []
    for upper, lower in (
        (LEFT_LID_UPPER, LEFT_LID_LOWER),
        (RIGHT_LID_UPPER, RIGHT_LID_LOWER),
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
    for brow, inwards in ((LEFT_BROW, _RIGHT), (RIGHT_BROW, -_RIGHT)):
        # The pull of the inner end fades faster than linearly, so that the brow bends.
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
