"""When models are asked in a test: at the same moments, whatever their windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emotion_estimator_training.zoo.data.frames import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows


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
        tuple(tracks), classes, np.concatenate([np.zeros(0, np.int64), *track]),
        np.concatenate([np.zeros((0, window), np.int64), *frames]),
    )


def single_frames(windows: Windows, step: int = 1) -> Windows:
    """Return windows of one frame each: every ``step``-th of those that ``windows`` holds, once."""
    pairs = np.unique(np.stack([
        np.repeat(windows.track, windows.length), windows.frames.ravel()
    ], axis=1), axis=0)
    kept = pairs[pairs[:, 1] % step == 0]
    return Windows(windows.tracks, windows.classes, kept[:, 0], kept[:, 1:])
