"""The shipped JSON Schemas describe what the verbs and the dialogue manager really write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from available import LANDMARK_SOURCE
from made_bag import made_bag

from emotion_estimator.cli.main import main
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.prompt import make_prompt
from emotion_estimator.schemas import schema_files
from emotion_estimator.simulation.script import load_script
from emotion_estimator.simulation.simulator import simulate
from emotion_estimator.sources import portrait

jsonschema = pytest.importorskip('jsonschema')

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'examples' / 'dialogue' / 'care_home.yaml'
PICTURE = Path(portrait.__file__).parent / 'data' / 'astronaut.jpg'

needs_script = pytest.mark.skipif(not SCRIPT.exists(), reason='needs the examples')


def schema(name):
    return json.loads(schema_files()[name].read_text())


def described(value, part, root, path=''):
    """Yield the fields of a value that its schema does not name."""
    part = root['$defs'][part['$ref'].rpartition('/')[2]] if '$ref' in part else part
    for each in part.get('anyOf', ()):
        if jsonschema.Draft202012Validator({**each, '$defs': root['$defs']}).is_valid(value):
            yield from described(value, each, root, path)
            return
    if isinstance(value, dict) and 'additionalProperties' not in part:
        properties = part.get('properties', {})
        for key, inner in value.items():
            if key not in properties:
                yield f'{path}/{key}'
            else:
                yield from described(inner, properties[key], root, f'{path}/{key}')
    elif isinstance(value, list) and 'items' in part:
        for inner in value:
            yield from described(inner, part['items'], root, f'{path}[]')


def check(name, value):
    root = schema(name)
    jsonschema.Draft202012Validator(root).validate(value)
    assert set(described(value, root, root)) == set()


def lines(capfd, *arguments):
    """Return what a verb printed, each line parsed: standard output, standard error."""
    capfd.readouterr()
    assert main([str(each) for each in arguments]) == 0
    return [[json.loads(line) for line in text.splitlines()] for text in capfd.readouterr()]


@pytest.mark.parametrize('name', schema_files())
def test_each_is_a_schema_that_stands_for_itself(name):
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert '"$ref": "#/$defs/' in (text := schema_files()[name].read_text()) or '$ref' not in text
    assert text.count('"$ref"') == text.count('"$ref": "#/$defs/')


def test_what_occurs_in_two_is_the_same():
    assert schema('image')['$defs'] == schema('frame')['$defs']
    context = {k: v for k, v in schema('context').items() if k not in ('$schema', 'title')}
    assert schema('prompt')['$defs'] == {'context': context}


def test_images(capfd):
    pytest.importorskip('mediapipe')
    output, errors = lines(capfd, 'image', PICTURE, '--json', '--landmarks', LANDMARK_SOURCE)
    [face] = output[0]['faces']
    check('image', output[0])
    [account] = errors
    check('account', account)
    broken = {**output[0], 'faces': [{**face, 'confidence': 1.5}]}
    assert not jsonschema.Draft202012Validator(schema('image')).is_valid(broken)
    del face['roi']
    assert not jsonschema.Draft202012Validator(schema('image')).is_valid(output[0])


def test_frames_of_films(capfd):
    pytest.importorskip('mediapipe')
    output, errors = lines(capfd, 'video', PICTURE, '--json', '--landmarks', LANDMARK_SOURCE)
    assert len(output) == 150
    for value in output:
        check('frame', value)
    for value in errors:
        check('account', value)


def test_frames_of_bags(capfd):
    pytest.importorskip('mediapipe')
    output, _ = lines(
        capfd, 'replay', made_bag(), '--json', '--end', '2', '--landmarks', LANDMARK_SOURCE
    )
    assert output
    for value in output:
        check('frame', value)


@needs_script
def test_actions_of_a_conversation(capfd):
    output, _ = lines(capfd, 'dialogue', '--script', SCRIPT, '--json')
    assert output
    for value in output:
        check('action', value)
    check('action', {'stamp': 1.0, 'refused': 'it is not running', 'expected': None})


@needs_script
def test_context_and_prompt_of_a_conversation():
    script = load_script(SCRIPT)
    manager = DialogueManager.load(script.policy, script.conversation)
    check('context', manager.context(0.0))
    acted = 0
    for event in simulate(manager, script.inputs(manager.language), None):
        context = manager.context(event.stamp)
        check('context', context)
        if event.action is not None:
            acted += 1
            check('prompt', make_prompt(event.action, context, line=event.action.line))
            check('prompt', make_prompt(event.action, {}))
    assert acted > 3


def test_the_verb_names_each_file(capfd):
    assert main(['schemas']) == 0
    printed = capfd.readouterr().out.splitlines()
    assert [line.partition('  ')[0] for line in printed] == list(map(str, schema_files().values()))
    assert {file.name.partition('.')[0] for file in schema_files().values()} == {
        'account', 'action', 'context', 'frame', 'image', 'prompt',
    }  # fmt: skip
