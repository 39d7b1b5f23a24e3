from __future__ import annotations

import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import CameraSettings, EstimatorSettings, load_parameters


def load(tmp_path, text, kind=EstimatorSettings):
    file = tmp_path / 'robot.yaml'
    file.write_text(text)
    return load_parameters(file, 'estimator' if kind is EstimatorSettings else 'camera', kind)


@pytest.mark.parametrize('node', ['camera', 'estimator'])
def test_the_shipped_files_are_the_defaults(node):
    kind = {'camera': CameraSettings, 'estimator': EstimatorSettings}[node]
    assert load_parameters(resource_dir('config') / f'{node}.yaml', node, kind) == kind()


@pytest.mark.parametrize(
    'name',
    ['estimator', '/estimator', '/**', '/**/estimator', '"/*"', '/robot1/estimator', '/robot1/**',
     '"*/estimator"'],
)  # fmt: skip
def test_entries_that_mean_the_node_count(tmp_path, name):
    text = f'{name}: {{ros__parameters: {{max_faces: 2, use_sim_time: true}}}}\n'
    assert load(tmp_path, text).max_faces == 2


@pytest.mark.parametrize(
    'text',
    [
        'robot1: {estimator: {ros__parameters: {max_faces: 2}}}',
        'robot1: {camera: {ros__parameters: {fps: 5.0}}, estimator: {ros__parameters: '
        '{max_faces: 2}}}',
        '/fleet: {robot1/: {/estimator: {ros__parameters: {max_faces: 2}}}}',
        '/**: {estimator: {ros__parameters: {max_faces: 2}}}',
    ],
)
def test_names_may_nest(tmp_path, text):
    assert load(tmp_path, text).max_faces == 2


@pytest.mark.parametrize('name', ['camera', '/estimator/camera', '/estimator2'])
def test_entries_of_others_do_not(tmp_path, name):
    entry = f'{name}: {{ros__parameters: {{max_faces: 2}}}}\n'
    text = f'{entry}estimator: {{ros__parameters: {{reset_gap: 3.0}}}}\n'
    assert load(tmp_path, text) == EstimatorSettings(reset_gap=3.0)
    with pytest.raises(InputError, match=f'no parameters for estimator, only for /?{name}$'):
        load(tmp_path, entry)


@pytest.mark.parametrize(
    'entry',
    ['qos_overrides./image_raw.subscription.depth: 1',
     'qos_overrides: {/image_raw: {subscription: {depth: 1}}}', 'use_sim_time: true'],
)  # fmt: skip
def test_what_every_node_has_is_passed_over(tmp_path, entry):
    text = f'estimator: {{ros__parameters: {{max_faces: 2, {entry}}}}}\n'
    assert load(tmp_path, text) == EstimatorSettings(max_faces=2)


def test_later_entries_win(tmp_path):
    text = (
        '/**: {ros__parameters: {max_faces: 2, reset_gap: 3.0}}\n'
        'estimator: {ros__parameters: {max_faces: 5}}\n'
    )
    made = load(tmp_path, text)
    assert (made.max_faces, made.reset_gap) == (5, 3.0)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('estimator: {ros__parameters: {max_faces: many}}', 'max_faces must be of type int'),
        ('estimator: {ros__parameters: {speed: 1}}', "unknown setting 'speed'"),
        ('estimator: {max_faces: 1}', 'estimator has no ros__parameters'),
        ('estimator:', 'estimator has no ros__parameters'),
        ('ros__parameters: {max_faces: 1}', 'is not a parameter file'),
        ('{}', 'no parameters for estimator'),
        (
            'robot1: {estimator: {ros__parameters: {max_faces: 1}}}\n'
            '/robot2/estimator: {ros__parameters: {max_faces: 2}}\n',
            'has parameters for /robot1/estimator and /robot2/estimator; remove one',
        ),
        ('- a list', 'is not a parameter file'),
        ('a: [1', 'invalid YAML in line 1'),
        ('estimator: {}\nestimator: {}\n', "invalid YAML in line 2 (key 'estimator' occurs twice)"),
        ('', 'is not a parameter file'),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, text, expected):
    with pytest.raises(InputError, match=r'robot\.yaml') as caught:
        load(tmp_path, text)
    assert expected in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match='cannot be read'):
        load_parameters(tmp_path / 'none.yaml', 'estimator', EstimatorSettings)
