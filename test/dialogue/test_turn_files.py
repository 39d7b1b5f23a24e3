"""Files of either form, words of another node, the disclosure, abilities."""

from __future__ import annotations

import copy

import pytest
import yaml
from dialogue_play import RULES, TALK, face, fired, manager, rules, talk
from dialogue_scene import ANSWER, GREET, LEAVE, LINES, SMILE, Scene, scene, shipped

from emotion_estimator.dialogue.conversation_file import parse_conversation
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import parse_policy
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError

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


@pytest.mark.parametrize('within', [3.0, 5.0])
def test_without_any_words_from_the_other_node_it_goes_on(within):
    timing = {'words_within': within, 'question_times': {'neutral': 4.0}}
    talked = scene(GREET, SMILE, begin='waiting', **timing)
    talked.decide.own_words = False
    talked.until('unknown', lambda: talked.actions != [])
    begun = talked.now
    talked.until('unknown', lambda: talked.decide.floor != 'robot_speaks')
    # Perhaps they were said and only not reported, so the greeting's question is waited for.
    assert talked.decide.floor == 'waiting'
    assert talked.now - begun == pytest.approx(within, abs=0.2)
    talked.until('unknown', lambda: talked.decide.floor != 'waiting')
    assert talked.decide.floor == 'silence'
    assert talked.now - begun == pytest.approx(within + 4.0, abs=0.3)
    assert talked.decide.problems == {'robot_said_nothing': 1}
    assert talked.decide.context(talked.now)['turns']['unanswered'] == 1
    assert fired(talked.show('happy', 1)) == ['smile']


def test_words_that_ask_nothing_and_never_come_are_not_waited_for():
    talked = scene(SMILE | {'action': 'acknowledge'}, words_within=3.0)
    talked.decide.own_words = False
    talked.show('unknown', 1)
    talked.until('happy', lambda: talked.actions != [])
    talked.show('unknown', 1)
    assert talked.decide.floor == 'robot_speaks'
    talked.until('unknown', lambda: talked.decide.floor != 'robot_speaks')
    assert talked.decide.floor == 'silence'
    talked.show('unknown', 20)
    assert 'waiting' not in talked.floors
    assert talked.decide.problems == {'robot_said_nothing': 1}


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


def test_what_was_broken_off_twice_is_not_taken_up_again():
    long = {'start': {'neutral': ['Hello, ' + 'and so it was ' * 20 + 'in those days.']}}
    talked = scene(GREET, LEAVE, lines=long, begin='waiting', welcome_gap=0)
    talked.show('unknown', 2)
    for _ in range(3):
        talked.show(NONE, 8)
        talked.show('unknown', 2)
    assert [each for each in talked.lines if not each.startswith('(')] == [
        'start', 'take_up', 'resume', 'resume'
    ]  # fmt: skip


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


@pytest.mark.parametrize('field', ['refusals', 'noes', 'repeats'])
def test_a_reload_brings_other_words_to_listen_for(tmp_path, field):
    event = {'refusals': 'refusal', 'noes': 'said_no', 'repeats': 'pardon'}[field]
    path, words = tmp_path / 'policy.yaml', tmp_path / 'talk.yaml'
    path.write_text(yaml.safe_dump({'rules': [
        {'name': 'heard', 'event': event, 'action': 'acknowledge'}]}))  # fmt: skip
    words.write_text(yaml.safe_dump(TALK | {field: ['never']}))
    talked = Scene(DialogueManager.load(path, words))
    talked.show('unknown', 1)
    talked.decide.user_said('Nope.', talked.now)
    assert talked.show('unknown', 6) == []
    words.write_text(yaml.safe_dump(TALK | {field: ['Nope']}))
    talked.decide.reload(path, words)
    talked.decide.user_said('Nope.', talked.now)
    assert fired(talked.show('unknown', 6)) == ['heard']


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
    decide.pause(2.0)
    again = decide.resume(3.0)
    assert DISCLOSED not in again.utterance
    assert decide.disclosure(again) == ''


def test_after_the_end_nothing_has_been_said_to_whoever_comes_next():
    lines = LINES | {'start': {'neutral': ['Hello. {opening}', 'Good day. {opening}']}}
    decide = DialogueManager(rules(), talk(lines=lines, disclosure=[DISCLOSED]))
    first = decide.start(1.0)
    decide.end(2.0)
    again = decide.start(3.0)
    assert decide.disclosure(first) == decide.disclosure(again) == DISCLOSED
    greetings = [each.utterance.partition('.')[0] for each in (first, again)]
    assert greetings == ['Hello', 'Hello']


def greeted(*given: dict, **timing) -> Scene:
    """Return a scene in which whoever comes is greeted and hears of the camera."""
    policy = {'rules': [GREET, *given], 'min_gap': 0.5, 'begin': 'waiting', **timing}
    conversation = talk(lines=LINES, disclosure=[DISCLOSED])
    return Scene(DialogueManager(parse_policy(policy, 'policy.yaml'), conversation))


def told(talked: Scene) -> list[str]:
    """Return the kinds of lines with which the camera was disclosed."""
    return [each.line for each in talked.actions if DISCLOSED in each.utterance]


def test_a_greeting_that_was_broken_off_is_made_up_for_at_the_next_question():
    talked = greeted(ANSWER)
    talked.until('unknown', lambda: talked.actions != [])
    talked.show('unknown', 0.5)
    assert [each.action for each in talked.speak('unknown', 3)] == ['yield']
    talked.show('unknown', 4)
    for _ in range(2):
        talked.answer()
    assert talked.lines == ['start', '(yield)', 'answer', 'answer', 'answer']
    assert told(talked) == ['start', 'answer']
    reply = talked.actions[2]
    assert talked.decide.disclosure(reply) == DISCLOSED
    # It comes before the question, which is what they answer.
    assert reply.utterance == f'I see. {DISCLOSED} With milk?'


def test_another_line_that_was_broken_off_discloses_nothing_again():
    talked = greeted(ANSWER)
    talked.answer()
    assert [each.action for each in talked.speak('unknown', 3)] == ['yield']
    talked.show('unknown', 4)
    assert talked.lines == ['start', 'answer', '(yield)', 'answer']
    assert told(talked) == ['start']


def test_another_person_is_greeted_and_told_as_well_and_only_once():
    talked = greeted()
    here, there = face('unknown', face_id='a'), face('unknown', face_id='b')
    talked.show('unknown', 30, others=(there,))
    talked.show('unknown', 30, face_id='b', others=())
    assert talked.lines == ['start', 'start']
    assert told(talked) == ['start', 'start']
    assert [each.face_id for each in talked.actions] == ['a', 'b']
    talked.show('unknown', 30, face_id='c', others=())
    talked.show('unknown', 30, face_id='b', others=(here,))
    assert [each.face_id for each in talked.actions] == ['a', 'b', 'c']


@pytest.mark.parametrize(('later', 'stays', 'greetings'), [(10, 9, 1), (10, 40, 2), (30, 40, 2)])
def test_nobody_is_greeted_soon_after_somebody_else(later, stays, greetings):
    """Some trackers change ids all the time; whoever stays is greeted in the end."""
    talked = greeted(short_absence=3.0)
    talked.show('unknown', later, others=())
    talked.show('unknown', stays, face_id='b', others=())
    assert talked.lines == ['start'] * greetings


def test_how_long_somebody_is_out_of_view_before_another_is_greeted_is_the_short_absence():
    talked = greeted(short_absence=8.0)
    talked.show('unknown', 30, others=())
    assert talked.show('unknown', 7.5, face_id='b', others=()) == []
    assert fired(talked.show('unknown', 2, face_id='b', others=())) == ['greet']


def test_whoever_tells_something_is_not_greeted_as_somebody_else_when_the_id_changes():
    talked = greeted(ANSWER, short_absence=3.0)
    talked.show('unknown', 30, others=())
    for _ in range(200):
        talked.decide.user_speaking(True, talked.now)
        talked.step('unknown', face_id='b', others=())
    talked.decide.user_speaking(False, talked.now)
    talked.show('unknown', 10, face_id='b', others=())
    assert talked.lines == ['start', 'answer']


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
