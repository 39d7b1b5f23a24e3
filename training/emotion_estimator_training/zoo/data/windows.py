"""Windows: runs of frames of one length, which sequence models read, and when they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo.data.clips import Problem
from emotion_estimator_training.zoo.data.frames import FaceTrack

#: Pua et al.: a segment of 10 frames; Terbouche and Chaoui: sequences of 16, and the
#: overlap of rare classes in
#: training and validation (section 3.1).
MICROX_LENGTH, SEQUENCE_LENGTH = 10, 16
SEQUENCE_OVERLAP = {'happy': 0.5, 'pensive': 0.3}
#: Share of a window's frames that must show the face; the others repeat its last one.
LEAST_SEEN = 0.5
#: What becomes of tracks that are shorter than a window.
SHORT = ('drop', 'repeat')


@dataclass(frozen=True, eq=False)
class Windows:
    """N windows of L frames over tracks; arrays are gathered when they are asked for.

    :param tracks: the faces.
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
        """Frames of a window."""
        return self.frames.shape[1]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Index into ``classes`` of each window, (N,)."""
        where = {name: index for index, name in enumerate(self.classes)}
        codes = np.array([where[one.clip.label] for one in self.tracks], np.int64)
        return codes[self.track]

    @property
    def crops(self) -> NDArray[np.uint8]:
        """Faces of all frames, cut out: (N, L, S, S, 3), RGB."""
        return self._gather('crops')

    @property
    def landmarks(self) -> NDArray[np.float32]:
        """Landmarks (N, L, 478, 3), in pixels of the crops."""
        return self._gather('landmarks')

    @property
    def blendshapes(self) -> NDArray[np.float32]:
        """Blendshapes (N, L, 52)."""
        return self._gather('blendshapes')

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds from the begin of each window's video, (N, L)."""
        return self._gather('times')

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which frames (N, L) show a face; where not, they repeat the last one's."""
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


def windows(
    tracks: Sequence[FaceTrack],
    classes: Sequence[str],
    length: int,
    overlap: float | Mapping[str, float] = 0.0,
    step: int | None = None,
    short: str = 'drop',
) -> tuple[Windows, tuple[Problem, ...]]:
    """Cut tracks into windows.

    A window begins every ``length * (1 - overlap)`` frames; frames behind the last whole window
    are left over, and windows in which the face is seen in less than ``LEAST_SEEN`` of the frames.

    :param classes: in output order; every track's label is one of them.
    :param length: frames of a window, at least 1.
    :param overlap: share of a window that the next one has too, 0 up to but not 1: of all classes,
        or by class (others 0). More windows of rare classes balance a set (Terbouche and Chaoui).
    :param step: frames from one window's begin to the next one's, instead of ``overlap``; 1 is a
        window for every frame that has enough before it.
    :param short: tracks with fewer frames than a window are dropped, or made longer by repeating
        their last frame (both named in Pua et al., VII).
    :returns: the windows, and the tracks that are shorter, if they are dropped, or show the face
        too rarely.
    :raises InputError: a length, an overlap or a step that cannot be, or no window is left.
    """
    if length < 1 or (step is not None and step < 1) or short not in SHORT:
        raise InputError(
            f'windows of {length} frames every {step}, short ones {short!r}, cannot be; give whole '
            f'numbers over 0 and {" or ".join(SHORT)}'
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
        runs = runs[one.found[runs].mean(axis=1) >= LEAST_SEEN]
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
            f'none of {len(tracks)} clips has the {length} frames of a window; take shorter '
            'windows, more frames per second, or longer clips'
        )
    made = Windows(
        tuple(tracks), tuple(classes), np.array(track, np.int64), np.stack(frames).astype(np.int64)
    )
    return made, tuple(problems)


def _step(label: str, length: int, overlap: float | Mapping[str, float]) -> int:
    share = overlap.get(label, 0.0) if isinstance(overlap, Mapping) else overlap
    if not 0 <= share < 1:
        raise InputError(f'an overlap of {share} cannot be; give 0 up to, but not, 1')
    return max(round(length * (1 - share)), 1)


def moments(
    tracks: Sequence[FaceTrack], classes: tuple[str, ...], window: int, hop: int = 1
) -> Windows:
    """Return a window that ends at every ``hop``-th frame of each track, in order.

    Before a track's begin its first frame is repeated, as a robot's window is filled when a face
    comes into sight: whatever ``window`` is, the moments are the same.
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
    """Return windows of one frame each: every ``step``-th of those that ``windows`` holds, once."""
    pairs = np.unique(
        np.stack([np.repeat(windows.track, windows.length), windows.frames.ravel()], axis=1), axis=0
    )
    kept = pairs[pairs[:, 1] % step == 0]
    return Windows(windows.tracks, windows.classes, kept[:, 0], kept[:, 1:])
