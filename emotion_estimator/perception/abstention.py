"""Says nothing of a face where no label is likely enough."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emotion_estimator.emotion import UNKNOWN, FloatArray


class Told(NamedTuple):
    """What is told of a face.

    :param label: the most probable one, or ``unknown``.
    :param confidence: the greatest probability, 0 to 1, also where ``unknown`` is told instead.
    """

    label: str
    confidence: float


def told(labels: tuple[str, ...], probabilities: FloatArray, least: float = 0.0) -> Told:
    """Return the most probable label, or ``unknown`` where its probability is below ``least``.

    What is left out makes the rest more reliable: selective classification by the greatest
    probability, of which the risk-coverage curve says how many answers a threshold costs (C. K.
    Chow, "On optimum recognition error and reject tradeoff", IEEE Trans. Inf. Theory 16 (1970)
    41-46; R. El-Yaniv and Y. Wiener, JMLR 11 (2010) 1605-1641).

    :param labels: (L,) and ``probabilities`` float32 (L,), 0 to 1, in the same order.
    :param least: 0 to 1; 0 tells a label always.
    """
    best = int(np.argmax(probabilities))
    confidence = float(probabilities[best])
    return Told(labels[best] if confidence >= least else UNKNOWN, confidence)
