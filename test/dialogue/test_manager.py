"""The dialogue manager: services, speech, reloading files, its context."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from dialogue_play import RULES, TALK, face, fired, manager, play, rule, rules, talk

from emotion_estimator.dialogue.action import Suppressed
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError

CONFIG = Path(__file__).resolve().parents[2] / 'config'


def test_the_shipped_files_go_together_in_every_language():
    for name in ('conversation_en.yaml', 'conversation_de.yaml'):
        loaded = DialogueManager.load(None, CONFIG / name)
        (greeting,) = play(loaded, [('happy', 1)])
        assert (greeting.action, greeting.line) == ('resume', 'start')
        assert (greeting.topic, greeting.approach) == ('weather', 'warm')
        assert loaded.language == name[-7:-5]
        assert loaded.warnings == ()
    (english,) = play(DialogueManager.load(), [('happy', 1)])
    assert english.utterance != greeting.utterance


# Services ---------------------------------------------------------------------------------------


def test_services_lead_through_the_conversation():
    decide = manager()
    started = decide.start(1.0)
    assert (started.action, started.rule, started.utterance) == (
        'resume', 'service start', 'Hello. Tea?',
    )  # fmt: skip
    assert (started.emotion, started.face_id, started.stamp) == ('', '', 1.0)
    assert decide.pause(2.0).action == 'pause'
    assert decide.mode == 'paused'
    assert decide.resume(3.0).utterance == 'Back to a cup of tea.'
    chosen = decide.choose_topic('music', 4.0)
    assert (chosen.action, chosen.topic, chosen.utterance) == ('change_topic', 'music', 'Music?')
    assert chosen.reason == 'a service asked to choose a topic'
    assert decide.end(5.0).action == 'end'
    again = decide.start(6.0)
    assert (decide.mode, again.topic) == ('running', 'cats')
    assert dict(decide.counts) == {'resume': 3, 'pause': 1, 'change_topic': 1, 'end': 1}


@pytest.mark.parametrize(
    ('before', 'asked', 'says'),
    [
        (['start'], 'start', 'is running; end it before starting again'),
        (['pause'], 'start', 'is paused; resume it'),
        (['pause'], 'pause', 'cannot pause: the conversation is paused, not running'),
        ([], 'resume', 'is running, not paused'),
        (['end'], 'end', 'is ended, not running or paused'),
        (['end'], 'resume', 'is ended, not paused'),
    ],
)
def test_a_service_in_the_wrong_mode_is_refused_in_one_line(before, asked, says):
    decide = manager()
    for name in before:
        getattr(decide, name)(1.0)
    counts = dict(decide.counts)
    with pytest.raises(InputError) as caught:
        getattr(decide, asked)(2.0)
    assert says in str(caught.value)
    assert '\n' not in str(caught.value)
    assert dict(decide.counts) == counts


def test_a_topic_is_chosen_while_the_conversation_runs_and_has_it():
    decide = manager()
    with pytest.raises(InputError, match='known are tea, music, cats'):
        decide.choose_topic('golf', 1.0)
    decide.pause(1.0)
    with pytest.raises(InputError, match='is paused, not running'):
        decide.choose_topic('music', 2.0)
    assert decide.topic == 'tea'


def test_no_rule_resumes_what_a_service_paused_or_ended():
    decide = manager()
    play(decide, [('happy', 1)])
    decide.pause(101.0)
    assert play(decide, [('happy', 2), (NONE, 3), ('happy', 2)], start=101.1) == []
    assert str(decide.suppressed[0]) == 'smile: the conversation is paused'
    assert Suppressed('back', 'the conversation was paused by a service') in decide.suppressed
    decide.resume(110.0)
    assert fired(play(decide, [('happy', 2)], start=110.1)) == ['smile']
    decide.end(113.0)
    assert play(decide, [(NONE, 3), ('happy', 2)], start=113.1) == []
    decide.start(120.0)
    actions = play(decide, [('unknown', 1), (NONE, 3), ('happy', 1)], start=120.1)
    assert fired(actions) == ['leave', 'back']


def test_no_rule_ends_what_a_service_paused():
    decide = manager()
    decide(face('happy'), 100.0)
    decide.pause(100.0)
    assert play(decide, [(NONE, 9), ('happy', 3)], start=100.1) == []
    # As a robot does that has driven somewhere.
    assert decide.resume(119.0).action == 'resume'
    decide.end(119.5)
    decide.start(120.0)
    assert fired(play(decide, [(NONE, 9), ('happy', 1)], start=120.1)) == ['leave', 'gone', 'back']


def test_the_rate_limit_counts_from_actions_of_services():
    decide = manager(min_gap=2.0)
    decide(face('happy'), 100.0)
    decide.choose_topic('music', 100.0)
    (smile,) = play(decide, [('happy', 3)], start=100.0)
    assert smile.stamp == pytest.approx(102.0, abs=0.05)


# The person speaks ------------------------------------------------------------------------------


def test_no_action_while_the_person_speaks_or_shortly_after():
    decide = manager(after_speaking=0.8)
    decide(face('happy'), 100.0)
    decide.user_speaking(True, 100.0)
    assert play(decide, [('happy', 3)]) == []
    assert [str(each) for each in decide.suppressed] == ['smile: the person is speaking']
    decide.user_speaking(False, 103.0)
    assert play(decide, [('happy', 0.5)], start=103.0) == []
    assert decide.suppressed[0].why == 'the person has just spoken, 0.3 s left'
    (smile,) = play(decide, [('happy', 1)], start=103.5)
    assert smile.stamp == pytest.approx(103.8, abs=0.05)


def test_silence_without_speech_before_delays_nothing():
    decide = manager(after_speaking=5.0)
    decide.user_speaking(False, 100.0)
    assert fired(play(decide, [('happy', 1)])) == ['smile']


def test_a_service_and_rules_that_may_act_while_the_person_speaks():
    decide = manager(rules=[rule('leave', while_speaking=True), rule('smile')])
    decide.user_speaking(True, 100.0)
    assert fired(play(decide, [('happy', 2), (NONE, 2)])) == ['leave']
    assert decide.resume(104.0).action == 'resume'


def test_a_lost_speech_publisher_does_not_mute_the_robot_for_ever():
    decide = manager(speaking_timeout=4.0)
    decide(face('happy'), 100.0)
    decide.user_speaking(True, 100.0)
    (smile,) = play(decide, [('happy', 6)])
    assert smile.stamp == pytest.approx(104.05, abs=0.06)
    # Said again, it is believed again.
    decide = manager(speaking_timeout=4.0)
    for second in range(8):
        decide.user_speaking(True, 100.0 + second)
        assert play(decide, [('happy', 0.9)], start=100.0 + second) == []


@pytest.mark.parametrize('stamp', [float('nan'), float('inf'), -1e300, 1e300])
def test_speaking_at_an_odd_time_counts_as_now(stamp):
    decide = manager()
    decide(face('happy'), 100.0)
    decide.user_speaking(True, stamp)
    assert play(decide, [('happy', 2)]) == []


# Other files while it runs ----------------------------------------------------------------------


def test_a_reload_keeps_the_state_of_the_conversation(tmp_path):
    policy, words = tmp_path / 'policy.yaml', tmp_path / 'talk.yaml'
    policy.write_text(yaml.safe_dump(RULES))
    words.write_text(yaml.safe_dump(TALK))
    decide = DialogueManager.load(policy, words)
    assert fired(play(decide, [('sad', 1.3), ('happy', 1.4)])) == ['sad', 'smile']
    policy.write_text(yaml.safe_dump(RULES | {'min_gap': 0.5}))
    decide.reload(policy, words)
    assert (decide.mode, decide.topic, decide.approach) == ('running', 'music', 'warm')
    assert decide.policy.min_gap == 0.5
    # The smile of 102.2 goes on, and so does its cooldown of 6 s.
    (smile,) = play(decide, [('happy', 6)], start=102.7)
    assert smile.stamp == pytest.approx(108.2, abs=0.05)


def test_evidence_survives_a_reload_of_the_same_rules(tmp_path):
    policy, words = tmp_path / 'policy.yaml', tmp_path / 'talk.yaml'
    policy.write_text(yaml.safe_dump(RULES))
    words.write_text(yaml.safe_dump(TALK))
    decide = DialogueManager.load(policy, words)
    play(decide, [('sad', 1.0)])
    decide.reload(policy, words)
    (turn,) = play(decide, [('sad', 0.5)], start=101.0 + 1 / 30)
    assert turn.stamp == pytest.approx(101.2, abs=0.05)


def test_an_answered_smile_stays_answered_after_a_reload(tmp_path):
    policy, words = tmp_path / 'policy.yaml', tmp_path / 'talk.yaml'
    words.write_text(yaml.safe_dump(TALK))
    once = rule('smile', repeat=60.0, cooldown=0.0)

    def write(**changes):
        policy.write_text(yaml.safe_dump(RULES | {'rules': [once | changes]}))

    write()
    decide = DialogueManager.load(policy, words)
    assert fired(play(decide, [('happy', 2)])) == ['smile']
    start = 102.0
    for changes in ({'priority': 7}, {'held_for': 0.9}, {'held_for': 0.3, 'restless_for': 4.0}):
        write(**changes)
        decide.reload(policy, words)
        assert play(decide, [('happy', 3)], start=start + 1 / 30) == []
        start += 3.0
    # Evidence of something else is none.
    write(emotion='sad')
    decide.reload(policy, words)
    assert play(decide, [('happy', 1)], start=start + 1 / 30) == []
    write()
    decide.reload(policy, words)
    assert fired(play(decide, [('happy', 2)], start=start + 1.1)) == ['smile']


def test_an_absence_survives_a_reload(tmp_path):
    policy, words = tmp_path / 'policy.yaml', tmp_path / 'talk.yaml'
    words.write_text(yaml.safe_dump(TALK))
    back = rule('smile', name='hello again', emotion='face_returned')
    policy.write_text(yaml.safe_dump(RULES | {'rules': [back]}))
    decide = DialogueManager.load(policy, words)
    assert play(decide, [('unknown', 2), (NONE, 2)]) == []
    policy.write_text(yaml.safe_dump(RULES | {'rules': [back], 'lost_after': 3.0}))
    decide.reload(policy, words)
    assert fired(play(decide, [('unknown', 2)], start=104.1)) == ['hello again']


def test_a_wrong_file_changes_nothing(tmp_path):
    decide = DialogueManager.load()
    before = decide.policy
    bad = tmp_path / 'bad.yaml'
    bad.write_text('rules: []')
    for policy, words in ((bad, None), (None, bad)):
        with pytest.raises(InputError, match=r'bad\.yaml: '):
            decide.reload(policy, words)
        assert decide.policy is before
        assert decide.topic == 'weather'


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'topic': 'golf', 'action': 'change_topic'}, "rule 'smile': topic 'golf' is not in talk."),
        ({'topics': ['tea', 'golf']}, "topics 'golf' is not in talk.yaml, which has tea, music, c"),
        ({'approach': 'rude'}, "approach 'rude' is not in talk.yaml, which has neutral, warm, car"),
        ({'approaches': ['rude']}, "policy.yaml: rule 'smile': approaches 'rude'"),
    ],
)
def test_files_that_do_not_fit_each_other_are_refused(changes, says):
    with pytest.raises(InputError) as caught:
        DialogueManager(rules(rules=[rule('smile', **changes)]), talk())
    assert says in str(caught.value)


# Beginnings, explanations, context --------------------------------------------------------------


def test_a_conversation_may_wait_for_the_first_face():
    decide = manager(begin='waiting')
    assert play(decide, [(NONE, 10)]) == []
    assert decide.mode == 'waiting'
    actions = play(decide, [('happy', 3)], start=110.05)
    assert fired(actions) == ['back', 'smile']
    assert actions[0].utterance == 'Hello. Tea?'


def test_an_action_gives_its_reason_and_the_suppressed_rules():
    late = rule('smile') | {'name': 'late', 'cooldown': 9.0, 'priority': 1, 'held_for': 0.5}
    actions = play(manager(rules=[late, rule('smile')]), [('happy', 2)])
    assert fired(actions) == ['late', 'smile']
    assert actions[1].suppressed == ('late: cooldown, 8.0 s left',)
    assert actions[1].reason == 'happy for 0.7 of the last 0.7 s, confidence 0.90'


def test_an_action_that_differs_from_the_rules_is_explained():
    decide = DialogueManager(
        rules(rules=[rule('smile', cooldown=1.0, approach='neutral')]),
        talk(lines={'continue': {'neutral': ['{follow_up}']}}),
    )
    actions = play(decide, [('happy', 4)])
    assert [a.action for a in actions[:3]] == ['continue', 'continue', 'change_topic']
    assert actions[2].reason.endswith('; all has been said about tea')


def test_the_context_is_json_and_includes_the_conversation():
    decide = manager()
    play(decide, [('happy', 2), ('sad', 2)])
    decide.user_speaking(True, 104.0)
    told = decide.context(104.0)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    text = json.dumps(told)
    assert 'music' in text and 'careful' in text and 'running' in text
