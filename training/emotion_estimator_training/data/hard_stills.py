"""Harder stills: covered, smaller, blurred, darker, rotated."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.primary_face import turned_away

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]
Change = Callable[[Images], Images]

#: Mesh points around a mask (nose, cheeks and jaw) and around glasses (brows and eyes).
_MASK = (
    5,
    50,
    123,
    93,
    58,
    172,
    136,
    150,
    149,
    176,
    148,
    152,
    377,
    400,
    378,
    379,
    365,
    397,
    288,
    323,
    352,
    280,
)
_GLASSES = (
    70,
    63,
    105,
    66,
    107,
    9,
    336,
    296,
    334,
    293,
    300,
    356,
    340,
    330,
    329,
    6,
    100,
    101,
    111,
    127,
)
#: By cover: the points it covers, and the grey of a paper mask and of dark glasses.
COVERS: dict[str, tuple[tuple[int, ...], int]] = {'mouth': (_MASK, 205), 'eyes': (_GLASSES, 25)}

#: Edges of the bins of how far faces are turned away, degrees.
YAW_EDGES = (0.0, 10.0, 20.0, 30.0, 91.0)


def covered(still: Images, landmarks: Floats, part: str) -> Images:
    """Return a still with the mouth or the eyes covered.

    :param still: uint8 (48, 48).
    :param landmarks: (478, 2), in pixels of the still.
    :param part: a key of ``COVERS``.
    """
    points, grey = COVERS[part]
    painted = still.copy()
    _fill_hull(painted, landmarks[list(points)], grey)
    return painted


def _fill_hull(image: Images, points: NDArray[Any], grey: int) -> None:
    """Fill the convex hull of points (N, 2), in pixels, in place."""
    hull = cv2.convexHull(points.astype(np.float32))
    # In sixteenths of a pixel, as fillConvexPoly needs integers.
    corners = np.rint(np.asarray(hull) * 16).astype(np.int32)
    cv2.fillConvexPoly(image, corners, (grey,), cv2.LINE_AA, 4)


def covered_by_chance(still: Images, landmarks: Floats, rng: np.random.Generator) -> Images:
    """Return a still with the mouth, the eyes or another part covered, for training.

    Unlike :func:`covered`, which is for evaluation, with a random grey, texture and outline.

    :param still: uint8 (48, 48).
    :param landmarks: (478, 2), in pixels of the still.
    """
    drawn = rng.random()
    if drawn < 0.8:
        points, _ = COVERS['mouth' if drawn < 0.4 else 'eyes']
        outline = landmarks[list(points)] + rng.normal(size=(len(points), 2)) * 1.2
    else:
        turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        shape = np.stack([np.cos(turn), np.sin(turn)], axis=1) * rng.uniform(6, 14, 2)
        outline = landmarks[rng.integers(len(landmarks))] + shape
    mask = np.zeros(still.shape, np.uint8)
    _fill_hull(mask, outline, 255)
    rough = rng.normal(size=still.shape) * rng.choice([0.0, rng.uniform(2, 25)])
    share = mask / 255
    painted = still * (1 - share) + (rng.uniform(0, 255) + rough) * share
    return np.asarray(np.clip(np.rint(painted), 0, 255), np.uint8)


def smaller(side: int) -> Change:
    """Return a change that shrinks the still to ``side`` pixels and enlarges it again."""

    def change(still: Images) -> Images:
        small = cv2.resize(still, (side, side), interpolation=cv2.INTER_AREA)
        return np.asarray(
            cv2.resize(small, still.shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8
        )

    return change


def blurred(sigma: float) -> Change:
    """Return a change that applies a Gaussian blur of ``sigma`` pixels."""
    return lambda still: np.asarray(cv2.GaussianBlur(still, (0, 0), sigma), np.uint8)


def lit(gain: float) -> Change:
    """Return a change that multiplies the brightness, clipped to 0 to 255."""
    return lambda still: np.clip(np.rint(still * gain), 0, 255).astype(np.uint8)


def rolled(degrees: float) -> Change:
    """Return a change that rotates the still in its plane; edge pixels are repeated outwards."""

    def change(still: Images) -> Images:
        height, width = still.shape
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        return np.asarray(
            cv2.warpAffine(
                still,
                matrix,
                (width, height),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            ),
            np.uint8,
        )

    return change


#: By what is changed and by how much. A FER2013 still is 48 pixels wide, mostly face.
CONDITIONS: dict[str, dict[str, Change]] = {
    'size of the still': {
        '32 pixels': smaller(32),
        '24 pixels': smaller(24),
        '16 pixels': smaller(16),
    },
    'blur': {'sigma 1 pixel': blurred(1.0), 'sigma 2 pixels': blurred(2.0)},
    'brightness': {'a quarter': lit(0.25), 'half': lit(0.5), 'half as much again': lit(1.5)},
    'roll': {'15 degrees': rolled(15.0), '30 degrees': rolled(30.0), '45 degrees': rolled(45.0)},
}


def yaw_bins(landmarks: NDArray[np.float32]) -> dict[str, NDArray[np.bool_]]:
    """Return which faces fall into each bin of ``YAW_EDGES``, by yaw and pitch together.

    :param landmarks: (N, 478, 3), in pixels of any scale.
    :returns: by name of the bin, bool (N,).
    """
    angles = np.array([turned_away(one) for one in landmarks])
    return {
        f'{low:.0f} to {high:.0f} degrees' if high < 91 else f'over {low:.0f} degrees': (
            angles >= low
        )
        & (angles < high)
        for low, high in pairwise(YAW_EDGES)
    }
