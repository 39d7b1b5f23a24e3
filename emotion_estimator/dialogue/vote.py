"""What one observation of a face speaks for, whatever stands in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from emotion_estimator.emotion import NONE, FaceEmotion

#: What a face whose label cannot be told counts as.
UNDECIDED = 'unknown'

#: A lead of this much probability over the next label counts in full, a smaller one less.
_FULL_LEAD = 0.2


@dataclass(frozen=True)
class Vote:
    """What one observation says.

    :param label: what it speaks for; ``none`` is nobody there.
    :param weight: how much it counts, above 0 to 1.
    :param confidence: probability of the label, 0 to 1.
    :param face_id: whose face it is; empty for nobody.
    """

    label: str
    weight: float
    confidence: float
    face_id: str


def vote_of(face: FaceEmotion | None) -> Vote:
    """Return what a face speaks for, and how clearly; odd values make it one nobody can read.

    :param face: as the estimator or a message has it; None where there is none.
    """
    if face is None:
        return Vote(NONE, 1.0, 1.0, '')
    label, face_id = face.label, str(face.face_id)
    confidence = _probability(face.confidence)
    if not isinstance(label, str) or label in ('', NONE):
        return Vote(UNDECIDED, 1.0, confidence, face_id)
    lead = confidence - _next_best(face, confidence)
    if lead <= 0:
        return Vote(UNDECIDED, 1.0, confidence, face_id)
    return Vote(label, min(lead / _FULL_LEAD, 1.0), confidence, face_id)


def _next_best(face: FaceEmotion, confidence: float) -> float:
    """Return the probability of the next label; without the list, the most that is left for it."""
    try:
        names = list(face.labels)
        values = [_probability(value) for value in face.probabilities]
        others = [value for name, value in zip(names, values) if name != face.label]
    except (TypeError, ValueError):
        return 1.0 - confidence
    if not others or len(values) != len(names) or len(others) != len(names) - 1:
        return 1.0 - confidence
    return max(others)


def _probability(value: Any) -> float:
    """Return a number in 0 to 1; 0 for what is none."""
    given = number(value)
    return min(max(given, 0.0), 1.0) if math.isfinite(given) else 0.0


def number(value: Any) -> float:
    """Return ``value`` as a float; not a number where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
