"""The simulator: events, real time, checks of a script, text and JSON, keys."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from emotion_estimator.cli.keyboard import EMOTION_KEYS, KeyState, keys_as_inputs
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.turns import speech_seconds
from emotion_estimator.errors import InputError
from emotion_estimator.simulation.script import (
    ExpectedAction,
    Script,
    ScriptChecker,
    Step,
    simulated_face,
)
from emotion_estimator.simulation.simulator import (
    Event,
    SimulatedInput,
    as_json,
    as_text,
    in_real_time,
    simulate,
)

RULES = {
    'min_gap': 0.5,
    'after_speaking': 0.0,
    'rules': [
        {'name': 'smile', 'emotion': 'happy', 'held_for': 0.5, 'share': 1.0, 'cooldown': 3,
         'action': 'continue'},
    ],
}  # fmt: skip


@pytest.fixture
def manager(tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text(yaml.safe_dump(RULES))
    return DialogueManager.load(path)


def course(label: str, begin: float, end: float, **more) -> list[SimulatedInput]:
    return [
        SimulatedInput(k / 10, simulated_face(label), **more)
        for k in range(round(begin * 10), round(end * 10))
    ]


def test_changes_of_the_label_and_actions_are_events(manager):
    events = list(
        simulate(manager, course('unknown', 0, 1) + course('happy', 1, 3) + course('none', 3, 4))
    )
    assert [(e.stamp, e.seen) for e in events if e.seen] == [
        (0, 'unknown'), (1, 'happy'), (3, 'none')
    ]  # fmt: skip
    (acted,) = [event for event in events if event.action]
    assert acted.action.rule == 'smile'
    assert acted.stamp == acted.action.stamp == pytest.approx(1.5, abs=0.11)


def test_speech_reaches_the_manager(manager):
    inputs = course('happy', 0, 2, speaking=True) + course('happy', 2, 4)
    events = list(simulate(manager, inputs))
    assert [(e.stamp, e.speaking) for e in events if e.speaking is not None] == [
        (0, True), (2, False)
    ]  # fmt: skip
    (acted,) = [event for event in events if event.action]
    assert acted.stamp >= 2


def test_inputs_without_a_frame_are_not_seen(manager):
    assert list(simulate(manager, course('happy', 0, 5, has_frame=False))) == []


def test_services_are_called_and_may_refuse(manager):
    events = simulate(
        manager,
        [
            *course('unknown', 0, 0.2),
            SimulatedInput(1.0, has_frame=False, service='pause'),
            SimulatedInput(2.0, has_frame=False, service='pause'),
            SimulatedInput(3.0, has_frame=False, service='resume'),
            SimulatedInput(4.0, has_frame=False, choose_topic='no such'),
        ],
    )
    pause, again, resume, topic = (each for each in events if each.action or each.refused)
    assert (pause.stamp, pause.action.action) == (1.0, 'pause')
    assert again.action is None
    assert 'paused' in again.refused
    assert resume.action.action == 'resume'
    assert 'no such' in topic.refused


def test_both_turns_are_on_one_time_axis(manager):
    inputs = [
        *course('unknown', 0, 0.5),
        SimulatedInput(0.5, has_frame=False, choose_topic='music'),
        *course('unknown', 0.5, 6),
        *course('unknown', 6, 7, speaking=True),
        SimulatedInput(7.0, has_frame=False, speaking=True, said='A waltz.'),
        *course('unknown', 7, 9),
    ]
    events = list(simulate(manager, inputs))
    (chosen,) = [event for event in events if event.action]
    assert chosen.seconds == pytest.approx(
        speech_seconds(chosen.action.utterance, manager.policy.times.words_per_minute)
    )
    assert [event.said for event in events if event.said] == ['A waltz.']
    assert [event.floor for event in events if event.floor] == [
        'silence', 'robot_speaks', 'waiting', 'person_speaks', 'silence'
    ]  # fmt: skip
    stamps = [event.stamp for event in events]
    assert stamps == sorted(stamps)
    assert manager.said == 'A waltz.'


def test_the_voice_of_the_robot_may_be_part_of_the_course(manager):
    quick = course('unknown', 0, 1) + course('unknown', 1, 5, robot_speaking=True)
    events = list(simulate(manager, quick + course('unknown', 5, 6, robot_speaking=False)))
    assert [(event.stamp, event.floor) for event in events if event.floor] == [
        (0.1, 'silence'), (1.0, 'robot_speaks'), (5.0, 'silence')
    ]  # fmt: skip


def test_a_space_and_words_in_quotes_are_speech():
    inputs = list(keys_as_inputs('u"I saz\x7fw it?"uR', hold=1, rate=2))
    assert [(m.stamp, m.said) for m in inputs if m.said] == [(1.0, 'I saw it?')]
    assert [m.service for m in inputs if m.service] == ['resume']
    frames = [m for m in inputs if m.has_frame]
    assert [(m.stamp, m.speaking) for m in frames] == [
        (0, False),
        (0.5, False),
        (1, False),
        (1.5, False),
    ]
    # Within quotes, q does not quit, and neither ends before Enter or the quote.
    (said,) = [m for m in keys_as_inputs('"quiet?\nu', hold=1, rate=1) if m.said]
    assert (said.said, said.speaking) == ('quiet?', True)


def test_words_that_are_empty_say_nothing():
    state = KeyState()
    assert state.press('"') is None
    assert state.speaking and state.typing
    ended = state.press('"')
    assert (ended.said, state.speaking, state.typing) == ('', False, False)


def test_inputs_come_when_they_are_due():
    now, slept = [50.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        now[0] += seconds

    stamps = [7.0, 8.0, 8.5, 100.0, 101.0, 3.0, 4.0, float('nan'), 5.0, float('inf')]
    inputs = [SimulatedInput(stamp) for stamp in stamps]
    came = list(in_real_time(inputs, 2.0, clock=lambda: now[0], sleep=sleep))
    assert [id(given) for given in came] == [id(given) for given in inputs]
    # Neither what was not recorded for long is waited for, nor a jump back.
    assert slept == [0.5, 0.25, 0.5, 0.5]


ACTION = DialogueAction(
    'continue', 'tea', 'warm', 'Tell me more.', 'happy for 1 s', 'happy', 0.9, 'smile', 'a', 2.5,
    ('cheer: cooldown, 3.0 s left',),
)  # fmt: skip
WANTED = ExpectedAction('continue', 0.0, 1.0)


def verdict(*expect: ExpectedAction | None) -> ScriptChecker:
    steps = (Step('unknown', 0, 2, expect=()), Step('happy', 2, 4, expect=expect))
    return ScriptChecker(Script('s.yaml', steps))


@pytest.mark.parametrize(
    'expect',
    [WANTED, replace(WANTED, rule='smile', topic='tea', approach='warm', utterance={'': 'more'})],
)
def test_an_action_as_expected(expect):
    judge = verdict(expect)
    assert judge(Event(0.0, seen='unknown')) is None
    assert judge(Event(2.5, action=ACTION)) is True
    assert judge.finish() == []


@pytest.mark.parametrize(
    ('expect', 'says'),
    [
        (replace(WANTED, action='celebrate'), 'action continue, not celebrate'),
        (replace(WANTED, end=0.4), '0.50 s after the step began'),
        (replace(WANTED, begin=0.6), '0.50 s after the step began'),
        (replace(WANTED, rule='cheer'), "rule 'smile', not 'cheer'"),
        (replace(WANTED, topic='music'), "topic 'tea', not 'music'"),
        (replace(WANTED, approach='careful'), "approach 'warm', not 'careful'"),
        (replace(WANTED, utterance={'': 'less'}), "'Tell me more.', without 'less'"),
    ],
)
def test_an_action_that_differs_is_named_with_its_step(expect, says):
    judge = verdict(expect)
    assert judge(Event(2.5, action=ACTION)) is False
    different, missing = judge.finish()
    assert different.startswith('s.yaml: step 2 (happy from 2.00 s): continue at 2.50 s')
    assert says in different
    assert missing.endswith('did not come')


def test_unexpected_and_refused_actions_fail():
    judge = verdict()
    assert judge(Event(2.5, action=ACTION)) is False
    assert judge(Event(3.0, refused='it is paused')) is False
    unexpected, refused = judge.finish()
    assert 'which is not expected' in unexpected
    assert 'refused at 3.00 s: it is paused' in refused


def test_actions_must_come_in_order_and_no_others():
    judge = verdict(WANTED, replace(WANTED, action='end', end=2.0))
    assert judge(Event(2.5, action=replace(ACTION, action='end'))) is False
    assert judge(Event(2.6, action=replace(ACTION, stamp=2.6))) is True
    assert judge(Event(2.7, action=replace(ACTION, action='end', stamp=2.7))) is True
    assert judge(Event(2.8, action=replace(ACTION, stamp=2.8))) is False
    assert len(judge.finish()) == 2


def test_a_step_without_expectations_accepts_anything():
    judge = ScriptChecker(Script('s.yaml', (Step('happy', 0, 4),)))
    assert judge(Event(2.5, action=ACTION)) is None
    assert judge.finish() == []


def test_an_event_in_words():
    assert as_text(Event(1.0, seen='none')) == ['    1.00 s  person  nobody']
    # The stamp itself, as in JSON, of a recording too.
    assert as_text(Event(1.7e9, seen='happy')) == ['1700000000.00 s  person  happy']
    assert as_text(Event(1.0, speaking=True)) == ['    1.00 s  person  speaks']
    assert as_text(Event(1.0, speaking=False)) == ['    1.00 s  person  falls silent']
    assert as_text(Event(1.0, said='Roses.')) == ['    1.00 s  person  "Roses."']
    assert as_text(Event(1.0, floor='waiting')) == ['    1.00 s  robot   waits for an answer']
    assert as_text(Event(1.0, floor='silence')) == []
    assert as_text(Event(1.0, refused='why'), False) == [
        '    1.00 s  robot   refuses: why  [NOT as expected]'
    ]
    assert as_text(Event(2.5, action=ACTION, seconds=1.2), True) == [
        '    2.50 s  robot   "Tell me more."  (1.2 s)  [as expected]',
        '                    continue: topic tea, warm; smile: happy for 1 s',
        '                    not cheer: cooldown, 3.0 s left',
    ]
    silent = replace(ACTION, utterance='', rule='', suppressed=())
    assert as_text(Event(2.5, action=silent)) == [
        '    2.50 s  robot   says nothing',
        '                    continue: topic tea, warm; happy for 1 s',
    ]


def test_an_event_as_json():
    assert as_json(Event(1.0, seen='happy')) is None
    told = json.loads(as_json(Event(2.5, action=ACTION), True))
    assert told['action'] == 'continue'
    assert told['suppressed'] == ['cheer: cooldown, 3.0 s left']
    assert told['expected'] is True
    assert json.loads(as_json(Event(1.0, refused='why'), None)) == {
        'stamp': 1.0, 'refused': 'why', 'expected': None
    }  # fmt: skip


def test_each_key_counts_for_a_while():
    inputs = list(keys_as_inputs('hu\nPn q?', hold=0.5, rate=10))
    frames = [given for given in inputs if given.has_frame]
    assert [m.stamp for m in frames] == pytest.approx([k / 10 for k in range(15)])
    assert [m.face.label if m.face else 'none' for m in frames] == (
        ['happy'] * 5 + ['unknown'] * 5 + ['none'] * 5
    )
    assert [(m.stamp, m.service) for m in inputs if m.service] == [(1.0, 'pause')]


def test_a_space_starts_and_stops_the_speech():
    assert [m.speaking for m in keys_as_inputs('h s h', hold=1, rate=1)] == [False, True, False]


def test_each_emotion_has_a_key():
    inputs = keys_as_inputs(''.join(EMOTION_KEYS), hold=1, rate=1)
    shows = [m.face.label if m.face else 'none' for m in inputs]
    assert shows == list(EMOTION_KEYS.values())


@pytest.mark.parametrize(('keys', 'says'), [('hx', "key 2: unknown key 'x'"), ('', 'no keys')])
def test_bad_keys(keys, says):
    with pytest.raises(InputError, match=says):
        list(keys_as_inputs(keys, 1, 1))
