"""The conversation's emotional context in numbers and words, for a language model's prompt."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.debounce import DebouncedEmotion, EmotionChange
from emotion_estimator.dialogue.evidence import TOLERANCE
from emotion_estimator.dialogue.observation import number
from emotion_estimator.emotion import NONE, FaceEmotion

#: Incremented when a field is removed or changes its meaning; new fields may be added at any time.
VERSION = 1

#: What a language model must know before it reads the rest.
ABOUT = (
    'Estimates of facial expression by a camera, not of what the person feels. They are often '
    'wrong, sad most of all; unknown means neutral or hard to read, none means nobody in view.'
)

#: Lengths of the two windows in seconds; changes are reported for the longer one.
_SHORT, _LONG = 10.0, 60.0

#: Seconds without a face after which nobody is in view; anything shorter is a dropout.
_ABSENT = 1.0

#: Maximum seconds for which one observation counts, as in ``debounce``.
_HOLD = 0.5

#: Seconds after which the latest estimate is too old to describe.
_OLD = 3.0

#: Maximum number of actions and changes reported, and of characters of a label or face id.
_ACTIONS, _CHANGES, _CHARACTERS = 5, 10, 40

#: Maximum characters of what the person said, and of an utterance of the robot.
_SAID, _UTTERANCE = 300, 200

#: Length in seconds of a bin of :class:`LabelShares`.
_BIN = 0.5

#: Maximum number of labels with a share; models have three to eight.
_LABELS = 8

#: Adjectives for an expression, for labels that are none themselves.
_ADJECTIVES = {
    'unknown': 'neutral or hard to read',
    'disgust': 'disgusted',
    'fear': 'afraid',
    'surprise': 'surprised',
}


class EmotionHistory:
    """What was seen and done recently, as far as it matters for the next sentence.

    Stamps that go backwards reset what was seen but not what was done. Memory is bounded, and odd
    input does not raise.
    """

    def __init__(self, emotion: DebouncedEmotion | None = None) -> None:
        """Begin with an empty history.

        :param emotion: debounced label to use; only the history may feed it. None creates one.
        """
        self._emotion = emotion or DebouncedEmotion()
        self._shares = LabelShares(_LONG)
        self._changes: deque[EmotionChange] = deque(maxlen=_CHANGES)
        self._actions: deque[tuple[float, DialogueAction]] = deque(maxlen=_ACTIONS)
        self._stamp: float | None = None
        self._label = NONE
        self._present_since = self._face_at = -math.inf

    def see(self, face: FaceEmotion | None, stamp: float) -> None:
        """Take one frame's primary face; ignored when the stamp (seconds) is not finite."""
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
        self._stamp, self._label = stamp, self._emotion.seen[:_CHARACTERS]

    def act(self, action: DialogueAction) -> None:
        """Record an action, whose stamp is on the clock of the frames."""
        if math.isfinite(action.stamp):
            self._actions.append((action.stamp, action))

    def describe(
        self,
        stamp: float,
        *,
        mode: str,
        topic: str,
        approach: str,
        speaking: bool = False,
        floor: str = 'silence',
        said: str = '',
        unanswered: int = 0,
    ) -> dict[str, Any]:
        """Return the content of ``dialogue/context``; ``docs/dialogue.md`` describes each field.

        :param stamp: current time in seconds; when not finite, the last frame's.
        :param mode: mode of the conversation: ``waiting``, ``running``, ``paused`` or ``ended``.
        :param topic: id of its topic.
        :param approach: its approach.
        :param speaking: whether the person is speaking.
        :param floor: who has the floor, one of ``turns.Floor``.
        :param said: what the person said in their last turn; empty if unknown.
        :param unanswered: questions in a row that nobody answered.
        """
        now = number(stamp)
        if not math.isfinite(now):
            now = self._stamp if self._stamp is not None else 0.0
        context: dict[str, Any] = {
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
                    'from': change.old[:_CHARACTERS],
                    'to': change.new[:_CHARACTERS],
                    'confidence': round(change.confidence, 2),
                }
                for change in self._changes
                if now - change.since <= _LONG
            ],
            'conversation': {'mode': mode, 'topic': topic, 'approach': approach},
            'turns': {'floor': floor, 'said': said[:_SAID], 'unanswered': unanswered},
            'actions': [
                {
                    'seconds_ago': _ago(now, at),
                    'action': action.action,
                    'rule': action.rule,
                    'topic': action.topic,
                    'approach': action.approach,
                    'said': action.utterance[:_UTTERANCE],
                    'why': action.reason,
                }
                for at, action in self._actions
            ],
        }
        context['summary'] = summary(context)
        return context

    def _turn_back(self, step: float) -> None:
        self._shares.clear()
        self._changes.clear()
        self._present_since = self._face_at = -math.inf
        # Keeps how long ago each action was.
        past = [(at + step, action) for at, action in self._actions]
        self._actions = deque(past, maxlen=_ACTIONS)
        self._stamp = None

    def _current(self, now: float) -> dict[str, Any]:
        since = self._emotion.since
        return {
            'label': self._emotion.label[:_CHARACTERS],
            'seconds': 0.0 if since is None else _ago(now, since),
            'confidence': round(self._emotion.confidence, 2),
            'face_id': self._emotion.face_id[:_CHARACTERS],
        }

    def _presence(self, now: float) -> dict[str, Any]:
        present = now - self._face_at <= _ABSENT
        # Since the face appeared, since the last face, or since the first frame without any.
        begin = self._present_since if present or self._face_at == -math.inf else self._face_at
        return {'present': present, 'seconds': _ago(now, begin) if math.isfinite(begin) else 0.0}

    def _window(self, seconds: float, now: float) -> dict[str, Any]:
        return {
            'observed': self._shares.seconds(seconds, now),
            'shares': self._shares.shares(seconds, now),
        }


def _ago(now: float, stamp: float) -> float:
    return round(max(now - stamp, 0.0), 1)


@dataclass
class _Bin:
    begin: float
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


class LabelShares:
    """Seconds by label in bins of the stamps' time axis, independent of the message rate.

    >>> shares = LabelShares(60.0)
    >>> shares.add('sad', 100.0, 103.0)
    >>> shares.add('happy', 103.0, 104.0)
    >>> shares.shares(10.0, 104.0)
    {'sad': 0.75, 'happy': 0.25}
    >>> shares.seconds(10.0, 104.0)
    4.0
    """

    def __init__(self, length: float) -> None:
        """:param length: seconds to remember."""
        self._length = length
        self._bins: deque[_Bin] = deque()

    def clear(self) -> None:
        """Forget everything, since time went backwards."""
        self._bins.clear()

    def add(self, label: str, begin: float, end: float) -> None:
        """Record that ``label`` was seen between two stamps in seconds; call in time order."""
        begin = max(begin, end - self._length)
        while begin < end:
            start = math.floor(begin / _BIN) * _BIN
            if not self._bins or self._bins[-1].begin < start:
                self._bins.append(_Bin(start))
            until = min(end, start + _BIN)
            if until <= begin:
                break  # Stamps too large for a float to resolve the step.
            self._bins[-1].seconds[label] += until - begin
            begin = until
        while self._bins and self._bins[0].begin < end - self._length - _BIN:
            self._bins.popleft()

    def _sums(self, window: float, now: float) -> dict[str, float]:
        sums: defaultdict[str, float] = defaultdict(float)
        for part in self._bins:
            if part.begin >= now - window - TOLERANCE:
                for label, seconds in part.seconds.items():
                    sums[label] += seconds
        return sums

    def seconds(self, window: float, now: float) -> float:
        """Return how many of the last ``window`` seconds before ``now`` were observed."""
        return round(sum(self._sums(window, now).values(), 0.0), 1)

    def shares(self, window: float, now: float) -> dict[str, float]:
        """Return each label's share of the observed time, largest first; 0 to 1, sum 1."""
        sums = self._sums(window, now)
        total = sum(sums.values())
        # Rounded before sorting: equal shares are ordered by label, not by rounding error.
        parts = {label: round(part / total, 2) for label, part in sums.items()}
        ranked = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
        return dict(ranked[:_LABELS])


def summary(context: Mapping[str, Any]) -> str:
    """Return the context in sentences for a prompt.

    :param context: the other fields of :meth:`EmotionHistory.describe`.
    """
    return ' '.join(
        sentence
        for sentence in (
            _now(context),
            _past(context['last_60_s']),
            _turn(context['changes']),
            'The person is speaking.' if context['presence']['speaking'] else '',
            _conversation(context['conversation']),
            _action(context['actions']),
        )
        if sentence
    )


def _now(context: Mapping[str, Any]) -> str:
    if context['age'] is None:
        return 'No face has been looked for yet.'
    if context['age'] > _OLD:
        return f'There has been no estimate for {context["age"]:.0f} s.'
    presence, emotion = context['presence'], context['emotion']
    if not presence['present']:
        return f'Nobody has been in view for {presence["seconds"]:.0f} s.'
    there = f'A person has been in view for {presence["seconds"]:.0f} s'
    if emotion['label'] == NONE:
        return f'{there}; the expression is not clear yet.'
    return (
        f'{there}; the expression looks {_adjective(emotion["label"])}, for '
        f'{emotion["seconds"]:.0f} s now (confidence {emotion["confidence"]:.2f}).'
    )


def _adjective(label: str) -> str:
    return _ADJECTIVES.get(label, label)


def _past(window: Mapping[str, Any]) -> str:
    if not window['shares']:
        return ''
    parts = (
        f'{"nobody in view" if label == NONE else label} {100 * share:.0f} %'
        for label, share in window['shares'].items()
    )
    return f'Of the last {window["observed"]:.0f} s: {", ".join(parts)}.'


def _turn(changes: list[Mapping[str, Any]]) -> str:
    between = [change for change in changes if NONE not in (change['from'], change['to'])]
    if not between:
        return ''
    last = between[-1]
    return (
        f'{last["seconds_ago"]:.0f} s ago the expression turned from {last["from"]} to '
        f'{last["to"]}.'
    )


def _conversation(state: Mapping[str, str]) -> str:
    return (
        f'The conversation is {state["mode"]}; topic: {state["topic"]}; '
        f'approach: {state["approach"]}.'
    )


def _action(actions: list[Mapping[str, Any]]) -> str:
    if not actions:
        return ''
    last = actions[-1]
    said = f', saying "{last["said"]}"' if last['said'] else ', saying nothing'
    return f'Last action, {last["seconds_ago"]:.0f} s ago: {last["action"]}{said}.'
