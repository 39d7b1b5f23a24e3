"""One message about a face, with what is odd in it made harmless."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_estimator.emotion import NONE, FaceEmotion


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
