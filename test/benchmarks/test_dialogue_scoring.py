"""Scores of records that were made by hand, so that the truth about each is known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

if not (Path(__file__).parents[2] / 'benchmarks').exists():
    pytest.skip('an installation has no benchmarks', allow_module_level=True)

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import NONE
from emotion_estimator.simulation.closed_loop import ConversationRecord, RobotMove
from emotion_estimator.simulation.person import PersonState, Phrase, SimulatedTurn

from dialogue_scoring import (
    ConversationScore,
    is_answered,
    is_hasty,
    is_to_nobody,
    is_wrong,
    overlap,
    reaction_delays,
    score,
    talks_on,
    turns_due,
)

RATE = 10.0


def says(begin, end, text='Well.', asks=False, about='', cut='', approach='warm', topic='tea',
         planned=None):  # fmt: skip
    action = DialogueAction('continue', topic, approach, text, '', '', 0.0, 'rule', '', begin)
    return RobotMove(action, about, 6.0 if asks else 0.0, begin, end, planned or end, cut)


def turn(*phrases, kind='answer', cut=''):
    spoken = tuple(Phrase(begin, end, 'Yes.', 'Yes.') for begin, end in phrases)
    return SimulatedTurn(phrases[0][0], phrases[-1][1], kind, spoken, cut)


def record(moves=(), turns=(), shows=(), seconds=600.0, away=(), noise=()):
    """Make a record.

    :param shows: (label, begin, end) where the face is not ``unknown``.
    :param away: (begin, end) of absences.
    :param noise: (begin, end) of a voice without words.
    """
    phrases = [(p.begin, p.end) for each in turns for p in each.phrases]

    def within(stamp, periods):
        return any(begin <= stamp < end for begin, end in periods)

    edges = {0.0, *(t for period in (*phrases, *away, *noise) for t in period)}
    edges |= {t for _, *period in shows for t in period}
    states = []
    for stamp in sorted(edges):
        label = next((name for name, b, e in shows if b <= stamp < e), 'unknown')
        present = not within(stamp, away)
        speaks = within(stamp, phrases)
        states.append(PersonState(stamp, label if present else NONE, present, present, speaks,
                                  speaks or within(stamp, noise), True))  # fmt: skip
    return ConversationRecord(seconds, RATE, tuple(moves), tuple(turns), tuple(states))


@pytest.mark.parametrize(
    ('begin', 'how'),
    [
        (9.9, ''), (10.3, 'at once'), (10.5, 'speech'), (13.9, 'speech'), (14.5, 'pause'),
        (15.3, 'pause'), (15.5, 'speech'), (18.1, ''),
    ],
)  # fmt: skip
def test_overlaps_that_the_robot_causes(begin, how):
    told = turn((10.0, 14.0), (15.0, 18.0))
    move = says(begin, begin + 3)
    assert overlap(record([move], [told]), move) == how
    # Speech to somebody else is no occasion to speak either.
    aside = turn((10.0, 14.0), (15.0, 18.0), kind='aside')
    assert overlap(record([move], [aside]), move) == how


def test_interruptions_count_from_their_beginning_to_the_end_of_the_utterance():
    moves = [says(10, 15), says(30, 35)]
    turns = [turn((13.0, 15.5)), turn((33.0, 33.5), kind='murmur'), turn((35.5, 40.0))]
    assert talks_on(record(moves, turns)) == [2.0]


def test_utterances_overlap_unless_the_robot_broke_off_itself():
    moves = [says(10, 12, cut='next', planned=15), says(12, 14, cut='yield', planned=18),
             says(15, 17), says(18, 19)]  # fmt: skip
    found = score(record(moves)).sums
    assert (found['neighbours'], found['own overlaps']) == (3, 1)


@pytest.mark.parametrize(
    ('following', 'hasty'), [(15.0, True), (20.7, True), (20.9, False), (25.0, False)]
)
def test_a_question_gets_its_time(following, hasty):
    question = says(10, 15, asks=True)
    assert is_hasty(record([question, says(following, following + 2)]), question) is hasty


@pytest.mark.parametrize(
    ('given', 'hasty'),
    [
        ({'turns': [turn((16.0, 17.0))]}, False),
        ({'turns': [turn((16.0, 16.5), kind='murmur')]}, False),
        ({'turns': [turn((16.0, 16.3), kind='pardon')]}, False),
        # Answered before it was over.
        ({'turns': [turn((14.0, 16.0))]}, False),
        # Nobody could take these for an answer.
        ({'noise': [(16.0, 16.2)]}, True),
        ({'turns': [SimulatedTurn(16.0, 16.0, 'nod')]}, True),
        # Sobs were heard.
        ({'noise': [(16.0, 18.0)]}, False),
        # The answer to the question before.
        ({'turns': [turn((5.0, 9.0))]}, True),
        ({'away': [(15.5, 17.0)]}, False),
    ],
)
def test_what_comes_between_a_question_and_the_next_words(given, hasty):
    question = says(10, 15, asks=True)
    assert is_hasty(record([question, says(18, 20)], **given), question) is hasty


def test_questions_that_were_broken_off_were_not_asked():
    found = score(record([says(10, 12, asks=True, cut='yield', planned=15), says(13, 15)])).sums
    assert (found['questions'], found['hasty']) == (0, 0)


@pytest.mark.parametrize(
    ('begin', 'nobody'), [(49.0, False), (50.9, False), (51.1, True), (59.9, True), (60.1, False)]
)
def test_nobody_hears_what_is_said_into_an_empty_room(begin, nobody):
    move = says(begin, begin + 3)
    assert is_to_nobody(record([move], away=[(50.0, 60.0)]), move) is nobody


@pytest.mark.parametrize(('begin', 'nobody'), [(0.5, False), (1.5, True)])
def test_the_robot_cannot_know_yet_that_a_room_is_empty(begin, nobody):
    move = says(begin, begin + 3)
    assert is_to_nobody(record([move], away=[(0.0, 20.0)]), move) is nobody


def due(*turns, moves=(), **given):
    held = record(moves, turns, **given)
    return [(t.begin, t.end, is_answered(held, t, limit)) for t, limit in turns_due(held)]


def test_turns_are_answered_within_ten_seconds():
    told = turn((10.0, 14.0))
    assert due(told, moves=[says(15.5, 18)]) == [(10, 14, True)]
    assert due(told, moves=[says(24.0, 26)]) == [(10, 14, True)]
    assert due(told, moves=[says(24.1, 26)]) == [(10, 14, False)]
    # What began before the turn's end does not react to it.
    assert due(told, moves=[says(13.0, 16)]) == [(10, 14, False)]


def test_turns_are_answered_before_the_next():
    two = turn((10.0, 14.0)), turn((18.0, 22.0))
    assert due(*two, moves=[says(24, 26)]) == [(10, 14, False), (18, 22, True)]
    # Nobody could have said anything in a second.
    soon = turn((10.0, 14.0)), turn((15.0, 22.0))
    assert due(*soon, moves=[says(24, 26)]) == [(10, 22, True)]
    # But here the robot did.
    said = [says(14.5, 14.9), says(24, 26)]
    assert due(*soon, moves=said) == [(10, 14, True), (15, 22, True)]


def test_whoever_turns_to_somebody_else_expects_nothing_before_that():
    told, aside = turn((10.0, 14.0)), turn((16.5, 26.0), kind='aside')
    assert due(told, aside) == []
    assert due(told, aside, moves=[says(15.5, 20)]) == [(10, 14, True)]


@pytest.mark.parametrize(
    ('told', 'given'),
    [
        (turn((10.0, 10.9)), {}),
        (turn((10.0, 14.0), kind='aside'), {}),
        (turn((10.0, 14.0), kind='murmur'), {}),
        (turn((10.0, 14.0), cut='left'), {}),
        (turn((10.0, 14.0), cut='robot'), {}),
        (turn((10.0, 14.0)), {'away': [(16.0, 18.0)]}),
        (turn((10.0, 14.0)), {'seconds': 20.0}),
    ],
)
def test_turns_that_await_no_reaction(told, given):
    assert due(told, **given) == []


def test_a_reaction_before_an_absence_counts():
    assert due(turn((10.0, 14.0)), moves=[says(15, 16)], away=[(17.0, 40.0)]) == [(10, 14, True)]


def test_words_are_counted():
    moves = [
        says(10, 12, 'Good day.'), says(20, 24, 'Do you like tea?', topic='tea'),
        says(30, 32, 'Good day.', topic='garden'), says(650, 652, 'Good day.', topic='tea'),
    ]  # fmt: skip
    found = score(record(moves, seconds=700.0, away=[(100.0, 200.0)])).sums
    assert found['utterances'] == 4
    assert found['repeated'] == 1
    assert found['words'] == 10
    assert found['topics'] == 3
    assert found['robot speaks'] == 10
    assert found['present'] == 600


@pytest.mark.parametrize(
    ('stamp', 'wrong'), [(9.9, True), (10.1, False), (15.9, False), (16.1, True)]
)
def test_what_was_true_a_second_ago_is_not_yet_wrong(stamp, wrong):
    move = says(stamp, stamp + 2, about='sad')
    assert is_wrong(record([move], shows=[('sad', 10.0, 15.0)]), move) is wrong
    assert is_wrong(record([move], shows=[('happy', 10.0, 15.0)]), move)


def test_a_reaction_may_wait_for_the_end_of_the_turn():
    told, sad = turn((10.0, 20.0)), [('sad', 12.0, 15.0)]
    move = says(21, 23, about='sad')
    assert not is_wrong(record([move], [told], sad), move)
    # But then it is the first one.
    assert is_wrong(record([says(20.5, 20.8), move], [told], sad), move)


def test_only_actions_about_an_expression_can_be_wrong():
    found = score(record([says(10, 12), says(20, 22, about='happy')])).sums
    assert (found['about'], found['wrong']) == (1, 1)


def test_jokes_at_a_face_that_has_been_sad_for_a_second():
    joke = {'approach': 'playful'}
    moves = [says(9, 10, **joke), says(10.5, 11, **joke), says(12, 13, **joke), says(15, 16),
             says(20.5, 21, **joke)]  # fmt: skip
    assert score(record(moves, shows=[('sad', 10.0, 20.0)])).sums['jokes'] == 1


SAD = [('sad', 10.0, 30.0)]


def late(*moves, turns=(), shows=SAD, label='sad', **given):
    return list(reaction_delays(record(moves, turns, shows, **given), label))


def test_delays_count_from_the_beginning_of_an_expression():
    assert late(says(14, 16, about='sad')) == [(4.0, 4.0)]
    assert late(says(14, 16, about='happy')) == [(math.inf, math.inf)]
    assert late(says(30.9, 32, about='sad')) == [(pytest.approx(20.9), pytest.approx(20.9))]
    assert late(says(31.1, 32, about='sad')) == [(math.inf, math.inf)]
    assert late(says(5, 8, about='sad')) == [(math.inf, math.inf)]


def test_nothing_is_due_while_nothing_could_be_said():
    long = turn((8.0, 29.0))
    assert late(turns=[long]) == []
    assert late(says(9, 30.5)) == []
    assert late(says(9, 10.5), away=[(11.0, 14.0), (16.0, 30.0)]) == []
    # The question waits until 28, and 2 s are too short.
    assert late(says(9, 22, asks=True)) == []
    assert late(shows=[('sad', 10.0, 12.9)]) == []
    # All the same, a reaction is one.
    assert late(says(29.5, 31, about='sad'), turns=[long]) == [(19.5, 0.0)]


def test_time_in_which_the_robot_could_speak_is_idle():
    told = turn((10.0, 16.5))
    assert late(says(20, 22, about='sad'), turns=[told]) == [(10.0, 2.0)]
    # It had 3 s before it said something else.
    other = says(14, 16)
    assert late(other, says(17, 19, about='sad')) == [(7.0, 7.0)]


def test_an_expression_goes_through_a_hidden_face():
    hidden = [('sad', 10.0, 12.0), (NONE, 12.0, 14.0), ('sad', 14.0, 20.0)]
    assert late(says(16, 18, about='sad'), shows=hidden) == [(6.0, 6.0)]
    interrupted = [('sad', 10.0, 12.0), ('happy', 12.0, 14.0), ('sad', 14.0, 20.0)]
    assert late(says(16, 18, about='sad'), shows=interrupted) == [(2.0, 2.0)]


def test_a_score_has_everything():
    moves = [says(10, 12, 'How are you?', asks=True), says(30, 32, about='sad')]
    found = score(record(moves, [turn((13.0, 16.0))], [('sad', 25.0, 40.0)]))
    assert isinstance(found, ConversationScore)
    assert found.sums['turns'] == found.sums['unanswered'] == 1
    assert found.sums['due sad'] == 1
    assert found.sums['missed sad'] == 0
    assert found.sums['answered sad'] == found.sums['shown sad'] == 1
    assert found.series['delay sad'] == [5.0]
    assert found.series['talks on'] == []


def test_expressions_that_pass_while_the_person_speaks_are_shown_all_the_same():
    found = score(record([], [turn((8.0, 29.0))], SAD)).sums
    assert (found['due sad'], found['answered sad'], found['shown sad']) == (0, 0, 1)
