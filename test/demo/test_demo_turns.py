"""The robot's turns and the person's on one time axis, and whether one spoke over the other."""

from __future__ import annotations

import pytest

from emotion_estimator.demo.turns import (
    PERSON,
    ROBOT,
    SpokenTurn,
    person_turns,
    robot_turns,
    spoken_over,
    transcript,
)
from emotion_estimator.dialogue.action import DialogueAction


def action(stamp: float, words: str, name: str = 'continue') -> DialogueAction:
    return DialogueAction(name, 'tea', 'warm', words, 'because', '', 0.0, 'rule', 'a', stamp)


def robot(begin: float, end: float) -> SpokenTurn:
    return SpokenTurn(ROBOT, begin, end, 'Well.', 'continue')


def person(begin: float, end: float) -> SpokenTurn:
    return SpokenTurn(PERSON, begin, end)


def test_the_robot_takes_as_long_as_its_words():
    turns = robot_turns([action(10.0, 'Do you take tea?'), action(20.0, '', 'pause')], 120.0)
    assert turns == (SpokenTurn(ROBOT, 10.0, 12.0, 'Do you take tea?', 'continue'),)


def test_it_is_broken_off_by_yield_and_ended_by_its_next_sentence():
    long = 'one two three four five six'
    said = [action(0.0, long), action(1.0, '', 'yield'), action(5.0, long), action(6.0, 'So.')]
    turns = robot_turns(said, 60.0)
    assert [(t.begin, t.end, t.broken_off) for t in turns] == [
        (0.0, 1.0, True),
        (5.0, 6.0, False),
        (6.0, 7.0, False),
    ]
    # Whoever is silent cannot be interrupted.
    quiet = robot_turns([action(0.0, 'So.'), action(9.0, '', 'yield')], 60.0)
    assert [(t.end, t.broken_off) for t in quiet] == [(1.0, False)]


def test_the_person_speaks_between_the_changes_and_until_now():
    changes = [(0.0, False), (3.0, True), (7.0, False), (9.0, True)]
    assert person_turns(changes, 9.5) == (person(3.0, 7.0), person(9.0, 9.5))
    assert person_turns([], 5.0) == ()


@pytest.mark.parametrize(
    ('turn', 'over'),
    [
        (robot(1.0, 9.0), False),
        (robot(14.5, 16.0), False),
        (robot(14.0, 16.0), False),
        # It could not know yet.
        (robot(10.1, 11.0), False),
        (robot(10.5, 11.0), True),
        (robot(13.9, 16.0), True),
        # Interrupted, and silent soon.
        (robot(5.0, 11.0), False),
        # It talks on.
        (robot(5.0, 11.5), True),
        (robot(10.1, 13.0), True),
    ],
)
def test_speaking_over_the_person(turn, over):
    turns = (turn, person(10.0, 14.0))
    assert spoken_over(turns) == ((turn,) if over else ())
    assert spoken_over((turn, robot(30.0, 31.0))) == ()


def test_a_short_word_of_the_person_does_not_have_to_stop_the_robot():
    assert spoken_over((robot(5.0, 15.0), person(10.0, 10.6))) == ()
    assert spoken_over((robot(10.4, 12.0), person(10.0, 10.6))) == (robot(10.4, 12.0),)


def test_a_transcript_has_both_and_the_seconds():
    turns = (
        SpokenTurn(ROBOT, 100.5, 102.0, 'Schön?', 'resume'),
        person(103.0, 107.0),
        SpokenTurn(ROBOT, 108.0, 108.5, 'And then', 'continue', broken_off=True),
    )
    assert transcript(turns, 100.0) == [
        '   0.5 s  robot   Schön? (1.5 s)',
        '   3.0 s  person  (speaks for 4.0 s)',
        '   8.0 s  robot   And then (broken off after 0.5 s)',
    ]
