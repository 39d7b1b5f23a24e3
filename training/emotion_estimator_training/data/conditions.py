"""Stills made harder: smaller, blurred, darker, turned; and how far faces are turned away."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.engagement import turned_away

Images = NDArray[np.uint8]
Change = Callable[[Images], Images]

#: Angles at which faces turned away are told apart, degrees.
YAW_EDGES = (0.0, 10.0, 20.0, 30.0, 91.0)


def smaller(side: int) -> Change:
    """Return a change that brings the still down to ``side`` pixels and up again."""
    def change(still: Images) -> Images:
        small = cv2.resize(still, (side, side), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, still.shape[::-1], interpolation=cv2.INTER_CUBIC),
                          np.uint8)

    return change


def blurred(sigma: float) -> Change:
    """Return a change that blurs by a Gaussian of ``sigma`` pixels of the still."""
    return lambda still: np.asarray(cv2.GaussianBlur(still, (0, 0), sigma), np.uint8)


def lit(gain: float) -> Change:
    """Return a change that multiplies the light; what leaves 0 to 255 is clipped."""
    return lambda still: np.clip(np.rint(still * gain), 0, 255).astype(np.uint8)


def rolled(degrees: float) -> Change:
    """Return a change that turns the still in its plane; its edge goes on beyond its border."""
    def change(still: Images) -> Images:
        height, width = still.shape
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        return np.asarray(cv2.warpAffine(
            still, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        ), np.uint8)

    return change


#: By what changes and how much. A FER2013 still is 48 pixels wide, most of them face.
CONDITIONS: dict[str, dict[str, Change]] = {
    'size of the still': {'32 pixels': smaller(32), '24 pixels': smaller(24),
                          '16 pixels': smaller(16)},
    'blur': {'sigma 1 pixel': blurred(1.0), 'sigma 2 pixels': blurred(2.0)},
    'brightness': {'a quarter': lit(0.25), 'half': lit(0.5), 'half as much again': lit(1.5)},
    'roll': {'15 degrees': rolled(15.0), '30 degrees': rolled(30.0), '45 degrees': rolled(45.0)},
}


def yaw_bins(landmarks: NDArray[np.float32]) -> dict[str, NDArray[np.bool_]]:
    """Return which faces are turned away how far, yaw and pitch together.

    :param landmarks: (N, 478, 3), in pixels of any scale.
    :returns: by a name of the bin, bool (N,).
    """
    angles = np.array([turned_away(one) for one in landmarks])
    return {
        f'{low:.0f} to {high:.0f} degrees' if high < 91 else f'over {low:.0f} degrees':
            (angles >= low) & (angles < high)
        for low, high in pairwise(YAW_EDGES)
    }
