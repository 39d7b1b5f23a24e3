"""Valence and arousal from the class probabilities, for readers that think in dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple


class Affect(NamedTuple):
    """A point of the valence-arousal plane, each -1 to 1; (0, 0) is neither pleasant nor aroused.

    :param valence: -1 unpleasant to 1 pleasant.
    :param arousal: -1 sleepy to 1 excited.
    """

    valence: float
    arousal: float


#: Mean ratings of the words "angry", "disgusted", "fearful", "happy", "sad" and "surprised"
#: (pleasure and arousal; dominance is left out), from Russell and Mehrabian 1977. They lie in the
#: quadrants that the circumplex (Russell 1980) gives the words. A neutral face is the origin.
COORDINATES: Mapping[str, Affect] = MappingProxyType(
    {
        'angry': Affect(-0.51, 0.59),
        'disgust': Affect(-0.60, 0.35),
        'fear': Affect(-0.64, 0.60),
        'happy': Affect(0.81, 0.51),
        'sad': Affect(-0.63, -0.27),
        'surprise': Affect(0.40, 0.67),
        'neutral': Affect(0.0, 0.0),
    }
)


def affect(probabilities: Iterable[tuple[str, float]]) -> Affect:
    """Return the expected point of the plane: the labels' coordinates weighted by probability.

    The estimator gives the seven basic expressions, whichever vocabulary it answers in. A label
    without coordinates ("unknown", or one of a model to come) stands for no evidence: it
    adds nothing, and what probability it has draws the point to the origin. So the answer moves
    smoothly while a face changes, and lies near the origin while the model is unsure. It is what
    the words mean to raters, not a measurement: it says no more than the probabilities do, and
    never goes beyond the coordinates above. Blendshapes are not used, because no data at hand
    could tell whether that makes it better.

    :param probabilities: pairs of label and probability, in any order. What is no number counts
        as 0, and is held to 0 to 1; a sum above 1 is scaled down to it.
    """
    pairs = [
        (COORDINATES.get(label, Affect(0.0, 0.0)), min(max(float(weight), 0.0), 1.0))
        for label, weight in probabilities
        if not math.isnan(weight)
    ]
    total = max(1.0, math.fsum(weight for _, weight in pairs))
    return Affect(
        math.fsum(weight * point.valence for point, weight in pairs) / total,
        math.fsum(weight * point.arousal for point, weight in pairs) / total,
    )
