"""Runs both landmark sources over stills: in parallel, resumable, in chunks on disk."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.frame import Frame
from emotion_estimator.perception.face_landmarker import FaceLandmarker
from emotion_estimator.perception.mediapipe_import import import_mediapipe
from emotion_estimator.quiet import quiet
from emotion_estimator.training.augment import Enlargement, enlarge, rotate_and_flip, vary
from emotion_estimator.training.dataset import Stills

#: Raise it when the images made for a pass change, so that old chunks are not reused.
_VERSION = 1
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Extracted:
    """What both sources saw in a pass over stills; rows of zeros where no face was found.

    :param row: (N,), index of the still.
    :param teacher: float32 (N, 52), the Face Landmarker's blendshapes.
    :param mesh: float32 (N, 478, 3), the bundled face mesh's landmarks in pixels of the
        enlarged image.
    :param teacher_found: bool (N,); ``mesh_found`` alike.
    """

    row: NDArray[np.int64]
    teacher: NDArray[np.float32]
    mesh: NDArray[np.float32]
    teacher_found: NDArray[np.bool_]
    mesh_found: NDArray[np.bool_]


@dataclass(frozen=True)
class _Task:
    path: Path
    rows: NDArray[np.int64]
    stills: NDArray[np.uint8]
    landmarks: NDArray[np.float32] | None
    look: str
    seed: int


_sources: dict[str, Any] = {}


def _open_sources(teacher: Path) -> None:
    """Open the landmark models once in each worker process."""
    import cv2

    cv2.setNumThreads(1)
    os.nice(5)
    _sources['teacher'] = FaceLandmarker(teacher, static=True)
    with quiet():
        _sources['mesh'] = import_mediapipe().solutions.face_mesh.FaceMesh(
            static_image_mode=True, refine_landmarks=True
        )


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
        return enlarge(still, Enlargement(mirror=task.look == 'mirrored'))
    rng = np.random.default_rng([task.seed, int(task.rows[position])])
    if task.look == 'rotated':
        return rotate_and_flip(still, rng)
    known = task.landmarks
    usable = known is not None and known[position].any()
    return vary(still, known[position] if known is not None and usable else None, rng)


def _run(task: _Task) -> None:
    count = len(task.rows)
    teacher, mesh = np.zeros((count, 52), np.float32), np.zeros((count, 478, 3), np.float32)
    found = np.zeros((2, count), bool)
    for position in range(count):
        image = _image(task, position)
        faces = _sources['teacher'](Frame(image, 0.0))
        if faces:
            teacher[position], found[0, position] = faces[0].blendshapes, True
        landmarks = mesh_landmarks(_sources['mesh'], image)
        if landmarks is not None:
            mesh[position], found[1, position] = landmarks, True
    partial = task.path.with_suffix('.partial.npz')
    np.savez(partial, row=task.rows, teacher=teacher, mesh=mesh,
             teacher_found=found[0], mesh_found=found[1])
    partial.replace(task.path)


def extract(
    stills: Stills,
    rows: NDArray[np.int64],
    teacher: Path,
    cache: Path,
    look: str = 'plain',
    seed: int = 0,
    landmarks: NDArray[np.float32] | None = None,
    processes: int = 2,
) -> Extracted:
    """Run the Face Landmarker and the face mesh over enlarged stills.

    Chunks that an earlier run finished are read from ``cache``, so an interrupted run continues.

    :param stills: the images.
    :param rows: which of them.
    :param teacher: ``face_landmarker.task``.
    :param cache: folder of the chunks.
    :param look: ``plain`` enlarging (4x, cubic); ``mirrored``, left and right swapped; ``rotated``
        and flipped at random; or ``varied`` in expression, light and more.
    :param seed: of the chance in ``rotated`` and ``varied``.
    :param landmarks: (len(stills), 478, 3) in pixels of the stills, zeros where unknown; needed
        to vary expressions.
    :param processes: worker processes.
    """
    suffix = f'-{look}' if look in ('mirrored', 'rotated') else ''
    folder = cache / f'{_identity(stills, rows, teacher)}-seed{seed}{suffix}'
    folder.mkdir(parents=True, exist_ok=True)
    paths, tasks = [], []
    for start in range(0, len(rows), _CHUNK):
        part = rows[start:start + _CHUNK]
        paths.append(folder / f'{start:06d}.npz')
        if not paths[-1].exists():
            known = None if landmarks is None else landmarks[part]
            tasks.append(_Task(paths[-1], part, stills.pixels[part], known, look, seed))
    _run_all(tasks, len(paths), teacher, processes, f'landmarks, {look} {seed}')
    return _read(paths)


def _run_all(
    tasks: Sequence[_Task], total: int, teacher: Path, processes: int, title: str
) -> None:
    with tqdm(total=total, initial=total - len(tasks), desc=title, unit='chunk') as bar:
        if not tasks:
            return
        # Not forked: MediaPipe's threads would not survive it.
        context = multiprocessing.get_context('spawn')
        with context.Pool(processes, _open_sources, (teacher,)) as pool:
            for _ in pool.imap_unordered(_run, tasks):
                bar.update()


def _identity(stills: Stills, rows: NDArray[np.int64], teacher: Path) -> str:
    digest = hashlib.sha256(json.dumps([_VERSION, _CHUNK]).encode())
    for content in (stills.pixels[rows].tobytes(), rows.tobytes(), teacher.read_bytes()):
        digest.update(content)
    return digest.hexdigest()[:16]


def _read(paths: Sequence[Path]) -> Extracted:
    chunks: dict[str, list[NDArray[Any]]] = {}
    for path in paths:
        with np.load(path) as data:
            for name in data.files:
                chunks.setdefault(name, []).append(data[name])
    return Extracted(**{name: np.concatenate(parts) for name, parts in chunks.items()})
