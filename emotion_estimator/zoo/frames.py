"""Faces of clips, frame by frame: found, cut out, and kept on disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.zoo.clip_set import Clip


@dataclass(frozen=True)
class FrameSettings:
    """How clips become faces.

    :param rate: frames per second, the nearest frames of the video; 0 takes all.
    :param side: of the crops, in pixels.
    :param max_faces: faces looked for in a frame, of which the central one is taken.
    :param source: landmark source: ``auto``, ``face_landmarker`` or ``face_mesh``.
    :param model: the ``.task`` file of ``face_landmarker``; empty means the user's cache.
    """

    rate: float = 30.0
    side: int = 96
    max_faces: int = 3
    source: str = 'auto'
    model: str = ''


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """The central face of a clip, T frames.

    Where a frame shows no face, crop, landmarks and blendshapes are the last face's (at the clip's
    begin, the first one's), and ``found`` is False.

    :param times: float64 (T,), seconds from the video's begin, strictly increasing.
    :param crops: uint8 (T, S, S, 3), RGB, the whole face, upright, as ``face_crop`` aligns it.
    :param landmarks: float32 (T, 478, 3), in pixels of the crop (z alike, smaller is nearer).
    :param blendshapes: float32 (T, 52), 0 to 1.
    :param found: bool (T,).
    """

    clip: Clip
    times: NDArray[np.float64]
    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    found: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.times)
