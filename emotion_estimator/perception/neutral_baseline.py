"""A face's own look at rest, learnt over its first seconds, taken out of its blendshapes.

Some people's brows hang low or mouths point down without any expression. What of a face at rest
differs from the usual face at rest is its own, and is subtracted from then on.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import NEUTRAL, FloatArray

#: The usual face at rest: mean blendshapes of FER2013's neutral Training faces, of both landmark
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

#: From this probability on an expression is clear, and its frame shows no face at rest.
_CLEAR = 0.6

#: Frames at rest are looked for during so many times the seconds that are asked for.
_PATIENCE = 5.0

#: Most that is taken out of a blendshape, so that no smile taken for rest hides all others.
_MOST = 0.3

#: Most seconds that one frame counts, as after a face was hidden.
_LONGEST_FRAME = 0.2


class NeutralFace:
    """What is known of one face at rest."""

    def __init__(self, usual: FloatArray = USUAL) -> None:
        """Begin with nothing.

        :param usual: (52,), 0 to 1, the blendshapes of the usual face at rest.
        """
        self._usual = usual
        self._sum = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
        self._seconds = 0.0
        self._passed = 0.0
        self._own: FloatArray | None = None

    def correct(self, blendshapes: FloatArray) -> FloatArray:
        """Return the blendshapes without what is the face's own, unchanged while that is unknown.

        :param blendshapes: (52,), 0 to 1.
        :returns: the same.
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
        """Look at a frame of the face: it counts if the face seems to be at rest.

        :param blendshapes: (52,), 0 to 1, as they were seen.
        :param dt: seconds since the face's frame before.
        :param expressions: pairs of expression and probability in this frame; none but neutral
            may be clear (0.6 or more).
        :param seconds: how much at rest must be seen, over 0. It is looked for during the first
            five times as many seconds; a face that shows less stays as it is.
        :param facing: whether it looks towards the camera; turned away, blendshapes are less sure.
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
            self._own = np.clip(mean - self._usual, -_MOST, _MOST)
