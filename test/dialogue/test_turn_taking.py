"""The dialogue manager waits its turn: presence, interruptions, answers, silence."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from dialogue_play import fired, rule, talk
from dialogue_scene import ANSWER, GLAD, GREET, LEAVE, LINES, Scene, scene, shipped

from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import parse_policy
from emotion_estimator.emotion import NONE

# Greeting, coming and going ---------------------------------------------------------------------


def test_a_person_who_is_there_at_the_start_is_greeted_once():
    talked = shipped()
    talked.show('unknown', 2)
    assert talked.lines == ['start']
    assert talked.actions[0].stamp < 1.0
    talked.show('unknown', 60)
    assert talked.lines.count('start') == 1


def test_an_empty_room_is_never_talked_to():
    talked = shipped()
    assert talked.show(NONE, 300) == []
    assert set(talked.floors) == {'nobody'}
    talked.show('unknown', 1)
    assert talked.lines == ['start']


def test_whoever_is_away_for_long_is_not_talked_to_and_it_begins_again_when_they_are_back():
    talked = shipped()
    talked.show('unknown', 15)
    talked.show(NONE, 200)
    assert talked.lines == ['start', '(pause)', '(end)']
    assert talked.actions[-1].stamp < 150
    talked.show('unknown', 2)
    assert talked.lines[-1] == 'start'
    assert talked.actions[-1].topic != talked.actions[0].topic


@pytest.mark.parametrize(('away', 'words'), [(2.0, 0), (4.0, 0), (6.0, 1), (30.0, 1)])
def test_only_a_longer_absence_is_spoken_about(away, words):
    talked = scene(GREET, LEAVE, begin='waiting', welcome_gap=0)
    talked.show('unknown', 10)
    talked.show(NONE, away)
    talked.show('unknown', 3)
    assert talked.decide.mode == 'running'
    assert talked.lines == ['start', '(pause)', *(['resume'] if words else ['(resume)'])]
    assert [bool(each.utterance) for each in talked.actions] == [True, False, bool(words)]


def test_a_person_who_comes_and_goes_is_welcomed_at_most_once_a_minute():
    talked = scene(GREET, LEAVE, begin='waiting')
    for _ in range(10):
        talked.show('unknown', 12)
        talked.show(NONE, 8)
    welcomes = [each.stamp for each in talked.actions if each.line in ('start', 'resume')]
    assert len(welcomes) in (3, 4)
    assert all(b - a >= 60 for a, b in pairwise(welcomes))
    assert talked.decide.mode == 'paused'


def test_a_greeting_by_a_service_counts_as_a_welcome():
    talked = scene(GREET, LEAVE, begin='waiting')
    talked.step(NONE)
    talked.decide.start(talked.now)
    talked.show('unknown', 10)
    talked.show(NONE, 8)
    talked.show('unknown', 3)
    assert talked.lines == ['(pause)', '(resume)']


def test_coming_back_in_silence_does_not_change_the_tone():
    sad = rule('sad', cooldown=600.0, action='acknowledge', approach='careful')
    talked = scene(GREET | {'approach': 'warm'}, LEAVE, sad, begin='waiting')
    talked.show('unknown', 6)
    talked.show('sad', 12)
    assert talked.decide.approach == 'careful'
    talked.show(NONE, 4)
    talked.show('unknown', 2)
    assert talked.lines[-2:] == ['(pause)', '(resume)']
    assert talked.decide.approach == 'careful'


def test_a_question_waits_out_a_glance_aside_and_is_forgotten_after_a_long_absence():
    talked = scene(GREET, LEAVE, begin='waiting')
    talked.floor('unknown', 'waiting')
    talked.show('unknown', 4)
    talked.show(NONE, 3)
    talked.show('unknown', 2)
    assert talked.decide.floor == 'waiting'
    talked.show('unknown', 6)
    assert talked.decide.context(talked.now)['turns']['unanswered'] == 1
    talked = scene(GREET, LEAVE, begin='waiting', welcome_gap=600)
    talked.floor('unknown', 'waiting')
    talked.show(NONE, 20)
    talked.show('unknown', 3)
    assert talked.decide.floor == 'silence'
    assert talked.decide.context(talked.now)['turns']['unanswered'] == 0


def test_nobody_is_left_to_hear_the_rest_and_whoever_returns_hears_it():
    talked = scene(GREET, LEAVE, begin='waiting', lines={'start': {
        'neutral': ['Hello, it is good to see you here today, and I have a long story. {opening}'],
    }})  # fmt: skip
    talked.show('unknown', 2)
    (greeting,) = talked.actions
    away = talked.show(NONE, 6)
    assert [(each.action, each.rule, each.utterance) for each in away] == [
        ('yield', 'stop talking to nobody', ''), ('pause', 'leave', '')
    ]  # fmt: skip
    assert away[0].reason == 'the person has left'
    # About 2.5 s after they were last seen.
    assert away[0].stamp == pytest.approx(4.4, abs=0.15)
    (back,) = talked.show('unknown', 3)
    assert (back.line, back.utterance) == ('take_up', f'I was saying: {greeting.utterance}')


def test_what_is_broken_off_is_taken_up_once():
    lines = {'take_up': {'neutral': ['I was saying: {unfinished}', 'Where was I? {unfinished}']}}
    talked = scene(GREET, LEAVE, lines=lines, begin='waiting', words_per_minute=30)
    talked.show('unknown', 2)
    for _ in range(3):
        talked.show(NONE, 8)
        talked.show('unknown', 3)
    first, *said = [each.utterance for each in talked.actions if each.utterance]
    assert said[0] == f'I was saying: {first}'
    assert not any(first in each for each in said[1:])


def test_a_very_long_sentence_of_another_node_is_taken_up_in_part():
    talked = scene(GREET, LEAVE, begin='waiting')
    talked.show('unknown', 10)
    talked.decide.robot_said('それから ' * 20_000, talked.now)
    talked.show('unknown', 2)
    talked.show(NONE, 8)
    (back,) = talked.show('unknown', 2)
    assert back.line == 'take_up'
    assert len(back.utterance) < 2100
    context = json.dumps(talked.decide.context(talked.now), ensure_ascii=False)
    assert len(context.encode()) < 6000


def test_words_from_somebody_out_of_view_are_not_answered_to_an_empty_room():
    talked = scene(GREET, ANSWER, begin='waiting')
    talked.floor('unknown', 'waiting')
    talked.show(NONE, 3)
    assert talked.decide.floor == 'nobody'
    talked.decide.user_said('Somebody on the radio.', talked.now)
    talked.step(NONE)
    assert [each.why for each in talked.decide.suppressed] in ([], ['nobody is there'])
    assert talked.show(NONE, 8) == []


def test_a_glance_aside_while_the_robot_speaks_does_not_pause_it():
    talked = scene(GREET, LEAVE, begin='waiting', lines={'start': {
        'neutral': ['Hello, it is good to see you here today, and I have a long story. {opening}'],
    }})  # fmt: skip
    talked.show('unknown', 2)
    talked.show(NONE, 2)
    talked.show('unknown', 2)
    assert talked.lines == ['start']
    assert talked.decide.floor == 'robot_speaks'


def test_goodbye_is_said_to_whoever_is_there_only():
    end = {'name': 'end', 'emotion': 'sad', 'held_for': 1.0, 'action': 'end'}
    talked = scene(end)
    talked.show('unknown', 5)
    assert [each.utterance for each in talked.show('sad', 3)] == ['Goodbye.']


# Interruptions ----------------------------------------------------------------------------------


def test_the_robot_yields_to_whoever_speaks_over_it_and_answers_them():
    talked = scene(GREET, ANSWER, begin='waiting')
    talked.show('unknown', 1.0)
    assert talked.decide.floor == 'robot_speaks'
    (stop,) = talked.speak('unknown', 4, 'Wait, who are you?')
    assert (stop.action, stop.line, stop.utterance) == ('yield', '', '')
    assert stop.reason == 'the person began to speak'
    (reply,) = talked.show('unknown', 3)
    assert talked.decide.said == 'Wait, who are you?'
    assert (reply.rule, reply.line) == ('answer', 'answer')


def test_a_backchannel_does_not_stop_it():
    talked = scene(GREET, ANSWER, begin='waiting', words_per_minute=60)
    talked.show('unknown', 1.0)
    assert talked.speak('unknown', 0.5) == []
    talked.show('unknown', 1.5)
    assert talked.decide.floor == 'robot_speaks'


def test_a_rule_may_react_to_an_interruption_after_the_robot_has_yielded():
    sorry = {'name': 'sorry', 'event': 'interrupted', 'action': 'acknowledge', 'wait': 6}
    talked = scene(GREET, sorry, begin='waiting')
    talked.show('unknown', 1.0)
    (stop,) = talked.speak('unknown', 2)
    done = talked.show('unknown', 8)
    assert stop.action == 'yield'
    # And once only, although it may wait for the floor.
    assert fired(done) == ['sorry']


def test_a_rule_may_react_to_somebody_who_left():
    note = {'name': 'note', 'event': 'left', 'action': 'pause', 'silent': True}
    talked = scene(GREET, note, begin='waiting', words_per_minute=40)
    talked.show('unknown', 1.0)
    assert fired(talked.show(NONE, 5)) == ['stop talking to nobody', 'note']


def test_an_event_is_reacted_to_once_even_in_silence():
    note = {'name': 'note', 'event': 'answer', 'action': 'change_approach', 'approach': 'warm',
            'silent': True}  # fmt: skip
    talked = scene(note)
    talked.show('unknown', 2)
    talked.speak('unknown', 2)
    assert fired(talked.show('unknown', 8)) == ['note']


# Answers ----------------------------------------------------------------------------------------


def test_an_answer_is_followed_up_when_it_has_ended():
    talked = scene(GREET, ANSWER, begin='waiting')
    (reply,) = talked.answer(seconds=4, words='I had two cats.')
    assert (reply.rule, reply.line, reply.emotion) == ('answer', 'answer', '')
    assert reply.reason.startswith('the person spoke for 4.0 s')
    assert reply.stamp - talked.decide._policy.turns.last_turn.end == pytest.approx(1.2, abs=0.1)


def test_whoever_did_not_hear_it_hears_the_question_again_and_the_line_stays():
    again = {'name': 'again', 'event': 'pardon', 'action': 'continue', 'line': 'again',
             'priority': 5}  # fmt: skip
    lines = {'again': {'neutral': ['Of course: {unfinished}', 'Once more: {unfinished}']}}
    words = talk(lines=LINES | lines, repeats=['pardon', 'what'])
    policy = parse_policy({'rules': [GREET, ANSWER, again], 'begin': 'waiting'}, 'policy')
    talked = Scene(DialogueManager(policy, words))
    (first,) = talked.answer(seconds=1, words='Pardon?')
    assert (first.line, first.utterance) == ('again', 'Of course: Tea?')
    assert first.reason.endswith('and asked to hear it again')
    (second,) = talked.answer(seconds=1, words='What?')
    assert second.utterance == 'Once more: Tea?'
    (reply,) = talked.answer(seconds=2, words='Yes, please.')
    assert reply.rule == 'answer'


def test_a_cough_after_the_answer_does_not_swallow_it():
    answer = ANSWER | {'wait': 9}
    talked = scene(GREET, answer, begin='waiting', words_per_minute=60, after_speaking=0.5)
    talked.show('unknown', 1)
    talked.decide.user_said('I know.', talked.now)
    talked.show('unknown', 0.3)
    talked.speak('unknown', 0.1)
    talked.show('unknown', 9)
    assert talked.lines == ['start', 'answer']


def test_how_an_answer_was_told_decides_what_follows():
    talked = scene(GREET, ANSWER, GLAD, begin='waiting')
    assert fired(talked.answer('happy', 3)) == ['glad']
    assert fired(talked.answer('unknown', 3)) == ['answer']
    # A smile of half a second in three is not a glad telling.
    talked.floor('unknown', 'waiting')
    talked.speak('happy', 0.5)
    talked.speak('unknown', 2.5)
    assert fired(talked.show('unknown', 2)) == ['answer']


def test_without_voice_activity_the_face_at_the_words_decides():
    talked = scene(GREET, ANSWER, GLAD, begin='waiting')
    assert fired(talked.answer('happy', 3, 'It was fun.')) == ['glad']
    talked.floor('unknown', 'waiting')
    talked.show('unknown', 2)
    talked.decide.user_said('Yes.', talked.now)
    # What was seen during an earlier turn says nothing of this one.
    assert fired(talked.show('unknown', 2)) == ['answer']
    talked.floor('unknown', 'waiting')
    talked.show('happy', 2)
    talked.decide.user_said('Yes.', talked.now)
    assert fired(talked.show('happy', 2)) == ['glad']


def test_an_answer_over_the_robot_waits_for_it_and_is_dropped_when_stale():
    for words, lines in ((150, ['start', 'answer']), (60, ['start'])):
        talked = scene(GREET, ANSWER, begin='waiting', words_per_minute=words)
        talked.show('unknown', 1.0)
        talked.decide.user_said('I know.', talked.now)
        talked.show('unknown', 8)
        assert talked.lines == lines


def test_after_a_few_exchanges_and_some_time_the_topic_changes():
    talked = shipped()
    for _ in range(18):
        talked.answer(seconds=7, words='Well, that was a long time ago.')
    lines = talked.lines
    assert lines[0] == 'start' and set(lines) <= {'start', 'answer', 'move_on'}
    first = lines.index('move_on')
    assert first >= 6
    moved = talked.actions[first]
    assert moved.action == 'change_topic'
    assert moved.stamp - talked.actions[0].stamp >= 150 - 5
    # The exchanges about the new topic count from its beginning.
    assert 'move_on' not in lines[first + 1 : first + 6]


def test_exchanges_and_time_are_both_needed():
    move = ANSWER | {'name': 'move', 'action': 'change_topic', 'line': 'change_topic',
                     'min_exchanges': 2, 'on_topic_for': 30.0, 'priority': 5}  # fmt: skip
    talked = scene(GREET, ANSWER, move, begin='waiting')
    assert fired(talked.answer()) == ['answer']
    assert fired(talked.answer()) == ['answer']
    talked.show('unknown', 30)
    talked.decide.user_said('And then?', talked.now)
    assert fired(talked.show('unknown', 2)) == ['move']
    assert fired(talked.answer()) == ['answer']


def test_exchanges_count_from_the_beginning_of_a_topic():
    move = ANSWER | {'name': 'move', 'action': 'change_topic', 'line': 'change_topic',
                     'min_exchanges': 2, 'priority': 5}  # fmt: skip
    talked = scene(GREET, ANSWER, move, begin='waiting')
    assert [fired(talked.answer()) for _ in range(4)] == [['answer'], ['move']] * 2


# Silence ----------------------------------------------------------------------------------------


def test_silence_is_met_by_fewer_and_fewer_words():
    talked = shipped()
    talked.show('unknown', 200)
    assert talked.lines[:5] == ['start', 'prompt', 'prompt', 'change_topic', 'quiet']
    stamps = [each.stamp for each in talked.actions]
    assert all(b - a > 9 for a, b in pairwise(stamps))
    # Then it is company without talk.
    assert len(stamps) == 5 or stamps[5] - stamps[4] > 40


def test_an_answer_begins_the_count_again():
    talked = shipped()
    talked.show('unknown', 40)
    assert talked.decide.context(talked.now)['turns']['unanswered'] >= 2
    talked.answer()
    assert talked.decide.context(talked.now)['turns']['unanswered'] == 0
    talked.show('unknown', 25)
    assert talked.lines[-1] == 'prompt'


def test_rules_may_depend_on_how_many_questions_were_not_answered():
    ask = {'event': 'silence', 'quiet_for': 1.0, 'action': 'continue', 'line': 'prompt'}
    talked = scene(
        GREET,
        ask | {'name': 'again', 'max_unanswered': 1},
        ask | {'name': 'last', 'min_unanswered': 2, 'max_unanswered': 2},
        begin='waiting', question_time=2,
    )  # fmt: skip
    talked.show('unknown', 60)
    assert fired(talked.actions) == ['greet', 'again', 'last']
