"""Which landmark source runs, and why."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator.mediapipe_import import import_mediapipe
from emotion_estimator.perception.landmarks.blendshape_head import BlendshapeHead
from emotion_estimator.perception.landmarks.face_landmarker import FaceLandmarker
from emotion_estimator.perception.landmarks.face_mesh import FaceMesh
from emotion_estimator.perception.landmarks.landmarks import Landmarker
from emotion_estimator.perception.landmarks.model_store import (
    FACE_LANDMARKER_URL,
    face_landmarker_path,
)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A landmark source and the reason it was chosen, in words for the log.

    :param model_path: the ``.task`` file for ``face_landmarker``, else None.
    """

    name: str
    reason: str
    model_path: Path | None = None


def bundles_face_mesh() -> bool:
    """Tell whether the installed mediapipe still carries the face mesh (up to 0.10.21).

    :raises ModelError: it is not installed or cannot be loaded.
    """
    # To look into a package imports it, whatever that raises and prints.
    import_mediapipe()
    try:
        return importlib.util.find_spec('mediapipe.python.solutions.face_mesh') is not None
    except ModuleNotFoundError:
        return False


def choose(source: str, path: str = '') -> Choice:
    """Decide on a source.

    :param source: ``auto``, ``face_landmarker`` or ``face_mesh``.
    :param path: a ``.task`` file; empty means the user's cache.
    :raises InputError: an unknown ``source``.
    :raises ModelError: ``auto`` finds neither, or a ``path`` was named that is not there.
    """
    task, is_there = _look_for(path)
    if source == 'face_landmarker':
        return Choice(source, 'asked for', task)
    if source == 'face_mesh':
        return Choice(source, 'asked for')
    if source != 'auto':
        raise InputError(
            f'unknown landmark source {source!r}; use auto, face_landmarker or face_mesh'
        )
    if is_there:
        return Choice('face_landmarker', f'{task} is there', task)
    if path:
        raise ModelError(f'face landmarker model {task} is not there; correct or empty the path')
    if bundles_face_mesh():
        return Choice(
            'face_mesh',
            f'{task} is not there and mediapipe bundles the face mesh; '
            '`emotion-estimator models fetch` gets the Face Landmarker',
        )
    raise ModelError(
        f'no landmark source: {task} is not there and this mediapipe bundles no face mesh; run '
        f'`emotion-estimator models fetch` (or put {FACE_LANDMARKER_URL} there), or install '
        'mediapipe 0.10.21'
    )


def _look_for(path: str) -> tuple[Path, bool]:
    """Return the ``.task`` file that ``path`` or the cache means, and whether it is there."""
    try:
        task = Path(path).expanduser() if path else face_landmarker_path()
        return task, task.is_file()
    except (OSError, RuntimeError) as error:
        # A name too long, a folder one may not enter, ~somebody who is not known here.
        raise ModelError(
            f'face landmarker model {path!r} cannot be looked at ({first_line(error)}); '
            'correct or empty the path'
        ) from error


def open_landmarker(
    choice: Choice, *, max_faces: int = 1, static: bool = False, min_confidence: float = 0.5
) -> Landmarker:
    """Open the chosen source.

    :param max_faces: most faces found in one frame.
    :param static: every frame is an unrelated image.
    :param min_confidence: of the detector, 0 to 1.
    :raises ModelError: its files are missing or corrupt.
    """
    if choice.model_path is not None:
        return FaceLandmarker(choice.model_path, max_faces, static, min_confidence)
    return FaceMesh(BlendshapeHead.load(), max_faces, static, min_confidence)


def open_first(
    source: str,
    path: str = '',
    *,
    max_faces: int = 1,
    static: bool = False,
    min_confidence: float = 0.5,
) -> tuple[Landmarker, Choice]:
    """Open a source; ``auto`` takes the first that works.

    A ``path`` that was named is meant: then nothing else is tried.

    :param source: as for :func:`choose`, ``path`` likewise; the rest as for
        :func:`open_landmarker`.
    :raises InputError: an unknown ``source``.
    :raises ModelError: nothing opens.
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
        return opened(Choice('face_mesh', f'the Face Landmarker does not open: {error}'))
