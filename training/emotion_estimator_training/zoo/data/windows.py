"""Windows: runs of frames of one length, for training and for querying models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo.data.clips import Problem
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack

#: Least share of a window's frames that must show the face.
LEAST_FOUND = 0.5
#: What to do with tracks that are shorter than a window (both in Pua et al., VII).
SHORT = ('drop', 'repeat')


@dataclass(frozen=True, eq=False)
class Windows:
    """N windows of L frames over tracks; arrays are gathered on access.

    :param classes: in output order.
    :param track: int64 (N,), index of each window's track.
    :param frames: int64 (N, L), indices of its frames in that track.
    """

    tracks: tuple[FaceTrack, ...]
    classes: tuple[str, ...]
    track: NDArray[np.int64]
    frames: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.track)

    @property
    def length(self) -> int:
        """Frames in a window."""
        return self.frames.shape[1]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Index into ``classes`` of each window, (N,)."""
        where = {name: index for index, name in enumerate(self.classes)}
        codes = np.array([where[one.clip.label] for one in self.tracks], np.int64)
        return codes[self.track]

    @property
    def crops(self) -> NDArray[np.uint8]:
        """Face crops (N, L, S, S, 3), RGB."""
        return self._gather('crops')

    @property
    def landmarks(self) -> NDArray[np.float32]:
        """Landmarks (N, L, 478, 3), in pixels of the crops."""
        return self._gather('landmarks')

    @property
    def blendshapes(self) -> NDArray[np.float32]:
        """Blendshapes (N, L, 52), 0 to 1."""
        return self._gather('blendshapes')

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds from the start of the video, (N, L)."""
        return self._gather('times')

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which frames (N, L) show a face; the others repeat the last face."""
        return self._gather('found')

    def take(self, rows: NDArray[Any]) -> Windows:
        """Return some of the windows.

        :param rows: indices, or bool (N,).
        """
        return replace(self, track=self.track[rows], frames=self.frames[rows])

    def _gather(self, name: str) -> NDArray[Any]:
        return np.stack(
            [
                getattr(self.tracks[track], name)[frames]
                for track, frames in zip(self.track, self.frames)
            ]
        )


def cut_windows(
    tracks: Sequence[FaceTrack],
    classes: Sequence[str],
    length: int,
    overlap: float | Mapping[str, float] = 0.0,
    step: int | None = None,
    short: str = 'drop',
) -> tuple[Windows, tuple[Problem, ...]]:
    """Cut tracks into windows, for training.

    A window begins every ``length * (1 - overlap)`` frames. Frames after the last complete window,
    and windows in which less than ``LEAST_FOUND`` of the frames show the face, are left out.

    :param classes: in output order; the label of every track is one of them.
    :param length: frames in a window, at least 1.
    :param overlap: share of frames that consecutive windows have in common, at least 0 and less
        than 1: for all classes, or by class (0 for others). More windows of rare classes balance a
        set (Terbouche and Chaoui: happy 0.5, pensive 0.3).
    :param step: frames from the start of one window to that of the next, in place of ``overlap``.
    :param short: ``drop`` tracks that are shorter than a window, or ``repeat`` their last frame.
    :returns: the windows, and the tracks without one.
    :raises InputError: length, overlap or step is out of range, or no window is left.
    """
    if length < 1 or (step is not None and step < 1) or short not in SHORT:
        raise InputError(
            f'windows of {length} frames every {step}, short tracks {short!r}: out of range; give '
            f'whole numbers of at least 1 and {" or ".join(SHORT)}'
        )
    track, frames, problems = [], [], []
    for index, one in enumerate(tracks):
        count = len(one)
        if count < length and short == 'drop':
            problems.append(
                Problem('window', one.clip.name, f'{one.clip.title} has {count} of {length} frames')
            )
            continue
        every = step or _step(one.clip.label, length, overlap)
        starts = np.arange(0, max(count - length, 0) + 1, every)
        runs = np.minimum(starts[:, None] + np.arange(length), count - 1)
        runs = runs[one.found[runs].mean(axis=1) >= LEAST_FOUND]
        if not len(runs):
            problems.append(
                Problem(
                    'window',
                    one.clip.name,
                    f'{one.clip.title} shows the face too rarely in each {length} frames',
                )
            )
        track += [index] * len(runs)
        frames += list(runs)
    if not track:
        raise InputError(
            f'none of {len(tracks)} clips has a complete window of {length} frames; use shorter '
            'windows, more frames per second, or longer clips'
        )
    windows = Windows(
        tuple(tracks), tuple(classes), np.array(track, np.int64), np.stack(frames).astype(np.int64)
    )
    return windows, tuple(problems)


def _step(label: str, length: int, overlap: float | Mapping[str, float]) -> int:
    share = overlap.get(label, 0.0) if isinstance(overlap, Mapping) else overlap
    if not 0 <= share < 1:
        raise InputError(f'overlap {share} is out of range; give at least 0 and less than 1')
    return max(round(length * (1 - share)), 1)


def query_windows(
    tracks: Sequence[FaceTrack], classes: tuple[str, ...], window: int, hop: int = 1
) -> Windows:
    """Return a window that ends at every ``hop``-th frame of each track, in order, for testing.

    Before the start of a track its first frame is repeated, as the estimator node does when a face
    appears. All models are thus queried at the same times, whatever ``window`` is.

    :param window: frames in a window.
    """
    track, frames = [], []
    back = np.arange(1 - window, 1)
    for index, one in enumerate(tracks):
        ends = np.arange(hop - 1, len(one), hop)
        track.append(np.full(len(ends), index, np.int64))
        frames.append(np.maximum(ends[:, None] + back, 0))
    return Windows(
        tuple(tracks),
        classes,
        np.concatenate([np.zeros(0, np.int64), *track]),
        np.concatenate([np.zeros((0, window), np.int64), *frames]),
    )


def single_frames(windows: Windows, step: int = 1) -> Windows:
    """Return windows of one frame: the frames of ``windows`` whose index is a multiple of ``step``.

    Each frame is returned once.
    """
    pairs = np.unique(
        np.stack([np.repeat(windows.track, windows.length), windows.frames.ravel()], axis=1), axis=0
    )
    kept = pairs[pairs[:, 1] % step == 0]
    return Windows(windows.tracks, windows.classes, kept[:, 0], kept[:, 1:])
