"""Turns of the person, whatever voice activity and speech recognition report."""

from __future__ import annotations

import pytest
from turn_course import ASKS, SAYS, STEP, Course

from emotion_estimator.dialogue.turns import (
    MAX_WORDS,
    PersonTurn,
)

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


@pytest.mark.parametrize(
    'words',
    [
        'Pardon?', 'what did you SAY', 'Wie bitte?!', 'Pardon? What did you say?',
        'Pardon, pardon.', 'Sorry, what did you say?', 'Oh, I was far away. What did you say?',
    ],
)  # fmt: skip
def test_asking_to_hear_it_again(words):
    course = Course().until(1)
    course.turns.user_said(words, 1.0)
    assert course.until(9).events == ['answer', 'pardon']


@pytest.mark.parametrize(
    'words',
    [
        'What did you say to her then?',
        # A single word among others is a courtesy.
        'Pardon, it was red.',
        'What did you say? I asked her, and she told me of the garden.',
    ],
)
def test_what_only_contains_such_words_asks_for_nothing(words):
    course = Course().until(1)
    course.turns.user_said(words, 1.0)
    assert course.until(9).events == ['answer']


def test_at_most_ten_words_ask_to_hear_it_again():
    for before, events in ((6, ['answer', 'pardon']), (7, ['answer'])):
        course = Course().until(1)
        course.turns.user_said(f'{"well " * before}. What did you say?', 1.0)
        assert course.until(9).events == events


def test_other_words_may_be_listened_for():
    course = Course().until(1)
    course.turns.listen_for(['basta'], ['come'], ['Stop'])
    heard = []
    for second, words in enumerate(['Basta!', 'Come?', 'Stop.', 'No.', 'Pardon?']):
        course.until(1 + 8.0 * second).turns.user_said(words, course.now)
        heard += course.until(course.now + 1).events[len(heard) :]
    assert [event for event in heard if event != 'answer'] == ['refusal', 'pardon', 'said_no']
    assert heard.count('answer') == 5


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


def test_what_was_broken_off_is_done_with_when_the_person_has_taken_their_turn():
    course = Course().robot(' '.join(['word'] * 30)).until(1)
    course.turns.user_speaking(True, 1.0)
    course.until(2).turns.robot_stops(2.0)
    assert course.turns.unfinished
    course.until(4).turns.user_speaking(False, 4.0)
    # In their pause it is not yet.
    assert course.until(5).turns.unfinished
    assert course.until(6).turns.unfinished == ''
    # A cough is no turn.
    course.robot(ASKS).until(6.5).turns.robot_stops(6.5)
    assert course.speaks(8, 8.1).until(12).turns.unfinished == ASKS


def test_stopping_when_it_is_silent_forgets_nothing_and_leaves_nothing_unfinished():
    course = Course().robot(ASKS).until(3)
    course.turns.robot_stops(3.0)
    assert (course.floor, course.turns.unfinished) == ('waiting', '')


def test_expected_words_that_are_stopped_leave_nothing_unfinished():
    course = Course().robot(SAYS).until(5)
    course.turns.robot_expected(5.0, None)
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


def test_a_report_is_believed_for_a_minute_by_default():
    course = Course().until(1)
    course.turns.user_speaking(True, 1.0)
    assert course.until(60.9).floor == 'person_speaks'
    assert course.until(61.2).floor == 'silence'


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
        assert course.turns.advance(0.0) == ()
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


def test_events_that_nobody_asks_for_are_not_all_kept():
    course = Course()
    for second in range(0, 2000, 10):
        course.turns.user_said('No.', float(second))
    kept = course.turns.advance(2000.0)
    assert isinstance(kept, tuple)
    # The latest of them are.
    assert len(kept) == 64 and kept[-2:] == ('answer', 'said_no')
    assert course.turns.advance(2000.0) == ()


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
        ('No, thanks!', 'said_no'), ('No thanks to him.', None),
        ("I don't want to.", 'said_no'), ("I don't want to forget it.", None),
        ('Stop!', 'refusal'), ('We had to stop there.', None), ('Stop. It was late.', None),
        ('やめて。', 'refusal'),
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


def test_after_a_jump_of_time_the_silence_is_left_in_peace_for_a_moment():
    course = Course().until(20)
    assert course.turns.quiet == pytest.approx(20.0)
    course.turns.settle(20.0)
    assert course.until(21.9).turns.quiet == 0.0
    assert course.until(22.1).turns.quiet == pytest.approx(22.1)


def test_an_absence_counts_from_when_they_were_last_seen():
    course = Course().until(3)
    course.turns.presence(False, 3.0, since=2.0)
    course.until(10).turns.presence(True, 10.0)
    assert course.until(13).turns.quiet == pytest.approx(5.0)


def test_a_detector_that_never_pauses_is_not_believed_for_ever():
    course = Course()
    for second in range(200):
        course.turns.user_speaking(True, 10.0 + second, 'microphone')
        course.until(11.0 + second)
    assert course.floor == 'silence'
    assert course.turns.problems == {'user_speaking_stuck': 1}
    # Others are, and so is it once it has reported silence.
    course.turns.user_speaking(True, 211.0, 'face')
    assert course.until(212.0).floor == 'person_speaks'
    course.turns.user_speaking(False, 212.0, 'face')
    course.turns.user_speaking(False, 212.0, 'microphone')
    course.turns.user_speaking(True, 216.0, 'microphone')
    assert course.until(217.0).floor == 'person_speaks'


def test_whoever_begins_together_with_the_robot_and_gives_way_has_not_answered():
    course = Course()
    course.turns.robot_said(ASKS, 10.0, 6.0)
    course.turns.user_speaking(True, 10.2)
    course.until(10.6)
    course.turns.user_speaking(False, 10.6)
    course.turns.user_said('Sometimes I...', 10.7)
    course.until(30.0)
    assert 'answer' not in course.events
    assert 'unanswered' in course.events
