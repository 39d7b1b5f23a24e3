"""Looks at the frames of clips and writes what it sees, one file a clip: a worker's part."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.face_parts import aligned_face
from emotion_estimator.perception.landmarks.landmark_source import Choice, open_landmarker
from emotion_estimator.perception.landmarks.landmarks import FaceLandmarks, Landmarker
from emotion_estimator_training.zoo.data.clip_set import Clip
from emotion_estimator_training.zoo.data.frame_settings import FrameSettings
from emotion_estimator_training.zoo.data.frame_source import frames_of

#: Names of the arrays of a track in its file.
ARRAYS = ('times', 'crops', 'landmarks', 'blendshapes', 'found')

#: Landmark model of each thread that looks at frames: opening it takes longer than a clip.
_opened = threading.local()


@dataclass(frozen=True)
class Task:
    """Clips of one video that do not overlap, and the file of each."""

    clips: tuple[Clip, ...]
    targets: tuple[Path, ...]
    settings: FrameSettings
    choice: Choice


def look(task: Task) -> str | None:
    """Write what is seen of each clip; return why nothing can be of those whose file lacks."""
    settings, left = task.settings, dict(zip(task.clips, task.targets))
    landmarker = _landmarker(task.choice, settings.max_faces)
    try:
        for clip, frames in frames_of(task.clips, settings.rate, settings.folder_rate):
            landmarker.reset()
            _write(left.pop(clip), _see(frames, landmarker, settings.side))
    except (InputError, OSError, cv2.error, ValueError, RuntimeError, MemoryError) as error:
        return ' '.join(str(error).split()) or type(error).__name__
    # The video ends before they begin.
    for target in left.values():
        _write(target, _see((), landmarker, settings.side))
    return None


def _see(frames: Iterable[Frame], landmarker: Landmarker, side: int) -> dict[str, NDArray]:
    """Return the arrays of a track, T frames."""
    seen: dict[str, list[NDArray]] = {name: [] for name in ARRAYS}
    for frame in frames:
        height, width = frame.image.shape[:2]
        face = central(landmarker(frame), width, height)
        try:
            if face is None:
                raise InputError('no face')
            crop, points = aligned_face(frame.image, face.landmarks, side)
        except InputError:
            if not seen['times']:
                continue
            values = (frame.stamp, *(seen[name][-1] for name in ARRAYS[1:4]), False)
        else:
            values = (frame.stamp, crop, points, face.blendshapes, True)
        for name, value in zip(ARRAYS, values):
            seen[name].append(value)
    while seen['found'] and not seen['found'][-1]:
        for values in seen.values():
            values.pop()
    shapes = {'times': (), 'crops': (side, side, 3), 'landmarks': (478, 3), 'blendshapes': (52,),
              'found': ()}
    types = {'times': np.float64, 'crops': np.uint8, 'found': bool}
    return {
        name: np.array(values, types.get(name, np.float32)).reshape(len(values), *shapes[name])
        for name, values in seen.items()
    }


def _write(path: Path, arrays: dict[str, NDArray]) -> None:
    partial = path.with_suffix('.partial.npz')
    try:
        np.savez(partial, **arrays)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        # Not an InputError: it is not the video's fault.
        raise EmotionEstimatorError(
            f'{path} cannot be written ({error.strerror}); make room, or choose another cache'
        ) from error


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
