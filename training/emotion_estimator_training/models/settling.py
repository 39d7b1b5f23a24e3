"""Holds the labels' probabilities while an expression is held, and lets go at once when it changes.

What the LSTM says of a face near the line between two labels drifts over it now and then. So the
probabilities that are told are a mean over the time for which the expression has been held; a
change that is larger than drift begins the mean anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Settling:
    """How probabilities are held.

    :param jump: change of the probabilities (the sum of all labels' absolute changes, 0 to 2) that
        counts as a new expression; ``width``: over what range it begins to.
    :param share: share of the time an expression has been held over which the mean is taken, and
        ``longest`` that time in seconds at most.
    """

    jump: float = 0.4
    width: float = 0.04
    share: float = 0.4
    longest: float = 4.0


def settle(probabilities: Floats, dt: Floats, how: Settling) -> Floats:
    """Return the probabilities (B, T, L) that are told.

    :param probabilities: (B, T, L), of the LSTM; ``dt`` (B, T), seconds since the frame before.
    """
    held = np.zeros_like(probabilities[:, 0])
    age = np.zeros((len(probabilities), 1), np.float32)
    told = np.empty_like(probabilities)
    for frame in range(probabilities.shape[1]):
        step = dt[:, frame, None]
        change = probabilities[:, frame] - held
        size = np.abs(change).sum(axis=-1, keepdims=True)
        jump = 1 / (1 + np.exp(-(size - how.jump) / how.width))
        slow = step / (step + np.minimum(how.share * age, how.longest))
        held = held + (slow + (1 - slow) * jump) * change
        age = (1 - jump) * (age + step)
        told[:, frame] = held
    return told
