"""Runs both landmark sources on stills: in parallel, resumable, in chunks on disk."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks.base import warm_up
from emotion_estimator.perception.landmarks.face_landmarker import FaceLandmarker
from emotion_estimator.runtimes import import_mediapipe, quiet
from emotion_estimator.worker_pool import Runner, runner_of
from emotion_estimator_training.data.augment import Enlargement, enlarge, rotate_and_flip, vary
from emotion_estimator_training.data.stills import Stills

#: Increment when the images made for a pass change, so that old chunks are not reused.
_VERSION = 1
#: Stills per chunk.
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Extracted:
    """What both sources found in a pass over stills; zeros for stills without a face.

    :param row: (N,), index of the still.
    :param teacher: float32 (N, 52), the Face Landmarker's blendshapes.
    :param mesh: float32 (N, 478, 3), the bundled face mesh's landmarks in pixels of the
        enlarged image.
    :param teacher_found: bool (N,), whether the Face Landmarker found a face.
    :param mesh_found: bool (N,), whether the face mesh found a face.
    """

    row: NDArray[np.int64]
    teacher: NDArray[np.float32]
    mesh: NDArray[np.float32]
    teacher_found: NDArray[np.bool_]
    mesh_found: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Outlines:
    """Landmarks of one source in stills; zeros for stills without a face.

    :param landmarks: float32 (N, 478, 3), in pixels of the enlarged image.
    :param found: bool (N,), whether the source found a face.
    """

    landmarks: NDArray[np.float32]
    found: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Task:
    rows: NDArray[np.int64]
    stills: NDArray[np.uint8]
    landmarks: NDArray[np.float32] | None
    look: str
    seed: int
    teacher: Path | None
    with_mesh: bool
    scale: float = Enlargement.scale


#: Each thread's landmark models, kept open: opening them takes longer than using them.
_opened = threading.local()


def _sources(teacher: Path | None, with_mesh: bool) -> tuple[FaceLandmarker | None, Any]:
    if getattr(_opened, 'key', None) != (teacher, with_mesh):
        cv2.setNumThreads(1)
        _opened.teacher = None if teacher is None else FaceLandmarker(teacher, static=True)
        _opened.mesh = None
        if with_mesh:
            _opened.mesh = _open_mesh()
        _opened.key = (teacher, with_mesh)
    return _opened.teacher, _opened.mesh


def _open_mesh() -> Any:
    mediapipe = import_mediapipe()
    if not hasattr(mediapipe, 'solutions'):
        raise ModelError(
            'mediapipe has no face mesh after 0.10.21; install that version or pass '
            '--source face_landmarker'
        )
    with quiet():
        mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)
    warm_up(mesh.process)
    return mesh


def mesh_landmarks(mesh: Any, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Return the first face's landmarks (478, 3) in pixels, or None.

    :param mesh: a MediaPipe ``FaceMesh`` solution.
    :param image: uint8 (H, W, 3), RGB.
    """
    faces = mesh.process(image).multi_face_landmarks
    if not faces:
        return None
    height, width = image.shape[:2]
    points = np.array([(p.x, p.y, p.z) for p in faces[0].landmark], np.float32)
    return points * np.array([width, height, width], np.float32)


def _image(task: _Task, position: int) -> NDArray[np.uint8]:
    still = task.stills[position]
    if task.look in ('plain', 'mirrored'):
        return enlarge(still, Enlargement.by(task.scale, mirror=task.look == 'mirrored'))
    rng = np.random.default_rng([task.seed, int(task.rows[position])])
    if task.look == 'rotated':
        return rotate_and_flip(still, rng, task.scale)
    known = task.landmarks
    usable = known is not None and known[position].any()
    return vary(still, known[position] if known is not None and usable else None, rng)


def _see(task: _Task) -> dict[str, NDArray[Any]]:
    """Return the arrays of :class:`Extracted` for one chunk."""
    landmarker, face_mesh = _sources(task.teacher, task.with_mesh)
    count = len(task.rows)
    teacher, mesh = np.zeros((count, 52), np.float32), np.zeros((count, 478, 3), np.float32)
    found = np.zeros((2, count), bool)
    for position in range(count):
        image = _image(task, position)
        faces = landmarker(Frame(image, 0.0)) if landmarker else ()
        if faces:
            teacher[position], found[0, position] = faces[0].blendshapes, True
        landmarks = mesh_landmarks(face_mesh, image) if face_mesh else None
        if landmarks is not None:
            mesh[position], found[1, position] = landmarks, True
    return {
        'row': task.rows,
        'teacher': teacher,
        'mesh': mesh,
        'teacher_found': found[0],
        'mesh_found': found[1],
    }


def _outline(task: _Task) -> dict[str, NDArray[Any]]:
    """Return the arrays of :class:`Outlines` for one chunk."""
    landmarker, _ = _sources(task.teacher, False)
    landmarks = np.zeros((len(task.rows), 478, 3), np.float32)
    found = np.zeros(len(task.rows), bool)
    for position in range(len(task.rows)):
        faces = landmarker(Frame(_image(task, position), 0.0)) if landmarker else ()
        if faces:
            landmarks[position], found[position] = faces[0].landmarks, True
    return {'landmarks': landmarks, 'found': found}


def extract(
    stills: Stills,
    rows: NDArray[np.int64],
    teacher: Path | None,
    cache: Path,
    look: str = 'plain',
    seed: int = 0,
    landmarks: NDArray[np.float32] | None = None,
    processes: int | Runner | None = None,
    with_mesh: bool = True,
    wanted: NDArray[np.bool_] | None = None,
    scale: float = Enlargement.scale,
) -> Extracted:
    """Run the Face Landmarker and the face mesh on enlarged stills.

    Chunks that an earlier run finished are read from ``cache``, so an interrupted run continues.

    :param stills: the images.
    :param rows: which of them.
    :param teacher: ``face_landmarker.task``; None leaves out the Face Landmarker.
    :param cache: folder of the chunks.
    :param look: how stills are prepared: ``plain`` (enlarged 4x, cubic), ``mirrored`` (left and
        right swapped), ``rotated`` (and flipped, at random) or ``varied`` (random expression, light
        and more).
    :param seed: for ``rotated`` and ``varied``.
    :param landmarks: (len(stills), 478, 3) in pixels of the stills, zeros if unknown; needed
        to vary expressions.
    :param processes: number of worker processes (None is one per core), or a runner of
        :mod:`~emotion_estimator.worker_pool`.
    :param with_mesh: whether to run the face mesh.
    :param wanted: bool (len(rows),), which rows are needed. Chunks without any are skipped, and
        their rows returned as if no face was found. None needs all.
    :param scale: of :meth:`~.augment.Enlargement.by`, for all looks but ``varied``.
    :raises InputError: there are no rows.
    :raises ModelError: the Face Landmarker's file cannot be read or opened.
    """
    suffix = f'-{look}' if look in ('mirrored', 'rotated') else ''

    def task(part: NDArray[np.int64]) -> _Task:
        known = None if landmarks is None else landmarks[part]
        images = stills.pixels[part]
        return _Task(part, images, known, look, seed, _absolute(teacher), with_mesh, scale)

    _check_any(rows, wanted)
    identity = _identity(stills, rows, teacher, with_mesh, scale)
    folder = cache / f'{identity}-seed{seed}{suffix}'
    paths = _in_chunks(_see, task, rows, folder, f'{look} {seed}', processes, wanted)
    seen = _read(paths, [field.name for field in fields(Extracted)], len(rows))
    return Extracted(**{**seen, 'row': rows})


def extract_outlines(
    stills: Stills,
    rows: NDArray[np.int64],
    teacher: Path,
    cache: Path,
    processes: int | Runner | None = None,
    wanted: NDArray[np.bool_] | None = None,
    scale: float = Enlargement.scale,
) -> Outlines:
    """Run the Face Landmarker on plainly enlarged stills, for its landmarks.

    :func:`extract` keeps only its blendshapes, and its chunks should stay valid. Parameters and
    errors are those of :func:`extract`.
    """

    def task(part: NDArray[np.int64]) -> _Task:
        images = stills.pixels[part]
        return _Task(part, images, None, 'plain', 0, _absolute(teacher), False, scale)

    _check_any(rows, wanted)
    folder = cache / f'{_identity(stills, rows, teacher, False, scale)}-outlines'
    paths = _in_chunks(_outline, task, rows, folder, "the teacher's", processes, wanted)
    return Outlines(**_read(paths, [field.name for field in fields(Outlines)], len(rows)))


def _check_any(rows: NDArray[np.int64], wanted: NDArray[np.bool_] | None) -> None:
    if not (len(rows) if wanted is None else wanted.any()):
        raise InputError(
            'there are no images to process; "emotion-estimator training data" counts them'
        )


def _absolute(teacher: Path | None) -> Path | None:
    """Return a path that is valid for workers that run in another folder."""
    return None if teacher is None else teacher.absolute()


def _in_chunks(
    work: Callable[[_Task], dict[str, NDArray[Any]]],
    task: Callable[[NDArray[np.int64]], _Task],
    rows: NDArray[np.int64],
    folder: Path,
    title: str,
    processes: int | Runner | None,
    wanted: NDArray[np.bool_] | None,
) -> dict[int, Path]:
    """Write the result of ``work`` for each chunk of rows that has no file yet.

    :returns: by the chunk's first row, the files of all chunks with a ``wanted`` row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths, missing = {}, {}
    for start in range(0, len(rows), _CHUNK):
        if wanted is not None and not wanted[start : start + _CHUNK].any():
            continue
        path = paths[start] = folder / f'{start:06d}.npz'
        if not path.exists():
            missing[path] = task(rows[start : start + _CHUNK])
    targets = list(missing)
    with tqdm(
        total=len(paths),
        initial=len(paths) - len(targets),
        unit='chunk',
        desc=f'landmarks, {title}',
        disable=not targets,
    ) as bar:
        for index, arrays in runner_of(processes)(work, list(missing.values())):
            with atomic_write(targets[index]) as partial:
                np.savez(partial, **arrays)
            bar.update()
    return paths


def _identity(
    stills: Stills,
    rows: NDArray[np.int64],
    teacher: Path | None,
    with_mesh: bool,
    scale: float,
) -> str:
    digest = hashlib.sha256(json.dumps([_VERSION, _CHUNK]).encode())
    for content in (stills.pixels[rows].tobytes(), rows.tobytes()):
        digest.update(content)
    # Added only if one source is left out, so that the chunks of earlier versions stay valid.
    if teacher is not None:
        digest.update(_content(teacher))
    if not with_mesh:
        digest.update(b'no mesh')
    if scale != Enlargement.scale:
        digest.update(f'scale {scale}'.encode())
    return digest.hexdigest()[:16]


def _content(model: Path) -> bytes:
    try:
        return model.read_bytes()
    except OSError as error:
        raise ModelError(
            f'face landmarker model {model} cannot be read ({error.strerror}); run '
            '"emotion-estimator models fetch", or leave --teacher out'
        ) from error


def _read(paths: Mapping[int, Path], names: Sequence[str], count: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of all chunks joined to ``count`` rows; zeros for skipped chunks."""
    joined: dict[str, NDArray[Any]] = {}
    for start, path in paths.items():
        try:
            with np.load(path) as data:
                for name in names:
                    part = data[name]
                    if name not in joined:
                        joined[name] = np.zeros((count, *part.shape[1:]), part.dtype)
                    joined[name][start : start + len(part)] = part
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f'{path} is damaged; delete it and run again') from error
    return joined
