"""MediaPipe's Face Landmarker: its model file, and the landmark source that reads it.

MediaPipe: Lugaresi et al. 2019; its blendshapes: Grishchenko et al. 2023.
"""

from __future__ import annotations

import http.client
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from tqdm import tqdm

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.landmarks.base import (
    FaceLandmarks,
    bounding_roi,
    difference,
    forget,
    warm_up,
)
from emotion_estimator.perception.landmarks.mediapipe_graph import (
    OWN_CALL,
    GraphMissingError,
    LandmarkerGraph,
    SearchClock,
    is_tested,
)
from emotion_estimator.released_models import THIRD_PARTY
from emotion_estimator.runtimes import import_mediapipe, quiet
from emotion_estimator.trial import admit
from emotion_estimator.untrusted import MAX_MODEL_FILE, in_bytes, quote
from emotion_estimator.weights import WeightsFile

FACE_LANDMARKER_URL = (
    'https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/'
    'face_landmarker.task'
)
FACE_LANDMARKER_SHA256 = next(
    sha256 for sha256, title in THIRD_PARTY.items() if title.startswith('face_landmarker.task')
)

#: Memory in bytes for the trial of another model: MediaPipe's own, and that of its threads.
_MEMORY, _PER_PROCESSOR = 1 << 30, 80 << 20

_CHUNK = 1 << 16

_LOG = logging.getLogger(__name__)

_HINT = 'run "emotion-estimator models fetch" or use the landmark source face_mesh'


def face_landmarker_path() -> Path:
    """Return the path of the downloaded model in the user's cache folder; it may not exist."""
    return platformdirs.user_cache_path('emotion_estimator') / 'face_landmarker.task'


def shipped_face_landmarker() -> Path:
    """Return the path of the model that comes with this package."""
    return models_dir() / 'face_landmarker.task'


def face_landmarker_in_use() -> Path:
    """Return the model that runs where none is named: the user's, or else the package's.

    :raises OSError: the user's cache folder is not accessible.
    """
    cached = face_landmarker_path()
    return cached if cached.is_file() else shipped_face_landmarker()


def has_sha256(path: Path, sha256: str) -> bool:
    """Return whether ``path`` is a readable file with this checksum (64 hexadecimal digits)."""
    try:
        return WeightsFile.read(path).sha256 == sha256
    except ModelError:
        return False


def fetch(
    url: str = FACE_LANDMARKER_URL,
    sha256: str = FACE_LANDMARKER_SHA256,
    target: Path | None = None,
    timeout: float = 20.0,
) -> Path:
    """Download a file unless it is there: resume, verify, and only then move it into place.

    :param url: http or https address.
    :param sha256: expected checksum, in hexadecimal.
    :param target: where to put it; None is :func:`face_landmarker_path`.
    :param timeout: seconds to wait for a response.
    :returns: ``target``, at once if it is there and intact.
    :raises InputError: no network, or another content; names the URL and where to put the file.
    """
    target = target or face_landmarker_path()
    if has_sha256(target, sha256):
        return target
    by_hand = f'download {url} elsewhere and put it at {target}'
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target, resume=True) as part:
            _download(url, part, timeout)
            if has_sha256(part, sha256):
                return target
            part.unlink()
    except (OSError, http.client.HTTPException, ValueError) as error:
        # ValueError: not a URL, or a header that is not a number.
        reason = first_line(error).removeprefix('<urlopen error ').removesuffix('>')
        raise InputError(f'cannot fetch {target.name} ({reason}); {by_hand}') from error
    raise InputError(f'{url} has another sha256 than {sha256}; {by_hand}')


def _download(url: str, part: Path, timeout: float) -> None:
    """Download the rest of ``url`` to ``part``, or all of it if the server cannot resume."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header('Range', f'bytes={have}-')
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # Range not satisfiable: the file is complete already.
            return
        raise
    with answer:
        resumed = answer.status == 206
        have = have if resumed else 0
        length = answer.headers.get('Content-Length')
        total = have + int(length) if length else None
        if max(have, total or 0) > MAX_MODEL_FILE:
            raise OSError(f'it has {total} bytes, too many for a model')
        with (
            part.open('ab' if resumed else 'wb') as file,
            tqdm(
                total=total,
                initial=have,
                unit='B',
                unit_scale=True,
                desc=part.name,
                # Nor where nobody watches, which fills a log.
                disable=None if _LOG.isEnabledFor(logging.WARNING) else True,
            ) as progress,
        ):
            while chunk := answer.read(_CHUNK):
                have += len(chunk)
                if have > MAX_MODEL_FILE:
                    raise OSError(f'it does not end after {in_bytes(MAX_MODEL_FILE)}')
                file.write(chunk)
                progress.update(len(chunk))
    if total is not None and part.stat().st_size < total:
        raise OSError(f'connection lost at {part.stat().st_size} of {total} bytes; run again')


class _OwnCall:
    """MediaPipe's own call: of still images, and where its graph cannot be opened by itself."""

    def __init__(self, mediapipe: Any, options: Any, static: bool) -> None:
        self._mediapipe, self._static = mediapipe, static
        self._landmarker = mediapipe.tasks.vision.FaceLandmarker.create_from_options(options)

    def process(
        self, image: RgbImage, milliseconds: int = 0, search: bool = True
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Return the same as :meth:`LandmarkerGraph.process`; it searches in each image."""
        wrapped = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )
        if self._static:
            result = self._landmarker.detect(wrapped)
        else:
            result = self._landmarker.detect_for_video(wrapped, milliseconds)
        found = []
        for points, categories in zip(result.face_landmarks, result.face_blendshapes):
            scores = {category.category_name: category.score for category in categories}
            found.append(
                (
                    np.array([(p.x, p.y, p.z) for p in points], np.float32),
                    np.array([scores[name] for name in BLENDSHAPE_NAMES], np.float32),
                )
            )
        return found

    def close(self) -> None:
        """Free the graph's memory and threads."""
        self._landmarker.close()


class FaceLandmarker:
    """Landmark source on the official ``face_landmarker.task``.

    Same results with ``mediapipe`` 0.10.14 to 1.x. Tracks faces between frames unless ``static``.
    """

    name = 'face_landmarker'

    def __init__(
        self,
        model_path: Path,
        max_faces: int = 1,
        static: bool = False,
        min_confidence: float = 0.5,
        min_detection: float | None = None,
        sha256: str = '',
    ) -> None:
        """Open the model.

        :param model_path: ``face_landmarker.task``.
        :param max_faces: maximum number of faces per frame, at least 1.
        :param static: treat every frame as an unrelated image.
        :param min_confidence: 0 to 1, for detection, presence and tracking.
        :param min_detection: another one for detection; None is the same.
        :param sha256: checksum that the file must have; empty takes any that works.
        :raises ModelError: the file is missing, corrupt or another one, or ``mediapipe`` cannot be
            imported.
        """
        weights = WeightsFile.read(model_path, 'face landmarker model', _HINT)
        if sha256 and weights.sha256 != sha256:
            raise ModelError(
                f'face landmarker model {quote(model_path)} has sha256 {weights.sha256[:12]}..., '
                f'the official one {sha256[:12]}...; run "emotion-estimator models fetch", or name '
                'the file in face_landmarker_path'
            )
        self._mediapipe = import_mediapipe()
        try:
            memory = _MEMORY + _PER_PROCESSOR * (os.cpu_count() or 1)
            admit(weights, __name__, trial.__name__, memory=memory)
        except ImportError as error:
            raise ModelError(
                f'mediapipe does not work in a process of its own ({error}); {_HINT}'
            ) from error
        self._use(weights, max_faces, static, min_confidence, min_detection)

    def _use(
        self,
        weights: WeightsFile,
        max_faces: int = 1,
        static: bool = True,
        min_confidence: float = 0.5,
        min_detection: float | None = None,
    ) -> None:
        self.sha256 = weights.sha256
        #: Checksum of the model, by what it is used for.
        self.checksums = {'face_landmarker': weights.sha256}
        self._static = static
        self._search, self._followed = SearchClock(), 0
        self._options = self._make_options(
            weights.content, max_faces, static, min_confidence, min_detection
        )
        self._model_path = weights.path
        self._open()

    def _make_options(
        self, content: bytes, faces: int, static: bool, confidence: float, detection: float | None
    ) -> Any:
        vision = self._mediapipe.tasks.vision
        mode = vision.RunningMode.IMAGE if static else vision.RunningMode.VIDEO
        return vision.FaceLandmarkerOptions(
            # Not a path: what was checked is what runs. MediaPipe also resolves paths against its
            # own package folder on some platforms.
            base_options=self._mediapipe.tasks.BaseOptions(model_asset_buffer=content),
            running_mode=mode,
            num_faces=faces,
            min_face_detection_confidence=confidence if detection is None else detection,
            min_face_presence_confidence=confidence,
            min_tracking_confidence=confidence,
            output_face_blendshapes=True,
        )

    def _open(self) -> None:
        """Open the model with no history."""
        self._first_stamp: float | None = None
        self._last_stamp = 0.0
        self._first_ms = self._last_ms = -1
        # Silent from the start: threads that it starts log until the warm-up is over.
        with quiet():
            reason = self._create()
            warm_up(self._detect)
        self._first_stamp = None
        self._search.reset()
        self._followed = 0
        if reason:
            _LOG.info(OWN_CALL, reason)

    def _create(self) -> str:
        """Open the model; return why MediaPipe's own call is used, empty if it is not."""
        self._landmarker: LandmarkerGraph | _OwnCall
        graph, reason = None, ''
        if not self._static:
            try:
                graph = LandmarkerGraph(self._mediapipe, self._options)
            except GraphMissingError as error:
                reason = str(error)
        if graph is not None and is_tested(self._mediapipe):
            self._landmarker = graph
            return ''
        try:
            own = _OwnCall(self._mediapipe, self._options, self._static)
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f'{quote(self._model_path)} is not a face landmarker model that mediapipe can '
                'open; fetch it again with "emotion-estimator models fetch"'
            ) from error
        self._landmarker = own
        if graph is not None:
            opened = graph
            self._last_ms = 0
            reason = difference(lambda image: opened.process(image, 0), own.process)
            with suppress(Exception):
                (opened if reason else own).close()
            if not reason:
                self._landmarker = opened
        return reason

    def _milliseconds(self, stamp: float) -> int:
        """Return a timestamp that strictly increases, as VIDEO mode requires."""
        if self._first_stamp is not None and stamp < self._last_stamp:
            self.reset()
        if self._first_stamp is None:
            # MediaPipe's time cannot go back: a new stream follows the former, or the warm-up.
            self._first_stamp, self._first_ms = stamp, self._last_ms + 1
        self._last_stamp = stamp
        since = self._first_ms + round((stamp - self._first_stamp) * 1000)
        self._last_ms = max(since, self._last_ms + 1)
        return self._last_ms

    def _detect(self, image: RgbImage, stamp: float = 0.0) -> list[tuple[FloatArray, FloatArray]]:
        if self._static:
            return self._landmarker.process(image, 0)
        # First, since it may replace the landmarker and forget the search.
        milliseconds = self._milliseconds(stamp)
        search = self._search.due(stamp)
        image = np.ascontiguousarray(image)
        found = self._landmarker.process(image, milliseconds, search)
        if not search and len(found) < self._followed:
            # It has moved too far to be followed, or is gone: the detector decides.
            found = self._landmarker.process(image, self._milliseconds(stamp), True)
        self._followed = len(found)
        self._search.found(self._followed)
        return found

    @property
    def search_hz(self) -> float:
        """How often a second further faces are looked for; 0 is in each image."""
        return self._search.hz

    @search_hz.setter
    def search_hz(self, hz: float) -> None:
        self._search.hz = hz

    def __call__(self, frame: Frame) -> tuple[FaceLandmarks, ...]:
        """Return the faces in ``frame``, without those that lie outside it."""
        found = self._detect(frame.image, frame.stamp)
        height, width = frame.image.shape[:2]
        scale = np.array([width, height, width], np.float32)
        faces = []
        for points, blendshapes in found:
            landmarks = points * scale
            roi = bounding_roi(landmarks, width, height)
            if roi is not None:
                faces.append(FaceLandmarks(landmarks, blendshapes, roi))
        return tuple(faces)

    def reset(self) -> None:
        """Forget the previous frames and their time; open the model again if it has failed."""
        if self._static:
            return
        try:
            forget(lambda image: self._detect(image, self._last_stamp))
            self._first_stamp = None
        except Exception:
            # Whatever its graph raises once it is broken, and raises again when it is closed.
            self.close()
            self._open()
        self._search.reset()
        self._followed = 0

    def close(self) -> None:
        """Free the graph's memory and threads; it cannot be used afterwards."""
        with suppress(Exception):
            self._landmarker.close()


def trial() -> Callable[[WeightsFile], None]:
    """Import MediaPipe; return what opens a model and looks at a picture, for ``trial.py``.

    :raises ModelError: ``mediapipe`` cannot be imported.
    """
    landmarker = FaceLandmarker.__new__(FaceLandmarker)
    landmarker._mediapipe = import_mediapipe()

    def run(weights: WeightsFile) -> None:
        landmarker._use(weights)
        landmarker(Frame(np.zeros((64, 64, 3), np.uint8), 0.0))

    return run
