"""Faces of clips, frame by frame: found, cut out, and kept on disk."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.engine import Runner, runner_of
from emotion_estimator.errors import InputError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.face_parts import aligned_face
from emotion_estimator.perception.landmark_source import Choice, choose, open_landmarker
from emotion_estimator.perception.landmarks import FaceLandmarks, Landmarker
from emotion_estimator.zoo.clip_set import Clip
from emotion_estimator.zoo.frame_source import frames_of
from emotion_estimator.zoo.problems import Problem

#: Raise it when faces are cut otherwise, so that old files are not reused.
_VERSION = 1
#: Segments with fewer frames are noise of annotation (seed 004, section 2.1).
LEAST_FRAMES = 8


@dataclass(frozen=True)
class FrameSettings:
    """How clips become faces.

    :param rate: frames per second, see ``frame_source``; 0 takes all.
    :param side: of the crops, in pixels.
    :param max_faces: faces looked for in a frame, of which the central one is taken.
    :param folder_rate: frames per second of folders of frames.
    :param source: landmark source: ``auto``, ``face_landmarker`` or ``face_mesh``.
    :param model: the ``.task`` file of ``face_landmarker``; empty means the user's cache.
    :raises InputError: one of them cannot be.
    """

    rate: float = 30.0
    side: int = 96
    max_faces: int = 3
    folder_rate: float = 30.0
    source: str = 'auto'
    model: str = ''

    def __post_init__(self) -> None:
        if not (0 <= self.rate <= 1000 and 0 < self.folder_rate <= 1000):
            raise InputError(
                f'{self.rate:g} (folders: {self.folder_rate:g}) frames per second cannot be; '
                'give 1 to 1000, or 0 for all frames of videos'
            )
        if not 16 <= self.side <= 1024 or self.max_faces < 1:
            raise InputError(
                f'crops of {self.side} pixels, {self.max_faces} faces cannot be; give 16 to 1024 '
                'pixels and at least one face'
            )


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """The central face of a clip, T frames from the first to the last that show one.

    Where a frame between shows none, crop, landmarks and blendshapes are the last face's, and
    ``found`` is False.

    :param times: float64 (T,), seconds from the video's begin, strictly increasing.
    :param crops: uint8 (T, S, S, 3), RGB, the whole face, upright, see ``face_parts``.
    :param landmarks: float32 (T, 478, 3), in pixels of the crop (z alike, smaller is nearer).
    :param blendshapes: float32 (T, 52), 0 to 1.
    :param found: bool (T,).
    :param strength: float32 (T,), of the expression, 0 none to 1, where the set knows it.
    """

    clip: Clip
    times: NDArray[np.float64]
    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    found: NDArray[np.bool_]
    strength: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.times)


@dataclass(frozen=True)
class _Task:
    clip: Clip
    settings: FrameSettings
    choice: Choice
    target: Path


_ARRAYS = ('times', 'crops', 'landmarks', 'blendshapes', 'found')

#: Landmark model of each thread that looks at frames: opening it takes longer than a clip.
_opened = threading.local()


def face_tracks(
    clips: Sequence[Clip],
    settings: FrameSettings,
    cache: Path,
    processes: int | Runner | None = None,
) -> tuple[tuple[FaceTrack, ...], tuple[Problem, ...]]:
    """Look at clips, or read what was seen of them before.

    What is seen of each clip is written into ``cache`` at once, so that an interrupted call
    continues when it is made again. A video that was changed is looked at again.

    :param cache: folder.
    :param processes: worker processes (None: one a core), or a runner of
        :mod:`~emotion_estimator.engine`.
    :returns: the faces in the order of the clips, and the clips without: not decodable, no face,
        or seen in fewer than ``LEAST_FRAMES`` frames.
    :raises InputError: the cache cannot be written.
    :raises ModelError: the landmark source does not open.
    """
    choice = choose(settings.source, settings.model)
    folder = cache / f'faces-{_identity(settings, choice)}'
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f'{folder} cannot be written ({error.strerror}); choose another cache'
        ) from error
    targets: dict[Clip, Path] = {}
    problems: dict[Clip, Problem] = {}
    for clip in clips:
        try:
            targets[clip] = folder / f'{_key(clip)}.npz'
        except OSError as error:
            what = f'{clip.title}: {error.strerror}'
            problems[clip] = Problem('unreadable', clip.name, what)
    tasks = [
        _Task(clip, settings, choice, target)
        for clip, target in targets.items() if not _is_whole(target)
    ]
    with tqdm(total=len(targets), initial=len(targets) - len(tasks), unit='clip', desc='faces',
              disable=not tasks) as bar:
        for index, problem in runner_of(processes)(_look, tasks):
            if problem is not None:
                problems[tasks[index].clip] = problem
            bar.update()
    tracks = []
    for clip, target in targets.items():
        if clip not in problems:
            track = _read(clip, target)
            problem = _too_little(track)
            if problem is None:
                tracks.append(track)
            else:
                problems[clip] = problem
    return tuple(tracks), tuple(problems[clip] for clip in clips if clip in problems)


def _look(task: _Task) -> Problem | None:
    """Write what is seen of a clip; return why nothing can be."""
    clip = task.clip
    try:
        arrays = _see(task)
    except (InputError, OSError, cv2.error, ValueError, RuntimeError, MemoryError) as error:
        what = ' '.join(str(error).split()) or type(error).__name__
        return Problem('unreadable', clip.name, f'{clip.title}: {what}')
    partial = task.target.with_suffix('.partial.npz')
    try:
        np.savez(partial, **arrays)
        partial.replace(task.target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(
            f'{task.target} cannot be written ({error.strerror}); make room or choose another cache'
        ) from error
    return None


def _see(task: _Task) -> dict[str, NDArray]:
    settings = task.settings
    landmarker = _landmarker(task.choice, settings.max_faces)
    landmarker.reset()
    seen: dict[str, list[NDArray]] = {name: [] for name in _ARRAYS}
    for frame in frames_of(task.clip, settings.rate, settings.folder_rate):
        height, width = frame.image.shape[:2]
        face = central(landmarker(frame), width, height)
        try:
            if face is None:
                raise InputError('no face')
            crop, points = aligned_face(frame.image, face.landmarks, settings.side)
        except InputError:
            if not seen['times']:
                continue
            values = (frame.stamp, *(seen[name][-1] for name in _ARRAYS[1:4]), False)
        else:
            values = (frame.stamp, crop, points, face.blendshapes, True)
        for name, value in zip(_ARRAYS, values):
            seen[name].append(value)
    while seen['found'] and not seen['found'][-1]:
        for values in seen.values():
            values.pop()
    side = settings.side
    shapes = {'times': (), 'crops': (side, side, 3), 'landmarks': (478, 3), 'blendshapes': (52,),
              'found': ()}
    types = {'times': np.float64, 'crops': np.uint8, 'found': bool}
    return {
        name: np.array(values, types.get(name, np.float32)).reshape(len(values), *shapes[name])
        for name, values in seen.items()
    }


def central(faces: Sequence[FaceLandmarks], width: int, height: int) -> FaceLandmarks | None:
    """Return the face nearest to the frame's middle, or None where there is none."""
    def distance(face: FaceLandmarks) -> float:
        box = face.roi
        return math.hypot(box.x + box.width / 2 - width / 2, box.y + box.height / 2 - height / 2)

    return min(faces, key=distance, default=None)


def _landmarker(choice: Choice, max_faces: int) -> Landmarker:
    if getattr(_opened, 'key', None) != (choice, max_faces):
        cv2.setNumThreads(1)
        _opened.landmarker = open_landmarker(choice, max_faces=max_faces)
        _opened.key = (choice, max_faces)
    return _opened.landmarker


def _read(clip: Clip, path: Path) -> FaceTrack:
    try:
        with np.load(path) as data:
            return FaceTrack(clip, **{name: data[name] for name in _ARRAYS})
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f'{path} is damaged; delete it and call again') from error


def _too_little(track: FaceTrack) -> Problem | None:
    clip, count = track.clip, int(track.found.sum())
    if not count:
        return Problem('no face', clip.name, clip.title)
    if count < LEAST_FRAMES:
        return Problem(
            'short', clip.name,
            f'{clip.title} shows a face in {count} frames, of at least {LEAST_FRAMES}',
        )
    return None


def _is_whole(path: Path) -> bool:
    """Tell whether a file was written to its end; one that was not is made again."""
    return path.is_file() and zipfile.is_zipfile(path)


def _identity(settings: FrameSettings, choice: Choice) -> str:
    """Return what the files depend on beside the clips, as a short hash."""
    said = {**asdict(settings), 'source': choice.name, 'model': '', 'version': _VERSION}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    model = choice.model_path or models_dir() / 'blendshape_head.tflite'
    if model.is_file():
        digest.update(model.read_bytes())
    return digest.hexdigest()[:12]


def _key(clip: Clip) -> str:
    """Return a name for a clip's file: its own, and a hash of where, when and how large it is."""
    files = sorted(clip.path.iterdir()) if clip.path.is_dir() else [clip.path]
    facts = [str(clip.path.absolute()), clip.start, clip.end]
    for file in files:
        about = file.stat()
        facts += [file.name, about.st_size, about.st_mtime_ns]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    plain = ''.join(c if c.isascii() and c.isalnum() else '-' for c in clip.name)
    return f'{plain[-40:]}-{digest}'
