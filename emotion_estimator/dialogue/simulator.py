"""A conversation without camera and ROS: what happens goes in, what the robot does comes out."""

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

#: Seconds of a recording's holes that are waited for.
_LONGEST = 10.0


@dataclass(frozen=True, eq=False)
class SimulatedInput:
    """Something that the dialogue manager is told of.

    :param stamp: seconds.
    :param face: the primary face; None for nobody.
    :param heard: whether this is a message on a frame at all.
    :param speaking: whether the person speaks.
    :param asked: a service (start, pause, resume, end); empty for none.
    :param choose_topic: the topic that a service asks for; empty for none.
    """

    stamp: float
    face: FaceEmotion | None = None
    heard: bool = True
    speaking: bool = False
    asked: str = ''
    choose_topic: str = ''


@dataclass(frozen=True)
class Event:
    """Something to tell of.

    :param stamp: seconds.
    :param seen: the label that is now seen, another than before; None for no change.
    :param speaking: whether the person has begun (or ceased) to speak; None for neither.
    :param action: what the robot does.
    :param refused: why it does not do what it was asked for; empty where it does.
    """

    stamp: float
    seen: str | None = None
    speaking: bool | None = None
    action: DialogueAction | None = None
    refused: str = ''


def simulate(manager: DialogueManager, moments: Iterable[SimulatedInput]) -> Iterator[Event]:
    """Yield what comes of each moment, at once; nothing is kept.

    :param manager: whose conversation goes on.
    """
    seen: str | None = None
    speaking = False
    for moment in moments:
        if moment.asked or moment.choose_topic:
            yield _ask(manager, moment)
        if not moment.heard and not moment.speaking:
            continue
        if moment.speaking or speaking:
            # Said again with each message, as by a node that listens.
            manager.user_speaking(moment.speaking, moment.stamp)
        if moment.speaking != speaking:
            speaking = moment.speaking
            yield Event(moment.stamp, speaking=speaking)
        if not moment.heard:
            continue
        label = moment.face.label if moment.face else NONE
        if label != seen:
            seen = label
            yield Event(moment.stamp, seen=label)
        action = manager(moment.face, moment.stamp)
        if action is not None:
            yield Event(moment.stamp, action=action)


def _ask(manager: DialogueManager, moment: SimulatedInput) -> Event:
    services: dict[str, Callable[[float], DialogueAction]] = {
        'start': manager.start,
        'pause': manager.pause,
        'resume': manager.resume,
        'end': manager.end,
    }
    try:
        if moment.choose_topic:
            action = manager.choose_topic(moment.choose_topic, moment.stamp)
        else:
            action = services[moment.asked](moment.stamp)
    except InputError as error:
        return Event(moment.stamp, refused=str(error))
    return Event(moment.stamp, action=action)


def paced(
    moments: Iterable[SimulatedInput],
    speed: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[SimulatedInput, None, None]:
    """Yield each moment when its time has come.

    Where stamps jump, back or by more than ten seconds, nothing is waited for.

    :param speed: 1 is as in life, 2 twice as fast; above 0.
    """
    begun = before = -math.inf
    for moment in moments:
        if not before <= moment.stamp <= before + _LONGEST:
            begun = clock() - moment.stamp / speed
        before = moment.stamp
        wait = begun + moment.stamp / speed - clock()
        if wait > 0:
            sleep(wait)
        yield moment


_VERDICT = {True: '  [as expected]', False: '  [NOT as expected]', None: ''}


def lines(event: Event, verdict: bool | None = None, first: float = 0.0) -> list[str]:
    """Return an event in words: time, what is seen, what the robot does and says, and why.

    :param verdict: whether it is as expected; None where that is not known.
    :param first: seconds; times are shown from here on.
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
    told = [
        f'{at}* {action.action}{_VERDICT[verdict]}',
        f'{indent}  topic {action.topic}, approach {action.approach}; {because}',
    ]
    told += [f'{indent}  not {each}' for each in action.suppressed]
    if action.utterance:
        told.append(f'{indent}  "{action.utterance}"')
    return told


def as_json(event: Event, verdict: bool | None = None) -> str | None:
    """Return an action, or that it was refused, as one line of JSON; None for other events.

    :param verdict: goes into ``expected``.
    """
    if event.action is not None:
        return json.dumps({**asdict(event.action), 'expected': verdict}, ensure_ascii=False)
    if event.refused:
        refused = {'stamp': event.stamp, 'refused': event.refused, 'expected': verdict}
        return json.dumps(refused, ensure_ascii=False)
    return None
