"""The recent context for a language model: numbers, words, schema, bounded memory."""

from __future__ import annotations

import json
import math
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.context import ABOUT, EmotionHistory, LabelShares
from emotion_estimator.emotion import EXPRESSIONS, LABELS, NONE, FaceEmotion, Roi

STATE = {'mode': 'running', 'topic': 'the garden', 'approach': 'careful'}
NUMBER = (int, float)

#: Field, and its type or its own fields; a list holds what its entries look like.
SCHEMA = {
    'version': int,
    'stamp': NUMBER,
    'about': str,
    'age': (*NUMBER, type(None)),
    'emotion': {'label': str, 'seconds': NUMBER, 'confidence': NUMBER, 'face_id': str},
    'presence': {'present': bool, 'seconds': NUMBER, 'speaking': bool},
    'last_10_s': {'observed': NUMBER, 'shares': dict},
    'last_60_s': {'observed': NUMBER, 'shares': dict},
    'changes': [{'seconds_ago': NUMBER, 'from': str, 'to': str, 'confidence': NUMBER}],
    'conversation': {'mode': str, 'topic': str, 'approach': str},
    'turns': {'floor': str, 'said': str, 'unanswered': int},
    'actions': [{'seconds_ago': NUMBER, 'action': str, 'rule': str, 'topic': str,
                 'approach': str, 'said': str, 'why': str}],
    'summary': str,
}  # fmt: skip


@cache
def face(label: str, confidence: float = 0.8) -> FaceEmotion | None:
    if label == NONE:
        return None
    labels = LABELS if label in LABELS else EXPRESSIONS
    rest = (1 - confidence) / (len(labels) - 1)
    probabilities = np.array([confidence if n == label else rest for n in labels], np.float32)
    return FaceEmotion('face_1', label, confidence, labels, probabilities, Roi(0, 0, 9, 9))


def play(course, rate: float = 30.0, start: float = 1000.0, into=None) -> EmotionHistory:
    """Feed a course of (seconds, label) and one frame more."""
    into = into or EmotionHistory()
    frame = 0
    end = 0.0
    for seconds, label in course:
        end += seconds
        while frame / rate < end - 1e-9:
            into.see(face(label), start + frame / rate)
            frame += 1
    into.see(face(course[-1][1]), start + end)
    return into


def action(stamp: float = 1010.0, name: str = 'check_in', said: str = 'How are you?'):
    return DialogueAction(
        action=name, topic='the garden', approach='careful', utterance=said, reason='sad for 5 s',
        emotion='sad', confidence=0.7, rule='ask how you are', face_id='face_1', stamp=stamp,
    )  # fmt: skip


def check(value: object, schema: object, where: str = 'context') -> None:
    if isinstance(schema, dict):
        assert isinstance(value, dict) and list(value) == list(schema), where
        for name, inner in schema.items():
            check(value[name], inner, f'{where}.{name}')
    elif isinstance(schema, list):
        assert isinstance(value, list), where
        for entry in value:
            check(entry, schema[0], where)
    else:
        assert isinstance(value, schema), where


def test_recent_context_in_numbers():
    course = play([(20, 'unknown'), (10, 'happy'), (10, 'sad')])
    course.act(action(1036.0))
    told = course.describe(1040.0, **STATE)
    check(told, SCHEMA)
    assert told['emotion'] == {
        'label': 'sad', 'seconds': pytest.approx(10, abs=0.1), 'confidence': 0.8,
        'face_id': 'face_1',
    }  # fmt: skip
    assert told['presence'] == {'present': True, 'seconds': 40.0, 'speaking': False}
    assert told['last_10_s'] == {'observed': 10.0, 'shares': {'sad': 1.0}}
    assert told['last_60_s'] == {
        'observed': 40.0, 'shares': {'unknown': 0.5, 'happy': 0.25, 'sad': 0.25},
    }  # fmt: skip
    assert [(c['from'], c['to'], c['seconds_ago']) for c in told['changes']] == [
        (NONE, 'unknown', 40.0), ('unknown', 'happy', 20.0), ('happy', 'sad', 10.0),
    ]  # fmt: skip
    assert told['conversation'] == STATE
    assert told['actions'] == [{
        'seconds_ago': 4.0, 'action': 'check_in', 'rule': 'ask how you are',
        'topic': 'the garden', 'approach': 'careful', 'said': 'How are you?', 'why': 'sad for 5 s',
    }]  # fmt: skip


def test_recent_context_in_words():
    course = play([(20, 'unknown'), (10, 'happy'), (10, 'sad')])
    course.act(action(1036.0))
    told = course.describe(1040.0, **STATE, speaking=True)
    assert told['summary'] == (
        'A person has been in view for 40 s; the expression looks sad, for 10 s now '
        '(confidence 0.80). Of the last 40 s: unknown 50 %, happy 25 %, sad 25 %. 10 s ago the '
        'expression turned from happy to sad. The person is speaking. The conversation is '
        'running; topic: the garden; approach: careful. Last action, 4 s ago: check_in, saying '
        '"How are you?".'
    )
    assert told['about'] == ABOUT and 'not of what the person feels' in ABOUT


@pytest.mark.parametrize(
    ('course', 'later', 'words'),
    [
        ([(5, NONE)], 0, 'Nobody has been in view for 5 s.'),
        ([(20, 'sad'), (6, NONE)], 0, 'Nobody has been in view for 6 s.'),
        ([(0.2, 'sad')], 0, 'A person has been in view for 0 s; the expression is not clear yet.'),
        ([(5, 'sad')], 30, 'There has been no estimate for 30 s.'),
        ([(5, 'unknown')], 0, 'the expression looks neutral or hard to read'),
        ([(5, 'angry')], 0, 'the expression looks angry'),
        ([(5, 'fear')], 0, 'the expression looks afraid'),
    ],
)
def test_current_state_in_words(course, later, words):
    end = 1000 + sum(seconds for seconds, _ in course)
    assert words in play(course).describe(end + later, **STATE)['summary']


def test_description_before_the_first_frame():
    told = EmotionHistory().describe(math.nan, **STATE)
    check(told, SCHEMA)
    assert told['age'] is None and told['stamp'] == 0.0
    assert told['summary'].startswith('No face has been looked for yet.')


def test_a_dropout_is_no_absence_and_a_return_restarts_presence():
    course = play([(10, 'happy'), (0.6, NONE), (5, 'happy')])
    assert course.describe(1015.6, **STATE)['presence']['seconds'] == 15.6
    play([(3, NONE), (4, 'happy')], start=1015.7, into=course)
    presence = course.describe(1022.7, **STATE)['presence']
    assert presence == {'present': True, 'seconds': 4.0, 'speaking': False}


def test_silence_is_not_observed_and_old_changes_are_dropped():
    course = play([(5, 'sad'), (5, 'happy')])
    # One message in 1.5 s counts for half a second.
    course.see(face('happy'), 1011.5)
    assert course.describe(1011.5, **STATE)['last_60_s']['observed'] == 10.5
    play([(52, 'happy')], start=1011.6, into=course)
    told = course.describe(1063.6, **STATE)['changes']
    assert [(change['from'], change['to']) for change in told] == [('sad', 'happy')]


def test_stamps_that_go_backwards_reset_the_history():
    course = play([(5, 'unknown'), (10, 'happy')])
    course.act(action(1013.0))
    play([(1, 'unknown')], start=100.0, into=course)
    told = course.describe(101.0, **STATE)
    assert told['emotion']['label'] != 'happy'
    assert told['last_60_s']['observed'] == 1.0
    assert 'happy' not in json.dumps([told['last_60_s'], told['changes']])
    assert told['presence'] == {'present': True, 'seconds': 1.0, 'speaking': False}
    # Two seconds before the jump, one after it.
    assert told['actions'][0]['seconds_ago'] == 3.0


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.4, 1.0, 3.0, 8.0]), st.sampled_from([*LABELS, NONE])),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_the_rate_does_not_matter(course):
    end = 1000 + sum(seconds for seconds, _ in course)
    slow, fast = (play(course, rate).describe(end, **STATE) for rate in (5.0, 60.0))
    assert slow['last_60_s'] == fast['last_60_s']
    assert slow['last_10_s'] == fast['last_10_s']
    assert slow['presence']['present'] == fast['presence']['present']


ODD = st.one_of(st.none(), st.floats(), st.text(max_size=60), st.lists(st.floats(), max_size=3))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(ODD, ODD, ODD, ODD), max_size=15), ODD, st.floats())
def test_odd_input_gives_valid_json(seen, stamp, acted):
    course = EmotionHistory()
    for label, confidence, face_id, at in seen:
        course.see(FaceEmotion(face_id, label, confidence, LABELS, confidence, Roi(0, 0, 1, 1)), at)
    course.act(action(acted))
    told = course.describe(stamp, **STATE)
    check(told, SCHEMA)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_memory_is_bounded():
    """Two hours in which every frame says something else, and much is done."""
    course = EmotionHistory()
    labels = (*LABELS, NONE)
    for index in range(7200 * 5):
        course.see(face(labels[index * 7 % 4]), index / 5)
        if index % 20 == 0:
            course.act(action(index / 5))
    told = json.dumps(course.describe(7200.0, **STATE))
    assert len(told) < 6000
    assert len(course._shares._bins) <= 122
    assert len(course._actions) <= 5 and len(course._changes) <= 10


def test_long_garbage_does_not_fill_the_prompt():
    course = EmotionHistory()
    for index in range(300):
        label = f'{index} ' * 1000
        course.see(FaceEmotion(label, label, 0.9, (), np.zeros(0), Roi(0, 0, 1, 1)), index / 30)
    assert len(json.dumps(course.describe(10.0, **STATE))) < 4000


def test_shares_count_seconds_not_calls():
    shares = LabelShares(60.0)
    shares.add('sad', 1000.0, 1003.0)
    for index in range(300):
        shares.add('happy', 1003.0 + index / 100, 1003.0 + (index + 1) / 100)
    assert shares.shares(60.0, 1006.0) == {'happy': 0.5, 'sad': 0.5}
    assert shares.shares(3.0, 1006.0) == {'happy': 1.0}
    assert shares.shares(4.0, 1006.0) == {'happy': 0.75, 'sad': 0.25}
    assert shares.seconds(60.0, 1006.0) == 6.0
    assert shares.shares(60.0, 1100.0) == {}


@pytest.mark.parametrize('begin', [-1e300, 2.0**54, 1e300, sys.float_info.max])
def test_shares_of_absurd_stamps_end(begin):
    shares = LabelShares(60.0)
    shares.add('sad', begin, begin + 8)
    assert shares.seconds(60.0, begin) <= 60.0


def test_the_documentation_names_every_field():
    text = (Path(__file__).parents[2] / 'docs' / 'dialogue.md').read_text()

    def names(schema):
        for name, inner in schema.items():
            yield name
            inner = inner[0] if isinstance(inner, list) else inner
            if isinstance(inner, dict):
                yield from names(inner)

    assert [name for name in names(SCHEMA) if f'`{name}`' not in text] == []
