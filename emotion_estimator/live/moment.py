"""What was seen at one instant, as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from emotion_estimator.emotion import FaceEmotion, primary
from emotion_estimator.live.page_image import PageImage


@dataclass(frozen=True, eq=False)
class Moment:
    """One processed image and what was known of it.

    :param stamp: the image's, in seconds.
    :param faces: the primary face first.
    :param image: shrunk; empty if it is not at hand.
    :param height: of the image in whose pixels the faces are.
    :param truth: the true label, if the source knows it.
    :param speaks: whether the person speaks, if the source knows it.
    :param latency: seconds from the stamp to the result.
    :param floor: who has the floor, says the dialogue manager; empty without one.
    :param suppressed: the rules with complete evidence that may not act, each with the reason.
    """

    stamp: float
    faces: tuple[FaceEmotion, ...] = ()
    image: PageImage = field(default_factory=PageImage)
    height: int = 480
    truth: str | None = None
    speaks: bool | None = None
    latency: float = 0.0
    floor: str = ''
    suppressed: tuple[str, ...] = ()

    def face(self, face_id: str | None) -> FaceEmotion | None:
        """Return the face of this id, or the primary one for None; None if it is not there."""
        if face_id is None:
            return primary(self.faces)
        return next((face for face in self.faces if face.face_id == face_id), None)
