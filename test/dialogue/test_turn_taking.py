"""The dialogue manager waits its turn: presence, care, silence, reactions that come late."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from dialogue_play import RULES, TALK, face, fired, manager, rule, rules, talk
from dialogue_scene import Scene

from emotion_estimator.dialogue.conversation_file import parse_conversation
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import parse_policy
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError

CONFIG = Path(__file__).resolve().parents[2] / 'config'


def shipped(**changes) -> Scene:
    """Return a scene with the shipped policy, some fields changed."""
    raw = yaml.safe_load((CONFIG / 'dialogue.yaml').read_text()) | changes
    words = yaml.safe_load((CONFIG / 'conversation_en.yaml').read_text())
    return Scene(
        DialogueManager(parse_policy(raw, 'policy'), parse_conversation(words, 'talk')), fps=10
    )


#: Lines of every kind, none of which is a question unless it says so.
LINES = {
    'start': {'neutral': ['Hello, it is good to see you. {opening}']},
    'resume': {'neutral': ['Welcome back.', 'There you are.']},
    'take_up': {'neutral': ['I was saying: {unfinished}']},
    'answer': {'neutral': ['I see. {follow_up}', 'And what was that like?']},
    'prompt': {'neutral': ['Perhaps: {follow_up}', 'Shall I ask something else?']},
    'continue': {'neutral': ['I like that.', 'Go on.']},
    'acknowledge': {'neutral': ['I am here.', 'Thank you.']},
    'celebrate': {'neutral': ['How nice.']},
    'change_topic': {'neutral': ['Now {topic}. {opening}']},
    'end': {'neutral': ['Goodbye.']},
}

ANSWER = {'name': 'answer', 'event': 'answer', 'action': 'continue', 'line': 'answer'}
GLAD = ANSWER | {'name': 'glad', 'emotion': 'happy', 'share': 0.5, 'held_for': 1.0, 'priority': 1}
SMILE = {
    'name': 'smile', 'emotion': 'happy', 'held_for': 0.5, 'share': 1.0, 'cooldown': 0.0,
    'repeat': 0.0, 'action': 'continue', 'wait': 3.0,
}  # fmt: skip
GREET = {'name': 'greet', 'emotion': 'face', 'held_for': 0.5, 'cooldown': 0.0, 'action': 'resume',
         'priority': 9}  # fmt: skip
LEAVE = {'name': 'leave', 'emotion': 'none', 'held_for': 1.5, 'cooldown': 0.0, 'action': 'pause',
         'priority': 8}  # fmt: skip


def decider(*given: dict, lines: dict | None = None, **timing) -> DialogueManager:
    """Return a manager with these rules and the usual times of turns."""
    times = {'min_gap': 0.5, 'after_speaking': 1.2}
    policy = {'rules': list(given) or [ANSWER], **times, **timing}
    conversation = talk(lines=LINES | (lines or {}))
    return DialogueManager(parse_policy(policy, 'policy.yaml'), conversation)


def scene(*given: dict, lines: dict | None = None, **timing) -> Scene:
    return Scene(decider(*given, lines=lines, **timing))


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


def test_what_is_broken_off_twice_is_taken_up_as_it_was_said_first():
    lines = {'take_up': {'neutral': ['I was saying: {unfinished}', 'Where was I? {unfinished}']}}
    talked = scene(GREET, LEAVE, lines=lines, begin='waiting', words_per_minute=30)
    talked.show('unknown', 2)
    for _ in range(3):
        talked.show(NONE, 8)
        talked.show('unknown', 3)
    first, *said = [each.utterance for each in talked.actions if each.utterance]
    ways = 'I was saying: ', 'Where was I? ', 'I was saying: '
    assert said == [f'{way}{first}' for way in ways]


def test_a_very_long_sentence_of_another_node_is_taken_up_in_part():
    talked = scene(GREET, LEAVE, begin='waiting')
    talked.show('unknown', 10)
    talked.decide.robot_said('and then ' * 20_000, talked.now)
    talked.show('unknown', 2)
    talked.show(NONE, 8)
    (back,) = talked.show('unknown', 2)
    assert back.line == 'take_up'
    assert len(back.utterance) < 2100
    assert len(json.dumps(talked.decide.context(talked.now))) < 6000


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


# Care -------------------------------------------------------------------------------------------


def saddened() -> Scene:
    """Return the shipped scene after the greeting was answered, with a face that turns sad."""
    talked = shipped()
    talked.answer(seconds=3)
    talked.until('sad', lambda: talked.actions[-1].line == 'check_in')
    return talked


def test_sadness_is_acknowledged_then_asked_about():
    talked = saddened()
    assert talked.lines == ['start', 'answer', 'validate', 'check_in']
    validate, check_in = talked.actions[2:]
    assert (validate.action, validate.approach, check_in.approach) == (
        'acknowledge', 'careful', 'careful'
    )  # fmt: skip
    assert '?' not in validate.utterance
    assert check_in.topic == talked.actions[0].topic


def test_another_topic_is_offered_when_nobody_answers():
    talked = saddened()
    asked = talked.actions[-1].stamp
    (offer,) = talked.until('sad', lambda: talked.actions[-1].line == 'offer')
    assert (offer.action, offer.approach) == ('change_topic', 'careful')
    # A careful question has ten seconds.
    assert offer.stamp - asked > 10


@pytest.mark.parametrize(
    ('words', 'why'),
    [('No.', 'and said no'), ("I don't want to talk about it.", 'and declined to talk')],
)
def test_another_topic_is_offered_to_whoever_declines(words, why):
    (offer,) = saddened().answer('sad', 2, words)
    assert (offer.line, offer.action) == ('offer', 'change_topic')
    assert offer.reason.endswith(why)


def test_whoever_answers_is_thanked_and_asked_for_more_but_not_led_away():
    talked = saddened()
    (thanks,) = talked.answer('sad', 5, 'My sister died last year.')
    assert (thanks.line, thanks.action) == ('comfort', 'acknowledge')
    (more,) = talked.until('sad', lambda: talked.actions[-1].line != 'comfort')
    assert (more.line, more.topic) == ('more', talked.actions[0].topic)


@pytest.mark.parametrize('seconds', [8, 40])
def test_nothing_is_said_about_the_face_during_a_telling_but_at_its_end(seconds):
    talked = shipped()
    talked.floor('unknown', 'waiting')
    assert talked.speak('sad', seconds, 'We buried her in May.') == []
    (thanks,) = talked.show('sad', 3)
    assert (thanks.line, thanks.rule) == ('comfort', 'thank for a sad telling')
    assert thanks.approach == 'careful'


def test_a_short_sad_look_is_left_alone():
    talked = shipped()
    talked.floor('unknown', 'waiting')
    talked.floor('unknown', 'silence')
    talked.show('sad', 1.5)
    talked.show('unknown', 1.0)
    assert talked.lines == ['start']


def test_nobody_is_joked_with_who_looks_sad():
    cheer = {'name': 'cheer', 'emotion': 'happy', 'held_for': 0.5, 'share': 1.0, 'cooldown': 0,
             'action': 'celebrate', 'approach': 'warm', 'wait': 9.0}  # fmt: skip
    for course, approach in (
        ([('unknown', 3), ('happy', 2)], 'warm'),
        ([('sad', 2), ('happy', 2)], 'careful'),
        ([('sad', 2), ('unknown', 8), ('happy', 2)], 'warm'),
        ([('sad', 0.3), ('happy', 2)], 'warm'),
    ):
        talked = scene(cheer, when_sad={'warm': 'careful'})
        for label, seconds in course:
            talked.show(label, seconds)
        assert [each.approach for each in talked.actions] == [approach]


# Reactions and the floor ------------------------------------------------------------------------


@pytest.mark.parametrize(('smiles_until', 'acts'), [(5.5, False), (6.2, True)])
def test_a_reaction_waits_for_the_floor_and_is_dropped_when_it_is_stale(smiles_until, acts):
    """The robot speaks from 1 to 9 s, and a smile is worth 3 s of waiting."""
    talked = scene(SMILE, breath=0.0)
    talked.show('unknown', 1)
    talked.decide.robot_said('word ' * 20, talked.now)
    talked.show('unknown', 1)
    talked.show('happy', smiles_until - talked.now)
    talked.show('unknown', 8)
    assert fired(talked.actions) == (['smile'] if acts else [])


def test_a_reaction_that_was_late_is_about_what_was_seen_then():
    talked = scene(SMILE)
    talked.show('unknown', 1)
    talked.decide.robot_said('word ' * 5, talked.now)
    talked.show('happy', 1)
    (late,) = talked.show('unknown', 3)
    assert late.stamp == pytest.approx(4.0, abs=0.1)
    assert (late.emotion, late.confidence) == ('happy', pytest.approx(0.9, abs=0.01))
    assert late.reason.startswith('happy for 0.5 of the last 0.5 s')


def test_what_keeps_a_reaction_waiting_is_said():
    talked = scene(SMILE)
    talked.show('happy', 0.2)
    talked.decide.robot_said('Tea? ' * 5, talked.now)
    reasons = []
    for _ in range(400):
        talked.step('happy')
        reasons += [each.why.partition(',')[0] for each in talked.decide.suppressed]
    assert list(dict.fromkeys(reasons)) == [
        'the robot is speaking', 'the robot has asked and waits', 'rate limit',
        'the robot has just spoken',
    ]  # fmt: skip
    talked = scene(SMILE)
    talked.show('happy', 0.2)
    talked.decide.robot_said('Tea. ' * 5, talked.now)
    talked.until('happy', lambda: talked.decide.floor == 'silence')
    talked.step('happy')
    assert 'the robot has just spoken, ' in talked.decide.suppressed[0].why


def test_evidence_of_an_earlier_silence_does_not_count_in_a_later_one():
    gloom = {'name': 'gloom', 'event': 'silence', 'quiet_for': 2.0, 'emotion': 'sad',
             'held_for': 1.0, 'share': 1.0, 'action': 'acknowledge'}  # fmt: skip
    talked = scene(gloom, breath=5.0)
    talked.decide.robot_said('One two.', 0.0)
    talked.show('sad', 4)
    assert 'the robot has just spoken' in talked.decide.suppressed[0].why
    assert talked.show('unknown', 20) == []


def test_stamps_that_go_back_discard_a_reaction_that_waits():
    talked = scene(SMILE | {'wait': 9.0})
    talked.show('unknown', 1)
    talked.decide.robot_said('word ' * 5, talked.now)
    talked.show('happy', 1)
    talked.frame = 0
    assert talked.show('unknown', 8) == []


def test_a_policy_without_turn_taking_only_keeps_quiet_while_the_person_speaks():
    talked = scene(SMILE | {'cooldown': 2.0}, turn_taking=False)
    talked.decide.robot_said('Tea? ' * 20, 0.0)
    talked.show('happy', 3)
    assert len(talked.actions) == 2
    talked = scene(SMILE, turn_taking=False)
    assert talked.speak('happy', 5) == []
    talked = scene(GREET, LEAVE, turn_taking=False)
    talked.show('unknown', 3)
    talked.show(NONE, 3)
    talked.show('unknown', 3)
    # Without turns, it says that it waits and that it is back.
    assert talked.lines == ['pause', 'start']


# Several people ---------------------------------------------------------------------------------


def test_somebody_who_comes_nearer_changes_nothing():
    talked = scene(GREET, LEAVE, SMILE, begin='waiting', welcome_gap=0)
    talked.show('unknown', 12, others=())
    before = len(talked.actions)
    for _ in range(200):
        talked.step('happy', face_id='b', others=(face('unknown', face_id='a'),))
    assert talked.actions[before:] == []


def test_whoever_takes_the_place_of_another_is_greeted():
    talked = scene(GREET, begin='waiting')
    talked.show('unknown', 12, others=())
    talked.show('unknown', 6, face_id='b', others=())
    assert talked.lines == ['start', 'start']
    assert [each.face_id for each in talked.actions] == ['a', 'b']


def test_another_person_does_not_silence_a_policy_without_a_greeting():
    talked = scene(SMILE | {'cooldown': 6.0})
    talked.show('unknown', 5, others=())
    talked.show('happy', 8, face_id='b', others=())
    assert fired(talked.actions) == ['smile']
    assert talked.decide.mode == 'running'


# Words of another node --------------------------------------------------------------------------


def test_words_of_another_node_are_waited_for_and_take_the_floor():
    talked = scene(GREET, SMILE | {'wait': 0.5}, begin='waiting', question_times={'neutral': 3.0})
    talked.decide.own_words = False
    talked.show('unknown', 1)
    (greeting,) = talked.actions
    assert talked.decide.floor == 'robot_speaks'
    # The conversation file's words are for fallback only, and not what the robot says.
    assert greeting.utterance
    talked.show('unknown', 2)
    talked.decide.robot_said('Good morning, my friend.', talked.now)
    talked.show('happy', 0.5)
    talked.decide.robot_said('Did you sleep well?', talked.now)
    talked.show('happy', 2)
    talked.floor('unknown', 'waiting')
    begun = talked.now
    talked.until('unknown', lambda: talked.decide.floor == 'silence')
    assert talked.now - begun == pytest.approx(3.0, abs=0.2)
    assert len(talked.actions) == 1
    assert talked.decide.problems == {}


def test_without_any_words_from_the_other_node_it_goes_on():
    talked = scene(GREET, SMILE, begin='waiting')
    talked.decide.own_words = False
    talked.show('unknown', 8)
    assert talked.decide.floor == 'silence'
    assert talked.decide.problems == {'robot_said_nothing': 1}
    assert fired(talked.show('happy', 1)) == ['smile']


def test_a_model_that_is_interrupted_before_its_words_came_leaves_nothing_to_take_up():
    talked = scene(GREET, ANSWER, LEAVE, begin='waiting', welcome_gap=0)
    talked.decide.own_words = False
    talked.show('unknown', 1)
    (stop,) = talked.speak('unknown', 2)
    assert stop.action == 'yield'
    (reply,) = talked.show('unknown', 2)
    assert reply.rule == 'answer'
    talked.show('unknown', 8)
    talked.show(NONE, 8)
    (back,) = talked.show('unknown', 2)
    assert back.line == 'resume'


# Files ------------------------------------------------------------------------------------------


def test_files_of_the_old_form_work_and_say_in_a_line_each_what_to_change(tmp_path):
    policy, words = tmp_path / 'policy.yaml', tmp_path / 'talk.yaml'
    policy.write_text(yaml.safe_dump(RULES))
    words.write_text(yaml.safe_dump(TALK))
    decide = DialogueManager.load(policy, words)
    old_policy, old_words = decide.warnings
    assert old_policy.startswith(f'{policy} has the form of an earlier release')
    assert old_words.startswith(f'{words} has the form of an earlier release')
    assert all('\n' not in line for line in decide.warnings)
    talked = Scene(decide)
    talked.show('unknown', 1)
    talked.speak('unknown', 2)
    talked.show('happy', 2)
    assert fired(talked.actions) == ['smile']


def test_an_answer_without_lines_of_its_own_says_those_of_continue():
    old = copy.deepcopy(TALK)
    policy = parse_policy({'rules': [ANSWER], 'min_gap': 0.5}, 'policy.yaml')
    talked = Scene(DialogueManager(policy, parse_conversation(old, 'talk.yaml')))
    talked.show('unknown', 1)
    talked.speak('unknown', 2)
    (reply,) = talked.show('unknown', 2)
    assert (reply.line, reply.utterance) == ('answer', 'Go on. With milk?')


@pytest.mark.parametrize(
    ('field', 'value', 'named'),
    [
        ('question_times', {'rude': 3.0}, 'rude'),
        ('when_sad', {'rude': 'careful'}, 'rude'),
        ('when_sad', {'warm': 'rude'}, 'rude'),
    ],
)
def test_times_and_tones_of_unknown_approaches_are_refused_in_one_line(field, value, named):
    with pytest.raises(InputError) as caught:
        DialogueManager(rules(**{field: value}), talk())
    message = str(caught.value)
    assert message.startswith(f'policy.yaml: {field}: {named!r} is not an approach of talk.yaml')
    assert '\n' not in message and 'neutral, warm, careful' in message


def test_times_may_be_overridden(tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text(yaml.safe_dump(RULES | {'question_time': 4.0}))
    words = tmp_path / 'talk.yaml'
    words.write_text(yaml.safe_dump(TALK))
    decide = DialogueManager.load(path, words, {'question_time': 9.0})
    assert decide.policy.times.question_time == 9.0
    assert decide.policy.times.breath == 0
    decide.reload(path, words)
    assert decide.policy.times.question_time == 4.0
    decide.reload(path, words, {'words_per_minute': 99.0})
    talked = Scene(decide)
    talked.decide.robot_said('word ' * 99, 0.0)
    talked.floor('unknown', 'silence')
    assert talked.now == pytest.approx(60, abs=0.1)


def test_a_reload_brings_other_refusals(tmp_path):
    path, words = tmp_path / 'policy.yaml', tmp_path / 'talk.yaml'
    path.write_text(yaml.safe_dump({'rules': [
        {'name': 'declined', 'event': 'said_no', 'action': 'acknowledge'}]}))  # fmt: skip
    words.write_text(yaml.safe_dump(TALK | {'refusals': ['never']}))
    talked = Scene(DialogueManager.load(path, words))
    talked.show('unknown', 1)
    talked.decide.user_said('Nope.', talked.now)
    assert talked.show('unknown', 6) == []
    words.write_text(yaml.safe_dump(TALK | {'refusals': ['Nope']}))
    talked.decide.reload(path, words)
    talked.decide.user_said('Nope.', talked.now)
    assert fired(talked.show('unknown', 6)) == ['declined']


# Disclosure and abilities -----------------------------------------------------------------------

DISCLOSED = 'I have a camera.'


@pytest.mark.parametrize(
    ('line', 'said'),
    [
        ('Hello. {opening}', 'Hello. I have a camera. Tea?'),
        ('Hello. {disclosure} {opening}', 'Hello. I have a camera. Tea?'),
        ('Hello.', 'Hello. I have a camera.'),
        ('{disclosure} Hello.', 'I have a camera. Hello.'),
    ],
)
def test_the_camera_is_disclosed_once_at_the_first_greeting(line, said):
    conversation = talk(lines=LINES | {'start': {'neutral': [line]}}, disclosure=[DISCLOSED])
    decide = DialogueManager(rules(), conversation)
    first = decide.start(1.0)
    assert first.utterance == said
    assert decide.disclosure(first) == DISCLOSED
    decide.end(2.0)
    again = decide.start(3.0)
    assert DISCLOSED not in again.utterance
    assert decide.disclosure(again) == ''


def test_no_disclosure_is_configured_by_an_empty_list():
    line = {'start': {'neutral': ['Hello. {disclosure} {opening}']}}
    decide = DialogueManager(rules(), talk(lines=LINES | line, disclosure=[]))
    assert decide.start(1.0).utterance == 'Hello. Tea?'


def test_a_conversation_that_begins_without_a_greeting_discloses_at_none():
    """Only a greeting does: nobody is told about a camera in the middle of a conversation."""
    decide = manager()
    decide.reload(None, None)
    assert decide.file.disclosure
    chosen = decide.choose_topic('music', 1.0)
    assert decide.disclosure(chosen) == ''


@pytest.mark.parametrize('abilities', [[], ['sing'], ['dance', 'sing']])
def test_what_needs_an_ability_is_said_only_with_it(abilities):
    sing = {'say': 'Shall we sing?', 'needs': 'sing'}
    lines = LINES | {'celebrate': {'neutral': [sing, 'How nice.', 'Good.']}}
    file = talk(lines=lines, abilities=abilities)
    pool = file.lines['celebrate']['neutral']
    assert pool == (('Shall we sing?',) if abilities else ()) + ('How nice.', 'Good.')


@pytest.mark.parametrize(
    ('sentence', 'says'),
    [
        ({'say': 'Shall we sing?'}, 'needs is missing'),
        ({'needs': 'sing'}, 'say is missing'),
        ({'say': 'x', 'needs': 'sing', 'if': 1}, 'unknown field if'),
        ({'say': 'x', 'needs': 3}, 'needs must be'),
        ({'say': '{song}', 'needs': 'sing'}, "'song' in braces"),
    ],
)
def test_a_sentence_with_an_odd_need_is_refused(sentence, says):
    with pytest.raises(InputError) as caught:
        talk(lines=LINES | {'celebrate': {'neutral': [sentence]}})
    assert says in str(caught.value)
    assert 'celebrate: neutral[1]' in str(caught.value) and '\n' not in str(caught.value)


def test_what_was_not_heard_is_said_again():
    talked = shipped()
    talked.show('unknown', 12)
    (again,) = talked.answer('unknown', 1, 'Pardon?')
    assert (again.action, again.line) == ('continue', 'again')
    question = again.utterance.partition('. ')[2]
    assert question and talked.actions[0].utterance.endswith(question)
    # It is a question again, and what follows is an answer to it.
    talked.show('unknown', 7)
    assert talked.floors[-1] == 'waiting'
    (after,) = talked.answer('unknown', 2, 'Sunshine.')
    assert after.line == 'answer'
