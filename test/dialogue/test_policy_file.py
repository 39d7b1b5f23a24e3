"""The policy file: fields, defaults, and which files are refused in one line."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml
from dialogue_play import RULES

from emotion_estimator.dialogue.policy_file import EMOTIONS, load_policy, parse_policy
from emotion_estimator.emotion import LABELS
from emotion_estimator.errors import InputError

CONFIG = Path(__file__).resolve().parents[2] / 'config'


def test_every_field_is_read():
    full = {
        'name': 'a', 'emotion': ['sad', 'face_lost'], 'action': 'change_topic',
        'min_confidence': 0.7, 'held_for': 2.0, 'restless_for': 3.0, 'share': 0.6, 'release': 0.1,
        'repeat': 9.0, 'cooldown': 4.0, 'topics': ['tea'], 'approaches': ['warm'],
        'while_speaking': True, 'topic': 'music', 'approach': 'careful', 'priority': -3,
        'event': ['answer', 'silence'], 'quiet_for': 5.0, 'wait': 2.0, 'line': 'offer',
        'silent': True, 'follows': ['check_in', 'more'], 'not_follows': ['quiet'],
        'min_unanswered': 1, 'max_unanswered': 3, 'min_exchanges': 2, 'on_topic_for': 60.0,
    }  # fmt: skip
    timing = {
        'min_gap': 3.0, 'max_step': 4.0, 'hold': 0.3, 'lost_after': 2.5, 'returned_for': 6.0,
        'begin': 'waiting', 'turn_taking': False, 'short_absence': 4.0, 'welcome_gap': 50.0,
        'question_times': {'careful': 11.0}, 'when_sad': {'playful': 'careful'},
    }  # fmt: skip
    turns = {
        'question_time': 7.0, 'words_per_minute': 120.0, 'after_speaking': 1.5,
        'backchannel': 0.5, 'speaking_timeout': 9.0, 'left_after': 3.0, 'breath': 0.5,
        'words_within': 8.0,
    }  # fmt: skip
    policy = parse_policy({'rules': [full], **timing, **turns}, 'here')
    (rule,) = policy.rules
    wanted = {name: tuple(v) if isinstance(v, list) else v for name, v in full.items()}
    assert vars(rule) == wanted
    assert {name: getattr(policy, name) for name in timing} == timing
    assert vars(policy.times) == turns
    assert set(vars(policy)) - {'rules', 'times', 'origin', 'warnings'} == set(timing)
    assert (policy.origin, policy.warnings) == ('here', ())
    assert (policy.question_time('careful'), policy.question_time('warm')) == (11.0, 7.0)


def test_omitted_fields_have_their_documented_defaults():
    (rule,) = parse_policy(
        {'rules': [{'name': 'a', 'emotion': 'happy', 'action': 'continue', 'share': 0.4,
                    'held_for': 3.0}]}, 'x'
    ).rules  # fmt: skip
    assert (rule.release, rule.restless_for, rule.repeat) == (0.2, 3.0, None)
    assert (rule.topics, rule.approaches, rule.while_speaking) == ((), (), False)


def test_a_rule_on_an_event_needs_no_emotion_and_has_other_defaults():
    raw = {'name': 'a', 'event': 'answer', 'action': 'continue'}
    policy = parse_policy({'rules': [raw]}, 'x')
    (rule,) = policy.rules
    assert (rule.emotion, rule.event, rule.cooldown, rule.wait) == ((), ('answer',), 0.0, 4.0)
    assert policy.warnings == ()
    (rule,) = parse_policy({'rules': [raw | {'cooldown': 5, 'wait': 1}]}, 'x').rules
    assert (rule.cooldown, rule.wait) == (5.0, 1.0)


def test_a_file_of_the_old_form_is_read_with_one_line_that_says_what_to_change():
    raw = {'rules': [{'name': 'a', 'emotion': 'happy', 'action': 'continue'}]}
    (line,) = parse_policy(raw, 'old.yaml').warnings
    assert line.startswith('old.yaml has the form of an earlier release')
    assert '\n' not in line
    assert '`event: answer`' in line and '`turn_taking: false`' in line
    assert parse_policy(raw | {'turn_taking': False}, 'old.yaml').warnings == ()


def test_labels_of_another_model_are_named_beside_the_rules():
    raw = {'rules': [{'name': 'a', 'emotion': ['pensive', 'sad'], 'action': 'check_in'}]}
    with pytest.raises(InputError, match="'pensive'"):
        parse_policy(raw, 'x')
    (rule,) = parse_policy({'labels': ['pensive'], **raw}, 'x').rules
    assert rule.emotion == ('pensive', 'sad')
    with pytest.raises(InputError, match='x: labels must be a list of names'):
        parse_policy({'labels': 'pensive', **raw}, 'x')


def test_a_rule_may_mix_labels_of_both_vocabularies_and_events():
    seven = {'angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'}
    assert set(EMOTIONS) == {*LABELS, *seven, 'none', 'face', 'face_lost', 'face_returned'}


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
        (broken(('rules', 0, 'name'), 'sad'), ["rule 'sad' occurs twice"]),
        (broken(('rules', 0, 'emotion'), 'angr'), ["rule 'smile': emotion", 'happy', "'angr'"]),
        (broken(('rules', 0, 'emotion'), ['sad', 'sad']), ["rule 'smile': emotion", 'distinct']),
        (broken(('rules', 0, 'emotion'), []), ["rule 'smile': emotion"]),
        (broken(('rules', 0, 'emotion'), ...), ["rule 'smile': emotion is missing"]),
        (broken(('rules', 0, 'min_confidence'), 1.2), ["rule 'smile': min_confidence", '0 to 1']),
        (broken(('rules', 0, 'min_confidence'), True), ["rule 'smile': min_confidence", 'True']),
        (broken(('rules', 0, 'held_for'), '1 s'), ["rule 'smile': held_for", "'1 s'"]),
        (broken(('rules', 0, 'held_for'), float('nan')), ["rule 'smile': held_for", 'nan']),
        (broken(('rules', 0, 'restless_for'), 0.6), ["rule 'smile': restless_for", 'held_for 0.7']),
        (broken(('rules', 1, 'release'), 0.9), ["rule 'sad': release 0.9 is above share 0.8"]),
        (broken(('rules', 0, 'share'), 0), ["rule 'smile': share"]),
        (broken(('rules', 0, 'cooldown'), -1), ["rule 'smile': cooldown", '-1']),
        (broken(('rules', 0, 'repeat'), 'no'), ["rule 'smile': repeat", "'no'"]),
        (broken(('rules', 0, 'priority'), 1.5), ["rule 'smile': priority", 'integer']),
        (broken(('rules', 0, 'while_speaking'), 1), ["rule 'smile': while_speaking", 'true or']),
        (broken(('rules', 0, 'action'), 'dance'), ["rule 'smile': action", 'celebrate']),
        (broken(('rules', 0, 'topics'), 'tea'), ["rule 'smile': topics", 'list']),
        (broken(('rules', 0, 'approaches'), [1]), ["rule 'smile': approaches", 'text']),
        (broken(('rules', 0, 'topic'), 'tea'), ["rule 'smile': topic", 'change_topic']),
        (broken(('rules', 2, 'action'), 'change_approach'), ["rule 'long sad': approach is miss"]),
        (broken(('rules', 0, 'utterances'), ['Hi']), ["rule 'smile': unknown field utterances"]),
        (broken(('min_gap',), -1), ['min_gap', '-1']),
        (broken(('mingap',), 1), ['unknown field mingap']),
        (broken(('begin',), 'later'), ['begin', 'running, waiting']),
        (broken(('speaking_timeout',), 0), ['speaking_timeout']),
        (broken(('words_within',), 0), ['words_within', '0.1 to 600', '0']),
        (broken(('words_within',), 601), ['words_within', '0.1 to 600', '601']),
        (broken(('question_time',), -1), ['question_time', '0 to 3600']),
        (broken(('question_times',), 10), ['question_times must be a mapping of approaches']),
        (broken(('question_times',), {'careful': 'long'}), ['question_times: careful must be']),
        (broken(('question_times',), {3: 4}), ['question_times: name must be']),
        (broken(('words_per_minute',), 0), ['words_per_minute', '20']),
        (broken(('turn_taking',), 'yes'), ['turn_taking must be true or false']),
        (broken(('when_sad',), ['careful']), ['when_sad must be a mapping of approaches']),
        (broken(('when_sad',), {'warm': 1}), ['when_sad: warm must be']),
        (broken(('rules', 0, 'event'), 'applause'), ["rule 'smile': event", 'answer', 'applause']),
        (broken(('rules', 0, 'quiet_for'), 3), ['quiet_for requires `event: silence`']),
        (broken(('rules', 0, 'line'), 'sermon'), ["rule 'smile': line", 'comfort']),
        (broken(('rules', 0, 'follows'), ['sermon']), ["rule 'smile': follows"]),
        (broken(('rules', 0, 'not_follows'), 'sermon'), ["rule 'smile': not_follows"]),
        (broken(('rules', 0, 'min_unanswered'), -1), ['min_unanswered must be 0 or more, not -1']),
        (broken(('rules', 0, 'min_exchanges'), 1.5), ['min_exchanges', 'integer']),
        (broken(('rules', 0, 'silent'), 1), ["rule 'smile': silent", 'true or']),
        (broken(('rules', 0), RULES['rules'][0] | {'min_unanswered': 2, 'max_unanswered': 1}),
         ['max_unanswered 1 is below min_unanswered 2']),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_in_one_line(tmp_path, raw, words):
    path = tmp_path / 'dialogue.yaml'
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(InputError) as caught:
        load_policy(path)
    message = str(caught.value)
    assert '\n' not in message
    assert message.startswith(str(path))
    assert all(word in message for word in words), message


def test_files_that_cannot_be_read_as_yaml(tmp_path):
    with pytest.raises(InputError, match=re.escape(f'{tmp_path / "no.yaml"} cannot be read')):
        load_policy(tmp_path / 'no.yaml')
    path = tmp_path / 'bad.yaml'
    path.write_text('rules:\n  - {name: a\n')
    with pytest.raises(InputError, match='invalid YAML in line'):
        load_policy(path)
    path.write_bytes(b'\xff\xfe\x00bad\xc3')
    with pytest.raises(InputError, match='invalid YAML'):
        load_policy(path)


RULE = 'rules: [{name: a, emotion: happy, action: continue}]\n'


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('rules: [{name: 2024-13-45}]\n', 'emotion is missing'),
        (f'{RULE}min_gap: {"9" * 400}\n', 'a number of 400 characters'),
        (f'{RULE}min_gap: {"9" * 5000}\n', 'a number of 5000 characters'),
        (f'{RULE}min_gap: 0x{"f" * 5000}\n', 'a number of 5002 characters'),
        (f'{RULE}? 0x{"f" * 5000}\n: 1\n', 'a number of 5002 characters'),
        (f'{RULE}"a\\nb": 1\n', "unknown field 'a\\nb'"),
        ('[' * 5000, 'nested'),
        (f'{RULE}min_gap: 3\nhold: 1\nmin_gap: 4\n', "line 4 (key 'min_gap' occurs twice)"),
        ('rules:\n- {name: a, name: b, emotion: sad}\n', "line 2 (key 'name' occurs twice)"),
        # Nine levels of ten aliases each: written out, a thousand million words.
        ('a0: &a0 [x]\n' + ''.join(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 10)}]\n'
                                   for i in range(1, 10))
         + 'rules: [{name: *a9, emotion: sad}]\n', 'aliases written out'),
    ],
)  # fmt: skip
def test_odd_content_is_refused_in_one_line(tmp_path, text, says):
    path = tmp_path / 'odd.yaml'
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_policy(path)
    message = str(caught.value)
    assert '\n' not in message
    assert message.startswith(str(path))
    assert says in message


def test_the_shipped_policy_documents_every_field():
    text = (CONFIG / 'dialogue.yaml').read_text()
    policy = load_policy(CONFIG / 'dialogue.yaml')
    fields = {*vars(policy), *vars(policy.rules[0]), *vars(policy.times)}
    fields -= {'origin', 'warnings', 'times'}
    assert [name for name in fields if not re.search(rf'\b{name}\b', text)] == []
