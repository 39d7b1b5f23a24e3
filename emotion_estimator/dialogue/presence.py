"""Who is there: a person who comes and goes, and the one of several whom the robot talks to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from emotion_estimator.dialogue.evidence import TOLERANCE, EvidenceWindow
from emotion_estimator.dialogue.policy_file import FACE, FACE_LOST, FACE_RETURNED, PolicyFile
from emotion_estimator.emotion import NONE, UNKNOWN, FaceEmotion, SightedFace

#: Fraction of ``lost_after`` that must be without a face: detectors see faces in empty rooms.
_ABSENT_SHARE = 0.8

#: Seconds without any face after which another face is taken for the same person, whose id the
#: tracker has changed.
_NEW_ID_AFTER = 0.3


class Presence:
    """Turns faces that come and go into the events ``face_lost`` and ``face_returned``."""

    def __init__(self, file: PolicyFile) -> None:
        """:param file: gives ``lost_after``, ``returned_for`` and ``hold``."""
        self._needed = _ABSENT_SHARE * file.lost_after
        self._returned_for = file.returned_for
        self._absent = EvidenceWindow(file.lost_after, file.hold)
        self._known = False
        self._lost = False
        self._returned = -math.inf

    def under(self, file: PolicyFile) -> Presence:
        """Return a copy of this state that uses another policy file."""
        following = Presence(file)
        following._absent.take_over(self._absent)
        following._known, following._lost = self._known, self._lost
        following._returned = self._returned
        return following

    def clear(self) -> None:
        """Discard the evidence, since time jumped; whether somebody was there stays known."""
        self._absent.clear()

    @property
    def there(self) -> bool:
        """Return whether somebody is there; a face that is missed briefly still is."""
        return self._known and not self._lost

    def advance(self, now: float) -> None:
        """Advance time to ``now`` seconds."""
        self._absent.advance(now)
        if self._known and self._absent.seconds >= self._needed - TOLERANCE:
            self._lost = True

    def observe(self, present: bool, now: float) -> tuple[str, ...]:
        """Take a message; return which of ``none``, ``face`` and the two events are true now."""
        if present and (self._lost or not self._known):
            # The absence that has just ended is not the beginning of another one.
            self._absent.clear()
        self._absent.observe(not present, 1.0, '', '')
        if not present:
            return (NONE, FACE_LOST) if self._known else (NONE,)
        if self._lost:
            self._lost, self._returned = False, now
        self._known = True
        return (FACE, FACE_RETURNED) if now - self._returned <= self._returned_for else (FACE,)


class Addressee:
    """Keeps to the person whom the robot talks to while others are in view as well.

    The estimator's primary face changes when somebody comes nearer; the conversation does not.
    """

    def __init__(self, gone_after: float) -> None:
        """:param gone_after: seconds out of view after which somebody else is spoken to."""
        self.gone_after = gone_after
        #: Whether the face just returned is that of another person, who took the first one's place.
        self.changed = False
        self._person = ''
        self._seen = self._anybody = -math.inf
        self._last: FaceEmotion | SightedFace | None = None

    def __call__(
        self,
        primary: FaceEmotion | SightedFace | None,
        others: Sequence[FaceEmotion | SightedFace] | None,
        stamp: float,
        telling: bool = False,
    ) -> FaceEmotion | SightedFace | None:
        """Return the face of the person spoken to; None when nobody is in view.

        While that person is out of view for a moment and somebody else is not, their face is
        reported as ``unknown``: they still count as there, but nothing is read from them.

        :param primary: the estimator's primary face; None for nobody.
        :param others: further faces in the same image; None if they are not known, in which case
            the primary face is the one.
        :param stamp: seconds, finite.
        :param telling: whether a person is in the middle of a turn, in which nobody takes their
            place: the tracker has probably given them another id.
        """
        self.changed = False
        if primary is None:
            return None
        if stamp < self._anybody:
            self._person, self._seen, self._anybody = '', -math.inf, -math.inf
        hidden, self._anybody = stamp - self._anybody, stamp
        known: FaceEmotion | SightedFace | None = primary
        if others is not None and primary.face_id != self._person:
            known = next((face for face in others if face.face_id == self._person), None)
        gone = stamp - self._seen > self.gone_after or hidden > _NEW_ID_AFTER
        if known is None and not gone and self._last is not None:
            return replace(
                self._last, label=UNKNOWN, confidence=0.0, speaking=0.0, is_speaking=False
            )
        # Without a moment in which nobody was in view, it is not the same person's new id.
        replaced = known is None and self._last is not None and hidden <= _NEW_ID_AFTER
        self.changed = replaced and not telling
        self._last = known or primary
        self._person, self._seen = self._last.face_id, stamp
        return self._last
