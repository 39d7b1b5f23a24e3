"""Every reader takes every file and every value: it reads them, or says in one line why not."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from unittest import mock

import pytest
import yaml
from hostile_files import make_hostile_files
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator import settings as settings_module
from emotion_estimator import strict_yaml
from emotion_estimator.cli.evaluate import read_blendshape_table
from emotion_estimator.dialogue.conversation_file import load_conversation
from emotion_estimator.dialogue.policy_file import load_policy
from emotion_estimator.dialogue.prompt import parse_prompt
from emotion_estimator.errors import InputError
from emotion_estimator.frame import read_results
from emotion_estimator.replay.expectations import load_expectations
from emotion_estimator.replay.limits import load_limits
from emotion_estimator.replay.results import load_results
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import (
    CameraSettings,
    DialogueSettings,
    EstimatorSettings,
    LanguageModelSettings,
    LiveSettings,
    load_parameters,
)
from emotion_estimator.simulation.script import load_script
from emotion_estimator.sources import calibration
from emotion_estimator.sources.images import read_image

NODES = {
    'camera': CameraSettings,
    'estimator': EstimatorSettings,
    'dialogue_manager': DialogueSettings,
    'llm_dialogue': LanguageModelSettings,
    'live': LiveSettings,
}
READERS = {
    'results': lambda path: list(read_results(path)),
    'results or bag': load_results,
    'table': read_blendshape_table,
    'script': load_script,
    'policy': load_policy,
    'conversation': load_conversation,
    'limits': load_limits,
    'expectations': load_expectations,
    'calibration': calibration.read_calibration,
    'picture': read_image,
    **{
        f'{node} parameters': lambda path, node=node, kind=kind: load_parameters(path, node, kind)
        for node, kind in NODES.items()
    },
}


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return make_hostile_files(tmp_path_factory.mktemp('hostile') / 'files')


def problem(read, *arguments):
    """Return what is wrong with how a reader takes something; empty if nothing is."""
    try:
        read(*arguments)
    except InputError as error:
        # Long names in the file are cut by whoever prints or logs the line.
        line = str(error)
        return f'{len(line.splitlines())} lines: {line[:300]!r}' if '\n' in line else ''
    except Exception as error:
        return f'{type(error).__name__}: {str(error)[:300]}'
    return ''


@pytest.mark.parametrize('name', READERS)
def test_any_file_is_read_or_refused_in_one_line(name, files):
    paths = [*files.names.values(), *files.contents.values(), Path('a\0b')]
    found = {path.name: problem(READERS[name], path) for path in paths}
    assert {name: words for name, words in found.items() if words} == {}


def test_any_text_of_a_topic_is_a_prompt_or_refused_in_one_line(files):
    for path in files.contents.values():
        text = path.read_bytes().decode(errors='replace')
        assert problem(parse_prompt, text) == ''


def shipped(name):
    return yaml.safe_load((resource_dir('config') / f'{name}.yaml').read_text('utf-8'))


DOCUMENTS = {
    'policy': shipped('dialogue'),
    'conversation': shipped('conversation_en'),
    'limits': shipped('replay_limits'),
    **{f'{node} parameters': shipped(node) for node in NODES},
    'script': {
        'about': 'A visit.', 'rate': 15, 'policy': 'policy.yaml', 'say': {'en': 'Hello.'},
        'steps': [{'shows': 'happy', 'for': 2, 'confidence': 0.5, 'face': 'a', 'speaking': True,
                   'others': {'b': 'sad'}, 'says': 'Yes.', 'robot_speaking': False,
                   'ask': 'pause'}],
        'expect': [{'action': 'comfort', 'by': 3, 'line': 'more', 'topic': 'tea'}],
    },
    'expectations': {
        'labels': [{'label': 'happy', 'from': 2.0, 'to': 8.0, 'share': 0.9}],
        'actions': [{'action': 'celebrate', 'from': 5.0, 'to': 9.0}],
    },
    'calibration': {
        'image_width': 640, 'image_height': 480, 'distortion_model': 'plumb_bob',
        'camera_matrix': {'rows': 3, 'cols': 3, 'data': [1.0] * 9},
        'distortion_coefficients': {'data': [0.0] * 5},
        'rectification_matrix': {'data': [1.0] * 9}, 'projection_matrix': {'data': [1.0] * 12},
    },
}  # fmt: skip
#: What YAML may hold in place of a value.
WRONG = (
    None, True, 0, -1, 10**64, -(10**64), 0.5, 1e308, math.nan, math.inf, -math.inf, '', ' ', 'x',
    'x' * 10_000, 'a\nb\x1b[2J', '$\\frac{$', '{topic}', '{', '{0.x}', '{x!r:>999999}', '\u202e',
    [], [[]], {}, {'a': 'b'}, {1: 2}, {None: [None]}, [1, 'a', None], [{'x' * 10_000: 1}],
    [0] * 10_000,
)  # fmt: skip


def places(document, at=()):
    """Return the way to each value, those that hold others included."""
    found = [at] if at else []
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in pairs:
        if isinstance(value, (dict, list)) and value:
            found += places(value, (*at, key))
        else:
            found.append((*at, key))
    return found


PLACES = {name: places(document) for name, document in DOCUMENTS.items()}


@pytest.mark.parametrize('name', DOCUMENTS)
@settings(max_examples=50)
@given(data=st.data())
def test_any_value_in_any_field_is_read_or_refused_in_one_line(name, data):
    document = copy.deepcopy(DOCUMENTS[name])
    *way, last = data.draw(st.sampled_from(PLACES[name]))
    value = data.draw(st.sampled_from(WRONG))
    holder = document
    for key in way:
        holder = holder[key]
    if isinstance(holder, dict) and data.draw(st.booleans()):
        # As a key, if it can be one.
        key = value if isinstance(value, (str, int, float, type(None))) else 'x'
        holder[key] = holder.pop(last)
    else:
        holder[last] = value

    def read(path):
        return document

    with (
        mock.patch.object(strict_yaml, 'read_yaml', read),
        mock.patch.object(settings_module, 'read_yaml', read),
        mock.patch.object(calibration, 'read_yaml', read),
    ):
        assert problem(READERS[name], Path('file.yaml')) == ''
