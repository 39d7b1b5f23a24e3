"""Choose and open a landmark source; find small faces in still images."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from emotion_estimator.emotion import overlap
from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.landmarks.base import FaceLandmarks, Landmarker, bounding_roi
from emotion_estimator.perception.landmarks.face_landmarker import (
    FACE_LANDMARKER_SHA256,
    FACE_LANDMARKER_URL,
    FaceLandmarker,
    face_landmarker_path,
    shipped_face_landmarker,
)
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator.runtimes import import_mediapipe, mediapipe_with_face_mesh
from emotion_estimator.untrusted import quote

#: Smaller images are enlarged to this side, in pixels, and get a border: it finds 92 % instead of
#: 85 % of FER2013's 48-pixel faces.
_LEAST_SIDE = 192
#: Limit of a side when enlarging, in pixels: a strip of two pixels would fill the memory.
_MOST_SIDE = 4096
_BORDER = 0.33
#: Size of tiles relative to the image, and the least longer side of images that are tiled so.
_TILES = ((0.6, 320), (0.4, 640))
#: Two boxes that overlap by more are of one face.
SAME_FACE = 0.3

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class StillView:
    """Part of an image, whose pixel (x, y) is at ``(x - left, y - top) * scale`` in the view."""

    image: RgbImage
    left: float
    top: float
    scale: float


def _views(image: RgbImage, tiles: bool) -> Iterator[StillView]:
    height, width = image.shape[:2]
    scale = min(_LEAST_SIDE / min(height, width), _MOST_SIDE / max(height, width))
    if scale > 1:
        border = round(_BORDER * _LEAST_SIDE)
        larger = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(larger, border, border, border, border, cv2.BORDER_CONSTANT)
        yield StillView(np.asarray(framed, np.uint8), -border / scale, -border / scale, scale)
        return
    yield StillView(image, 0, 0, 1)
    for share, least in _TILES if tiles else ():
        if max(height, width) < least:
            continue
        tall, wide = max(round(share * height), 1), max(round(share * width), 1)
        steps = round(1 / (1 - share)) + 1
        for top in np.linspace(0, height - tall, steps).astype(int).tolist():
            for left in np.linspace(0, width - wide, steps).astype(int).tolist():
                tile = np.ascontiguousarray(image[top : top + tall, left : left + wide])
                yield StillView(tile, left, top, 1)


def _is_cut(face: FaceLandmarks, view: StillView, image: RgbImage) -> bool:
    """Return whether the face touches an edge of the view inside the image."""
    height, width = image.shape[:2]
    tall, wide = view.image.shape[0] / view.scale, view.image.shape[1] / view.scale
    roi = face.roi
    return (
        (view.left > 0 and roi.x <= view.left)
        or (view.top > 0 and roi.y <= view.top)
        or (view.left + wide < width and roi.x + roi.width >= view.left + wide)
        or (view.top + tall < height and roi.y + roi.height >= view.top + tall)
    )


def faces_in_view(
    landmarker: Landmarker, view: StillView, image: RgbImage
) -> Iterator[tuple[float, FaceLandmarks]]:
    """Yield the faces in a view as they lie in the image, each after its share of the height.

    Faces that an edge of the view cuts off are left out: another view has them.
    """
    height, width = image.shape[:2]
    for face in landmarker(Frame(view.image, 0.0)):
        landmarks = face.landmarks / np.float32(view.scale)
        landmarks[:, :2] += np.array([view.left, view.top], np.float32)
        roi = bounding_roi(landmarks, width, height)
        if roi is None:
            continue
        moved = FaceLandmarks(landmarks, face.blendshapes, roi)
        if not _is_cut(moved, view, image):
            yield roi.height * view.scale / view.image.shape[0], moved


def find_faces(
    landmarker: Landmarker, image: RgbImage, *, tiles: bool = True
) -> tuple[FaceLandmarks, ...]:
    """Return the faces in a still image, the largest first, searching tiles for small ones.

    :param landmarker: opened for still images (``static``).
    :param image: uint8 (H, W, 3) RGB.
    :param tiles: search tiles too, which takes several times as long.
    """
    found = [
        each for view in _views(image, tiles) for each in faces_in_view(landmarker, view, image)
    ]
    kept: list[FaceLandmarks] = []
    # The larger a face in its view, the more exact its landmarks.
    for _, face in sorted(found, key=lambda pair: -pair[0]):
        if all(overlap(face.roi, other.roi) < SAME_FACE for other in kept):
            kept.append(face)
    return tuple(sorted(kept, key=lambda face: -face.roi.area))


@dataclass(frozen=True)
class Choice:
    """A landmark source and why it was chosen.

    :param name: ``face_landmarker`` or ``face_mesh``.
    :param reason: text for the log.
    :param model_path: the ``.task`` file of ``face_landmarker``, else None.
    :param sha256: checksum that this file must have; empty takes any that works.
    """

    name: str
    reason: str
    model_path: Path | None = None
    sha256: str = ''


def bundles_face_mesh() -> bool:
    """Return whether the installed mediapipe bundles the face mesh (up to 0.10.21).

    :raises ModelError: it is not installed or cannot be loaded.
    """
    # Finding a submodule imports the package, whatever that raises and prints.
    import_mediapipe()
    try:
        return importlib.util.find_spec('mediapipe.python.solutions.face_mesh') is not None
    except ModuleNotFoundError:
        return False


def choose(source: str, path: str = '') -> Choice:
    """Choose a landmark source.

    :param source: ``auto``, ``face_landmarker`` or ``face_mesh``.
    :param path: the ``.task`` file; empty is the one in the user's cache, or else the package's.
    :raises InputError: unknown source.
    :raises ModelError: ``auto`` finds neither source, or ``path`` does not exist.
    """
    task, is_there = _look_for(path)
    shipped = shipped_face_landmarker()
    falls_back = not path and not is_there and shipped.is_file()
    # What was downloaded, or comes with the package, is the official file; which other one runs is
    # a user's decision.
    wanted = '' if path else FACE_LANDMARKER_SHA256
    shown = quote(task)
    if source == 'face_landmarker':
        return Choice(source, 'selected', shipped if falls_back else task, wanted)
    if source == 'face_mesh':
        return Choice(source, 'selected')
    if source != 'auto':
        raise InputError(
            f'unknown landmark source {quote(repr(source))}; use auto, face_landmarker or face_mesh'
        )
    if is_there:
        return Choice('face_landmarker', f'{shown} exists', task, wanted)
    if path:
        raise ModelError(f'face landmarker model {shown} does not exist; correct or empty the path')
    if bundles_face_mesh():
        return Choice(
            'face_mesh',
            f'{shown} does not exist and mediapipe bundles the face mesh; '
            '`emotion-estimator models fetch` puts the Face Landmarker there',
        )
    if falls_back:
        return Choice('face_landmarker', 'it comes with this package', shipped, wanted)
    release = mediapipe_with_face_mesh()
    raise ModelError(
        f'no landmark source: neither {shown} nor {quote(shipped)} exists and mediapipe bundles no '
        f'face mesh; run `emotion-estimator models fetch` (or put {FACE_LANDMARKER_URL} there)'
        + (f', or install mediapipe {release}' if release else '')
    )


def _look_for(path: str) -> tuple[Path, bool]:
    """Return the ``.task`` file at ``path``, or in the cache, and whether it exists."""
    try:
        task = Path(path).expanduser() if path else face_landmarker_path()
        return task, task.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        # The name is too long or holds a null byte, a folder is not accessible, or ~somebody is
        # unknown.
        reason = getattr(error, 'strerror', None) or quote(first_line(error))
        raise ModelError(
            f'face landmarker model {quote(repr(path))} cannot be opened ({reason}); '
            'correct or empty the path'
        ) from error


def open_landmarker(
    choice: Choice,
    *,
    max_faces: int = 1,
    static: bool = False,
    min_confidence: float = 0.5,
    min_detection: float | None = None,
) -> Landmarker:
    """Open the chosen source.

    :param max_faces: maximum number of faces per frame, at least 1.
    :param static: treat every frame as an unrelated image.
    :param min_confidence: minimum confidence of the detector, and of what follows it, 0 to 1.
    :param min_detection: another one of the detector alone; None is the same.
    :raises ModelError: its files are missing or corrupt.
    """
    if choice.model_path is not None:
        return FaceLandmarker(
            choice.model_path,
            max_faces,
            static,
            min_confidence,
            min_detection,
            sha256=choice.sha256,
        )
    return FaceMesh(BlendshapeHead.load(), max_faces, static, min_confidence, min_detection)


def open_first(
    source: str,
    path: str = '',
    *,
    max_faces: int = 1,
    static: bool = False,
    min_confidence: float = 0.5,
) -> tuple[Landmarker, Choice]:
    """Open a source; ``auto`` takes the first that works, unless ``path`` is given.

    :param source: as for :func:`choose`, and so is ``path``; the rest is as for
        :func:`open_landmarker`.
    :raises InputError: unknown source.
    :raises ModelError: no source can be opened.
    """

    def opened(choice: Choice) -> tuple[Landmarker, Choice]:
        landmarker = open_landmarker(
            choice, max_faces=max_faces, static=static, min_confidence=min_confidence
        )
        return landmarker, choice

    choice = choose(source, path)
    try:
        return opened(choice)
    except ModelError as error:
        has_other = source == 'auto' and choice.name != 'face_mesh' and bundles_face_mesh()
        if path or not has_other:
            raise
        _LOG.warning('%s; using the bundled face mesh', error)
        return opened(Choice('face_mesh', f'the Face Landmarker cannot be opened: {error}'))
