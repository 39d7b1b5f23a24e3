"""The dialogue policy: what it decides, what never happens, and which files it refuses."""

from __future__ import annotations

import copy
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.dialogue.policy import DialogueAction, DialoguePolicy
from emotion_estimator.dialogue.rules import ACTIONS, load_rules, parse_rules
from emotion_estimator.dialogue.window import EvidenceWindow
from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.errors import InputError

EXAMPLE = Path(__file__).resolve().parents[1] / 'config' / 'dialogue.yaml'

#: Small rules with times on a grid of 0.1 s, which 10, 20, 30 and 60 frames per second share.
RULES = {
    'min_gap': 1.0,
    'max_step': 2.0,
    'topics': [{'name': 'tea', 'opening': 'Tea?'}, {'name': 'music', 'opening': 'Music?'}],
    'approaches': ['neutral', 'warm', 'careful'],
    'rules': [
        {'name': 'smile', 'emotion': 'happy', 'held_for': 0.7, 'share': 1.0, 'cooldown': 6.0,
         'action': 'continue', 'approach': 'warm', 'utterances': ['Nice: {topic}.', 'Good.']},
        {'name': 'sad', 'emotion': 'sad', 'held_for': 1.5, 'share': 0.8, 'cooldown': 4.0,
         'action': 'change_topic', 'approach': 'careful', 'utterances': ['{opening}'],
         'priority': 2},
        {'name': 'long sad', 'emotion': 'sad', 'held_for': 3.0, 'share': 1.0, 'cooldown': 30.0,
         'action': 'check_in', 'priority': 3},
        {'name': 'leave', 'emotion': 'none', 'held_for': 1.5, 'share': 1.0, 'cooldown': 0.0,
         'min_confidence': 0.0, 'action': 'pause', 'priority': 9},
        {'name': 'back', 'emotion': ['happy', 'unknown', 'sad'], 'held_for': 0.5, 'share': 1.0,
         'min_confidence': 0.0, 'cooldown': 0.0, 'action': 'resume', 'utterances': ['Hello!']},
        {'name': 'gone', 'emotion': 'none', 'held_for': 8.0, 'cooldown': 0.0, 'action': 'end'},
    ],
}  # fmt: skip


def policy(**changes) -> DialoguePolicy:
    return DialoguePolicy(parse_rules(copy.deepcopy(RULES) | changes, 'test'))


def face(label: str, confidence: float = 0.9, face_id: str = 'a') -> FaceEmotion | None:
    if label == NONE:
        return None
    probabilities = np.full(len(LABELS), (1 - confidence) / 2, np.float32)
    probabilities[LABELS.index(label)] = confidence
    return FaceEmotion(face_id, label, confidence, LABELS, probabilities, Roi(0, 0, 9, 9))


def play(decide: DialoguePolicy, course, fps: float = 30, start: float = 100.0, **who):
    """Feed [(label, seconds)] and return the actions; the last frame is at the course's end."""
    labels = []
    for label, seconds in course:
        labels += [label] * round(seconds * fps)
    labels.append(course[-1][0])
    actions = [decide(face(label, **who), start + i / fps) for i, label in enumerate(labels)]
    return [action for action in actions if action]


def rules_fired(actions: list[DialogueAction]) -> list[str]:
    return [action.rule for action in actions]


def test_happy_is_believed_quickly_and_sad_must_last():
    (smile,) = play(policy(), [('happy', 1.0)])
    assert smile.stamp == pytest.approx(100.7)
    assert (smile.action, smile.approach, smile.utterance) == ('continue', 'warm', 'Nice: tea.')
    assert (smile.emotion, smile.face_id, smile.topic) == ('happy', 'a', 'tea')
    assert smile.confidence == pytest.approx(0.9, abs=1e-3)
    assert smile.reason == 'happy for 0.7 of the last 0.7 s, confidence 0.90'
    assert play(policy(), [('unknown', 3), ('sad', 1.0), ('unknown', 3)]) == []
    (turn,) = play(policy(), [('unknown', 3), ('sad', 1.3)])
    assert (turn.action, turn.topic, turn.utterance) == ('change_topic', 'music', 'Music?')
    assert turn.stamp == pytest.approx(104.2)


def test_a_flicker_does_not_restart_the_evidence():
    (turn,) = play(policy(), [('unknown', 2), ('sad', 0.7), ('happy', 0.1), ('sad', 0.6)])
    assert turn.rule == 'sad'
    assert turn.stamp == pytest.approx(103.3)


def test_priority_decides_between_rules_that_could_both_act():
    actions = play(policy(min_gap=1.6), [('sad', 5)])
    assert rules_fired(actions) == ['sad', 'long sad']
    assert actions[1].utterance == ''


def test_pause_only_once_and_resume_only_after_a_pause():
    actions = play(policy(), [('unknown', 2), (NONE, 5), ('unknown', 2), (NONE, 2)])
    assert [a.action for a in actions] == ['pause', 'resume', 'pause']
    assert actions[0].reason.startswith('no face for')
    assert (actions[0].emotion, actions[0].face_id, actions[1].face_id) == (NONE, '', 'a')


def test_nothing_but_resume_after_the_end():
    actions = play(policy(), [(NONE, 20), ('happy', 3)])
    assert [a.action for a in actions] == ['pause', 'end', 'resume', 'continue']


def test_utterances_rotate_and_topics_come_round():
    actions = play(policy(rules=[RULES['rules'][0] | {'cooldown': 1.0}]), [('happy', 4)])
    assert [a.utterance for a in actions] == ['Nice: tea.', 'Good.', 'Nice: tea.', 'Good.']
    actions = play(policy(rules=[RULES['rules'][1]]), [('sad', 11)])
    assert [a.topic for a in actions] == ['music', 'tea', 'music']


def test_the_only_utterance_is_not_said_twice_running():
    smile = RULES['rules'][0] | {'cooldown': 1.0, 'utterances': ['Good.']}
    assert [a.utterance for a in play(policy(rules=[smile]), [('happy', 2)])] == ['Good.', '']


def test_change_topic_to_a_named_one():
    rule = RULES['rules'][1] | {'topic': 'tea'}
    assert [a.topic for a in play(policy(rules=[rule]), [('sad', 2)])] == ['tea']


def test_evidence_belongs_to_one_person():
    decide = policy()
    assert play(decide, [('sad', 0.8)], face_id='a') == []
    assert play(decide, [('sad', 1.1)], start=100.81, face_id='b') == []
    assert rules_fired(play(decide, [('sad', 0.6)], start=101.95, face_id='b')) == ['sad']


def test_a_gap_voids_the_evidence():
    decide = policy()
    assert play(decide, [('happy', 0.5)]) == []
    (smile,) = play(decide, [('happy', 1)], start=110)
    assert smile.stamp == pytest.approx(110.7)


def test_stamps_that_go_back_void_the_evidence_but_not_the_cooldown():
    decide = policy()
    assert rules_fired(play(decide, [('happy', 1.0)], start=1000)) == ['smile']
    (again,) = play(decide, [('happy', 7)], start=10)
    # 0.3 s of the cooldown of 6 s had passed at the jump to stamp 10.
    assert again.stamp == pytest.approx(15.7, abs=0.04)


def test_a_stamp_that_is_no_number_is_passed_over():
    decide = policy()
    assert decide(face('happy'), float('nan')) is None
    assert rules_fired(play(decide, [('happy', 1.0)])) == ['smile']


# Properties -----------------------------------------------------------------------------------

labels = st.sampled_from([*LABELS, NONE])
segments = st.lists(st.tuples(labels, st.integers(1, 40)), min_size=1, max_size=8)
steps = st.one_of(st.floats(0, 0.4), st.floats(0, 0.4), st.floats(-20, 20))
#: Stretches of one label, some with jumps in time, as (label, confidence, step, face id) a frame.
stretches = st.tuples(labels, st.floats(0.4, 1), steps, st.sampled_from('aab'), st.integers(1, 20))
observations = st.lists(stretches, max_size=25).map(
    lambda parts: [
        (*part[:2], part[2] if i == 0 or part[2] >= 0 else 0.1, part[3])
        for part in parts
        for i in range(part[4])
    ]
)


def observe(decide: DialoguePolicy, course, start: float = 5.0):
    """Return the actions, and for each the time that had really passed (jumps back pass none)."""
    stamp, passed, actions = start, 0.0, []
    for label, confidence, dt, face_id in course:
        stamp, passed = stamp + dt, passed + max(dt, 0.0)
        action = decide(face(label, confidence, face_id), stamp)
        if action:
            actions.append((passed, action))
    return actions


@settings(max_examples=60, deadline=None)
@given(observations)
def test_cooldowns_and_rate_limit_are_never_broken(course):
    actions = observe(policy(), course)
    times = [passed for passed, _ in actions]
    assert all(b - a >= RULES['min_gap'] - 1e-3 for a, b in pairwise(times))
    for rule in RULES['rules']:
        times = [passed for passed, action in actions if action.rule == rule['name']]
        assert all(b - a >= rule['cooldown'] - 1e-3 for a, b in pairwise(times))


@settings(max_examples=40, deadline=None)
@given(observations, st.floats(-50, 50))
def test_the_same_course_gives_the_same_actions(course, start):
    one, two = observe(policy(), course, start), observe(policy(), course, start)
    assert one == two
    assert all(action.action in ACTIONS and action.reason for _, action in one)
    said = [action.utterance for _, action in one if action.utterance]
    assert all(a != b for a, b in pairwise(said))


@settings(max_examples=40, deadline=None)
@given(segments.filter(lambda course: all(label != NONE for label, _ in course)))
def test_no_action_below_the_least_confidence(course):
    decide = policy()
    assert play(decide, [(label, n / 10) for label, n in course], fps=10, confidence=0.49) == []


@settings(max_examples=60, deadline=None)
@given(segments)
def test_the_frame_rate_changes_nothing(course):
    course = [(label, tenths / 10) for label, tenths in course]
    runs = [play(policy(), course, fps) for fps in (10, 30, 60)]
    firings = [[(a.rule, round(a.stamp, 2)) for a in actions] for actions in runs]
    assert firings[0] == firings[1] == firings[2]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(labels, st.floats(0, 1), st.floats(), st.sampled_from('ab'))))
def test_no_sequence_raises(course):
    decide = DialoguePolicy.load(EXAMPLE)
    for label, confidence, stamp, face_id in course:
        decide(face(label, confidence, face_id), stamp)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 0.5)), min_size=1, max_size=80))
def test_window_agrees_with_a_sum_over_frames(course):
    window, stamp, frames = EvidenceWindow(2.0), 0.0, []
    for matched, dt in course:
        stamp += dt
        window.add(stamp, matched, 0.5, 'a')
        frames.append((stamp, matched))
    found = window.evidence('a')
    if not course[-1][0] or frames[0][0] > stamp - 2.0 + 1e-4:
        assert found is None
        return
    edges = [*(at for at, _ in frames), stamp]
    held = sum(
        max(0.0, end - max(begin, stamp - 2.0))
        for (begin, matched), end in zip(frames, edges[1:])
        if matched
    )
    assert found.held == pytest.approx(held, abs=1e-6)
    if held > 1e-6:
        assert found.confidence == pytest.approx(0.5, abs=1e-3)


# The example and files that are wrong ------------------------------------------------------------


def test_the_example_tells_a_conversation_that_turns():
    decide = DialoguePolicy.load(EXAMPLE)
    course = [('happy', 4), ('unknown', 2), ('sad', 4), (NONE, 3), ('unknown', 1), ('happy', 3)]
    actions = play(decide, course)
    assert [a.action for a in actions] == [
        'continue',
        'celebrate',
        'change_topic',
        'check_in',
        'pause',
        'resume',
    ]
    assert all(a.utterance for a in actions)
    assert {rule.action for rule in decide.rules.rules} == set(ACTIONS)


def test_passing_frowns_are_none_of_the_robots_business():
    decide = DialoguePolicy.load(EXAMPLE)
    actions = play(decide, [('unknown', 1.5), ('sad', 0.5)] * 10)
    assert 'change_topic' not in [a.action for a in actions]


def broken(path: tuple, value) -> dict:
    raw = copy.deepcopy(RULES)
    at = raw
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ('raw', 'words'),
    [
        (None, ['mapping', 'nothing']),
        ([1], ['mapping']),
        (broken(('rules',), ...), ['rules is missing']),
        (broken(('rules',), []), ['rules must be a list']),
        (broken(('rules', 0), 'smile'), ['rules[1] must be a mapping']),
        (broken(('rules', 0, 'name'), ...), ['rules[1]: name is missing']),
        (broken(('rules', 0, 'name'), 'sad'), ["rule 'sad' stands there twice"]),
        (broken(('rules', 0, 'emotion'), 'angry'), ["rule 'smile': emotion", 'happy', "'angry'"]),
        (broken(('rules', 0, 'emotion'), ['sad', 'sad']), ["rule 'smile': emotion", 'different']),
        (broken(('rules', 0, 'emotion'), []), ["rule 'smile': emotion"]),
        (broken(('rules', 0, 'emotion'), ...), ["rule 'smile': emotion is missing"]),
        (broken(('rules', 0, 'min_confidence'), 1.2), ["rule 'smile': min_confidence", '0 to 1']),
        (broken(('rules', 0, 'min_confidence'), True), ["rule 'smile': min_confidence", 'True']),
        (broken(('rules', 0, 'held_for'), '1 s'), ["rule 'smile': held_for", "'1 s'"]),
        (broken(('rules', 0, 'held_for'), float('nan')), ["rule 'smile': held_for", 'nan']),
        (broken(('rules', 0, 'share'), 0), ["rule 'smile': share"]),
        (broken(('rules', 0, 'cooldown'), -1), ["rule 'smile': cooldown", '-1']),
        (broken(('rules', 0, 'priority'), 1.5), ["rule 'smile': priority", 'whole']),
        (broken(('rules', 0, 'action'), 'dance'), ["rule 'smile': action", 'celebrate']),
        (broken(('rules', 0, 'approach'), 'rude'), ["rule 'smile': approach", 'careful']),
        (broken(('rules', 0, 'topic'), 'tea'), ["rule 'smile': topic", 'change_topic']),
        (broken(('rules', 1, 'topic'), 'golf'), ["rule 'sad': topic", 'music']),
        (broken(('rules', 2, 'action'), 'change_approach'), ["rule 'long sad': approach is miss"]),
        (broken(('rules', 0, 'utterances'), 'Hi'), ["rule 'smile': utterances must be a list"]),
        (broken(('rules', 0, 'utterances', 1), 3), ["rule 'smile': utterances[2]", 'text']),
        (broken(('rules', 0, 'utterances', 0), '{name}'), ["rule 'smile': utterances[1]", 'name']),
        (broken(('rules', 0, 'utterances', 0), '{topic:d}'), ["rule 'smile': utterances[1]"]),
        (broken(('rules', 0, 'utterances', 0), 'a } b'), ["rule 'smile': utterances[1]", 'brace']),
        (broken(('rules', 0, 'holdfor'), 1), ["rule 'smile': holdfor is no known field"]),
        (broken(('min_gap',), -1), ['min_gap', '-1']),
        (broken(('mingap',), 1), ['mingap is no known field']),
        (broken(('topics',), ...), ['topics is missing']),
        (broken(('topics', 0, 'name'), ''), ['topics[1]: name']),
        (broken(('topics', 1, 'name'), 'tea'), ["topic 'tea' stands there twice"]),
        (broken(('approaches',), ['a', 'a']), ['approaches', 'twice']),
        (broken(('approaches',), 'warm'), ['approaches must be a list']),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, raw, words):
    path = tmp_path / 'dialogue.yaml'
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(InputError) as caught:
        load_rules(path)
    message = str(caught.value)
    assert '\n' not in message
    assert message.startswith(str(path))
    assert all(word in message for word in words), message


def test_files_that_cannot_be_read_as_yaml(tmp_path):
    with pytest.raises(InputError, match=re.escape(f'{tmp_path / "no.yaml"}: cannot be read')):
        load_rules(tmp_path / 'no.yaml')
    path = tmp_path / 'bad.yaml'
    path.write_text('rules:\n  - {name: a\n')
    with pytest.raises(InputError, match='not YAML in line'):
        load_rules(path)
    path.write_bytes(b'\xff\xfe\x00bad\xc3')
    with pytest.raises(InputError, match='not YAML'):
        load_rules(path)


RULE = 'rules: [{name: a, emotion: happy, action: continue}]\n'


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('topics: [{name: 2024-13-45}]\n', 'month must be in 1..12'),
        (f'topics: [{{name: tea}}]\n{RULE}min_gap: {"9" * 400}\n', 'min_gap must be a number'),
        (f'topics: [{{name: tea}}]\n{RULE}min_gap: {"9" * 5000}\n', 'cannot be read'),
        (f'topics: [{{name: tea}}]\n{RULE}min_gap: 0x{"f" * 5000}\n', 'thousands of digits'),
        (f'topics: [{{name: tea}}]\n{RULE}? 0x{"f" * 5000}\n: 1\n', 'is no known field'),
        (f'topics: [{{name: tea}}]\n{RULE}"a\\nb": 1\n', "'a\\nb' is no known field"),
        ('[' * 5000, 'recursion'),
        # Nine levels of ten aliases each: written out, a thousand million words.
        ('a0: &a0 [x]\n' + ''.join(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 10)}]\n'
                                   for i in range(1, 10)) + 'topics: [{name: *a9}]\n', 'text'),
    ],
)  # fmt: skip
def test_odd_content_is_refused_in_one_line(tmp_path, text, says):
    path = tmp_path / 'odd.yaml'
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_rules(path)
    message = str(caught.value)
    assert '\n' not in message
    assert message.startswith(str(path))
    assert says in message
