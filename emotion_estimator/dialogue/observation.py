"""One message about a face: what is odd in it made harmless, and what it speaks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotion_estimator.emotion import NONE, UNKNOWN, FaceEmotion

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


#: What rounding may add to a probability.
_ROUNDING = 1e-3


def oddity(face: FaceEmotion | None) -> str:
    """Return what is wrong with a face's numbers and names, empty where all is well.

    :param face: as a message had it; None, nobody, is never odd.
    """
    if face is None:
        return ''
    if not face.label:
        return 'the label is empty'
    if not 0 <= face.confidence <= 1 + _ROUNDING:
        return f'confidence {face.confidence} is not in 0 to 1'
    if len(face.labels) != len(face.probabilities):
        return f'{len(face.labels)} labels have {len(face.probabilities)} probabilities'
    if not np.all((face.probabilities >= 0) & (face.probabilities <= 1 + _ROUNDING)):
        return 'a probability is not in 0 to 1'
    # Unknown is also what a model of any labels says where none of them is likely enough.
    if face.labels and face.label not in (*face.labels, UNKNOWN):
        return f'{face.label[:40]!r} is none of the labels'
    return ''


@dataclass(frozen=True)
class Observation:
    """What a message says.

    :param label: ``none`` for nobody.
    :param confidence: 0 to 1; 1 for nobody.
    :param face_id: empty for nobody.
    """

    label: str
    confidence: float
    face_id: str

    @property
    def present(self) -> bool:
        """Tell whether somebody is there."""
        return self.label != NONE


def observation(face: FaceEmotion | None) -> Observation:
    """Return what is known of a face, None being nobody; a confidence that is none counts 0."""
    if face is None or face.label == NONE:
        return Observation(NONE, 1.0, '')
    try:
        confidence = float(face.confidence)
    except (TypeError, ValueError):
        confidence = 0.0
    # Not a number fails the comparison.
    confidence = min(confidence, 1.0) if confidence > 0 else 0.0
    return Observation(str(face.label), confidence, str(face.face_id))
