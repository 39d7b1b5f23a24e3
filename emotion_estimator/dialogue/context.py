"""The recent emotional course in numbers and words, for the prompt of a language model."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.context_words import summary
from emotion_estimator.dialogue.debounce import DebouncedEmotion, EmotionChange
from emotion_estimator.dialogue.shares import LabelShares
from emotion_estimator.dialogue.vote import number, vote_of
from emotion_estimator.emotion import NONE, FaceEmotion

#: Counted up when a field changes its meaning or goes; new ones may come at any time.
VERSION = 1

#: What a language model must know before it reads the rest.
ABOUT = (
    'Estimates of facial expression by a camera, not of what the person feels. They are often '
    'wrong, sad most of all; unknown means neutral or hard to read, none means nobody in view.'
)

#: Seconds of the two windows, and of the changes that are told.
_SHORT, _LONG = 10.0, 60.0

#: Seconds without a face after which nobody is there: shorter is a dropout.
_ABSENT = 1.0

#: As the debounced emotion has it: one observation says nothing of what comes later.
_HOLD = 0.5

#: Actions and changes that are told at most; letters of a label or a face's id.
_ACTIONS, _CHANGES, _LETTERS = 5, 10, 40


class EmotionalCourse:
    """What was seen and done, as far as it matters for the next sentence.

    Stamps that go backwards begin the course anew; what was done stays known. Memory is bounded,
    and odd input does not raise.
    """

    def __init__(self, emotion: DebouncedEmotion | None = None) -> None:
        """Begin with nothing seen.

        :param emotion: what debounces for the course, which alone feeds it; None makes one.
        """
        self._emotion = emotion or DebouncedEmotion()
        self._shares = LabelShares(_LONG)
        self._changes: deque[EmotionChange] = deque(maxlen=_CHANGES)
        self._actions: deque[tuple[float, DialogueAction]] = deque(maxlen=_ACTIONS)
        self._stamp: float | None = None
        self._label = NONE
        self._present = False
        self._present_since = self._face_at = -math.inf

    def see(self, face: FaceEmotion | None, stamp: float) -> None:
        """Take one frame's primary face; a stamp (seconds) that is not finite is passed over."""
        stamp = number(stamp)
        if not math.isfinite(stamp):
            return
        change = self._emotion(face, stamp)
        if self._stamp is not None and stamp < self._stamp:
            self._turn_back(stamp - self._stamp)
            change = None
        before = self._stamp
        if before is not None:
            self._shares.add(self._label, before, min(stamp, before + _HOLD))
        if change is not None:
            self._changes.append(change)
        if face is not None:
            if stamp - self._face_at > _ABSENT:
                self._present_since = stamp
            self._face_at = stamp
        elif before is None:
            self._present_since = stamp
        self._stamp, self._label = stamp, vote_of(face).label[:_LETTERS]

    def act(self, action: DialogueAction) -> None:
        """Note what was done; its stamp is on the same time axis as the frames'."""
        if math.isfinite(action.stamp):
            self._actions.append((action.stamp, action))

    def describe(
        self, stamp: float, *, mode: str, topic: str, approach: str, speaking: bool = False
    ) -> dict[str, Any]:
        """Return the course as JSON has it; ``docs/dialogue.md`` describes each field.

        :param stamp: the time to describe it at, in seconds; not finite is the last frame's.
        :param mode: of the conversation: running, paused or ended.
        :param topic: what it is about.
        :param approach: its tone.
        :param speaking: whether the person is speaking.
        """
        now = number(stamp)
        if not math.isfinite(now):
            now = self._stamp if self._stamp is not None else 0.0
        told: dict[str, Any] = {
            'version': VERSION,
            'stamp': round(now, 3),
            'about': ABOUT,
            'age': None if self._stamp is None else _ago(now, self._stamp),
            'emotion': self._current(now),
            'presence': {**self._presence(now), 'speaking': bool(speaking)},
            'last_10_s': self._window(_SHORT, now),
            'last_60_s': self._window(_LONG, now),
            'changes': [
                {
                    'seconds_ago': _ago(now, change.since),
                    'from': change.old[:_LETTERS],
                    'to': change.new[:_LETTERS],
                    'confidence': round(change.confidence, 2),
                }
                for change in self._changes
                if now - change.since <= _LONG
            ],
            'conversation': {'mode': mode, 'topic': topic, 'approach': approach},
            'actions': [
                {
                    'seconds_ago': _ago(now, at),
                    'action': action.action,
                    'rule': action.rule,
                    'topic': action.topic,
                    'approach': action.approach,
                    'said': action.utterance,
                    'why': action.reason,
                }
                for at, action in self._actions
            ],
        }
        told['summary'] = summary(told)
        return told

    def _turn_back(self, step: float) -> None:
        self._shares.clear()
        self._changes.clear()
        self._present_since = self._face_at = -math.inf
        # The past stays as long ago as it was.
        past = [(at + step, action) for at, action in self._actions]
        self._actions = deque(past, maxlen=_ACTIONS)
        self._stamp = None

    def _current(self, now: float) -> dict[str, Any]:
        since = self._emotion.since
        return {
            'label': self._emotion.label[:_LETTERS],
            'seconds': 0.0 if since is None else _ago(now, since),
            'confidence': round(self._emotion.confidence, 2),
            'face_id': self._emotion.face_id[:_LETTERS],
        }

    def _presence(self, now: float) -> dict[str, Any]:
        present = now - self._face_at <= _ABSENT
        # Nobody was there yet, somebody has been since, or nobody is since the last face.
        begin = self._present_since if present or self._face_at == -math.inf else self._face_at
        return {'present': present, 'seconds': _ago(now, begin) if math.isfinite(begin) else 0.0}

    def _window(self, seconds: float, now: float) -> dict[str, Any]:
        return {
            'observed': self._shares.seconds(seconds, now),
            'shares': self._shares.shares(seconds, now),
        }


def _ago(now: float, stamp: float) -> float:
    return round(max(now - stamp, 0.0), 1)
