"""A conversation without camera and ROS: inputs go in, what the robot sees and does comes out."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict, dataclass

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import NONE, FaceEmotion
from emotion_estimator.errors import InputError

#: Gaps in a recording up to this many seconds are waited for in real time.
_LONGEST_WAIT = 10.0

_VERDICT = {True: '  [as expected]', False: '  [NOT as expected]', None: ''}


@dataclass(frozen=True, eq=False)
class SimulatedInput:
    """An input of the dialogue manager.

    :param stamp: seconds.
    :param face: the primary face; None for nobody.
    :param has_frame: whether the input includes a frame; if not, ``face`` means nothing.
    :param speaking: whether the person is speaking.
    :param service: service called (start, pause, resume, end); empty for none.
    :param choose_topic: topic that a service asks for; empty for none.
    """

    stamp: float
    face: FaceEmotion | None = None
    has_frame: bool = True
    speaking: bool = False
    service: str = ''
    choose_topic: str = ''


@dataclass(frozen=True)
class Event:
    """Something to report.

    :param stamp: seconds.
    :param seen: label that is seen from now on; None when it has not changed.
    :param speaking: whether the person started (or stopped) speaking; None for neither.
    :param action: what the robot does; None for nothing.
    :param refused: why a service was refused; empty when none was.
    """

    stamp: float
    seen: str | None = None
    speaking: bool | None = None
    action: DialogueAction | None = None
    refused: str = ''


def simulate(manager: DialogueManager, inputs: Iterable[SimulatedInput]) -> Iterator[Event]:
    """Yield what follows from each input as soon as it is read; nothing is stored.

    :param manager: conversation to continue.
    """
    seen: str | None = None
    speaking = False
    for given in inputs:
        if given.service or given.choose_topic:
            yield _call_service(manager, given)
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
        action = manager(given.face, given.stamp)
        if action is not None:
            yield Event(given.stamp, action=action)


def _call_service(manager: DialogueManager, given: SimulatedInput) -> Event:
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
    return Event(given.stamp, action=action)


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


def as_text(event: Event, verdict: bool | None = None, first: float = 0.0) -> list[str]:
    """Return an event in words: time, what is seen, what the robot does and says, and why.

    :param verdict: whether the event is as expected; None when nothing is expected.
    :param first: seconds; times are shown relative to this.
    """
    at = f'{event.stamp - first:8.2f} s  '
    indent = ' ' * len(at)
    if event.seen is not None:
        return [f'{at}sees {"nobody" if event.seen == NONE else event.seen}']
    if event.speaking is not None:
        return [f'{at}the person {"speaks" if event.speaking else "is silent"}']
    action = event.action
    if action is None:
        return [f'{at}refused: {event.refused}{_VERDICT[verdict]}']
    because = f'{action.rule}: {action.reason}' if action.rule else action.reason
    lines = [
        f'{at}* {action.action}{_VERDICT[verdict]}',
        f'{indent}  topic {action.topic}, approach {action.approach}; {because}',
    ]
    lines += [f'{indent}  not {each}' for each in action.suppressed]
    if action.utterance:
        lines.append(f'{indent}  "{action.utterance}"')
    return lines


def as_json(event: Event, verdict: bool | None = None) -> str | None:
    """Return an action or a refusal as one line of JSON; None for other events.

    :param verdict: value of the field ``expected``.
    """
    if event.action is not None:
        return json.dumps({**asdict(event.action), 'expected': verdict}, ensure_ascii=False)
    if event.refused:
        refused = {'stamp': event.stamp, 'refused': event.refused, 'expected': verdict}
        return json.dumps(refused, ensure_ascii=False)
    return None
