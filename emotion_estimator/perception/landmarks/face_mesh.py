"""The face mesh bundled with ``mediapipe`` up to 0.10.21, and our blendshape head on top of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.face_crop import ALIGNMENT, INPUT_POINTS, align
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
    MeshGraph,
    SearchClock,
    is_tested,
)
from emotion_estimator.runtimes import (
    import_mediapipe,
    mediapipe_with_face_mesh,
    open_interpreter,
    quiet,
)
from emotion_estimator.trial import announce
from emotion_estimator.untrusted import quote
from emotion_estimator.weights import WeightsFile

_LOG = logging.getLogger(__name__)

#: Networks that the mesh runs, among the modules of ``mediapipe``, which opens them itself.
_BUNDLED = {
    'face_detection': 'face_detection/face_detection_short_range.tflite',
    'face_mesh': 'face_landmark/face_landmark_with_attention.tflite',
}


class BlendshapeHead:
    """Predicts blendshapes from landmarks, one face at a time."""

    def __init__(self, card: ModelCard, runtime: str | None = None) -> None:
        """Open the weights of ``card``; see :meth:`load`."""
        if card.settings.get('alignment') != ALIGNMENT:
            raise ModelError(
                f'blendshape head {card.title} was trained with alignment '
                f'{quote(repr(card.settings.get("alignment")))}, this code has {ALIGNMENT!r}; '
                'retrain it'
            )
        self.title, self.sha256 = card.title, card.sha256
        self._interpreter: Any = open_interpreter(card.weights, runtime)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        shapes = [tuple(int(n) for n in tensor['shape']) for tensor in (*inputs, *outputs)]
        wanted = [(1, 3 * len(INPUT_POINTS)), (1, len(BLENDSHAPE_NAMES))]
        kinds = {tensor['dtype'] for tensor in (*inputs, *outputs)}
        if shapes != wanted or kinds != {np.float32}:
            raise ModelError(
                f'{quote(card.path)} is not a blendshape head (tensors {quote(shapes)}); restore '
                'it and its card'
            )
        self._input, self._output = inputs[0]['index'], outputs[0]['index']

    @classmethod
    def load(cls, card: Path | None = None, runtime: str | None = None) -> BlendshapeHead:
        """Load a head.

        :param card: its JSON card; None is the shipped one.
        :param runtime: TFLite runtime as in :func:`~emotion_estimator.runtimes.open_interpreter`.
        :raises ModelError: card, weights and code do not match.
        """
        path = card or models_dir() / 'blendshape_head.json'
        return cls(ModelCard.load(path, 'blendshape_head'), runtime)

    def __call__(self, landmarks: FloatArray) -> FloatArray:
        """Return the blendshapes of one face.

        :param landmarks: float32 (478, 3) in pixels, as in ``FaceLandmarks``.
        :returns: float32 (52,), 0 to 1, in ``BLENDSHAPE_NAMES`` order.
        :raises InputError: wrong shape, or a value is not finite.
        """
        if landmarks.shape != (478, 3) or not np.isfinite(landmarks).all():
            raise InputError(
                f'blendshape head needs 478 finite landmarks with x, y, z; got shape '
                f'{landmarks.shape}; use the face mesh with refined landmarks'
            )
        self._interpreter.set_tensor(self._input, align(landmarks).reshape(1, -1))
        self._interpreter.invoke()
        scores: FloatArray = self._interpreter.get_tensor(self._output)[0]
        return scores


class _OwnCall:
    """MediaPipe's own call: of still images, and where its graph cannot be opened by itself."""

    def __init__(
        self, mediapipe: ModuleType, max_faces: int, detection: float, tracking: float, static: bool
    ) -> None:
        self._mesh = mediapipe.solutions.face_mesh.FaceMesh(
            static_image_mode=static,
            max_num_faces=max_faces,
            refine_landmarks=True,
            min_detection_confidence=detection,
            min_tracking_confidence=tracking,
        )
        self.reset, self.close = self._mesh.reset, self._mesh.close

    def process(self, image: RgbImage, search: bool = True) -> list[FloatArray]:
        """Return the same as :meth:`MeshGraph.process`; it searches in each image."""
        found = self._mesh.process(image).multi_face_landmarks or ()
        return [np.array([(p.x, p.y, p.z) for p in face.landmark], np.float32) for face in found]


class FaceMesh:
    """Landmark source that needs no download: MediaPipe's bundled mesh with refined landmarks.

    BlazeFace (Bazarevsky et al. 2019), then Attention Mesh (Grishchenko et al. 2020).
    """

    name = 'face_mesh'

    def __init__(
        self,
        head: BlendshapeHead,
        max_faces: int = 1,
        static: bool = False,
        min_confidence: float = 0.5,
        min_detection: float | None = None,
    ) -> None:
        """Build the graph.

        :param head: predicts the blendshapes.
        :param max_faces: maximum number of faces per frame, at least 1.
        :param static: treat every frame as an unrelated image.
        :param min_confidence: 0 to 1, for detection and tracking.
        :param min_detection: another one for detection; None is the same.
        :raises ModelError: ``mediapipe`` is missing or of a version without the bundled mesh.
        """
        mediapipe = import_mediapipe()
        if not hasattr(mediapipe, 'solutions'):
            version = getattr(mediapipe, '__version__', 'unknown')
            release = mediapipe_with_face_mesh()
            raise ModelError(
                f'mediapipe {version} bundles no face mesh; use the landmark source '
                'face_landmarker' + (f', or install mediapipe {release}' if release else '')
            )
        self._head = head
        self._bundled = _checksums(mediapipe)
        self._search, self._followed = SearchClock(), 0
        detection = min_confidence if min_detection is None else min_detection

        def open_mesh() -> MeshGraph | _OwnCall:
            arguments = mediapipe, max_faces, detection, min_confidence
            mesh: MeshGraph | _OwnCall
            # Silent from the start: threads that it starts log until the warm-up is over.
            with quiet():
                if static:
                    mesh, reason = _OwnCall(*arguments, static=True), ''
                else:
                    mesh, reason = _opened(*arguments)
                warm_up(mesh.process)
            if reason:
                _LOG.info(OWN_CALL, reason)
            return mesh

        self._open_mesh = open_mesh
        self._mesh = open_mesh()

    @property
    def search_hz(self) -> float:
        """How often a second further faces are looked for; 0 is in each image."""
        return self._search.hz

    @search_hz.setter
    def search_hz(self, hz: float) -> None:
        self._search.hz = hz

    @property
    def checksums(self) -> Mapping[str, str]:
        """Return the checksum of each network, by its kind."""
        return {**self._bundled, 'blendshape_head': self._head.sha256}

    def __call__(self, frame: Frame) -> tuple[FaceLandmarks, ...]:
        """Return the faces in ``frame``, without those that lie outside it."""
        height, width = frame.image.shape[:2]
        scale = np.array([width, height, width], np.float32)
        image = np.ascontiguousarray(frame.image)
        search = self._search.due(frame.stamp)
        found = self._mesh.process(image, search)
        if not search and len(found) < self._followed:
            # It has moved too far to be followed, or is gone: the detector decides.
            found = self._mesh.process(image, True)
        self._followed = len(found)
        self._search.found(self._followed)
        faces = []
        for points in found:
            landmarks = points * scale
            roi = bounding_roi(landmarks, width, height)
            if roi is not None:
                faces.append(FaceLandmarks(landmarks, self._head(landmarks), roi))
        return tuple(faces)

    def reset(self) -> None:
        """Forget the previous frames; start the graph again if it has failed."""
        self._search.reset()
        self._followed = 0
        try:
            forget(self._mesh.process)
        except Exception:
            # Whatever the graph raises once it is broken, and raises again when it is closed.
            self.close()
            self._mesh = self._open_mesh()

    def close(self) -> None:
        """Free the graph's memory and threads; it cannot be used afterwards."""
        with suppress(Exception):
            self._mesh.close()


def _opened(
    mediapipe: ModuleType, max_faces: int, detection: float, tracking: float
) -> tuple[MeshGraph | _OwnCall, str]:
    """Return what reads a stream, and why it is MediaPipe's own call; empty if it is not."""
    arguments = mediapipe, max_faces, detection, tracking
    try:
        graph = MeshGraph(*arguments)
    except GraphMissingError as error:
        return _OwnCall(*arguments, static=False), str(error)
    if is_tested(mediapipe):
        return graph, ''
    own = _OwnCall(*arguments, static=False)
    reason = difference(graph.process, own.process)
    with suppress(Exception):
        (graph if reason else own).close()
    return (own, reason) if reason else (graph, '')


def _checksums(mediapipe: ModuleType) -> dict[str, str]:
    found = {}
    for kind, name in _BUNDLED.items():
        # What is missing, mediapipe itself reports.
        with suppress(ModelError):
            weights = WeightsFile.read(Path(mediapipe.__file__ or '').parent / 'modules' / name)
            announce(weights)
            found[kind] = weights.sha256
    return found
