from __future__ import annotations

import runpy
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from emotion_estimator.errors import InputError
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import (
    CameraSettings,
    DialogueSettings,
    EstimatorSettings,
    LanguageModelSettings,
    LiveSettings,
    make_settings,
)

NODES = {
    'camera': CameraSettings,
    'estimator': EstimatorSettings,
    'dialogue_manager': DialogueSettings,
    'llm_dialogue': LanguageModelSettings,
    'live': LiveSettings,
}
ROOT = Path(__file__).parents[1]
writer = runpy.run_path(str(ROOT / 'scripts' / 'write_parameters.py'))


@pytest.mark.parametrize(('node', 'kind'), NODES.items())
def test_the_parameter_files_hold_every_setting_with_its_default(node, kind):
    document = yaml.safe_load((resource_dir('config') / f'{node}.yaml').read_text())
    written = document[f'/**/{node}']['ros__parameters']
    assert written == {item.name: item.default for item in fields(kind)}
    assert make_settings(kind, written) == kind()


@pytest.mark.parametrize('node', NODES)
def test_the_parameter_files_are_as_written_from_the_code(node):
    text = (resource_dir('config') / f'{node}.yaml').read_text()
    assert text == writer['parameter_file'](node)


def test_the_document_lists_every_parameter_as_the_code_has_it():
    assert writer['table']() in (ROOT / 'docs' / 'parameters.md').read_text()


@pytest.mark.parametrize('kind', NODES.values())
def test_every_setting_is_described(kind):
    for item in fields(kind):
        assert len(item.metadata['description']) > 10 and item.metadata['description'][-1] == '.'
        assert item.metadata['change'] in ('startup', 'configure', 'runtime')
        number = type(item.default) in (int, float)
        assert (item.metadata['minimum'] is not None) == number, f'{item.name} has no range'


@pytest.mark.parametrize(
    ('kind', 'values', 'expected'),
    [
        (CameraSettings, {'fps': 0.5}, 'fps must be from 1.0 to 240.0, got 0.5'),
        (CameraSettings, {'fps': 'fast'}, "fps must be of type float, got 'fast'"),
        (CameraSettings, {'width': True}, 'width must be of type int'),
        (LanguageModelSettings, {'base_url': 'localhost:11434'}, "got 'localhost:11434'"),
        (LanguageModelSettings, {'base_url': 'http://[::1/v1'}, 'must be like http://'),
        (LanguageModelSettings, {'extra_body': '[' * 10_000}, "got '[[["),
        (CameraSettings, {1: 1, 'a': 1, None: 1}, 'unknown setting 1; known are'),
        (CameraSettings, {'x' * 10_000: 1}, "unknown setting 'xxx"),
        (CameraSettings, {'fps': ['x'] * 10_000}, 'fps must be of type float'),
        (LanguageModelSettings, {'base_url': 'file:///v1'}, 'must be like http://'),
        (LanguageModelSettings, {'base_url': 'https://me:sk-1@host/v1'}, 'must not hold a key'),
        (LanguageModelSettings, {'base_url': 'https://host/v1?key=sk-1'}, 'must not hold a key'),
        (LanguageModelSettings, {'extra_body': '{'}, 'extra_body must be a JSON object'),
        (LanguageModelSettings, {'extra_body': '[]'}, 'extra_body must be a JSON object'),
        (LanguageModelSettings, {'extra_body': '{"stream": false}'}, 'without model, messages'),
        (LanguageModelSettings, {'timeout': 20.0}, 'total_timeout 15.0 is below timeout 20.0'),
        (DialogueSettings, {'words_per_minute': 0.01}, 'or from 20 to 1000, got 0.01'),
        (DialogueSettings, {'words_per_minute': 1001.0}, 'words_per_minute must be from 0.0'),
        (CameraSettings, {'speed': 1}, "unknown setting 'speed'; known are source, fps"),
        (CameraSettings, {'retry_min': 5.0, 'retry_max': 1.0}, 'retry_max 1.0 is below'),
        (EstimatorSettings, {'landmark_source': 'dlib'}, 'must be one of auto, face_landmarker'),
        (EstimatorSettings, {'max_rate_hz': 0.5}, 'every image would reset all state'),
        (EstimatorSettings, {'max_faces': 0}, 'max_faces must be from 1 to 16'),
    ],
)
def test_wrong_settings_are_named(kind, values, expected):
    with pytest.raises(InputError) as caught:
        make_settings(kind, values)
    assert expected in str(caught.value)


def test_integers_are_accepted_as_floats():
    assert make_settings(CameraSettings, {'fps': 15}).fps == 15.0
