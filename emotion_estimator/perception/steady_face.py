"""A face that looks as it did an image ago, whose crop need not be read again."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.perception.appearance import FaceInput
from emotion_estimator.perception.landmarks.base import FaceLandmarks

#: Longest time in seconds between the two images.
_PAUSE = 0.15
#: Largest change of a blendshape, and of the box's sides by its width and height.
_BLENDSHAPES = 0.08
_MOVED = 0.06


class SteadyFace:
    """What was last read of a face, for the image that follows."""

    def __init__(self) -> None:
        self._read: FaceInput[Any] | None = None
        self._blendshapes: FloatArray = np.zeros(0, np.float32)
        self._box: FloatArray = np.zeros(4, np.float32)

    def keep(self, face: FaceLandmarks, read: FaceInput[Any]) -> None:
        """Remember what was read of a face in this image."""
        self._read = read
        self._blendshapes, self._box = face.blendshapes, _box(face)

    def take(self, face: FaceLandmarks, dt: float) -> FloatArray | None:
        """Return the embedding of the image before, once; None if there is none or it has changed.

        :param face: as it is now.
        :param dt: seconds since the image before.
        """
        read, self._read = self._read, None
        if read is None or read.embedding is None or dt > _PAUSE:
            return None
        moved = np.abs(_box(face) - self._box).max() / max(self._box[2:].max(), 1.0)
        changed = np.abs(face.blendshapes - self._blendshapes).max(initial=0.0)
        return read.embedding if moved <= _MOVED and changed <= _BLENDSHAPES else None


def _box(face: FaceLandmarks) -> FloatArray:
    return np.asarray(face.roi.as_list(), np.float32)
