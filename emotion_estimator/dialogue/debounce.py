"""A debounced emotion label: it changes only once the new label has been seen for long enough.

For authors of dialogue nodes, and used by the dialogue manager itself. Needs stamps but no ROS::

    emotion = DebouncedEmotion(on_change=lambda change: print(change.old, '->', change.new))
    node.create_subscription(Emotion, 'emotion', emotion.hear, 10)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emotion_estimator.dialogue.evidence import TOLERANCE
from emotion_estimator.dialogue.observation import Vote, number, vote_of
from emotion_estimator.emotion import NONE, FaceEmotion
from emotion_estimator.errors import InputError

#: Seconds for which a label must outweigh the others. Happy is believed early, since a smile
#: answered late is a smile missed; sad must last; ``none`` means that nobody is in view.
BELIEVE: Mapping[str, float] = {'happy': 0.4, 'unknown': 1.0, 'sad': 2.0, NONE: 1.0}

#: Seconds for labels that :data:`BELIEVE` does not list.
BELIEVE_OTHERS = 1.0

#: Maximum seconds for which one observation counts.
_HOLD = 0.5


@dataclass(frozen=True)
class EmotionChange:
    """A change of the stable label.

    :param old: label until now; ``none`` means that nobody is in view.
    :param new: label from now on.
    :param stamp: seconds; stamp of the observation that completed the evidence.
    :param since: seconds; when that evidence began.
    :param confidence: mean probability of ``new`` while it was seen, 0 to 1; 1 for ``none``.
    :param face_id: face that it was seen in; empty for nobody.
    :param reason: the evidence in words.
    """

    old: str
    new: str
    stamp: float
    since: float
    confidence: float
    face_id: str
    reason: str


@dataclass
class _Support:
    """The evidence for one label.

    :param since: stamp in seconds at which ``net`` was last 0.
    :param net: seconds seen minus seconds not seen, 0 to the time after which it is believed.
    :param seen: seconds seen since ``since``.
    :param weight: integral of the label's probability over ``seen``.
    """

    since: float
    net: float = 0.0
    seen: float = 0.0
    weight: float = 0.0


class DebouncedEmotion:
    """The stable emotion label of the person in front of the robot.

    Each label gains the seconds for which it is seen and loses those for which another one is; it
    becomes the stable label once it has gained its time in :data:`BELIEVE`. Frames without a face
    (dropouts) count for ``none``, but neither for nor against an expression. Seconds are those of
    the stamps, so the message rate does not matter.

    Stamps that go backwards, or pause for longer than ``max_step``, reset the label to ``none``;
    evidence from one face does not count for the next. Odd input (values that are not finite, a
    label that is not text) is ignored or counts as ``unknown``: nothing raises.
    """

    def __init__(
        self,
        believe: Mapping[str, float] | None = None,
        *,
        on_change: Callable[[EmotionChange], object] | None = None,
        max_step: float = 2.0,
    ) -> None:
        """Begin with nobody in view.

        :param believe: seconds (0 or more) by label, which override :data:`BELIEVE`; other labels
            take :data:`BELIEVE_OTHERS`.
        :param on_change: called with each change; its exceptions propagate to the caller that
            passed the observation.
        :param max_step: seconds without an observation after which the label is reset.
        :raises InputError: a time is negative or not finite.
        """
        self._believe = {**BELIEVE, **(believe or {})}
        for name, value in {**self._believe, 'max_step': max_step}.items():
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f'{name} must be 0 or more seconds, not {value!r}')
        self._on_change = on_change
        self._max_step = max_step
        self._stamp: float | None = None
        self._last: Vote | None = None
        self._supports: dict[str, _Support] = {}
        self._person = ''
        #: The stable label; ``none`` while nobody is in view and before the first evidence.
        self.label = NONE
        #: Stamp in seconds at which the evidence for the label began; None before any message.
        self.since: float | None = None
        #: Mean probability of the label in that evidence, 0 to 1.
        self.confidence = 0.0
        #: Face that the label belongs to; empty for nobody.
        self.face_id = ''

    def hear(self, message: Any) -> EmotionChange | None:
        """Take an ``Emotion`` message; otherwise like :meth:`__call__`."""
        time = getattr(getattr(message, 'header', None), 'stamp', None)
        stamp = number(getattr(time, 'sec', None)) + number(getattr(time, 'nanosec', 0)) * 1e-9
        label = getattr(message, 'label', NONE)
        return self(None if isinstance(label, str) and label == NONE else message, stamp)

    def __call__(self, face: FaceEmotion | None, stamp: float) -> EmotionChange | None:
        """Take one observation; return the change, or None when the label stays.

        :param face: the primary face; None for nobody.
        :param stamp: the image's stamp in seconds; an observation whose stamp is not finite is
            ignored.
        """
        stamp = number(stamp)
        if not math.isfinite(stamp):
            return None
        change = self._advance(stamp)
        vote = vote_of(face)
        if face is not None and vote.face_id != self._person:
            # Another person: evidence from the previous one does not count.
            self._supports = {k: v for k, v in self._supports.items() if k == NONE}
            self._person = vote.face_id
        if vote.label not in self._supports:
            self._supports[vote.label] = _Support(stamp)
        self._last = vote
        # Only labels that need no time are believed at once; the others once they have lasted.
        return self._decide(vote, stamp) or change

    @property
    def seen(self) -> str:
        """Return the label that the last observation voted for; ``none`` before any."""
        return NONE if self._last is None else self._last.label

    def reset(self, stamp: float | None = None) -> None:
        """Forget everything without calling ``on_change``; ``stamp`` is now, in seconds."""
        self._stamp, self._last = stamp, None
        self._supports.clear()
        self._person = self.face_id = ''
        self.label, self.since, self.confidence = NONE, stamp, 0.0

    def _time(self, label: str) -> float:
        return self._believe.get(label, BELIEVE_OTHERS)

    def _advance(self, stamp: float) -> EmotionChange | None:
        """Advance time; return the change if time jumped."""
        before, self._stamp = self._stamp, stamp
        if before is None:
            self.since = stamp
            return None
        step = stamp - before
        if 0 <= step <= self._max_step:
            return self._count(min(step, _HOLD), stamp)
        reason = f'time went back by {-step:.1f} s' if step < 0 else f'nothing for {step:.1f} s'
        old = self.label
        self.reset(stamp)
        return self._notify(EmotionChange(old, NONE, stamp, stamp, 0.0, '', reason))

    def _count(self, seconds: float, stamp: float) -> EmotionChange | None:
        """Count the last observation for the seconds since it was made."""
        vote = self._last
        if vote is None:
            return None
        for label, support in self._supports.items():
            if label == vote.label:
                support.net += vote.weight * seconds
                support.net = min(support.net, self._time(label))
                support.seen += seconds
                support.weight += vote.confidence * seconds
            elif NONE in (label, vote.label):
                # A face counts fully against an empty room; a dropout not against an expression.
                support.net -= seconds if label == NONE else 0.0
            else:
                support.net -= vote.weight * seconds
        gone = [label for label, support in self._supports.items() if not support.net > 0]
        for label in gone:
            del self._supports[label]
        return self._decide(vote, stamp)

    def _decide(self, vote: Vote, stamp: float) -> EmotionChange | None:
        support = self._supports.get(vote.label)
        if support is None or support.net < self._time(vote.label) - TOLERANCE:
            return None
        if vote.label == self.label and vote.face_id == self.face_id:
            return None
        confidence = support.weight / support.seen if support.seen > 0 else vote.confidence
        seen = 'no face' if vote.label == NONE else vote.label
        change = EmotionChange(
            old=self.label,
            new=vote.label,
            stamp=stamp,
            since=support.since,
            confidence=confidence,
            face_id=vote.face_id,
            reason=f'{seen} for {support.seen:.1f} of the last {stamp - support.since:.1f} s, '
            f'confidence {confidence:.2f}',
        )
        self.label, self.since = vote.label, support.since
        self.confidence, self.face_id = confidence, vote.face_id
        # The next label starts from zero.
        self._supports = {vote.label: support}
        return self._notify(change)

    def _notify(self, change: EmotionChange) -> EmotionChange | None:
        if change.new == change.old:
            return None
        if self._on_change is not None:
            self._on_change(change)
        return change
