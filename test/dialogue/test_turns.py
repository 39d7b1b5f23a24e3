"""The floor: every transition, questions, the robot's voice, words of another node."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from turn_course import ASKS, SAYS, STEP, Course

from emotion_estimator.dialogue.turns import (
    Turns,
    asks,
    speech_seconds,
)

# Every transition -------------------------------------------------------------------------------


def nobody() -> Course:
    return Course(present=False).until(10.5)


def silence() -> Course:
    return Course().until(10.5)


def robot_speaks() -> Course:
    return Course().until(10.0).robot(SAYS).until(10.5)


def robot_asks() -> Course:
    return Course().until(10.0).robot(ASKS).until(10.5)


def waiting() -> Course:
    return Course().until(8.0).robot(ASKS).until(10.5)


def person_speaks() -> Course:
    course = Course().until(10.0)
    course.turns.user_speaking(True, 10.0)
    return course.until(10.5)


def pausing() -> Course:
    return Course().speaks(9.0, 10.0).until(10.5)


INPUTS: dict[str, Callable[[Turns], object]] = {
    'begin': lambda turns: turns.user_speaking(True, 10.5),
    'cease': lambda turns: turns.user_speaking(False, 10.5),
    'words': lambda turns: turns.user_said('I had a garden.', 10.5),
    'come': lambda turns: turns.presence(True, 10.5),
    'leave': lambda turns: turns.presence(False, 10.5),
    'say': lambda turns: turns.robot_said(SAYS, 10.5, 6.0),
    'ask': lambda turns: turns.robot_said(ASKS, 10.5, 6.0),
    'voice': lambda turns: turns.robot_speaking(True, 10.5),
    'hush': lambda turns: turns.robot_speaking(False, 10.5),
    'stop': lambda turns: turns.robot_stops(10.5),
    'expect': lambda turns: turns.robot_expected(10.5, None),
    'expect to ask': lambda turns: turns.robot_expected(10.5, 6.0),
    'forget': lambda turns: turns.forget_question(),
}

#: The floor half a second, and six seconds, after an input.
NEXT: dict[Callable[[], Course], dict[str, tuple[str, str]]] = {
    nobody: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('nobody', 'nobody'),
        'words': ('nobody', 'nobody'), 'come': ('silence', 'silence'), 'leave': ('nobody',) * 2,
        'say': ('robot_speaks', 'nobody'), 'ask': ('robot_speaks', 'nobody'),
        'voice': ('robot_speaks', 'robot_speaks'), 'hush': ('nobody', 'nobody'),
        'stop': ('nobody', 'nobody'), 'expect': ('robot_speaks', 'nobody'),
        'forget': ('nobody', 'nobody'),
        'expect to ask': ('robot_speaks', 'nobody'),
    },
    silence: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('silence', 'silence'),
        'words': ('silence', 'silence'), 'come': ('silence', 'silence'), 'leave': ('nobody',) * 2,
        'say': ('robot_speaks', 'silence'), 'ask': ('robot_speaks', 'waiting'),
        'voice': ('robot_speaks', 'robot_speaks'), 'hush': ('silence', 'silence'),
        'stop': ('silence', 'silence'), 'expect': ('robot_speaks', 'silence'),
        'forget': ('silence', 'silence'),
        'expect to ask': ('robot_speaks', 'waiting'),
    },
    robot_speaks: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('robot_speaks', 'silence'),
        'words': ('robot_speaks', 'silence'), 'come': ('robot_speaks', 'silence'),
        'leave': ('robot_speaks', 'nobody'),
        'say': ('robot_speaks', 'silence'), 'ask': ('robot_speaks', 'waiting'),
        'voice': ('robot_speaks', 'robot_speaks'), 'hush': ('robot_speaks', 'silence'),
        'stop': ('silence', 'silence'), 'expect': ('robot_speaks', 'silence'),
        'forget': ('robot_speaks', 'silence'),
        'expect to ask': ('robot_speaks', 'waiting'),
    },
    robot_asks: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('robot_speaks', 'waiting'),
        'words': ('robot_speaks', 'silence'), 'come': ('robot_speaks', 'waiting'),
        'leave': ('robot_speaks', 'nobody'),
        'say': ('robot_speaks', 'waiting'), 'ask': ('robot_speaks', 'waiting'),
        'voice': ('robot_speaks', 'robot_speaks'), 'hush': ('robot_speaks', 'waiting'),
        'stop': ('silence', 'silence'), 'expect': ('robot_speaks', 'silence'),
        'forget': ('robot_speaks', 'silence'),
        'expect to ask': ('robot_speaks', 'waiting'),
    },
    waiting: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('waiting', 'silence'),
        'words': ('silence', 'silence'), 'come': ('waiting', 'silence'),
        'leave': ('nobody', 'nobody'),
        'say': ('robot_speaks', 'silence'), 'ask': ('robot_speaks', 'waiting'),
        'voice': ('robot_speaks', 'robot_speaks'), 'hush': ('waiting', 'silence'),
        'stop': ('waiting', 'silence'), 'expect': ('robot_speaks', 'silence'),
        'forget': ('silence', 'silence'),
        'expect to ask': ('robot_speaks', 'waiting'),
    },
    person_speaks: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('person_speaks', 'silence'),
        'words': ('person_speaks', 'person_speaks'), 'come': ('person_speaks', 'person_speaks'),
        'leave': ('person_speaks', 'person_speaks'),
        'say': ('person_speaks', 'person_speaks'), 'ask': ('person_speaks', 'person_speaks'),
        'voice': ('person_speaks', 'person_speaks'), 'hush': ('person_speaks', 'person_speaks'),
        'stop': ('person_speaks', 'person_speaks'), 'expect': ('person_speaks', 'person_speaks'),
        'forget': ('person_speaks', 'person_speaks'),
        'expect to ask': ('person_speaks', 'person_speaks'),
    },
    pausing: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('person_speaks', 'silence'),
        'words': ('person_speaks', 'silence'), 'come': ('person_speaks', 'silence'),
        'leave': ('person_speaks', 'nobody'),
        # The turn that ends while the robot asks is no answer to it.
        'say': ('person_speaks', 'silence'), 'ask': ('person_speaks', 'waiting'),
        'voice': ('person_speaks', 'robot_speaks'), 'hush': ('person_speaks', 'silence'),
        'stop': ('person_speaks', 'silence'), 'expect': ('person_speaks', 'silence'),
        'forget': ('person_speaks', 'silence'),
        'expect to ask': ('person_speaks', 'waiting'),
    },
}  # fmt: skip


@pytest.mark.parametrize('given', INPUTS)
@pytest.mark.parametrize('state', NEXT, ids=lambda state: state.__name__)
def test_every_input_in_every_state(state, given):
    course = state()
    before = {robot_asks: 'robot_speaks', pausing: 'person_speaks'}.get(state, state.__name__)
    assert course.floor == before
    INPUTS[given](course.turns)
    soon = course.until(11.0).floor
    assert (soon, course.until(16.5).floor) == NEXT[state][given]


def test_each_state_has_every_input():
    assert all(set(row) == set(INPUTS) for row in NEXT.values())


# Questions --------------------------------------------------------------------------------------


@pytest.mark.parametrize('wait', [0.0, 3.0, 6.0, 10.0])
def test_a_question_gets_its_time_from_the_end_of_the_words(wait):
    course = Course().robot(ASKS, wait).until(2.0 + wait - 0.1)
    assert course.events == []
    assert course.until(20).happened == [(pytest.approx(2.0 + wait, abs=STEP), 'unanswered')]
    assert course.turns.unanswered == 1


def test_what_asks_is_said_or_read_from_the_last_sentence():
    assert Course().robot(SAYS, asking=True).until(3).floor == 'waiting'
    assert Course().robot(ASKS, asking=False).until(3).floor == 'silence'
    assert Course().robot('Are you there? I am.').until(3).floor == 'silence'
    assert all(
        map(asks, ['Tea?', 'Tea? ', '"Tea?"', '(Tea?)', '„Tee?“', '茶?', 'شاي؟', '\u8336\uff1f'])
    )
    assert not any(map(asks, ['Tea.', '', ' ', '?!', 'Tea? Yes.']))


def test_an_answer_ends_the_waiting_and_the_count_of_unanswered_questions():
    course = Course().robot(ASKS).until(9).robot(ASKS).until(18)
    assert course.turns.unanswered == 2
    course.robot(ASKS).until(21).speaks(22, 23).until(30)
    assert course.happened[2:] == [(pytest.approx(24.2, abs=STEP), 'answer')]
    assert course.turns.unanswered == 0


def test_an_answer_that_begins_in_time_is_waited_for():
    course = Course().robot(ASKS).until(7.9)
    course.turns.user_speaking(True, 7.9)
    course.until(20)
    assert (course.floor, course.events) == ('person_speaks', [])
    course.turns.user_speaking(False, 20)
    assert course.until(25).events == ['answer']


def test_a_cough_while_a_question_waits_neither_answers_nor_prolongs_it():
    course = Course().robot(ASKS).speaks(7.9, 8.0).until(20)
    assert course.happened == [(pytest.approx(9.2, abs=0.1), 'unanswered')]
    assert course.turns.problems['voice_blips'] == 1
    # One over the end of the question does not shorten it.
    course = Course().robot(ASKS).speaks(1.9, 2.0).until(20)
    assert course.happened[0][0] >= 8.0 - STEP


def test_whoever_looks_away_gets_the_whole_time_again():
    course = Course().robot(ASKS).until(6)
    course.turns.presence(False, 6)
    course.until(20)
    assert (course.floor, course.events) == ('nobody', [])
    course.turns.presence(True, 20)
    assert course.until(25.8).floor == 'waiting'
    assert course.until(30).happened == [(pytest.approx(26, abs=STEP), 'unanswered')]


def test_a_question_asked_over_their_speech_waits_for_nobody_when_they_have_spoken():
    course = Course().until(1)
    course.turns.user_speaking(True, 1.0)
    course.until(2).robot(ASKS).until(5)
    course.turns.user_speaking(False, 5.0)
    assert course.until(20).events == ['interrupted', 'answer']
    assert course.floor == 'silence'


# The robot's voice ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('text', 'rate', 'seconds'),
    [
        (SAYS, 150, 2.0), (SAYS, 300, 1.0), ('', 150, 0.0), ('  \n', 150, 0.0), ('Yes.', 150, 0.4),
        ('Donaudampfschifffahrtsgesellschaftskapitän', 150, 42 / 6 * 0.4),
        ('今日はとても良い天気ですね、散歩に行きましょうか', 150, 24 / 6 * 0.4),
    ],
)  # fmt: skip
def test_speech_is_estimated_from_words_and_letters(text, rate, seconds):
    assert speech_seconds(text, rate) == pytest.approx(seconds)


def test_even_a_question_that_takes_no_time_is_waited_for():
    course = Course(words_per_minute=1_000_000.0).robot('Tea?')
    assert course.until(1).floor == 'waiting'
    assert course.until(9).events == ['unanswered']


def test_estimated_speech_ends_by_itself():
    course = Course().robot(SAYS).until(1.9)
    assert (course.floor, course.turns.after_robot) == ('robot_speaks', 0.0)
    course.until(2.5)
    assert (course.floor, course.turns.after_robot) == ('silence', pytest.approx(0.5))


@pytest.mark.parametrize('end', [2.0 - 5e-5, 2.0, 2.0 + 5e-5])
def test_there_is_no_gap_between_the_end_of_a_question_and_the_waiting(end):
    course = Course().robot(ASKS).until(1.9)
    course.turns.advance(end)
    assert course.floor == ('waiting' if end >= 2 - 1e-4 else 'robot_speaks')


def test_a_voice_that_reports_takes_the_time_that_it_takes():
    course = Course().robot(ASKS)
    course.turns.robot_speaking(True, 0.0)
    assert course.until(5).floor == 'robot_speaks'
    course.turns.robot_speaking(False, 5.0)
    assert course.floor == 'waiting'
    assert course.until(30).happened == [(pytest.approx(11, abs=STEP), 'unanswered')]
    # One that is faster than estimated as well.
    course = Course().robot(ASKS)
    course.turns.robot_speaking(True, 0.0)
    course.until(0.5).turns.robot_speaking(False, 0.5)
    assert course.until(30).happened == [(pytest.approx(6.5, abs=STEP), 'unanswered')]


def test_a_voice_that_begins_late_restarts_the_waiting():
    course = Course().robot(ASKS).until(4)
    assert course.floor == 'waiting'
    course.turns.robot_speaking(True, 4.0)
    assert course.until(7).floor == 'robot_speaks'
    course.turns.robot_speaking(False, 7.0)
    assert course.until(30).happened == [(pytest.approx(13, abs=STEP), 'unanswered')]


def test_a_voice_that_never_says_that_it_has_finished_is_not_believed_for_ever():
    course = Course().robot(ASKS)
    course.turns.robot_speaking(True, 0.0)
    assert course.until(9.9).floor == 'robot_speaks'
    assert course.until(10.2).floor == 'waiting'
    assert course.turns.problems == {'robot_speaking_expired': 1}
    assert course.turns.after_robot < 0.2
    assert course.until(30).happened == [(pytest.approx(16, abs=0.1), 'unanswered')]
    # The next sentence is estimated again.
    assert course.robot(SAYS).until(32.5).floor == 'silence'


def test_a_long_text_is_believed_for_twice_its_time():
    course = Course().robot(' '.join(['word'] * 50))
    course.turns.robot_speaking(True, 0.0)
    assert course.until(39).floor == 'robot_speaks'
    assert course.until(41).floor == 'silence'


def test_a_voice_that_speaks_without_any_sentence_has_the_floor():
    course = Course().until(1)
    course.turns.robot_speaking(True, 1.0)
    assert course.until(5).floor == 'robot_speaks'
    course.turns.robot_speaking(False, 5.0)
    assert course.until(5.5).floor == 'silence'
    # What it says is not known, so it is believed for a minute.
    course.until(6).turns.robot_speaking(True, 6.0)
    assert course.until(65.9).floor == 'robot_speaks'
    assert course.turns.problems == {}
    assert course.until(66.2).floor == 'silence'
    assert course.turns.problems == {'robot_speaking_expired': 1}


def test_reports_of_the_voice_that_contradict_are_counted_and_ignored():
    course = Course().robot(SAYS).until(1)
    # Perhaps the end of an earlier sentence; this one is not over.
    course.turns.robot_speaking(False, 1.0)
    assert course.until(1.8).floor == 'robot_speaks'
    course.until(5).turns.robot_speaking(False, 5.0)
    assert course.turns.problems == {'robot_silent_unasked': 1}
    for _ in range(3):
        course.turns.robot_speaking(True, 5.0)
    course.until(6).turns.robot_speaking(False, 6.0)
    course.turns.robot_speaking(False, 6.0)
    assert course.until(6.1).floor == 'silence'


def test_a_second_sentence_is_said_after_the_first():
    course = Course().robot(SAYS).until(1).robot(ASKS)
    assert course.until(3.9).floor == 'robot_speaks'
    assert course.until(4.1).floor == 'waiting'


def test_no_words_are_no_speech():
    assert Course().robot('  ').until(0.1).floor == 'silence'


# Words of another node --------------------------------------------------------------------------


def test_expected_words_have_the_floor_until_they_come():
    course = Course().until(1)
    course.turns.robot_expected(1.0, None)
    assert course.until(3).floor == 'robot_speaks'
    course.robot(ASKS)
    assert course.until(4.9).floor == 'robot_speaks'
    assert course.until(5.1).floor == 'waiting'
    assert not course.turns.problems


def test_a_voice_may_begin_before_the_expected_words_are_known():
    course = Course().until(1)
    course.turns.robot_expected(1.0, None)
    course.until(2).turns.robot_speaking(True, 2.0)
    # It may take longer than the words might have taken to come.
    assert course.until(9).floor == 'robot_speaks'
    course.turns.robot_speaking(False, 9.0)
    assert course.floor == 'silence'
    assert not course.until(20).turns.problems


@pytest.mark.parametrize('within', [2.0, 5.0])
def test_expected_words_that_never_come_are_counted_and_waited_for_no_longer(within):
    course = Course(words_within=within).until(1)
    course.turns.robot_expected(1.0, None)
    assert course.until(0.9 + within).floor == 'robot_speaks'
    assert course.until(1.1 + within).floor == 'silence'
    assert course.turns.problems == {'robot_said_nothing': 1}
    assert course.until(30).events == []
    assert course.turns.unanswered == 0


def test_a_question_whose_words_never_come_counts_as_asked():
    """Perhaps it was said, and only nobody reported it."""
    course = Course().until(1)
    course.turns.robot_expected(1.0, 3.0)
    assert course.until(5.9).floor == 'robot_speaks'
    assert course.until(6.1).floor == 'waiting'
    assert course.turns.problems == {'robot_said_nothing': 1}
    assert course.until(30).happened == [(pytest.approx(9, abs=2 * STEP), 'unanswered')]
    assert course.turns.unanswered == 1


def test_a_voice_that_asks_what_was_expected_is_waited_for_from_its_end():
    course = Course().until(1)
    course.turns.robot_expected(1.0, 3.0)
    course.until(2).turns.robot_speaking(True, 2.0)
    course.until(9).turns.robot_speaking(False, 9.0)
    assert course.floor == 'waiting'
    assert course.until(30).happened == [(pytest.approx(12, abs=STEP), 'unanswered')]
    assert not course.turns.problems


def test_words_that_ask_nothing_after_all_are_not_waited_for():
    course = Course().until(1)
    course.turns.robot_expected(1.0, 3.0)
    course.until(2).robot(SAYS)
    assert course.until(4.1).floor == 'silence'
    assert course.until(30).events == []
