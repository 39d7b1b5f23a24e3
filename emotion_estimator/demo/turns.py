"""The conversation in a demo: the robot's turns and the person's on one time axis."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.turns import TurnTimes, speech_seconds

ROBOT, PERSON = 'robot', 'person'

#: Seconds within which the robot cannot know yet that the person has begun to speak.
_REACTION = 0.3
#: Seconds within which the robot falls silent when the person speaks over it.
_YIELDS = TurnTimes().backchannel + 0.5


@dataclass(frozen=True)
class SpokenTurn:
    """One turn in the conversation.

    :param speaker: ``robot`` or ``person``.
    :param begin: stamp in seconds, as of the images.
    :param end: the same; the robot's is estimated from the number of words.
    :param words: what the robot says; empty for the person, whose words nobody recognises.
    :param action: the dialogue action that it belongs to; empty for the person.
    :param broken_off: whether the robot was asked to fall silent before its end.
    """

    speaker: str
    begin: float
    end: float
    words: str = ''
    action: str = ''
    broken_off: bool = False

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.end - self.begin

    def describe(self) -> str:
        """Return what is said and for how long, on one line."""
        if self.speaker == PERSON:
            return f'(speaks for {self.seconds:.1f} s)'
        how = (
            f'broken off after {self.seconds:.1f} s' if self.broken_off else f'{self.seconds:.1f} s'
        )
        return f'{self.words} ({how})'


def robot_turns(
    actions: Sequence[DialogueAction], words_per_minute: float
) -> tuple[SpokenTurn, ...]:
    """Return what the robot says, with estimated durations: the demo's robot has no voice.

    :param actions: in order of time; ``yield`` breaks off what is being said.
    :param words_per_minute: rate of speech, above 0.
    """
    turns: list[SpokenTurn] = []
    for action in actions:
        stops = action.action == 'yield'
        if (stops or action.utterance) and turns and turns[-1].end > action.stamp:
            turns[-1] = replace(turns[-1], end=action.stamp, broken_off=stops)
        if action.utterance:
            end = action.stamp + speech_seconds(action.utterance, words_per_minute)
            turns.append(SpokenTurn(ROBOT, action.stamp, end, action.utterance, action.action))
    return tuple(turns)


def person_turns(changes: Sequence[tuple[float, bool]], until: float) -> tuple[SpokenTurn, ...]:
    """Return when the person speaks.

    :param changes: stamps at which they begin (True) and end, in turn.
    :param until: stamp at which a turn that has no end yet is cut.
    """
    ends = itertools.chain((stamp for stamp, _ in changes[1:]), (until,))
    return tuple(
        SpokenTurn(PERSON, begin, max(begin, end))
        for (begin, speaks), end in zip(changes, ends)
        if speaks
    )


def spoken_over(turns: Sequence[SpokenTurn]) -> tuple[SpokenTurn, ...]:
    """Return the robot's turns that the person did not leave it the floor for.

    They begin while the person speaks, or continue for long after the person has begun.
    """
    person = [turn for turn in turns if turn.speaker == PERSON]
    return tuple(
        turn
        for turn in turns
        if turn.speaker == ROBOT
        and any(
            each.begin + _REACTION < turn.begin < each.end
            or (turn.begin < each.end and each.begin + _YIELDS < min(turn.end, each.end))
            for each in person
        )
    )


def transcript(turns: Sequence[SpokenTurn], begin: float) -> list[str]:
    """Return a line for each turn.

    :param turns: in order of time.
    :param begin: stamp from which times are counted.
    """
    return [f'{t.begin - begin:6.1f} s  {t.speaker:<7} {t.describe()}' for t in turns]
