"""Abstention: publish ``unknown`` when no label is probable enough."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emotion_estimator.emotion import UNKNOWN, FloatArray


class LabelChoice(NamedTuple):
    """The label of a face and how sure it is.

    :param label: the most probable label, or ``unknown``.
    :param confidence: the highest probability, 0 to 1, even if the label is ``unknown`` instead.
    """

    label: str
    confidence: float


def choose_label(
    labels: tuple[str, ...], probabilities: FloatArray, abstain_below: float = 0.0
) -> LabelChoice:
    """Return the most probable label, or ``unknown`` if its probability is below a threshold.

    Abstaining makes the remaining answers more reliable: selective classification by the highest
    probability (Chow 1970; El-Yaniv and Wiener 2010), for which the risk-coverage curve gives the
    share of answers a threshold costs.

    :param labels: L names.
    :param probabilities: float32 (L,), 0 to 1, in the order of ``labels``.
    :param abstain_below: the threshold, 0 to 1; 0 never abstains.
    """
    best = int(np.argmax(probabilities))
    confidence = float(probabilities[best])
    return LabelChoice(labels[best] if confidence >= abstain_below else UNKNOWN, confidence)
