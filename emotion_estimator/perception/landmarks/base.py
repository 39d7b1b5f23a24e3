"""The interface of both landmark sources, and the warm-up and the reset that they share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from emotion_estimator.emotion import FloatArray, Roi
from emotion_estimator.errors import first_line
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.runtimes import quiet

_FACE = Path(__file__).resolve().parents[2] / 'sources' / 'data' / 'astronaut.jpg'


@dataclass(frozen=True, eq=False)
class FaceLandmarks:
    """One detected face.

    :param landmarks: float32 (478, 3); x and y in pixels of the frame, z in pixels as MediaPipe
        scales it (by image width, smaller is nearer).
    :param blendshapes: float32 (52,), 0 to 1, in ``BLENDSHAPE_NAMES`` order.
    :param roi: bounding box of the landmarks, clipped to the frame.
    """

    landmarks: FloatArray
    blendshapes: FloatArray
    roi: Roi


class Landmarker(Protocol):
    """Finds the faces in a frame; tracks them between frames unless opened for still images."""

    name: str

    def __call__(self, frame: Frame) -> tuple[FaceLandmarks, ...]:
        """Return the faces in ``frame``; an empty tuple if there are none."""
        ...

    def reset(self) -> None:
        """Forget the previous frames: time jumped, or another stream starts."""
        ...

    def close(self) -> None:
        """Free the graph's memory and threads."""
        ...


def bounding_roi(landmarks: FloatArray, width: int, height: int) -> Roi | None:
    """Return the bounding box of landmarks in integer pixels, clipped to the frame.

    :param landmarks: (N, 2 or more); x and y in pixels.
    :param width: frame width in pixels.
    :param height: likewise.
    :returns: None if no part of the box lies in the frame, or a landmark is not finite.
    """
    # Column by column, which NumPy reduces several times as fast as rows of three.
    x, y = landmarks[:, 0], landmarks[:, 1]
    sides = float(x.min()), float(x.max()), float(y.min()), float(y.max())
    if not all(map(math.isfinite, sides)):
        return None
    left = min(max(math.floor(sides[0]), 0), width)
    right = min(max(math.ceil(sides[1]), 0), width)
    top = min(max(math.floor(sides[2]), 0), height)
    bottom = min(max(math.ceil(sides[3]), 0), height)
    if right <= left or bottom <= top:
        return None
    return Roi(x=left, y=top, width=right - left, height=bottom - top)


@cache
def _images() -> tuple[RgbImage, RgbImage]:
    picture = cv2.imread(str(_FACE))
    if picture is None:
        # The source works without it, but its first face is logged to standard error.
        return np.zeros((256, 256, 3), np.uint8), np.zeros((256, 256, 3), np.uint8)
    face = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
    # The second is empty, so that the tracked face is lost and leaves nothing behind.
    return face, np.zeros_like(face)


def warm_up(process: Callable[[RgbImage], Any]) -> None:
    """Call ``process`` with a face and then with an empty image, uint8 (H, W, 3) RGB, silently."""
    with quiet():
        for image in _images():
            process(image)


def difference(one: Callable[[RgbImage], Any], other: Callable[[RgbImage], Any]) -> str:
    """Return how the first of two calls differs in what it finds in a face; empty if it does not.

    :param one: returns a sequence of arrays, or of tuples of arrays, given uint8 (H, W, 3) RGB;
        so does ``other``. It may raise anything.
    """
    image = _images()[0]
    wanted = list(other(image))
    try:
        found = list(one(image))
    except Exception as error:
        return f'its graph fails: {first_line(error)}'
    same = len(found) == len(wanted) and all(
        np.array_equal(a, b)
        for face, its in zip(found, wanted)
        for a, b in zip(_arrays(face), _arrays(its))
    )
    return '' if same else 'its graph answers differently'


def _arrays(face: Any) -> tuple[Any, ...]:
    return face if isinstance(face, tuple) else (face,)


def forget(process: Callable[[RgbImage], Any]) -> None:
    """Call ``process`` with an empty image, so that every tracked face is lost.

    As good as a new graph, whose answers to the same frames are the same, and takes milliseconds.
    """
    process(_images()[1])
