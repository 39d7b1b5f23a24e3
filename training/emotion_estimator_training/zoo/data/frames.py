"""Faces of clips, frame by frame: found, cut out, and kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.engine import Runner, runner_of
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.landmarks.landmark_source import Choice, choose
from emotion_estimator_training.zoo.data.clip_set import Clip
from emotion_estimator_training.zoo.data.face_reading import ARRAYS, Task, look
from emotion_estimator_training.zoo.data.frame_settings import FrameSettings
from emotion_estimator_training.zoo.data.frame_source import disjoint
from emotion_estimator_training.zoo.data.problems import Problem

__all__ = ['LEAST_FRAMES', 'FaceTrack', 'FrameSettings', 'face_tracks']

_LOG = logging.getLogger(__name__)

#: Raise it when faces are cut otherwise, so that old files are not reused.
_VERSION = 1
#: Segments with fewer frames are noise of annotation (seed 004, section 2.1).
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
    settings: FrameSettings,
    cache: Path,
    processes: int | Runner | None = None,
) -> tuple[tuple[FaceTrack, ...], tuple[Problem, ...]]:
    """Look at clips, or read what was seen of them before.

    What is seen of each clip is written into ``cache`` at once, so that an interrupted call
    continues when it is made again. A video that was changed, or whose file is damaged, is looked
    at again.

    :param cache: folder.
    :param processes: worker processes (None: one a core), or a runner of
        :mod:`~emotion_estimator.engine`.
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
        left = [target for clip, target in targets.items()
                if clip not in read and clip not in problems]
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
    targets: Mapping[Clip, Path], known: Mapping[Clip, Problem], settings: FrameSettings,
    choice: Choice, processes: int | Runner | None,
) -> dict[Clip, Problem]:
    """Look at the clips without a file, but those whose problem is known; return new problems."""
    missing = [clip for clip, target in targets.items()
               if clip not in known and not _is_whole(target)]
    tasks = [
        Task(tuple(group), tuple(targets[clip] for clip in group), settings, choice)
        for group in disjoint(missing)
    ]
    problems = {}
    with tqdm(total=len(targets), initial=len(targets) - len(missing), unit='clip', desc='faces',
              disable=not tasks) as bar:
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
