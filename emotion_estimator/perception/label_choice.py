"""The label of a face: the most probable one, or the one that thresholds choose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emotion_estimator.emotion import HAPPY, SAD, UNKNOWN, FloatArray


class LabelChoice(NamedTuple):
    """The label of a face and how sure it is.

    :param label: one of the model's labels, or ``unknown``.
    :param confidence: the label's probability, 0 to 1; if the label is ``unknown`` because it
        abstained, the probability of the label that it would have been.
    """

    label: str
    confidence: float


def choose_label(
    labels: tuple[str, ...],
    probabilities: FloatArray,
    abstain_below: float = 0.0,
    *,
    sad_threshold: float = 0.0,
    happy_threshold: float = 0.0,
) -> LabelChoice:
    """Return the most probable label, unless thresholds move the operating point or abstain.

    A label with a threshold is chosen exactly if its probability reaches it; one without
    (threshold 0) if it is the most probable of all. If both sad and happy are, the more probable
    one is chosen; if neither, the most probable of the remaining labels, or ``unknown`` if the
    model has no others. A label that the model does not have needs no threshold and gets none.

    Then it abstains, if the chosen label's probability is below ``abstain_below``. Abstaining makes
    the remaining answers more reliable: selective classification by the highest probability
    (Chow 1970; El-Yaniv and Wiener 2010), for which the risk-coverage curve gives the share of
    answers a threshold costs.

    :param labels: L names.
    :param probabilities: float32 (L,), 0 to 1, in the order of ``labels``.
    :param abstain_below: 0 to 1; 0 never abstains.
    :param sad_threshold: 0 to 1; 0 leaves ``sad`` at the model's own operating point.
    :param happy_threshold: the same for ``happy``.
    """
    chosen: int | None = int(np.argmax(probabilities))
    confidence = float(probabilities[chosen])
    if sad_threshold > 0 or happy_threshold > 0:
        values = probabilities.tolist()
        chosen = _beyond(labels, values, {SAD: sad_threshold, HAPPY: happy_threshold})
        confidence = confidence if chosen is None else values[chosen]
    if chosen is None or (abstain_below > 0 and not _reaches(confidence, abstain_below)):
        return LabelChoice(UNKNOWN, confidence)
    return LabelChoice(labels[chosen], confidence)


def _beyond(
    labels: tuple[str, ...], values: list[float], thresholds: dict[str, float]
) -> int | None:
    """Return the index of the label chosen by thresholds; None if no label is left.

    :param thresholds: by label, 0 where it has none.
    """
    best = values.index(max(values))
    reached, others = [], []
    for index, label in enumerate(labels):
        if label not in thresholds:
            others.append(index)
        elif _reaches(values[index], thresholds[label]) if thresholds[label] else index == best:
            reached.append(index)
    return max(reached or others, key=values.__getitem__, default=None)


def _reaches(probability: float, threshold: float) -> bool:
    """Compare as float32: 0.7 as float32 is a little less than 0.7."""
    return probability >= float(np.float32(threshold))
