"""Find the small faces of a still image too, which MediaPipe's short-range detector overlooks.

The detector sees an image at 128x128 pixels (BlazeFace, arXiv 1907.05047), so a face below about
a fifth of the image's side gets lost. A still image has no next frame to wait for: it is searched
as a whole and in overlapping tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from emotion_estimator.emotion import overlap
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.landmarks.landmarks import FaceLandmarks, Landmarker, bounding_roi

#: Images below this many pixels are enlarged to it; a face needs some pixels and some border
#: (FER2013's 48-pixel faces are found in 92 % instead of 85 %).
_LEAST_SIDE = 192
#: Nothing is enlarged beyond so many pixels a side: a strip of two pixels would fill the memory.
_MOST_SIDE = 4096
_BORDER = 0.33
#: Tiles as a share of the image's sides, for images of at least so many pixels.
_TILES = ((0.6, 320), (0.4, 640))
_SAME_FACE = 0.3


@dataclass(frozen=True)
class _View:
    """A part of the image: pixel (x, y) of it is ``(x - left, y - top) * scale`` of ``image``."""

    image: RgbImage
    left: float
    top: float
    scale: float


def _views(image: RgbImage) -> Iterator[_View]:
    height, width = image.shape[:2]
    scale = min(_LEAST_SIDE / min(height, width), _MOST_SIDE / max(height, width))
    if scale > 1:
        border = round(_BORDER * _LEAST_SIDE)
        larger = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(larger, border, border, border, border, cv2.BORDER_CONSTANT)
        yield _View(np.asarray(framed, np.uint8), -border / scale, -border / scale, scale)
        return
    yield _View(image, 0, 0, 1)
    for share, least in _TILES:
        if max(height, width) < least:
            continue
        tall, wide = max(round(share * height), 1), max(round(share * width), 1)
        steps = round(1 / (1 - share)) + 1
        for top in np.linspace(0, height - tall, steps).astype(int).tolist():
            for left in np.linspace(0, width - wide, steps).astype(int).tolist():
                tile = np.ascontiguousarray(image[top : top + tall, left : left + wide])
                yield _View(tile, left, top, 1)


def _is_cut(face: FaceLandmarks, view: _View, image: RgbImage) -> bool:
    """Tell whether the face touches an edge of the view that is no edge of the image."""
    height, width = image.shape[:2]
    tall, wide = view.image.shape[0] / view.scale, view.image.shape[1] / view.scale
    roi = face.roi
    return (
        (view.left > 0 and roi.x <= view.left)
        or (view.top > 0 and roi.y <= view.top)
        or (view.left + wide < width and roi.x + roi.width >= view.left + wide)
        or (view.top + tall < height and roi.y + roi.height >= view.top + tall)
    )


def find_faces(landmarker: Landmarker, image: RgbImage) -> tuple[FaceLandmarks, ...]:
    """Return the faces of a still image, each once, the largest first.

    :param landmarker: one that takes every frame as an unrelated image.
    :param image: uint8 (H, W, 3) RGB.
    """
    height, width = image.shape[:2]
    found: list[tuple[float, FaceLandmarks]] = []
    for view in _views(image):
        for face in landmarker(Frame(view.image, 0.0)):
            landmarks = face.landmarks / np.float32(view.scale)
            landmarks[:, :2] += np.array([view.left, view.top], np.float32)
            roi = bounding_roi(landmarks, width, height)
            if roi is None:
                continue
            moved = FaceLandmarks(landmarks, face.blendshapes, roi)
            if not _is_cut(moved, view, image):
                # The larger a face in its view, the better it was seen.
                share = roi.height * view.scale / view.image.shape[0]
                found.append((share, moved))
    kept: list[FaceLandmarks] = []
    for _, face in sorted(found, key=lambda pair: -pair[0]):
        if all(overlap(face.roi, other.roi) < _SAME_FACE for other in kept):
            kept.append(face)
    return tuple(sorted(kept, key=lambda face: -face.roi.area))
