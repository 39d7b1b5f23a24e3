"""A simulated conversation as lines for people, or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from emotion_estimator.dialogue.simulator import Event
from emotion_estimator.emotion import NONE

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
