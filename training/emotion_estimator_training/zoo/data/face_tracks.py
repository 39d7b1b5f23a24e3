"""Face tracks: the central face of each clip, found, cropped and cached on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import threading
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.errors import EmotionEstimatorError, InputError, first_line
from emotion_estimator.frame import Frame
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.face_parts import aligned_face
from emotion_estimator.perception.landmarks.base import FaceLandmarks, Landmarker
from emotion_estimator.perception.landmarks.source import Choice, choose, open_landmarker
from emotion_estimator.worker_pool import Runner, runner_of
from emotion_estimator_training.zoo.data.clip_frames import frames_of, group_by_reading
from emotion_estimator_training.zoo.data.clips import Clip, Problem

_LOG = logging.getLogger(__name__)

#: Segments with fewer frames are noise of annotation (Terbouche and Chaoui, section 2.1).
LEAST_FRAMES = 8
#: Increase it when faces are cropped differently, so that cached files are not reused.
_VERSION = 1
#: Arrays of a track in its file.
_ARRAYS = ('times', 'crops', 'landmarks', 'blendshapes', 'found')
#: The landmarker of each thread: opening one takes longer than a clip.
_opened = threading.local()


@dataclass(frozen=True)
class ClipFrameSettings:
    """How clips become face tracks.

    :param rate: frames per second, see :func:`~.clip_frames.frames_of`; 0 takes all.
    :param side: of the crops, in pixels.
    :param max_faces: faces to look for in a frame, of which the central one is taken.
    :param folder_rate: frames per second of folders of frames.
    :param source: landmark source: ``auto``, ``face_landmarker`` or ``face_mesh``.
    :param model: the ``.task`` file of ``face_landmarker``; empty is the user's or the package's.
    :raises InputError: a value is out of range.
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
                f'{self.rate:g} frames per second (folders: {self.folder_rate:g}) is out of '
                'range; give 1 to 1000, or 0 for all frames of videos'
            )
        if not 16 <= self.side <= 1024 or self.max_faces < 1:
            raise InputError(
                f'crops of {self.side} pixels, {self.max_faces} faces: out of range; give 16 to '
                '1024 pixels and at least one face'
            )


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """The central face of a clip, T frames from the first to the last that show one.

    Frames without a face in between repeat crop, landmarks and blendshapes of the last face.

    :param times: float64 (T,), seconds from the start of the video, strictly increasing.
    :param crops: uint8 (T, S, S, 3), RGB, the upright face, see :mod:`~.perception.face_parts`.
    :param landmarks: float32 (T, 478, 3), in pixels of the crop (z too, smaller is nearer).
    :param blendshapes: float32 (T, 52), 0 to 1.
    :param found: bool (T,), whether the frame shows a face.
    :param strength: float32 (T,), of the expression, 0 (none) to 1, if the set has it.
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


def face_tracks(
    clips: Sequence[Clip],
    settings: ClipFrameSettings,
    cache: Path,
    processes: int | Runner | None = None,
) -> tuple[tuple[FaceTrack, ...], tuple[Problem, ...]]:
    """Find the faces of clips, or read them from the cache.

    Each clip is cached at once, so that an interrupted call resumes. A clip whose video changed or
    whose cached file is damaged is processed again.

    :param cache: folder.
    :param processes: worker processes (None: one a core), or a runner of
        :mod:`~emotion_estimator.worker_pool`.
    :returns: the tracks in the order of the clips, and the clips that cannot be decoded, show no
        face, or show one in fewer than ``LEAST_FRAMES`` frames.
    :raises EmotionEstimatorError: the cache cannot be written or repaired.
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
    tracks: dict[Clip, FaceTrack] = {}
    # Twice, to replace files that turn out to be damaged.
    for _ in range(2):
        problems.update(_process(targets, problems, settings, choice, processes))
        for clip, target in targets.items():
            if clip not in tracks and clip not in problems:
                track = _read(clip, target)
                if track is not None:
                    tracks[clip] = track
        left = [
            target
            for clip, target in targets.items()
            if clip not in tracks and clip not in problems
        ]
        if not left:
            break
    else:
        raise InputError(f'{left[0]} is damaged again and again; choose another cache')
    for clip, track in tracks.items():
        problem = _too_few_faces(track)
        if problem is not None:
            problems[clip] = problem
    return (
        tuple(tracks[clip] for clip in targets if clip not in problems),
        tuple(problems[clip] for clip in clips if clip in problems),
    )


def central(faces: Sequence[FaceLandmarks], width: int, height: int) -> FaceLandmarks | None:
    """Return the face nearest to the middle of the frame, or None if there is no face."""

    def distance(face: FaceLandmarks) -> float:
        box = face.roi
        return math.hypot(box.x + box.width / 2 - width / 2, box.y + box.height / 2 - height / 2)

    return min(faces, key=distance, default=None)


def _process(
    targets: Mapping[Clip, Path],
    known: Mapping[Clip, Problem],
    settings: ClipFrameSettings,
    choice: Choice,
    processes: int | Runner | None,
) -> dict[Clip, Problem]:
    """Process clips without a cached file or a known problem; return the new problems."""
    missing = [
        clip for clip, target in targets.items() if clip not in known and not _is_complete(target)
    ]
    tasks = [
        _Task(tuple(group), tuple(targets[clip] for clip in group), settings, choice)
        for group in group_by_reading(missing)
    ]
    problems = {}
    with tqdm(
        total=len(targets),
        initial=len(targets) - len(missing),
        unit='clip',
        desc='faces',
        disable=not tasks,
    ) as bar:
        for index, reason in runner_of(processes)(_run, tasks):
            for clip in tasks[index].clips:
                if reason is not None and not _is_complete(targets[clip]):
                    what = f'{clip.title}: {reason}'
                    problems[clip] = Problem('unreadable', clip.name, what)
            bar.update(len(tasks[index].clips))
    return problems


def _too_few_faces(track: FaceTrack) -> Problem | None:
    clip, count = track.clip, int(track.found.sum())
    if not count:
        return Problem('no face', clip.name, clip.title)
    if count < LEAST_FRAMES:
        return Problem(
            'short',
            clip.name,
            f'{clip.title} shows a face in {count} frames; {LEAST_FRAMES} are needed',
        )
    return None


@dataclass(frozen=True)
class _Task:
    """Clips of one video that do not overlap, and the file to write for each."""

    clips: tuple[Clip, ...]
    targets: tuple[Path, ...]
    settings: ClipFrameSettings
    choice: Choice


def _run(task: _Task) -> str | None:
    """Write the file of each clip; if that fails, return why the remaining ones are missing."""
    settings, left = task.settings, dict(zip(task.clips, task.targets))
    landmarker = landmarker_of(task.choice, settings.max_faces)
    try:
        for clip, frames in frames_of(task.clips, settings.rate, settings.folder_rate):
            landmarker.reset()
            _write(left.pop(clip), _track_arrays(frames, landmarker, settings.side))
    except (InputError, OSError, cv2.error, ValueError, RuntimeError, MemoryError) as error:
        return ' '.join(str(error).split()) or type(error).__name__
    # The video ends before these clips begin.
    for target in left.values():
        _write(target, _track_arrays((), landmarker, settings.side))
    return None


def landmarker_of(choice: Choice, max_faces: int) -> Landmarker:
    """Return this thread's landmark source; the last one is kept open."""
    if getattr(_opened, 'key', None) != (choice, max_faces):
        cv2.setNumThreads(1)
        _opened.landmarker = open_landmarker(choice, max_faces=max_faces)
        _opened.key = (choice, max_faces)
    landmarker: Landmarker = _opened.landmarker
    return landmarker


def _track_arrays(
    frames: Iterable[Frame], landmarker: Landmarker, side: int
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a :class:`FaceTrack` by name."""
    seen: list[tuple[float, Any, Any, Any, bool]] = []
    for frame in frames:
        height, width = frame.image.shape[:2]
        face = central(landmarker(frame), width, height)
        try:
            if face is None:
                raise InputError('no face')
            crop, points = aligned_face(frame.image, face.landmarks, side)
        except InputError:
            if seen:
                seen.append((frame.stamp, *seen[-1][1:4], False))
        else:
            seen.append((frame.stamp, crop, points, face.blendshapes, True))
    while seen and not seen[-1][-1]:
        seen.pop()
    count = len(seen)
    times, crops, landmarks, blendshapes, found = zip(*seen) if seen else ((),) * len(_ARRAYS)
    return {
        'times': np.array(times, np.float64),
        'crops': np.array(crops, np.uint8).reshape(count, side, side, 3),
        'landmarks': np.array(landmarks, np.float32).reshape(count, 478, 3),
        'blendshapes': np.array(blendshapes, np.float32).reshape(count, 52),
        'found': np.array(found, bool),
    }


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    try:
        with atomic_write(path) as partial:
            np.savez(partial, **arrays)
    except OSError as error:
        # Not an InputError, which would blame the video.
        raise EmotionEstimatorError(
            f'{path} cannot be written ({error.strerror}); make room, or choose another cache'
        ) from error


def _is_complete(path: Path) -> bool:
    """Return whether a file was written to its end."""
    return path.is_file() and zipfile.is_zipfile(path)


def _read(clip: Clip, path: Path) -> FaceTrack | None:
    """Return the track in a file; delete the file and return None if it is damaged.

    :raises InputError: the damaged file cannot be deleted.
    """
    try:
        with np.load(path) as data:
            return FaceTrack(clip, **{name: data[name] for name in _ARRAYS})
    except MemoryError:
        # Rarely the file's fault.
        raise
    # Damage surfaces in zip, zlib, NumPy's headers and the tokenizer that reads them: any error.
    except Exception as error:
        _LOG.warning(
            '%s is damaged (%s); %s is processed again', path, first_line(error), clip.title
        )
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f'{path} is damaged and cannot be deleted ({error.strerror}); choose another cache'
        ) from error
    return None


def _identity(settings: ClipFrameSettings, choice: Choice) -> str:
    """Return a short hash of what the files depend on besides the clips."""
    facts = {**asdict(settings), 'source': choice.name, 'model': '', 'version': _VERSION}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    model = choice.model_path or models_dir() / 'blendshape_head.tflite'
    if model.is_file():
        digest.update(model.read_bytes())
    return digest.hexdigest()[:12]


def _key(clip: Clip) -> str:
    """Return the stem of a clip's file: its name and a hash of path, times and file sizes."""
    files = sorted(clip.path.iterdir()) if clip.path.is_dir() else [clip.path]
    facts: list[object] = [str(clip.path.absolute()), clip.start, clip.end]
    for file in files:
        about = file.stat()
        facts += [file.name, about.st_size, about.st_mtime_ns]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    plain = ''.join(c if c.isascii() and c.isalnum() else '-' for c in clip.name)
    return f'{plain[-40:]}-{digest}'
