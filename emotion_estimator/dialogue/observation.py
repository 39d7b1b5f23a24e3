"""One message about a face: odd values made harmless, and the vote it casts for a label."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from emotion_estimator.emotion import NONE, UNKNOWN, FaceEmotion, SightedFace

#: A lead of this much probability over the second label casts a full vote, a smaller one less.
_FULL_LEAD = 0.2

#: Rounding error allowed for a probability.
_ROUNDING = 1e-3


class Observation(NamedTuple):
    """What a message reports.

    :param label: ``none`` for nobody.
    :param confidence: 0 to 1; 1 for nobody.
    :param face_id: empty for nobody.
    """

    label: str
    confidence: float
    face_id: str

    @property
    def present(self) -> bool:
        """Return whether somebody is in view."""
        return self.label != NONE


class Vote(NamedTuple):
    """How much one message counts for a label.

    :param label: ``none`` for nobody, ``unknown`` for a face without a leading label.
    :param weight: above 0 to 1.
    :param confidence: probability of the label, 0 to 1.
    :param face_id: empty for nobody.
    """

    label: str
    weight: float
    confidence: float
    face_id: str


def observe(face: FaceEmotion | SightedFace | None) -> Observation:
    """Return what a message reports; a confidence that is not a number counts as 0.

    :param face: the primary face; None for nobody.
    """
    if face is None or face.label == NONE:
        return Observation(NONE, 1.0, '')
    return Observation(str(face.label), _probability(face.confidence), str(face.face_id))


def vote_of(face: FaceEmotion | None) -> Vote:
    """Return which label a message votes for, and how strongly.

    Odd values make it a vote for ``unknown``; nothing raises. A label need not be the most probable
    one: ``sad_threshold`` and ``happy_threshold`` move the operating point. The further its
    probability is from the highest of the others, the surer is the choice in either case.

    :param face: the primary face; None for nobody.
    """
    if face is None:
        return Vote(NONE, 1.0, 1.0, '')
    label, face_id = face.label, str(face.face_id)
    confidence = _probability(face.confidence)
    if not isinstance(label, str) or label in ('', NONE):
        return Vote(UNKNOWN, 1.0, confidence, face_id)
    lead = confidence - _runner_up(face, confidence)
    if lead < 0 and _own_probability(face, label) == confidence:
        lead = -lead
    if lead <= 0:
        return Vote(UNKNOWN, 1.0, confidence, face_id)
    return Vote(label, min(lead / _FULL_LEAD, 1.0), confidence, face_id)


def oddity(face: FaceEmotion | None) -> str:
    """Return what is wrong with a face's numbers and names; empty when nothing is.

    :param face: as received in a message; None (nobody) is never odd.
    """
    if face is None:
        return ''
    if not face.label:
        return 'the label is empty'
    if not 0 <= face.confidence <= 1 + _ROUNDING:
        return f'confidence {face.confidence} is outside 0 to 1'
    if len(face.labels) != len(face.probabilities):
        return f'{len(face.labels)} labels have {len(face.probabilities)} probabilities'
    if not np.all((face.probabilities >= 0) & (face.probabilities <= 1 + _ROUNDING)):
        return 'a probability is outside 0 to 1'
    # Models of any vocabulary publish unknown when no label is likely enough.
    if face.labels and face.label not in (*face.labels, UNKNOWN):
        return f'{face.label[:40]!r} is none of the labels'
    return ''


def number(value: Any) -> float:
    """Return ``value`` as a float; NaN when it is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _probability(value: Any) -> float:
    """Return a number clipped to 0 to 1; 0 for anything that is not a finite number."""
    given = value if type(value) is float else number(value)
    if 0.0 <= given <= 1.0:
        return given
    return min(max(given, 0.0), 1.0) if math.isfinite(given) else 0.0


def _own_probability(face: FaceEmotion, label: str) -> float | None:
    """Return the probability of a label; None if the face has none."""
    try:
        return _probability(face.probabilities[list(face.labels).index(label)])
    except (TypeError, ValueError, IndexError):
        return None


def _runner_up(face: FaceEmotion, confidence: float) -> float:
    """Return the second highest probability; without probabilities, the most it can be."""
    try:
        names = list(face.labels)
        given = face.probabilities
        if isinstance(given, np.ndarray) and given.ndim == 1:
            given = given.tolist()  # Numbers of Python, which are faster one by one.
        values = [_probability(value) for value in given]
        others = [value for name, value in zip(names, values) if name != face.label]
    except (TypeError, ValueError):
        return 1.0 - confidence
    if not others or len(values) != len(names) or len(others) != len(names) - 1:
        return 1.0 - confidence
    return max(others)
