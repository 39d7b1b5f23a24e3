"""The emotional course in a few English sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emotion_estimator.emotion import NONE

#: How a face looks, for labels that are no adjectives.
_ADJECTIVES = {
    'unknown': 'neutral or hard to read',
    'disgust': 'disgusted',
    'fear': 'afraid',
    'surprise': 'surprised',
}

#: Seconds after which an estimate is old.
_OLD = 3.0


def summary(told: Mapping[str, Any]) -> str:
    """Return sentences for a prompt.

    :param told: the other fields of ``EmotionalCourse.describe``.
    """
    return ' '.join(
        sentence
        for sentence in (
            _now(told),
            _past(told['last_60_s']),
            _turn(told['changes']),
            'The person is speaking.' if told['presence']['speaking'] else '',
            _conversation(told['conversation']),
            _action(told['actions']),
        )
        if sentence
    )


def _now(told: Mapping[str, Any]) -> str:
    if told['age'] is None:
        return 'No face has been looked for yet.'
    if told['age'] > _OLD:
        return f'There has been no estimate for {told["age"]:.0f} s.'
    presence, emotion = told['presence'], told['emotion']
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
