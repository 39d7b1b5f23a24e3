"""Valence and arousal, derived from the probabilities of the seven expressions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple


class Affect(NamedTuple):
    """A point of the valence-arousal plane; (0, 0) is neutral.

    :param valence: -1 unpleasant to 1 pleasant.
    :param arousal: -1 sleepy to 1 excited.
    """

    valence: float
    arousal: float


#: Mean ratings of the words "angry", "disgusted", "fearful", "happy", "sad" and "surprised"
#: (pleasure and arousal, without dominance), from Russell and Mehrabian 1977. They lie in the
#: quadrants of the words in the circumplex of Russell 1980. A neutral face is the origin.
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
    """Return the labels' coordinates, averaged by their probabilities.

    The estimator passes the seven basic expressions, whatever its vocabulary. A label without
    coordinates ("unknown", or one of another model) counts as the origin. So the result changes
    smoothly with the face and lies near the origin while the model is unsure. It is what raters
    associate with the words, not a measurement: it adds nothing to the probabilities and never
    leaves the hull of ``COORDINATES``. Blendshapes are not used, since no data at hand could show
    whether they help.

    :param probabilities: pairs of label and probability, in any order. NaN counts as 0, other
        values are clipped to 0 to 1, and a sum above 1 is scaled down to 1.
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
