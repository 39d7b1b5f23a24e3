"""What is seen waits for the robot's turn, sadness most of all; several people."""

from __future__ import annotations

import pytest
from dialogue_play import face, fired
from dialogue_scene import GREET, LEAVE, SMILE, Scene, scene, shipped

from emotion_estimator.emotion import NONE

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
    [('No.', 'and said no'), ("I don't want to talk about it.", 'and asked for another topic')],
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


def test_whoever_asks_to_be_left_alone_is():
    talked = saddened()
    (peace,) = talked.answer('sad', 2, 'Please leave me alone.')
    assert (peace.line, peace.action) == ('peace', 'acknowledge')
    assert [each.utterance for each in talked.show('sad', 200) if each.utterance] == []


def test_somebody_who_comes_nearer_changes_nothing():
    talked = scene(GREET, LEAVE, SMILE, begin='waiting', welcome_gap=0)
    talked.show('unknown', 12, others=())
    before = len(talked.actions)
    for _ in range(200):
        talked.step('happy', face_id='b', others=(face('unknown', face_id='a'),))
    assert talked.actions[before:] == []


def test_whoever_takes_the_place_of_another_is_greeted():
    talked = scene(GREET, begin='waiting')
    talked.show('unknown', 22, others=())
    talked.show('unknown', 8, face_id='b', others=())
    assert talked.lines == ['start', 'start']
    assert [each.face_id for each in talked.actions] == ['a', 'b']


def test_another_person_does_not_silence_a_policy_without_a_greeting():
    talked = scene(SMILE | {'cooldown': 6.0})
    talked.show('unknown', 5, others=())
    talked.show('happy', 8, face_id='b', others=())
    assert fired(talked.actions) == ['smile']
    assert talked.decide.mode == 'running'
