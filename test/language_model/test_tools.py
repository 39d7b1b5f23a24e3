"""The tools for language models: their declaration, and what they answer."""

from __future__ import annotations

import asyncio
import json
import math

import numpy as np
import pytest

from emotion_estimator.dialogue.context import ABOUT, EmotionHistory
from emotion_estimator.emotion import LABELS, FaceEmotion, Roi
from emotion_estimator.language_model import tools
from emotion_estimator.language_model.tools import (
    MAX_TOPIC,
    TOOLS,
    AgentToolbox,
    ToolAnswer,
    function_list,
)

NAMES = ['get_emotion', 'get_context', 'choose_topic']
#: Seconds; a test does not wait two for what never comes.
PATIENCE = 0.1


def face(label: str = 'happy', confidence: float = 0.8, **fields) -> FaceEmotion:
    rest = (1 - confidence) / (len(LABELS) - 1)
    values = {'probabilities': np.array([confidence if one == label else rest for one in LABELS])}
    return FaceEmotion('face_1', label, confidence, LABELS, roi=Roi(0, 0, 9, 9),
                       **{**values, **fields})  # fmt: skip


class Robot:
    """A toolbox with a clock of its own, and a robot that agrees to talk about the garden."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[str] = []
        self.box = AgentToolbox(self.choose, clock=lambda: self.now)

    async def choose(self, topic: str) -> tuple[bool, str]:
        self.asked.append(topic)
        agreed = topic in ('garden', 'der Garten', '庭')
        return agreed, 'Shall we?' if agreed else f'there is no topic {topic!r};\nthere is garden'

    def show(self, seen: FaceEmotion | None, seconds: float, begin: float = 0.0) -> None:
        for index in range(round(seconds * 10)):
            self.box.hear_emotion(seen, begin + index / 10)

    def call(self, name: str, arguments: dict | None = None) -> ToolAnswer:
        answer = asyncio.run(self.box.call(name, arguments))
        # Whatever was asked: one line that a model can read and any protocol carries.
        assert answer.text and '\n' not in answer.text
        answer.text.encode()
        if answer.data is not None:
            assert json.loads(answer.text) == answer.data
            check(answer.data, next(tool.result for tool in TOOLS if tool.name == name))
        return answer


def check(data: dict, schema) -> None:
    jsonschema = pytest.importorskip('jsonschema')
    jsonschema.validate(data, schema)
    # Nothing comes that the schema does not describe.
    assert set(data) == set(schema['properties'])


@pytest.fixture
def robot(monkeypatch):
    monkeypatch.setattr(tools, '_PATIENCE', PATIENCE)
    return Robot()


def test_each_tool_says_what_its_numbers_are():
    assert [tool.name for tool in TOOLS] == NAMES
    for tool in TOOLS[:2]:
        assert 'estimates of facial expression' in tool.description
        assert 'often wrong' in tool.description
        assert 'never what somebody feels' in tool.description
        assert not tool.acts
    assert TOOLS[2].acts


def test_schemas_are_schemas():
    jsonschema = pytest.importorskip('jsonschema')
    for tool in TOOLS:
        for schema in (tool.parameters, tool.result):
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema['type'] == 'object'
        assert tool.parameters['additionalProperties'] is False


def test_the_functions_are_what_openai_takes():
    pydantic = pytest.importorskip('pydantic')
    types = pytest.importorskip('openai.types.chat')
    functions = function_list()
    kind = pydantic.TypeAdapter(list[types.ChatCompletionFunctionToolParam])
    assert kind.validate_python(functions, strict=True) == functions
    assert [one['function']['name'] for one in functions] == NAMES
    assert json.loads(json.dumps(functions)) == functions


def test_an_expression_that_lasts(robot):
    robot.show(face('happy'), 3.0)
    robot.now += 1.24
    data = robot.call('get_emotion').data
    assert data['about'] == ABOUT
    assert (data['label'], data['face_id'], data['present']) == ('happy', 'face_1', True)
    assert (data['age'], data['current']) == (1.2, True)
    assert data['seconds'] == pytest.approx(2.9, abs=0.11)
    assert data['confidence'] == pytest.approx(0.8, abs=0.01)
    assert data['probabilities'] == {'happy': 0.8, 'unknown': 0.1, 'sad': 0.1}
    assert 'looked happy for 3 s' in data['summary']
    assert 'often wrong' in data['summary']


def test_one_frame_of_another_label_changes_nothing(robot):
    robot.show(face('happy'), 3.0)
    robot.box.hear_emotion(face('sad'), 3.0)
    data = robot.call('get_emotion').data
    assert data['label'] == 'happy'
    assert data['probabilities']['sad'] == 0.8


def test_a_new_face_is_not_judged(robot):
    robot.box.hear_emotion(face('sad'), 100.0)
    data = robot.call('get_emotion').data
    assert (data['label'], data['present']) == ('none', True)
    assert data['summary'] == 'A face is in view; its expression is not clear yet.'


def test_nobody(robot):
    robot.show(face('happy'), 2.0)
    robot.show(None, 0.5, 2.0)
    assert robot.call('get_emotion').data['present']
    robot.show(None, 2.0, 2.5)
    data = robot.call('get_emotion').data
    assert (data['label'], data['present'], data['probabilities']) == ('none', False, {})
    assert data['summary'] == 'Nobody is in view.'


def test_old_news_is_marked_as_old(robot):
    robot.show(face('happy'), 3.0)
    robot.box.hear_context('{"summary": "A smile."}')
    robot.now += 75.0
    data = robot.call('get_emotion').data
    assert (data['age'], data['current']) == (75.0, False)
    assert data['summary'] == 'There has been no estimate for 75 s; the rest is as old.'
    data = robot.call('get_context').data
    assert (data['age'], data['current']) == (75.0, False)


def test_a_replayed_bag_is_not_old(robot):
    robot.show(face('happy'), 3.0, begin=1.5e9)
    robot.show(face('sad'), 4.0, begin=1.4e9)
    data = robot.call('get_emotion').data
    assert (data['label'], data['age'], data['present']) == ('sad', 0.0, True)
    assert data['seconds'] < 4.1
    robot.box.hear_emotion(None, 1.3e9)
    assert not robot.call('get_emotion').data['present']


@pytest.mark.parametrize('seen', [
    face(confidence=math.nan),
    face(confidence=-7.0),
    face(probabilities=np.array([0.5])),
    face(probabilities=np.array([math.nan] * 3)),
    face(label='x' * 100_000),
    face(label=''),
], ids=['nan', 'negative', 'too few', 'all nan', 'long', 'empty'])  # fmt: skip
def test_emotions_that_make_no_sense_do_no_harm(robot, seen):
    robot.show(seen, 3.0)
    robot.box.hear_emotion(seen, math.nan)
    answer = robot.call('get_emotion')
    assert answer.data['present']
    assert answer.data['probabilities'] == {}
    assert len(answer.text) < 1000


def test_long_labels_are_shortened(robot):
    long = tuple(letter * 100_000 for letter in 'abc')
    seen = FaceEmotion('f' * 9999, long[0], 0.8, long, np.array([0.8, 0.1, 0.1]), Roi(0, 0, 1, 1))
    robot.show(seen, 3.0)
    data = robot.call('get_emotion').data
    assert data['label'] == 'a' * 40
    assert data['face_id'] == 'f' * 40
    assert list(data['probabilities']) == ['a' * 40, 'b' * 40, 'c' * 40]


def test_the_context_is_passed_on(robot):
    history = EmotionHistory()
    for index in range(50):
        history.see(face('sad'), index / 10)
    wanted = history.describe(5.0, mode='running', topic='garden', approach='careful')
    robot.box.hear_context(json.dumps(wanted, ensure_ascii=False))
    data = robot.call('get_context').data
    assert data == {'age': 0.0, 'current': True, 'context': wanted}


@pytest.mark.parametrize(('text', 'problem'), [
    ('', 'no JSON object'),
    ('[1, 2]', 'no JSON object'),
    ('{"a": NaN}', 'no JSON object'),
    ('{"a": 1e999}', 'no JSON object'),
    (r'{"a": "\ud800"}', 'no JSON object'),
    ('[' * 60_000, 'no JSON object'),
    ('{"a": "' + 'x' * 70_000 + '"}', '70009 characters long'),
], ids=['empty', 'list', 'nan', 'infinite', 'surrogate', 'deep', 'long'])  # fmt: skip
def test_a_context_that_is_none_is_not_passed_on(robot, text, problem):
    robot.box.hear_context(text)
    answer = robot.call('get_context')
    assert answer.failed
    assert problem in answer.text
    assert len(answer.text) < 200


def test_nothing_heard_yet(robot):
    assert robot.call('get_emotion').text == (
        'nothing has been heard on /emotion; is the estimator running, with the same ROS_DOMAIN_ID?'
    )
    assert 'nothing has been heard on /dialogue/context' in robot.call('get_context').text


def test_the_first_message_is_waited_for(robot, monkeypatch):
    monkeypatch.setattr(tools, '_PATIENCE', 30.0)

    async def ask() -> ToolAnswer:
        asyncio.get_running_loop().call_later(0.2, robot.box.hear_emotion, None, 1.0)
        return await asyncio.wait_for(robot.box.call('get_emotion', {}), 20)

    assert asyncio.run(ask()).data['summary'] == 'Nobody is in view.'


@pytest.mark.parametrize('topic', ['garden', ' der Garten ', '庭'])
def test_a_topic_by_id_or_name(robot, topic):
    answer = robot.call('choose_topic', {'topic': topic})
    assert answer.data == {'topic': topic.strip(), 'says': 'Shall we?'}
    assert robot.asked == [topic.strip()]


def test_a_refusal_is_one_line(robot):
    answer = robot.call('choose_topic', {'topic': 'чай'})
    assert answer.failed
    assert answer.text == "there is no topic 'чай'; there is garden"


@pytest.mark.parametrize(('name', 'arguments', 'problem'), [
    ('get_emotion', {'format': 'png'}, "get_emotion takes no arguments, not 'format'"),
    ('get_context', {'x' * 100_000: 1}, 'get_context takes no arguments, not'),
    ('choose_topic', None, 'it got nothing'),
    ('choose_topic', {'topic': None}, 'it got nothing'),
    ('choose_topic', {'topic': 7}, 'it got a JSON number'),
    ('choose_topic', {'topic': True}, 'it got a JSON boolean'),
    ('choose_topic', {'topic': ['tea']}, 'it got a JSON array'),
    ('choose_topic', {'topic': {'a': 1}}, 'it got a JSON object'),
    ('choose_topic', {'topic': '  '}, 'it is empty'),
    ('choose_topic', {'topic': 'ü' * 100_000}, f'{MAX_TOPIC} characters at most; it got 100000'),
    ('choose_topic', {'topic': 'tea\0'}, 'without control characters'),
    ('choose_topic', {'topic': 'a\nb'}, 'without control characters'),
    ('choose_topic', {'topic': '\ud800'}, 'without control characters'),
    ('choose_topic', {'topic': 'tea', '\ud800': 1}, 'choose_topic takes only topic'),
], ids=range(14))  # fmt: skip
def test_wrong_arguments_are_explained_and_go_nowhere(robot, name, arguments, problem):
    answer = robot.call(name, arguments)
    assert answer.failed
    assert problem in answer.text
    assert len(answer.text) < 200
    assert robot.asked == []


def test_an_unknown_tool_raises(robot):
    with pytest.raises(KeyError):
        asyncio.run(robot.box.call('get_image', {}))
