"""A conversation without a camera or ROS: inputs go in, what both sides do and say comes out."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.turns import speech_seconds
from emotion_estimator.emotion import NONE, FaceEmotion, SightedFace
from emotion_estimator.errors import InputError

#: Gaps in a recording up to this many seconds are waited for in real time.
_LONGEST_WAIT = 10.0

_VERDICT = {True: '  [as expected]', False: '  [NOT as expected]', None: ''}


@dataclass(slots=True, eq=False)
class SimulatedInput:
    """An input of the dialogue manager.

    Not frozen, since a day of recordings has millions: setting fields of frozen ones takes longer.

    :param stamp: seconds.
    :param face: the primary face; None for nobody.
    :param has_frame: whether the input includes a frame; if not, ``face`` means nothing.
    :param speaking: whether the person is speaking.
    :param said: what was recognised of the person's speech; empty for nothing.
    :param others: further faces in the frame; None if they are not known.
    :param robot_speaking: what the robot's voice reports; None for no report.
    :param service: service called (start, pause, resume, end); empty for none.
    :param choose_topic: topic that a service asks for; empty for none.
    """

    stamp: float
    face: FaceEmotion | SightedFace | None = None
    has_frame: bool = True
    speaking: bool = False
    service: str = ''
    choose_topic: str = ''
    said: str = ''
    others: Sequence[FaceEmotion | SightedFace] | None = None
    robot_speaking: bool | None = None


@dataclass(frozen=True)
class Event:
    """Something to report.

    :param stamp: seconds.
    :param seen: label that is seen from now on; None when it has not changed.
    :param speaking: whether the person started (or stopped) speaking; None for neither.
    :param action: what the robot does; None for nothing.
    :param refused: why a service was refused; empty when none was.
    :param said: what the person said, as recognised; empty for nothing.
    :param floor: who has the floor from now on, one of ``turns.Floor``; empty: as before.
    :param seconds: estimated duration of the action's utterance.
    """

    stamp: float
    seen: str | None = None
    speaking: bool | None = None
    action: DialogueAction | None = None
    refused: str = ''
    said: str = ''
    floor: str = ''
    seconds: float = 0.0


class Words(Protocol):
    """Finds the robot's words instead of the conversation file, such as a language model."""

    def hear(self, said: str) -> None:
        """Take what the person said."""

    def speak(self, manager: DialogueManager, action: DialogueAction) -> DialogueAction:
        """Return the action with the words that the robot says, of which the manager is told."""


def simulate(
    manager: DialogueManager, inputs: Iterable[SimulatedInput], words: Words | None = None
) -> Iterator[Event]:
    """Yield what follows from each input as soon as it is read; nothing is stored.

    :param manager: conversation to continue.
    :param words: who finds the robot's words; None: the conversation file.
    """
    manager.own_words = words is None
    seen: str | None = None
    speaking, floor, voice = False, manager.floor, None
    for given in inputs:
        if given.service or given.choose_topic:
            yield _call_service(manager, given, words)
        if given.robot_speaking is not None and given.robot_speaking != voice:
            voice = given.robot_speaking
            manager.robot_speaking(voice, given.stamp)
        if given.said:
            manager.user_said(given.said, given.stamp)
            if words is not None:
                words.hear(given.said)
            yield Event(given.stamp, said=given.said)
        if not given.has_frame and not given.speaking:
            continue
        if given.speaking or speaking:
            # Repeated with each message, as a node that listens to the person does.
            manager.user_speaking(given.speaking, given.stamp)
        if given.speaking != speaking:
            speaking = given.speaking
            yield Event(given.stamp, speaking=speaking)
        if not given.has_frame:
            continue
        label = given.face.label if given.face else NONE
        if label != seen:
            seen = label
            yield Event(given.stamp, seen=label)
        action = manager(given.face, given.stamp, given.others)
        if action is not None:
            yield _done(manager, action, words)
        if manager.floor != floor:
            floor = manager.floor
            yield Event(given.stamp, floor=floor)


def _done(manager: DialogueManager, action: DialogueAction, words: Words | None) -> Event:
    if words is not None:
        action = words.speak(manager, action)
    rate = manager.policy.times.words_per_minute
    return Event(action.stamp, action=action, seconds=speech_seconds(action.utterance, rate))


def _call_service(manager: DialogueManager, given: SimulatedInput, words: Words | None) -> Event:
    services: dict[str, Callable[[float], DialogueAction]] = {
        'start': manager.start,
        'pause': manager.pause,
        'resume': manager.resume,
        'end': manager.end,
    }
    try:
        if given.choose_topic:
            action = manager.choose_topic(given.choose_topic, given.stamp)
        else:
            action = services[given.service](given.stamp)
    except InputError as error:
        return Event(given.stamp, refused=str(error))
    return _done(manager, action, words)


def in_real_time(
    inputs: Iterable[SimulatedInput],
    speed: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[SimulatedInput, None, None]:
    """Yield each input when it is due.

    Does not wait when stamps jump backwards, or forwards by more than ten seconds.

    :param speed: 1 is real time, 2 twice as fast; above 0.
    :param clock: returns the current time in seconds.
    :param sleep: waits for some seconds.
    """
    begun = before = -math.inf
    for given in inputs:
        if not before <= given.stamp <= before + _LONGEST_WAIT:
            begun = clock() - given.stamp / speed
        before = given.stamp
        wait = begun + given.stamp / speed - clock()
        if wait > 0:
            sleep(wait)
        yield given


def as_text(event: Event, verdict: bool | None = None) -> list[str]:
    """Return an event in words: both turns on one time axis, and why the robot does what it does.

    :param verdict: whether the event is as expected; None when nothing is expected.
    """
    at = f'{event.stamp:8.2f} s  '
    indent = ' ' * len(at)
    if event.seen is not None:
        return [f'{at}person  {"nobody" if event.seen == NONE else event.seen}']
    if event.speaking is not None:
        return [f'{at}person  {"speaks" if event.speaking else "falls silent"}']
    if event.said:
        return [f'{at}person  "{event.said}"']
    if event.floor:
        return [f'{at}robot   waits for an answer'] if event.floor == 'waiting' else []
    action = event.action
    if action is None:
        return [f'{at}robot   refuses: {event.refused}{_VERDICT[verdict]}']
    because = f'{action.rule}: {action.reason}' if action.rule else action.reason
    lasts = f'  ({event.seconds:.1f} s)' if action.utterance else ''
    words = f'"{action.utterance}"' if action.utterance else 'says nothing'
    lines = [
        f'{at}robot   {words}{lasts}{_VERDICT[verdict]}',
        f'{indent}        {action.action}: topic {action.topic}, {action.approach}; {because}',
    ]
    lines += [f'{indent}        not {each}' for each in action.suppressed]
    return lines


def as_json(event: Event, verdict: bool | None = None) -> str | None:
    """Return an action or a refusal as one line of JSON; None for other events.

    :param verdict: value of the field ``expected``.
    """
    if event.action is not None:
        fields = {**asdict(event.action), 'seconds': round(event.seconds, 2), 'expected': verdict}
        return json.dumps(fields, ensure_ascii=False)
    if event.refused:
        refused = {'stamp': event.stamp, 'refused': event.refused, 'expected': verdict}
        return json.dumps(refused, ensure_ascii=False)
    return None
