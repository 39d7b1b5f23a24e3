"""The prompt for a language model: an instruction for each kind of line, and odd JSON refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.dialogue.action import ACTIONS, DialogueAction
from emotion_estimator.dialogue.context import EmotionHistory
from emotion_estimator.dialogue.conversation_file import LINE_KINDS
from emotion_estimator.dialogue.prompt import (
    TASKS,
    WITHOUT_QUESTION,
    SpeakingPrompt,
    instruction,
    make_prompt,
    parse_prompt,
)
from emotion_estimator.errors import InputError

KINDS = (
    'start', 'resume', 'take_up', 'answer', 'glad_answer', 'smile', 'prompt', 'validate',
    'check_in', 'comfort', 'more', 'offer', 'quiet', 'move_on', 'choose_topic', 'continue',
    'change_topic', 'change_approach', 'celebrate', 'pause', 'end',
)  # fmt: skip
CONTEXT = EmotionHistory().describe(12.3, mode='running', topic='garden', approach='careful')


def action(name: str = 'check_in', stamp: float = 12.3) -> DialogueAction:
    return DialogueAction(
        action=name, topic='garden', approach='careful', utterance='How are you just now?',
        reason='sad for 5.0 s', emotion='sad', confidence=0.7, rule='gloom', face_id='face_1',
        stamp=stamp,
    )  # fmt: skip


def say(line: str, action: str = 'continue', **more: str) -> str:
    given = {'topic_name': 'the garden', 'approach': 'careful', 'language': 'en', **more}
    return instruction(line, action, **given)


def test_a_prompt_has_what_a_model_needs():
    prompt = make_prompt(
        action(), CONTEXT, line='more', topic_name='the garden', said=' My sister had a garden. '
    )
    assert json.loads(json.dumps(prompt)) == {
        'version': 1, 'stamp': 12.3, 'action': 'check_in', 'line': 'more',
        'instruction': say('more'), 'topic': 'garden', 'topic_name': 'the garden',
        'approach': 'careful', 'language': 'en', 'said': 'My sister had a garden.',
        'fallback': 'How are you just now?', 'disclosure': '', 'context': CONTEXT,
    }  # fmt: skip


def test_defaults_are_those_of_the_action():
    prompt = make_prompt(action(), CONTEXT)
    assert (prompt['line'], prompt['topic_name']) == ('check_in', 'garden')
    assert prompt['fallback'] == 'How are you just now?'
    assert make_prompt(action(), CONTEXT, fallback='')['fallback'] == ''


@pytest.mark.parametrize('line', sorted({*KINDS, *LINE_KINDS, *ACTIONS} - {'yield'}))
def test_each_kind_of_line_has_a_careful_instruction(line):
    text = say(line)
    assert text.startswith(TASKS[line])
    assert 'The topic is the garden, the tone careful.' in text
    assert 'Speak English, in one or two short sentences' in text
    assert 'Never say or suggest what the person feels' in text
    assert 'Do not mention the camera or the face unless you are asked' in text
    assert ('without a question' in text) == (line in WITHOUT_QUESTION)
    assert ('one question at most' in text) == (line not in WITHOUT_QUESTION)


def test_no_task_without_question_asks_for_one():
    assert not [line for line in WITHOUT_QUESTION if 'ask' in TASKS[line].lower().split()]


def test_an_unknown_line_takes_the_task_of_the_action():
    assert say('of_another_version', 'end') == say('end')
    assert say('of_another_version', 'of_another_version') == say('continue')


@pytest.mark.parametrize(
    ('tag', 'words'),
    [('de', 'Speak German,'), ('pt-BR', 'Speak Portuguese,'), ('en_GB', 'Speak English,'),
     ('gsw', 'Speak the language with the tag gsw,')],
)  # fmt: skip
def test_the_language_is_named(tag, words):
    assert words in say('continue', language=tag)


def test_a_disclosure_is_said_word_for_word():
    sentence = 'I have a camera and guess expressions from faces.'
    prompt = make_prompt(action('resume'), CONTEXT, line='start', disclosure=sentence)
    assert f'say this word for word: "{sentence}"' in prompt['instruction']
    assert 'Do not mention the camera' not in prompt['instruction']
    assert prompt['disclosure'] == sentence


def test_long_speech_is_cut_visibly_and_odd_stamps_stay_json():
    prompt = make_prompt(action(stamp=math.nan), CONTEXT, said='a' * 100_000 + ' and then?')
    assert prompt['said'].startswith('… a') and prompt['said'].endswith(' and then?')
    assert len(prompt['said']) == 2002
    assert json.loads(json.dumps(prompt, allow_nan=False))['stamp'] == 0.0


def test_what_was_made_is_read_again():
    prompt = make_prompt(
        action(), CONTEXT, line='more', topic_name='der Garten', language='de', said='Hallo.'
    )
    assert parse_prompt(json.dumps({**prompt, 'of_a_later_version': 1})) == SpeakingPrompt(
        instruction=prompt['instruction'], fallback='How are you just now?', action='check_in',
        line='more', topic='garden', topic_name='der Garten', approach='careful', language='de',
        said='Hallo.', context=CONTEXT, stamp=12.3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ('text', 'problem'),
    [('', 'not JSON'), ('{', 'not JSON'), ('[' * 100_000, 'not JSON'), ('[]', 'not a JSON object'),
     ('{}', 'neither instruction nor fallback'),
     ('{"instruction": " ", "fallback": ""}', 'neither instruction nor fallback'),
     ('{"instruction": "Speak.", "version": 2}', 'has version 2; only 1 is known'),
     ('{"instruction": 1}', 'the instruction of the prompt is not a text'),
     ('{"instruction": "Speak.", "context": []}', 'the context of the prompt is not an object'),
     ('{"instruction": "Speak.", "stamp": true}', 'the stamp of the prompt is not a number')],
)  # fmt: skip
def test_odd_json_is_refused_in_one_line(text, problem):
    with pytest.raises(InputError, match=problem) as caught:
        parse_prompt(text)
    assert len(str(caught.value).splitlines()) == 1


@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(['instruction', 'fallback', 'context', 'said', 'version']), inner
    ),
))  # fmt: skip
def test_any_json_is_read_or_refused(value):
    try:
        prompt = parse_prompt(json.dumps(value))
    except InputError:
        return
    assert prompt.instruction.strip() or prompt.fallback.strip()
