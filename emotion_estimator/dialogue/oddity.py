"""What is odd in an emotion that somebody published."""

from __future__ import annotations

import numpy as np

from emotion_estimator.emotion import UNKNOWN, FaceEmotion

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
