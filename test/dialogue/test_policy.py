"""Which rule acts when: evidence, hysteresis, cooldowns, priorities, suppressed rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from dialogue_play import face, fired, manager, play, rule
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emotion_estimator.dialogue.action import ACTIONS, DialogueAction
from emotion_estimator.dialogue.evidence import EvidenceWindow
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import NONE, primary

EXAMPLE = Path(__file__).resolve().parents[2] / 'config' / 'dialogue.yaml'


def test_the_shipped_policy_leads_through_joy_sadness_and_absence():
    policy = DialogueManager.load(str(EXAMPLE))
    course = [('unknown', 17), ('happy', 4), ('sad', 14), (NONE, 9), ('unknown', 3)]
    actions = play(policy, course, fps=10)
    assert [(a.action, a.line) for a in actions] == [
        ('resume', 'start'), ('continue', 'smile'), ('acknowledge', 'validate'),
        ('check_in', 'check_in'), ('pause', ''), ('resume', ''),
    ]  # fmt: skip
    assert all(isinstance(a, DialogueAction) and a.reason for a in actions)
    assert [a.approach for a in actions][1:4] == ['warm', 'careful', 'careful']
    assert policy(primary(()), 200.0) is None


def test_the_shipped_policy_ends_after_a_long_absence_and_greets_on_return():
    actions = play(
        DialogueManager.load(EXAMPLE), [('unknown', 2), (NONE, 125), ('happy', 1)], fps=5
    )
    assert [a.action for a in actions] == ['resume', 'yield', 'pause', 'end', 'resume']
    assert [bool(a.utterance) for a in actions] == [True, False, False, False, True]
    assert actions[4].topic != actions[0].topic


def test_the_shipped_policy_uses_every_action():
    found = {each.action for each in DialogueManager.load(EXAMPLE).policy.rules}
    # To fall silent is not left to a rule; the tone changes with what is said.
    assert found == set(ACTIONS) - {'yield', 'change_approach'}


def test_passing_frowns_are_none_of_the_robots_business():
    actions = play(DialogueManager.load(EXAMPLE), [('unknown', 1.5), ('sad', 0.7)] * 10)
    assert 'sad' not in [a.emotion for a in actions]


def test_happy_is_believed_quickly_and_sad_must_last():
    (smile,) = play(manager(), [('happy', 1.0)])
    assert smile.stamp == pytest.approx(100.7)
    assert (smile.action, smile.approach, smile.topic) == ('continue', 'warm', 'tea')
    assert (smile.emotion, smile.face_id) == ('happy', 'a')
    assert smile.confidence == pytest.approx(0.9, abs=1e-3)
    assert smile.reason == 'happy for 0.7 of the last 0.7 s, confidence 0.90'
    assert play(manager(), [('unknown', 3), ('sad', 1.0), ('unknown', 3)]) == []
    (turn,) = play(manager(), [('unknown', 3), ('sad', 1.3)])
    assert (turn.action, turn.topic) == ('change_topic', 'music')
    assert turn.stamp == pytest.approx(104.2)


def test_a_flicker_does_not_restart_the_evidence():
    (turn,) = play(manager(), [('unknown', 2), ('sad', 0.7), ('happy', 0.1), ('sad', 0.6)])
    assert turn.rule == 'sad'
    assert turn.stamp == pytest.approx(103.3, abs=0.05)


def test_while_the_label_flickers_the_window_is_longer():
    slow = manager(rules=[rule('smile', restless_for=1.4)])
    (calm,) = play(slow, [('unknown', 3), ('happy', 1.6)])
    assert calm.stamp == pytest.approx(103.7)
    slow = manager(rules=[rule('smile', restless_for=1.4)])
    flicker = [('unknown', 0.4), ('sad', 0.1)] * 5
    (late,) = play(slow, [*flicker, ('happy', 1.6)])
    assert late.stamp == pytest.approx(103.9)
    assert late.reason.startswith('happy for 1.4 of the last 1.4 s')
    # Ten seconds later the flicker is forgotten.
    slow = manager(rules=[rule('smile', restless_for=1.4)])
    (later,) = play(slow, [*flicker, ('unknown', 10), ('happy', 1.6)])
    assert later.stamp == pytest.approx(113.2)


def test_one_message_before_a_pause_of_the_stream_is_no_evidence():
    decide = manager(rules=[rule('smile', held_for=1.0)])
    assert [decide(face('happy'), stamp) for stamp in (1.0, 2.9, 3.0)] == [None, None, None]


def test_priority_decides_between_rules_that_could_both_act():
    actions = play(manager(min_gap=1.6), [('sad', 5)])
    assert fired(actions) == ['sad', 'long sad']
    both = [rule('sad', priority=1), rule('sad', name='other', priority=2)]
    (turn,) = play(manager(rules=both), [('sad', 2)])
    assert turn.rule == 'other'
    assert turn.suppressed == ('sad: lower priority than other',)


def test_a_smile_is_answered_once_until_it_ends_or_the_rule_repeats():
    once = [rule('smile', cooldown=1.0) | {'release': 0.5}]
    del once[0]['repeat']
    assert len(play(manager(rules=once), [('happy', 20)])) == 1
    assert len(play(manager(rules=once), [('happy', 3), ('unknown', 0.1), ('happy', 3)])) == 1
    assert len(play(manager(rules=once), [('happy', 3), ('unknown', 0.5), ('happy', 3)])) == 2
    again = [once[0] | {'repeat': 5.0}]
    stamps = [a.stamp for a in play(manager(rules=again), [('happy', 11)])]
    assert stamps == pytest.approx([100.7, 105.7, 110.7])


def test_an_answer_counts_for_the_rules_below_too():
    decide = manager(rules=[rule('sad'), rule('long sad')])
    decide(face('sad'), 100.0)
    decide.user_speaking(True, 100.0)
    assert play(decide, [('sad', 4)]) == []
    decide.user_speaking(False, 104.0)
    assert fired(play(decide, [('sad', 5)], start=104.0)) == ['long sad', 'sad']
    once = [{k: v for k, v in rule('sad').items() if k != 'repeat'}, rule('long sad')]
    decide = manager(rules=once)
    decide.user_speaking(True, 100.0)
    assert play(decide, [('sad', 4)]) == []
    decide.user_speaking(False, 104.0)
    (turn,) = play(decide, [('sad', 9)], start=104.0)
    assert turn.rule == 'long sad'
    assert decide.suppressed[1].why == 'this was answered already'


def test_among_equals_the_first_answers_for_the_others():
    once = {'priority': 0, 'cooldown': 0.0, 'repeat': 60.0}
    first, second = rule('smile', name='first', **once), rule('smile', name='second', **once)
    assert fired(play(manager(rules=[first, second]), [('happy', 9)])) == ['first']
    # What the second acts upon is not answered for the first.
    first |= {'held_for': 3.0}
    assert fired(play(manager(rules=[first, second]), [('happy', 9)])) == ['second', 'first']


def test_suppressed_rules_give_cooldown_and_rate_limit():
    decide = manager()
    assert fired(play(decide, [('happy', 1.5)])) == ['smile']
    assert [str(each) for each in decide.suppressed] == ['smile: cooldown, 5.2 s left']
    decide = manager(rules=[rule('smile', cooldown=0.0, repeat=0.0)], min_gap=3.0)
    play(decide, [('happy', 1.7)])
    assert [str(each) for each in decide.suppressed] == ['smile: rate limit, 2.0 s left']
    decide = manager(rules=[rule('smile', cooldown=0.0, repeat=9.0)])
    play(decide, [('happy', 1.7)])
    assert decide.suppressed[0].why == 'this was answered already, repeats in 8.0 s'
    play(decide, [('unknown', 0.5)], start=101.75)
    assert decide.suppressed == ()


def test_a_rule_applies_only_in_its_topics_and_approaches():
    music = rule('smile', topics=['music'])
    decide = manager(rules=[music, rule('sad')])
    assert play(decide, [('happy', 1)]) == []
    assert [str(each) for each in decide.suppressed] == ['smile: not in this topic']
    actions = play(decide, [('sad', 1.5), ('happy', 1)], start=101.1)
    assert fired(actions) == ['sad', 'smile']
    warm = rule('smile', approaches=['warm'])
    decide = manager(rules=[warm])
    assert play(decide, [('happy', 1)]) == []
    assert decide.suppressed[0].why == 'not in this approach'


def test_evidence_from_another_topic_does_not_count():
    quiet = rule('smile', name='quiet', emotion='unknown', held_for=3.0, topics=['music'])
    (turn, calm) = play(manager(rules=[quiet, rule('sad', emotion='unknown')]), [('unknown', 5)])
    assert (turn.rule, calm.rule) == ('sad', 'quiet')
    assert calm.stamp - turn.stamp == pytest.approx(3.0, abs=0.05)


def test_pause_only_once_and_resume_only_after_a_pause():
    actions = play(manager(), [('unknown', 2), (NONE, 5), ('unknown', 2), (NONE, 2)])
    assert [a.action for a in actions] == ['pause', 'resume', 'pause']
    assert actions[0].reason.startswith('no face for')
    assert (actions[0].emotion, actions[0].face_id, actions[1].face_id) == (NONE, '', 'a')


def test_nothing_but_resume_after_the_end():
    actions = play(manager(), [(NONE, 20), ('happy', 3)])
    assert [a.action for a in actions] == ['pause', 'end', 'resume', 'continue']


def test_events_depend_on_whether_somebody_was_there():
    lost = rule('leave', emotion='face_lost')
    back = rule('smile', name='hello again', emotion='face_returned')
    decide = manager(rules=[lost, back, rule('back')])
    assert play(decide, [(NONE, 5)]) == []
    actions = play(decide, [('unknown', 6), (NONE, 3), ('unknown', 3), (NONE, 0.5)], start=105.1)
    assert fired(actions) == ['leave', 'back', 'hello again']
    assert actions[0].reason.startswith('the face gone for')
    assert actions[2].reason.startswith('a face again for')
    # After the first face nobody has come back yet, and five seconds after a return nobody has.
    assert 'hello again' not in fired(play(manager(rules=[back]), [('unknown', 6)]))
    late = rule('smile', name='late', emotion='face_returned', held_for=5.5)
    assert play(manager(rules=[late]), [('unknown', 1), (NONE, 2), ('unknown', 9)]) == []


def test_evidence_belongs_to_one_person():
    decide = manager()
    assert play(decide, [('sad', 0.8)], face_id='a') == []
    assert play(decide, [('sad', 1.1)], start=100.81, face_id='b') == []
    assert fired(play(decide, [('sad', 0.6)], start=101.95, face_id='b')) == ['sad']


def test_another_face_in_between_does_not_rearm_an_answered_smile():
    decide = manager(rules=[rule('smile', cooldown=0.0, repeat=60.0)])
    assert fired(play(decide, [('happy', 2)], face_id='a')) == ['smile']
    assert play(decide, [('unknown', 0.1)], start=102.05, face_id='b') == []
    assert play(decide, [('happy', 3)], start=102.2, face_id='a') == []
    # Nor does an empty room become another one by a face that is seen there for a moment.
    empty = manager(rules=[rule('leave', action='check_in')])
    course = [('unknown', 1), (NONE, 9), ('unknown', 0.1)]
    assert fired(play(empty, course, face_id='a')) == ['leave']
    assert play(empty, [('unknown', 0.1), (NONE, 3)], start=110.15, face_id='b') == []
    # The other one's smile is another.
    assert fired(play(decide, [('happy', 2)], start=105.25, face_id='b')) == ['smile']


def test_a_gap_discards_the_evidence():
    decide = manager()
    assert play(decide, [('happy', 0.5)]) == []
    (smile,) = play(decide, [('happy', 1)], start=110)
    assert smile.stamp == pytest.approx(110.7, abs=0.05)


def test_stamps_that_go_backwards_discard_the_evidence_but_not_the_cooldown():
    decide = manager()
    assert fired(play(decide, [('happy', 1.0)], start=1000)) == ['smile']
    (again,) = play(decide, [('happy', 7)], start=10)
    # 0.3 s of the cooldown of 6 s had passed at the jump to stamp 10.
    assert again.stamp == pytest.approx(15.7, abs=0.05)


def test_a_message_without_a_finite_stamp_is_ignored():
    decide = manager()
    assert decide(face('happy'), float('nan')) is None
    assert decide(face('happy'), float('inf')) is None
    for odd in (None, 'soon', 10**400):
        assert decide(face('happy'), odd) is None
        decide.user_speaking(False, odd)
    assert fired(play(decide, [('happy', 1.0)])) == ['smile']


def test_labels_of_other_vocabularies_work():
    angry = rule('sad', emotion=['angry', 'disgust'])
    (turn,) = play(manager(rules=[angry]), [('angry', 1), ('disgust', 1)])
    assert turn.emotion == 'disgust'


@settings(max_examples=80, deadline=None)
@example([(True, 0.0), (False, 0.0), (True, 0.0001), (False, 0.0)])
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 0.7)), min_size=1, max_size=80))
def test_the_window_agrees_with_a_sum_over_frames(course):
    window, stamp, frames = EvidenceWindow(2.0, 0.5), 0.0, []
    for matched, dt in course:
        stamp += dt
        window.advance(stamp)
        window.observe(matched, 0.5, 'a', 'a')
        frames.append((stamp, matched))
    found = window.evidence()
    assert window.holds == course[-1][0]
    edges = [*(at for at, _ in frames), stamp]
    held = sum(
        max(0.0, min(end, begin + 0.5) - max(begin, stamp - 2.0))
        for (begin, matched), end in zip(frames, edges[1:])
        if matched
    )
    assert found.seconds == pytest.approx(held, abs=1e-6)
    if held > 1e-3:
        assert found.confidence == pytest.approx(0.5, abs=1e-3)
