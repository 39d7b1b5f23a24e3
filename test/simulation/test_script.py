"""Scripts: the inputs they yield, and which files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.emotion import EXPRESSIONS, LABELS
from emotion_estimator.errors import InputError
from emotion_estimator.simulation.script import load_script, simulated_face

SCRIPT = """
about: A smile that is answered.
rate: 10
steps:
  - {shows: unknown, for: 0.5, expect: nothing}
  - {shows: happy, for: 1, confidence: 0.7, face: b, speaking: true}
  - {shows: silence, for: 2}
  - shows: none
    for: 0.3
    ask: pause
    expect:
      - {action: pause, to: 0, rule: service pause}
      - {action: end, from: 0.1, to: 0.2, topic: tea, approach: warm, says: Bye}
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / 'script.yaml'
        path.write_text(text, encoding='utf-8')
        return path

    return write


def test_a_script_yields_messages_and_service_calls(write):
    script = load_script(write(SCRIPT))
    assert (script.about, script.rate, script.policy) == ('A smile that is answered.', 10, None)
    inputs = list(script.inputs())
    frames = [given for given in inputs if given.has_frame]
    assert [round(given.stamp, 6) for given in frames] == [
        *(i / 10 for i in range(15)), 3.5, 3.6, 3.7
    ]  # fmt: skip
    assert [m.face.label for m in frames[:15]] == ['unknown'] * 5 + ['happy'] * 10
    assert [m.face for m in frames[15:]] == [None] * 3
    assert (frames[5].face.face_id, frames[5].face.confidence) == ('b', 0.7)
    assert [m.speaking for m in frames] == [False] * 5 + [True] * 10 + [False] * 3
    assert [(m.stamp, m.service) for m in inputs if m.service] == [(3.5, 'pause')]
    stamps = [given.stamp for given in inputs]
    assert stamps == sorted(stamps)


def test_expectations_are_read(write):
    first, second, _, last = load_script(write(SCRIPT)).steps
    assert first.expect == ()
    assert second.expect is None
    pause, end = last.expect
    assert (pause.action, pause.begin, pause.end, pause.rule) == ('pause', 0, 0, 'service pause')
    assert (end.begin, end.end, end.topic, end.approach, end.utterance) == (
        0.1, 0.2, 'tea', 'warm', {'': 'Bye'}
    )  # fmt: skip


def test_what_the_person_and_the_robot_say_and_who_else_is_there(write):
    text = """
steps:
  - {shows: sad, for: 1, speaking: true, said: {en: "A garden.", de: "Ein Garten."}}
  - {shows: sad, for: 1, said: Roses., also: {b: happy, c: none}, robot_speaking: true}
  - shows: sad
    for: 1
    expect: [{action: continue, line: answer, says: {en: Go on., de: Weiter.}}]
"""
    script = load_script(write(text))
    for language, words in (('de', 'Ein Garten.'), ('en', 'A garden.'), ('fr', '')):
        inputs = list(script.inputs(language))
        said = [(given.stamp, given.said, given.has_frame) for given in inputs if given.said]
        assert said == [*([(1.0, words, False)] if words else []), (2.0, 'Roses.', False)]
    first, second = (given for given in inputs if given.stamp in (0.0, 1.0) and given.has_frame)
    assert (first.others, first.robot_speaking) == (None, None)
    assert [(each.face_id, each.label) for each in second.others] == [('b', 'happy')]
    assert second.robot_speaking is True
    (expected,) = script.steps[2].expect
    assert (expected.line, expected.utterance) == ('answer', {'en': 'Go on.', 'de': 'Weiter.'})


def test_its_files_are_relative_to_its_folder(write):
    path = write('{policy: mine.yaml, conversation: a/b.yaml, steps: [{shows: sad, for: 1}]}')
    script = load_script(path)
    assert script.policy == path.parent / 'mine.yaml'
    assert script.conversation == path.parent / 'a' / 'b.yaml'


@pytest.mark.parametrize('label', [*LABELS, *EXPRESSIONS])
def test_a_face_has_probabilities_of_one_vocabulary(label):
    face = simulated_face(label, 0.6)
    assert face.labels in (LABELS, EXPRESSIONS)
    assert face.probabilities.sum() == pytest.approx(1)
    assert face.labels[face.probabilities.argmax()] == label


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('[1', 'invalid YAML in line 1'),
        ('hello', 'must be a mapping of fields'),
        ('about: x', 'steps is missing'),
        ('steps: []', 'steps must be a list of steps'),
        ('steps: {shows: sad}', 'steps must be a list of steps'),
        ('steps: [sad]', 'step 1 must be a mapping'),
        ('steps: [{shows: sad}]', 'step 1: for is missing'),
        ('steps: [{shows: sad, for: 1}, {shows: glad, for: 1}]', 'step 2: shows must be one of'),
        ('steps: [{shows: sad, for: 0}]', 'step 1: for must be a number from 0.001'),
        ('steps: [{shows: sad, for: .inf}]', 'step 1: for must be'),
        ('steps: [{shows: sad, for: .nan}]', 'step 1: for must be'),
        ('steps: [{shows: sad, for: 1, confidence: 2}]', 'step 1: confidence must be'),
        ('steps: [{shows: sad, for: 1, speaking: loudly}]', 'step 1: speaking must be'),
        ('steps: [{shows: sad, for: 1, ask: jump}]', 'step 1: ask must be one of start, pause'),
        ('steps: [{shows: sad, for: 1, ask: end, choose_topic: tea}]', 'ask and choose_topic'),
        ('steps: [{shows: sad, for: 1, said: 3}]', 'step 1: said must be'),
        ('steps: [{shows: sad, for: 1, said: {en: 3}}]', 'step 1: said: en must be'),
        ('steps: [{shows: sad, for: 1, also: [sad]}]', 'step 1: also must be a mapping of faces'),
        ('steps: [{shows: sad, for: 1, also: {b: glad}}]', 'step 1: also: b must be one of'),
        ('steps: [{shows: sad, for: 1, robot_speaking: 1}]', 'robot_speaking must be true or'),
        ('steps: [{shows: sad, for: 1, expect: [{action: end, line: sermon}]}]', 'entry 1: line'),
        ('steps: [{shows: sad, for: 1, mood: x}]', 'step 1: unknown field mood'),
        ('steps: [{shows: sad, for: 1, expect: []}]', 'step 1: expect must be a list of actions'),
        ('steps: [{shows: sad, for: 1, expect: pause}]', 'or the word nothing'),
        ('steps: [{shows: sad, for: 1, expect: [{action: sing}]}]', 'expect, entry 1: action'),
        ('steps: [{shows: sad, for: 1, expect: [{to: 1}]}]', 'entry 1: action is missing'),
        ('steps: [{shows: sad, for: 1, expect: [{action: end, to: 2}]}]', 'that lasts 1 s'),
        ('steps: [{shows: sad, for: 1, expect: [{action: end, from: 0.5, to: 0.1}]}]', 'correct'),
        ('steps: [{shows: sad, for: 1, expect: [{action: end, x: 1}]}]', 'unknown field x'),
        ('{rate: 0, steps: [{shows: sad, for: 1}]}', 'rate must be a number'),
        ('{speed: 1, steps: [{shows: sad, for: 1}]}', 'unknown field speed'),
    ],
)
def test_a_broken_script_is_refused_in_one_line(write, text, says):
    path = write(text)
    with pytest.raises(InputError) as refused:
        load_script(path)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(str(path))
    assert says in line


_WORDS = st.sampled_from(
    ['shows', 'for', 'expect', 'action', 'steps', 'ask', 'sad', 'nothing', 'silence', 'end', 'x']
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)
_STEP = st.fixed_dictionaries(
    {'shows': st.sampled_from(['sad', 'silence', 'none']), 'for': st.floats(0.001, 3)},
    optional={'expect': _VALUES, 'ask': _VALUES, 'face': _VALUES, 'speaking': _VALUES},
)


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    return tmp_path_factory.mktemp('any') / 'script.yaml'


@settings(max_examples=80, deadline=None)
@given(document=_VALUES | st.fixed_dictionaries({'steps': st.lists(_STEP, max_size=3)}))
def test_any_document_is_read_or_refused_with_a_reason(place, document):
    place.write_text(yaml.safe_dump(document))
    try:
        script = load_script(place)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert script.steps[-1].end > 0
        assert next(script.inputs())
