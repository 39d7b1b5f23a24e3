"""Faces of clips, frame by frame: found, cut out, and kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import threading
import zipfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, takewhile
from pathlib import Path

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
from emotion_estimator.sources.images import images_in, read_image
from emotion_estimator.sources.video import VideoFile
from emotion_estimator.worker_pool import Runner, runner_of
from emotion_estimator_training.zoo.data.clips import Clip, Problem


@dataclass(frozen=True)
class ClipFrameSettings:
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


#: Seconds by which a stamp may lie before the time it stands for.
_EPSILON = 1e-4


def disjoint(clips: Iterable[Clip]) -> list[list[Clip]]:
    """Return clips in groups that one reading of a video serves: of one video, none overlapping.

    Annotators cut a long recording into many segments; decoding it from its begin for each would
    take hours.
    """
    groups: dict[Path, list[list[Clip]]] = {}
    for clip in sorted(clips, key=_start):
        of_video = groups.setdefault(clip.path, [])
        free = (group for group in of_video if _end(group[-1]) <= _start(clip))
        group = next(free, None)
        if group is None:
            of_video.append([clip])
        else:
            group.append(clip)
    return [group for of_video in groups.values() for group in of_video]


def frames_of(
    clips: Sequence[Clip], rate: float = 0.0, folder_rate: float = 30.0
) -> Iterator[tuple[Clip, Iterator[Frame]]]:
    """Yield the clips of one video, each with its frames, which must be read before the next clip.

    A clip in whose time the video has no frames does not come.

    :param clips: a group of :func:`disjoint`.
    :param rate: frames per second: of each step of ``1 / rate`` the first frame; 0 yields all.
        A video with fewer frames per second is not filled up.
    :param folder_rate: at which the images of a folder, in the order of their names, were taken.
        Images that do not decode are passed over.
    :raises InputError: the video cannot be decoded, or the folder has no image that can.
    """
    path = clips[0].path
    frames = _folder_frames(path, folder_rate) if path.is_dir() else VideoFile(path).frames()
    starts = [_start(clip) - _EPSILON for clip in clips]
    last = _end(clips[-1])

    def clip_at(frame: Frame) -> Clip | None:
        index = bisect_right(starts, frame.stamp) - 1
        within = index >= 0 and frame.stamp < _end(clips[index]) - _EPSILON
        return clips[index] if within else None

    needed = takewhile(lambda frame: frame.stamp < last, frames)
    for clip, part in groupby(needed, clip_at):
        if clip is not None:
            yield clip, _sampled(part, rate)


def _start(clip: Clip) -> float:
    return clip.start or 0.0


def _end(clip: Clip) -> float:
    return math.inf if clip.end is None else clip.end


def _folder_frames(folder: Path, rate: float) -> Iterator[Frame]:
    decoded, last = False, None
    for index, path in enumerate(images_in(folder)):
        try:
            image = read_image(path)
        except InputError as error:
            last = error
            continue
        decoded = True
        yield Frame(image, index / rate)
    if not decoded:
        raise InputError(f'no image in {folder} decodes: {last}')


def _sampled(frames: Iterable[Frame], rate: float) -> Iterator[Frame]:
    first, step = None, 0
    for frame in frames:
        first = frame.stamp if first is None else first
        if rate <= 0 or frame.stamp - first >= step / rate - _EPSILON:
            yield frame
            if rate > 0:
                step = int((frame.stamp - first + _EPSILON) * rate) + 1


#: Names of the arrays of a track in its file.
ARRAYS = ('times', 'crops', 'landmarks', 'blendshapes', 'found')

#: Landmark model of each thread that looks at frames: opening it takes longer than a clip.
_opened = threading.local()


@dataclass(frozen=True)
class Task:
    """Clips of one video that do not overlap, and the file of each."""

    clips: tuple[Clip, ...]
    targets: tuple[Path, ...]
    settings: ClipFrameSettings
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
    shapes = {
        'times': (),
        'crops': (side, side, 3),
        'landmarks': (478, 3),
        'blendshapes': (52,),
        'found': (),
    }
    types = {'times': np.float64, 'crops': np.uint8, 'found': bool}
    return {
        name: np.array(values, types.get(name, np.float32)).reshape(len(values), *shapes[name])
        for name, values in seen.items()
    }


def _write(path: Path, arrays: dict[str, NDArray]) -> None:
    try:
        with atomic_write(path) as partial:
            np.savez(partial, **arrays)
    except OSError as error:
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


__all__ = ['LEAST_FRAMES', 'FaceTrack', 'ClipFrameSettings', 'face_tracks']

_LOG = logging.getLogger(__name__)

#: Raise it when faces are cut otherwise, so that old files are not reused.
_VERSION = 1
#: Segments with fewer frames are noise of annotation (Terbouche and Chaoui, section 2.1).
LEAST_FRAMES = 8


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


def face_tracks(
    clips: Sequence[Clip],
    settings: ClipFrameSettings,
    cache: Path,
    processes: int | Runner | None = None,
) -> tuple[tuple[FaceTrack, ...], tuple[Problem, ...]]:
    """Look at clips, or read what was seen of them before.

    What is seen of each clip is written into ``cache`` at once, so that an interrupted call
    continues when it is made again. A video that was changed, or whose file is damaged, is looked
    at again.

    :param cache: folder.
    :param processes: worker processes (None: one a core), or a runner of
        :mod:`~emotion_estimator.worker_pool`.
    :returns: the faces in the order of the clips, and the clips without: not decodable, no face,
        or seen in fewer than ``LEAST_FRAMES`` frames.
    :raises EmotionEstimatorError: the cache cannot be written, or mended.
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
    read: dict[Clip, FaceTrack] = {}
    # Twice: a file that turns out to be damaged is made again.
    for _ in range(2):
        problems.update(_look(targets, problems, settings, choice, processes))
        for clip, target in targets.items():
            if clip not in read and clip not in problems:
                track = _read(clip, target)
                if track is not None:
                    read[clip] = track
        left = [
            target for clip, target in targets.items() if clip not in read and clip not in problems
        ]
        if not left:
            break
    else:
        raise InputError(f'{left[0]} is damaged again and again; choose another cache')
    for clip, track in read.items():
        problem = _too_little(track)
        if problem is not None:
            problems[clip] = problem
    tracks = tuple(read[clip] for clip in targets if clip not in problems)
    return tracks, tuple(problems[clip] for clip in clips if clip in problems)


def _look(
    targets: Mapping[Clip, Path],
    known: Mapping[Clip, Problem],
    settings: ClipFrameSettings,
    choice: Choice,
    processes: int | Runner | None,
) -> dict[Clip, Problem]:
    """Look at the clips without a file, but those whose problem is known; return new problems."""
    missing = [
        clip for clip, target in targets.items() if clip not in known and not _is_whole(target)
    ]
    tasks = [
        Task(tuple(group), tuple(targets[clip] for clip in group), settings, choice)
        for group in disjoint(missing)
    ]
    problems = {}
    with tqdm(
        total=len(targets),
        initial=len(targets) - len(missing),
        unit='clip',
        desc='faces',
        disable=not tasks,
    ) as bar:
        for index, why in runner_of(processes)(look, tasks):
            for clip in tasks[index].clips:
                if why is not None and not _is_whole(targets[clip]):
                    what = f'{clip.title}: {why}'
                    problems[clip] = Problem('unreadable', clip.name, what)
            bar.update(len(tasks[index].clips))
    return problems


def _read(clip: Clip, path: Path) -> FaceTrack | None:
    """Return what a file holds; delete it where it is damaged, and return None.

    :raises InputError: it cannot be deleted.
    """
    try:
        with np.load(path) as data:
            return FaceTrack(clip, **{name: data[name] for name in ARRAYS})
    except MemoryError:
        # Not the file's fault, as a rule.
        raise
    # Damage shows in zip, zlib, NumPy's headers and the tokenizer that reads them: any error.
    except Exception as error:
        why = first_line(error) or type(error).__name__
        _LOG.warning('%s is damaged (%s); %s is looked at again', path, why, clip.title)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f'{path} is damaged and cannot be deleted ({error.strerror}); choose another cache'
        ) from error
    return None


def _too_little(track: FaceTrack) -> Problem | None:
    clip, count = track.clip, int(track.found.sum())
    if not count:
        return Problem('no face', clip.name, clip.title)
    if count < LEAST_FRAMES:
        return Problem(
            'short',
            clip.name,
            f'{clip.title} shows a face in {count} frames, of at least {LEAST_FRAMES}',
        )
    return None


def _is_whole(path: Path) -> bool:
    """Tell whether a file was written to its end; one that was not is made again."""
    return path.is_file() and zipfile.is_zipfile(path)


def _identity(settings: ClipFrameSettings, choice: Choice) -> str:
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
