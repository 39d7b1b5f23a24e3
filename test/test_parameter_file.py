from __future__ import annotations

import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.parameter_file import load_parameters
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import CameraSettings, EstimatorSettings


def load(tmp_path, text, kind=EstimatorSettings):
    file = tmp_path / 'robot.yaml'
    file.write_text(text)
    return load_parameters(file, 'estimator' if kind is EstimatorSettings else 'camera', kind)


@pytest.mark.parametrize('node', ['camera', 'estimator'])
def test_the_shipped_files_are_the_defaults(node):
    kind = {'camera': CameraSettings, 'estimator': EstimatorSettings}[node]
    assert load_parameters(resource_dir('config') / f'{node}.yaml', node, kind) == kind()


@pytest.mark.parametrize('name', ['estimator', '/estimator', '/**', '/**/estimator', '"/*"'])
def test_entries_that_mean_the_node_count(tmp_path, name):
    text = f'{name}: {{ros__parameters: {{max_faces: 2, use_sim_time: true}}}}\n'
    assert load(tmp_path, text).max_faces == 2


@pytest.mark.parametrize('name', ['camera', '/robot1/estimator', '/estimator2'])
def test_entries_of_others_do_not(tmp_path, name):
    text = f'{name}: {{ros__parameters: {{max_faces: 2}}}}\n'
    assert load(tmp_path, text) == EstimatorSettings()


def test_later_entries_win(tmp_path):
    text = (
        '/**: {ros__parameters: {max_faces: 2, reset_gap: 3.0}}\n'
        'estimator: {ros__parameters: {max_faces: 5}}\n'
    )
    made = load(tmp_path, text)
    assert (made.max_faces, made.reset_gap) == (5, 3.0)


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('estimator: {ros__parameters: {max_faces: many}}', 'max_faces must be of type int'),
        ('estimator: {ros__parameters: {speed: 1}}', "unknown setting 'speed'"),
        ('estimator: {max_faces: 1}', 'estimator has no ros__parameters'),
        ('- a list', 'is no parameter file'),
        ('a: [1', 'is no YAML'),
        ('', 'is no parameter file'),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, text, says):
    with pytest.raises(InputError, match=r'robot\.yaml') as caught:
        load(tmp_path, text)
    assert says in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match='cannot be read'):
        load_parameters(tmp_path / 'none.yaml', 'estimator', EstimatorSettings)
