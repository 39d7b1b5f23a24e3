"""Find faces in a still that are too small for the detector, in tiles of a fixed size.

MediaPipe's detector sees an image in 128 pixels, in which a face must take about a tenth of the
side. A face of 20 pixels is found in tiles of 144 pixels, of which a large picture has hundreds;
some of them show something that only looks like a face. Each find is therefore looked at a second
time, in an enlarged crop around it: what is no face is hardly ever found again there, or the mesh
does not lie on it (:class:`.upright.UprightNetwork`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from emotion_estimator.emotion import Roi, overlap
from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.landmarks.base import FaceLandmarks, Landmarker
from emotion_estimator.perception.landmarks.source import SAME_FACE, StillView, faces_in_view
from emotion_estimator.perception.upright import SURE, UprightNetwork

#: Side of the smallest tiles in pixels. A face of half that side is complete in one of them.
_TILE = 144
#: Tiles of up to this share of the longer side; ``find_faces`` searches larger ones anyway.
_LARGEST_SHARE = 0.4
#: Side of tiles and of faces, in pixels, to which both are enlarged.
_LEAST_SIDE = 192
#: Side of the crop for the second look, in sides of the face.
_CROP = 3.0


def find_small_faces(
    landmarker: Landmarker,
    image: RgbImage,
    network: UprightNetwork | None,
    known: Iterable[Roi] = (),
) -> tuple[FaceLandmarks, ...]:
    """Return the small upright faces in a still image, the largest first.

    It takes time in proportion to the image's area: about 190 runs of the landmark source for
    1280x720 pixels.

    :param landmarker: opened for still images (``static``).
    :param image: uint8 (H, W, 3) RGB.
    :param network: rejects what is no face; None leaves that to the second look alone.
    :param known: boxes of the faces that are found already.
    """
    taken = list(known)
    found: list[tuple[float, FaceLandmarks]] = [
        each for view in _tiles(image) for each in faces_in_view(landmarker, view, image)
    ]
    kept: list[FaceLandmarks] = []
    for _, face in sorted(found, key=lambda pair: -pair[0]):
        if all(overlap(face.roi, roi) < SAME_FACE for roi in taken):
            seen = _second_look(landmarker, image, face.roi, network)
            if seen is not None and all(overlap(seen.roi, roi) < SAME_FACE for roi in taken):
                kept.append(seen)
                taken.append(seen.roi)
    return tuple(sorted(kept, key=lambda face: -face.roi.area))


def _tiles(image: RgbImage) -> Iterator[StillView]:
    """Yield square tiles, of which neighbours overlap by half, in sides of 144, 288, 576, ..."""
    height, width = image.shape[:2]
    longest = max(height, width)
    side = _TILE
    while side < longest and (side == _TILE or side < _LARGEST_SHARE * longest):
        for top in _starts(height, side):
            for left in _starts(width, side):
                yield _view(image, left, top, left + side, top + side, _LEAST_SIDE / side)
        side *= 2


def _starts(length: int, side: int) -> list[int]:
    room = max(length - side, 0)
    steps = math.ceil(2 * room / side)
    return [round(step * room / max(steps, 1)) for step in range(steps + 1)]


def _view(image: RgbImage, left: int, top: int, right: int, bottom: int, scale: float) -> StillView:
    """Return the part of an image inside a box, enlarged by ``scale`` if that is above 1."""
    left, top = max(left, 0), max(top, 0)
    part = image[top:bottom, left:right]
    if scale <= 1:
        return StillView(np.ascontiguousarray(part), left, top, 1)
    larger = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return StillView(np.asarray(larger, np.uint8), left, top, scale)


def _second_look(
    landmarker: Landmarker, image: RgbImage, roi: Roi, network: UprightNetwork | None
) -> FaceLandmarks | None:
    """Return the face as it is found in an enlarged crop around it; None if it is none."""
    side = max(roi.width, roi.height)
    x, y = roi.x + roi.width / 2, roi.y + roi.height / 2
    reach = _CROP / 2 * side
    view = _view(
        image,
        math.floor(x - reach),
        math.floor(y - reach),
        math.ceil(x + reach),
        math.ceil(y + reach),
        _LEAST_SIDE / side,
    )
    same = [
        (overlap(face.roi, roi), face)
        for _, face in faces_in_view(landmarker, view, image)
        if overlap(face.roi, roi) >= SAME_FACE
    ]
    if not same:
        return None
    _, face = max(same, key=lambda pair: pair[0])
    in_view = face.landmarks.copy()
    in_view[:, :2] -= np.array([view.left, view.top], np.float32)
    if network is not None and network(view.image, in_view * np.float32(view.scale)) < SURE:
        return None
    return face
