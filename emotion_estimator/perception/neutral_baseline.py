"""Neutral baseline: learn a face's resting expression and subtract it from its blendshapes.

Some people have low brows or a downturned mouth without any expression. The difference between
their resting face and an average resting face is subtracted once it is known.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import NEUTRAL, FloatArray

#: The average face at rest: mean blendshapes of FER2013's neutral Training faces, of both landmark
#: sources (4,858 faces; the sources' means differ by 0.005 on average). A model card that has
#: ``neutral_blendshapes`` replaces it.
USUAL: FloatArray = np.array(
    [
        0.0, 0.08, 0.08, 0.21, 0.26, 0.21, 0.0, 0.0, 0.0, 0.13, 0.12, 0.18, 0.18, 0.14, 0.19, 0.19,
        0.14, 0.16, 0.15, 0.29, 0.23, 0.02, 0.03, 0.0, 0.01, 0.03, 0.0, 0.0, 0.01, 0.01, 0.03, 0.04,
        0.01, 0.01, 0.04, 0.04, 0.04, 0.05, 0.23, 0.01, 0.06, 0.03, 0.06, 0.05, 0.04, 0.04, 0.02,
        0.03, 0.01, 0.01, 0.0, 0.0,
    ],
    np.float32,
)  # fmt: skip

#: Probability from which an expression is clear, so that the face is not at rest.
_CLEAR = 0.6

#: Frames at rest are collected for at most so many times the seconds needed.
_PATIENCE = 5.0

#: Limit of the correction, so that a smile mistaken for rest does not hide all others.
_LIMIT = 0.3

#: Maximum weight of a frame in seconds, as after a face was hidden.
_LONGEST_FRAME = 0.2


class NeutralFace:
    """The resting expression of one face."""

    def __init__(self, usual: FloatArray = USUAL) -> None:
        """Start without observations.

        :param usual: (52,), 0 to 1, blendshapes of the average face at rest.
        """
        self._usual = usual
        self._sum = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
        self._seconds = 0.0
        self._passed = 0.0
        self._own: FloatArray | None = None

    def correct(self, blendshapes: FloatArray) -> FloatArray:
        """Return blendshapes corrected by the baseline, or unchanged while it is unknown.

        :param blendshapes: (52,), 0 to 1.
        :returns: (52,), 0 to 1.
        """
        if self._own is None:
            return blendshapes
        corrected: FloatArray = np.clip(blendshapes - self._own, 0.0, 1.0)
        return corrected

    def observe(
        self,
        blendshapes: FloatArray,
        dt: float,
        expressions: Iterable[tuple[str, float]],
        *,
        seconds: float,
        facing: bool = True,
    ) -> None:
        """Add a frame of the face to the baseline if the face seems to be at rest.

        :param blendshapes: (52,), 0 to 1, not corrected.
        :param dt: seconds since the face's previous frame.
        :param expressions: pairs of expression and probability in this frame; at rest, only
            neutral reaches 0.6.
        :param seconds: time at rest needed, above 0. It is collected during the first five times
            as many seconds; a face that rests for less is never corrected.
        :param facing: whether the face looks towards the camera; if not, its blendshapes are less
            reliable.
        """
        if self._own is not None or self._passed > _PATIENCE * seconds:
            return
        self._passed += dt
        if not facing or any(
            name != NEUTRAL and probability >= _CLEAR for name, probability in expressions
        ):
            return
        counts = min(dt, _LONGEST_FRAME)
        self._sum += np.float32(counts) * blendshapes
        self._seconds += counts
        if self._seconds >= seconds:
            mean = self._sum / np.float32(self._seconds)
            self._own = np.clip(mean - self._usual, -_LIMIT, _LIMIT)
