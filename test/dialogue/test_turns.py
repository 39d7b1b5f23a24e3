"""The floor: who speaks, what was asked, whether it was answered, whatever is reported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emotion_estimator.dialogue.turns import (
    MAX_WORDS,
    PersonTurn,
    Turns,
    TurnTimes,
    asks,
    speech_seconds,
)

#: Two seconds at 150 words a minute.
SAYS, ASKS = 'One two three four five.', 'One two three four five?'
REFUSALS = ('no', 'nein', "i don't want to talk", 'lieber nicht', 'möchte nicht', 'नहीं', 'いいえ')
REPEATS = ('pardon', 'what did you say', 'wie bitte?')
STEP = 0.05


class Course:
    """Turns under way: ``until`` advances them and collects what has happened, with its time."""

    def __init__(self, present: bool = True, **times: float) -> None:
        self.turns = Turns(TurnTimes(**{'after_speaking': 1.2, **times}), REFUSALS, REPEATS)
        self.happened: list[tuple[float, str]] = []
        self.now = 0.0
        self.turns.presence(present, 0.0)

    def until(self, end: float) -> Course:
        while self.now < end - 1e-9:
            self.now = min(round(self.now + STEP, 6), end)
            for event in self.turns.advance(self.now):
                self.happened.append((self.now, event))
        return self

    def speaks(self, begin: float, end: float, source: str = 'topic') -> Course:
        """Let the person speak from ``begin`` to ``end`` seconds."""
        self.until(begin).turns.user_speaking(True, begin, source)
        self.until(end).turns.user_speaking(False, end, source)
        return self

    def robot(self, text: str, wait: float = 6.0, **how: bool) -> Course:
        self.turns.robot_said(text, self.now, wait, **how)
        return self

    @property
    def floor(self) -> str:
        return self.turns.floor

    @property
    def events(self) -> list[str]:
        return [event for _, event in self.happened]


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
    'expect': lambda turns: turns.robot_expected(10.5, 5.0),
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
    },
    silence: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('silence', 'silence'),
        'words': ('silence', 'silence'), 'come': ('silence', 'silence'), 'leave': ('nobody',) * 2,
        'say': ('robot_speaks', 'silence'), 'ask': ('robot_speaks', 'waiting'),
        'voice': ('robot_speaks', 'robot_speaks'), 'hush': ('silence', 'silence'),
        'stop': ('silence', 'silence'), 'expect': ('robot_speaks', 'silence'),
        'forget': ('silence', 'silence'),
    },
    robot_speaks: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('robot_speaks', 'silence'),
        'words': ('robot_speaks', 'silence'), 'come': ('robot_speaks', 'silence'),
        'leave': ('robot_speaks', 'nobody'),
        'say': ('robot_speaks', 'silence'), 'ask': ('robot_speaks', 'waiting'),
        'voice': ('robot_speaks', 'robot_speaks'), 'hush': ('robot_speaks', 'silence'),
        'stop': ('silence', 'silence'), 'expect': ('robot_speaks', 'silence'),
        'forget': ('robot_speaks', 'silence'),
    },
    robot_asks: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('robot_speaks', 'waiting'),
        'words': ('robot_speaks', 'silence'), 'come': ('robot_speaks', 'waiting'),
        'leave': ('robot_speaks', 'nobody'),
        'say': ('robot_speaks', 'waiting'), 'ask': ('robot_speaks', 'waiting'),
        'voice': ('robot_speaks', 'robot_speaks'), 'hush': ('robot_speaks', 'waiting'),
        'stop': ('silence', 'silence'), 'expect': ('robot_speaks', 'silence'),
        'forget': ('robot_speaks', 'silence'),
    },
    waiting: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('waiting', 'silence'),
        'words': ('silence', 'silence'), 'come': ('waiting', 'silence'),
        'leave': ('nobody', 'nobody'),
        'say': ('robot_speaks', 'silence'), 'ask': ('robot_speaks', 'waiting'),
        'voice': ('robot_speaks', 'robot_speaks'), 'hush': ('waiting', 'silence'),
        'stop': ('waiting', 'silence'), 'expect': ('robot_speaks', 'silence'),
        'forget': ('silence', 'silence'),
    },
    person_speaks: {
        'begin': ('person_speaks', 'person_speaks'), 'cease': ('person_speaks', 'silence'),
        'words': ('person_speaks', 'person_speaks'), 'come': ('person_speaks', 'person_speaks'),
        'leave': ('person_speaks', 'person_speaks'),
        'say': ('person_speaks', 'person_speaks'), 'ask': ('person_speaks', 'person_speaks'),
        'voice': ('person_speaks', 'person_speaks'), 'hush': ('person_speaks', 'person_speaks'),
        'stop': ('person_speaks', 'person_speaks'), 'expect': ('person_speaks', 'person_speaks'),
        'forget': ('person_speaks', 'person_speaks'),
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
    course.turns.robot_speaking(True, 6.0)
    assert course.until(14.5).floor == 'silence'
    assert course.turns.problems['robot_speaking_expired'] == 1


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
    course.turns.robot_expected(1.0, 5.0)
    assert course.until(3).floor == 'robot_speaks'
    course.robot(ASKS)
    assert course.until(4.9).floor == 'robot_speaks'
    assert course.until(5.1).floor == 'waiting'
    assert not course.turns.problems


def test_a_voice_may_begin_before_the_expected_words_are_known():
    course = Course().until(1)
    course.turns.robot_expected(1.0, 5.0)
    course.until(2).turns.robot_speaking(True, 2.0)
    course.until(3).turns.robot_speaking(False, 3.0)
    assert course.floor == 'silence'
    assert not course.until(20).turns.problems


def test_expected_words_that_never_come_are_counted_and_waited_for_no_longer():
    course = Course().until(1)
    course.turns.robot_expected(1.0, 5.0)
    assert course.until(5.9).floor == 'robot_speaks'
    assert course.until(6.1).floor == 'silence'
    assert course.turns.problems == {'robot_said_nothing': 1}


# Turns of the person ----------------------------------------------------------------------------


def test_a_pause_for_thought_does_not_end_a_turn():
    course = Course().speaks(1, 3).speaks(4.1, 6).speaks(7, 8).until(20)
    assert course.happened == [(pytest.approx(9.2, abs=STEP), 'answer')]
    turn = course.turns.last_turn
    assert (turn.begin, turn.end) == (1.0, 8.0)
    assert turn.speech == pytest.approx(4.9, abs=0.01)


def test_a_longer_pause_does():
    assert Course().speaks(1, 3).speaks(4.3, 6).until(20).events == ['answer', 'answer']


def test_how_long_a_turn_still_lasts():
    course = Course().speaks(1, 3).until(3.5)
    assert course.turns.to_end_of_turn == pytest.approx(0.7)
    assert course.turns.turn is not None
    assert course.until(5).turns.to_end_of_turn == 0.0
    assert course.turns.turn is None


@pytest.mark.parametrize(('length', 'answers'), [(0.1, 0), (0.2, 0), (0.3, 1), (0.6, 1)])
def test_a_blip_in_silence_is_no_turn(length, answers):
    course = Course().speaks(5, 5 + length).until(20)
    assert course.events == ['answer'] * answers
    assert course.turns.problems['voice_blips'] == 1 - answers


def test_a_short_yes_counts_when_it_was_recognised():
    course = Course().speaks(5, 5.1).until(5.5)
    course.turns.user_said('Yes.', 5.5)
    assert course.until(20).events == ['answer']
    assert course.turns.last_turn.words == 'Yes.'


def test_whoever_gives_way_to_the_robot_has_not_answered_it():
    """They paused, the robot took it for the end and asked, and they let it."""
    course = Course().speaks(1, 3).until(3.5).robot(ASKS).until(5)
    assert course.floor == 'robot_speaks'
    assert course.events == []
    assert course.until(7).floor == 'waiting'
    assert course.until(30).events == ['unanswered']


def test_a_question_that_is_followed_by_more_words_still_waits():
    course = Course().robot(ASKS).until(1).robot('Take your time.')
    assert course.until(4).floor == 'waiting'
    # Words after it was asked are something else.
    assert course.until(6).robot(SAYS).until(9).floor == 'silence'


@pytest.mark.parametrize('words', ['Pardon?', 'what did you SAY', 'Wie bitte?!'])
def test_asking_to_hear_it_again(words):
    course = Course().until(1)
    course.turns.user_said(words, 1.0)
    assert course.until(9).events == ['answer', 'pardon']


def test_what_only_contains_such_words_asks_for_nothing():
    course = Course().until(1)
    course.turns.user_said('What did you say to her then?', 1.0)
    assert course.until(9).events == ['answer']


def test_a_backchannel_over_the_robot_neither_interrupts_nor_answers():
    course = Course().robot(ASKS).speaks(0.5, 1.1).until(1.2)
    assert course.until(30).events == ['unanswered']
    assert course.turns.problems['voice_blips'] == 0


def test_a_blip_over_the_robot_leaves_it_the_floor():
    course = Course().robot(SAYS).speaks(0.5, 0.6).until(0.7)
    assert course.floor == 'robot_speaks'


def test_speech_over_the_robot_interrupts_it_once():
    course = Course().robot(' '.join(['word'] * 30)).speaks(1, 5).until(20)
    assert course.happened[0] == (pytest.approx(1.7, abs=STEP), 'interrupted')
    assert course.events == ['interrupted', 'answer']


def test_what_was_broken_off_is_unfinished_until_something_else_is_said():
    course = Course().robot(ASKS).until(1)
    course.turns.robot_stops(1.0)
    assert course.turns.unfinished == ASKS
    assert course.until(30).events == []
    assert course.turns.unfinished == ASKS
    course.robot(SAYS)
    assert course.turns.unfinished == ''


def test_stopping_when_it_is_silent_forgets_nothing_and_leaves_nothing_unfinished():
    course = Course().robot(ASKS).until(3)
    course.turns.robot_stops(3.0)
    assert (course.floor, course.turns.unfinished) == ('waiting', '')


def test_expected_words_that_are_stopped_leave_nothing_unfinished():
    course = Course().robot(SAYS).until(5)
    course.turns.robot_expected(5.0, 5.0)
    course.until(6).turns.robot_stops(6.0)
    assert (course.floor, course.turns.unfinished) == ('silence', '')
    assert not course.until(20).turns.problems


def test_leaving_in_the_middle_of_a_sentence_is_noticed_once():
    course = Course().robot(' '.join(['word'] * 30)).until(2)
    course.turns.presence(False, 2.0)
    assert course.until(11).happened == [(pytest.approx(4.5, abs=STEP), 'left')]


def test_a_glance_aside_is_not_leaving():
    course = Course().robot(' '.join(['word'] * 30))
    for begin in (1, 4, 7):
        course.until(begin).turns.presence(False, begin)
        course.until(begin + 2).turns.presence(True, begin + 2)
    assert course.until(20).events == []


def test_whoever_is_heard_has_not_left():
    course = Course().robot(' '.join(['word'] * 30)).until(2)
    course.turns.presence(False, 2.0)
    course.turns.user_speaking(True, 2.0)
    assert course.until(11).events == ['interrupted']
    assert course.turns.present


def test_the_next_words_to_nobody_are_noticed_as_well():
    course = Course(present=False).robot(' '.join(['word'] * 30)).until(5)
    course.turns.robot_stops(5.0)
    course.robot(' '.join(['word'] * 30)).until(20)
    assert course.happened == [
        (pytest.approx(2.5, abs=STEP), 'left'), (pytest.approx(7.5, abs=STEP), 'left')
    ]  # fmt: skip


# Voice activity ---------------------------------------------------------------------------------


def test_they_speak_while_any_source_says_so():
    course = Course().until(1)
    course.turns.user_speaking(True, 1.0, 'face')
    course.turns.user_speaking(True, 1.5, 'microphone')
    course.until(3).turns.user_speaking(False, 3.0, 'face')
    assert course.until(10).turns.person_active
    course.turns.user_speaking(False, 10.0, 'microphone')
    assert course.until(20).happened == [(pytest.approx(11.2, abs=STEP), 'answer')]


def test_a_source_that_keeps_saying_no_ends_no_turn_and_prolongs_none():
    """Many detectors report silence with every block of sound, not only when it begins."""
    course = Course().speaks(1, 3)
    while course.now < 10:
        course.turns.user_speaking(False, course.now, 'topic')
        course.turns.user_speaking(False, course.now, 'other')
        course.until(course.now + 0.1)
    assert course.happened == [(pytest.approx(4.2, abs=0.11), 'answer')]


def test_a_report_that_is_not_repeated_expires_when_it_was_made():
    course = Course(speaking_timeout=4.0).until(1)
    course.turns.user_speaking(True, 1.0)
    assert course.until(5).floor == 'person_speaks'
    assert course.until(5.2).floor == 'silence'
    assert course.turns.problems == {'user_speaking_expired': 1}
    assert course.turns.last_turn.end == 1.0
    course = Course(speaking_timeout=4.0)
    for second in range(20):
        course.until(second).turns.user_speaking(True, second)
    assert course.until(20).events == []


def test_one_of_two_sources_that_expires_leaves_the_other():
    course = Course(speaking_timeout=4.0).until(1)
    course.turns.user_speaking(True, 1.0, 'lost')
    for second in range(1, 9):
        course.until(second).turns.user_speaking(True, second, 'topic')
    assert course.until(9).floor == 'person_speaks'
    assert course.turns.problems == {'user_speaking_expired': 1}


def test_time_that_stands_still_changes_nothing():
    course = Course().robot(ASKS)
    for _ in range(500):
        course.turns.user_speaking(True, 0.0)
        course.turns.user_speaking(False, 0.0)
        course.turns.robot_speaking(True, 0.0)
        assert list(course.turns.advance(0.0)) == []
    assert course.floor == 'robot_speaks'
    assert course.turns.unanswered == 0


def test_time_does_not_run_backwards():
    course = Course().robot(ASKS).until(5)
    course.turns.user_speaking(True, 1.0)
    course.turns.robot_speaking(False, -50.0)
    course.turns.presence(True, 2.0)
    assert course.until(6).turns.turn.begin >= 1.0
    assert course.floor == 'person_speaks'


# Recognised words -------------------------------------------------------------------------------


def test_words_belong_to_the_turn_in_progress():
    course = Course().until(1)
    course.turns.user_speaking(True, 1.0)
    course.until(2).turns.user_said('My sister', 2.0)
    course.until(3).turns.user_said(' had a  garden. ', 3.0)
    course.turns.user_speaking(False, 3.0)
    assert course.until(9).events == ['answer']
    assert course.turns.last_turn.words == 'My sister had a garden.'


def test_late_words_belong_to_the_turn_that_has_ended():
    course = Course().speaks(1, 3).until(6)
    course.turns.user_said('My sister had a garden.', 6.0)
    assert course.until(20).events == ['answer']
    assert course.turns.last_turn.words == 'My sister had a garden.'


def test_the_rest_of_the_words_may_be_late():
    course = Course().speaks(1, 5)
    course.turns.user_said('My sister', 4.0)
    course.until(7).turns.user_said('had a garden.', 7.0)
    assert course.until(20).events == ['answer']
    assert course.turns.last_turn.words == 'My sister had a garden.'


def test_words_after_a_question_answer_it_even_if_nobody_was_heard():
    course = Course().speaks(1, 2)
    course.turns.user_said('Hello.', 2.0)
    course.until(3.3).robot('Tea?').until(5)
    assert course.floor == 'waiting'
    course.turns.user_said('With milk.', 5.0)
    assert course.until(20).events == ['answer', 'answer']
    assert course.turns.last_turn.words == 'With milk.'


def test_words_that_come_very_late_are_a_turn_of_their_own():
    course = Course().speaks(1, 3).until(12)
    course.turns.user_said('My sister had a garden.', 12.0)
    assert course.until(20).events == ['answer', 'answer']


def test_without_voice_activity_words_are_a_turn():
    course = Course().robot(ASKS).until(4)
    course.turns.user_said('A garden.', 4.0)
    assert course.until(20).happened == [(pytest.approx(4.0, abs=2 * STEP), 'answer')]
    assert course.turns.last_turn == PersonTurn(4.0, 4.0, words='A garden.')
    assert course.floor == 'silence'


def test_words_over_the_robot_answer_what_it_is_asking():
    course = Course().robot(ASKS).until(1)
    course.turns.user_said('A garden.', 1.0)
    assert course.until(20).events == ['answer']
    assert course.turns.last_turn.over_robot


@pytest.mark.parametrize('text', ['', ' ', '\n\t', '\u3000'])
def test_empty_words_are_counted_and_mean_nothing(text):
    course = Course().robot(ASKS).until(4)
    course.turns.user_said(text, 4.0)
    assert course.until(7.9).floor == 'waiting'
    assert course.turns.problems == {'words_empty': 1}


def test_a_hundred_kilobytes_of_words_are_cut_and_counted():
    course = Course().until(1)
    course.turns.user_speaking(True, 1.0)
    for _ in range(20):
        course.turns.user_said('word ' * 20_000, 1.0)
    course.until(2).turns.user_speaking(False, 2.0)
    course.until(5)
    assert len(course.turns.last_turn.words) <= MAX_WORDS
    assert course.turns.problems['words_cut'] == 20
    course.until(6).turns.user_said('x' * 100_000, 6.0)
    assert len(course.turns.last_turn.words) <= MAX_WORDS


@pytest.mark.parametrize(
    ('words', 'event'),
    [
        ('No.', 'said_no'), ('NEIN!', 'said_no'), ('no, no', None), ('No, it was red.', None),
        ("I don't want to talk.", 'refusal'),
        ('Well, I DON\u2019T want to talk about it', 'refusal'),
        ('I dont want to talk', None), ('Lieber nicht, danke.', 'refusal'),
        ('Ich mo\u0308chte nicht.', 'refusal'), ('ich möchte  nicht', 'refusal'),
        ('möchte nichts', None), ('नहीं', 'said_no'), ('नहीं।', 'said_no'), ('いいえ。', 'said_no'),
        ('«Nein»', 'said_no'), ('know', None), ('…', None), ('🙂', None),
    ],
)  # fmt: skip
@pytest.mark.parametrize('voice', ['heard', 'late', 'not heard'])
def test_declining_in_any_language(words, event, voice):
    course = Course().until(1)
    if voice == 'heard':
        course.turns.user_speaking(True, 1.0)
        course.turns.user_said(words, 1.0)
        course.until(2).turns.user_speaking(False, 2.0)
    elif voice == 'late':
        course.speaks(1.0, 2.0).until(4).turns.user_said(words, 4.0)
    else:
        course.turns.user_said(words, 1.0)
    assert course.until(9).events == (['answer'] if event is None else ['answer', event])


# Silence ----------------------------------------------------------------------------------------


def test_silence_counts_from_the_last_word_of_either():
    assert Course().robot(SAYS).until(5).turns.quiet == pytest.approx(3.0)
    assert Course().robot(ASKS).until(10).turns.quiet == pytest.approx(2.0, abs=0.1)
    assert Course().speaks(1, 4).until(10).turns.quiet == pytest.approx(6.0)
    assert Course().robot(ASKS).until(5).turns.quiet == 0.0


def test_nobody_keeps_no_silence_and_whoever_comes_is_left_in_peace():
    course = Course().until(3)
    course.turns.presence(False, 3.0)
    assert course.until(20).turns.quiet == 0.0
    course.turns.presence(True, 20.0)
    assert course.until(21.9).turns.quiet == 0.0
    assert course.until(22.1).turns.quiet == pytest.approx(5.1)


def test_an_absence_counts_from_when_they_were_last_seen():
    course = Course().until(3)
    course.turns.presence(False, 3.0, since=2.0)
    course.until(10).turns.presence(True, 10.0)
    assert course.until(13).turns.quiet == pytest.approx(5.0)
