"""The verbs that train networks, as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from click.testing import CliRunner
from still_features import made_features

pytest.importorskip('matplotlib', reason='training needs matplotlib (pip install ./training)')

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator_training.cli.training import training
from emotion_estimator_training.cli.training.models import fit, tune
from emotion_estimator_training.features.feature_set import save_features

RUN = CliRunner()


def needs_tensorflow():
    for module in ('tensorflow', 'tf_keras', 'keras_tuner'):
        pytest.importorskip(module, reason=f'needs {module} (pip install ./training)')


def test_help_needs_no_tensorflow():
    code = (
        'import sys; from emotion_estimator_training.cli.training import models\n'
        'for verb in (models.fit, models.tune, models.blendshapes):\n'
        '    verb(["--help"], standalone_mode=False)\n'
        'sys.exit("tensorflow" in sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('Usage') == 3


@pytest.mark.parametrize(
    ('verb', 'arguments', 'words'),
    [
        (fit, ['dense'], 'training features'),
        (tune, ['dense'], 'training features'),
        (fit, ['dense', '--grouping', 'moods'], 'happy-unknown-sad, positive-negative, seven'),
        (fit, ['dense', '--counts', 'some'], 'all, paper'),
    ],
)
def test_what_is_missing_is_said_in_one_line(tmp_path, verb, arguments, words):
    with pytest.raises(InputError) as caught:
        RUN.invoke(
            verb,
            [*arguments, '--run', str(tmp_path)],
            catch_exceptions=False,
            standalone_mode=False,
        )
    assert words in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    save_features(made_features(), tmp_path / 'features' / 'face_landmarker.npz')
    (tmp_path / 'tables').write_text('no folder')
    with pytest.raises(InputError, match=r'tables cannot be used .File exists.; choose another'):
        RUN.invoke(
            training,
            ['relevant', '--run', str(tmp_path)],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_what_the_shipped_file_cannot_tell_apart_is_refused_before_hours_of_work(tmp_path):
    needs_tensorflow()
    pytest.importorskip('jinja2', reason='needs jinja2 (pip install ./training)')
    with pytest.raises(InputError, match=r'grouping seven has the labels angry, .*one by one'):
        RUN.invoke(
            training,
            ['all', '--quick', '--run', str(tmp_path), '--grouping', 'seven'],
            catch_exceptions=False,
            standalone_mode=False,
        )
    assert not list(tmp_path.iterdir())


def test_a_damaged_streaming_network_is_named(tmp_path):
    needs_tensorflow()
    from emotion_estimator_training.models.streaming_store import load_streaming

    folder = tmp_path / 'checkpoints' / 'streaming'
    folder.mkdir(parents=True)
    (folder / 'streaming.json').write_text(
        json.dumps(
            {
                'settings': {
                    'branches': {'joined': 8},
                    'units': 4,
                    'settling': {},
                }
            }
        )
    )
    # As a zip file begins that was not written to its end.
    (folder / 'streaming.npz').write_bytes(b'PK\x03\x04')
    with pytest.raises(ModelError, match=r'holds no fitted streaming network .*fit streaming'):
        load_streaming(tmp_path)


@pytest.mark.skipif(find_spec('tensorflow') is not None, reason='TensorFlow is installed')
def test_without_tensorflow_fit_says_what_to_install(tmp_path):
    save_features(made_features(), tmp_path / 'features' / 'face_landmarker.npz')
    with pytest.raises(InputError, match=r'training needs tensorflow; pip install'):
        RUN.invoke(
            fit, ['dense', '--run', str(tmp_path)], catch_exceptions=False, standalone_mode=False
        )


def test_streaming_says_that_features_come_first(tmp_path):
    needs_tensorflow()
    with pytest.raises(InputError, match='training features'):
        RUN.invoke(
            fit,
            ['streaming', '--run', str(tmp_path)],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_fit_and_tune_say_what_they_reached(tmp_path):
    needs_tensorflow()
    save_features(made_features(), tmp_path / 'features' / 'face_mesh.npz')
    common = ['dense', '--run', str(tmp_path), '--source', 'face_mesh']
    done = RUN.invoke(
        fit,
        [*common, '--epochs', '2', '--class-weights', 'balanced', '--loss', 'focal'],
        catch_exceptions=False,
    )
    assert 'PublicTest accuracy' in done.stdout
    table = json.loads((tmp_path / 'tables' / 'dense.json').read_text())
    assert (table['settings']['loss'], table['data']['source']) == ('focal', 'face_mesh')
    done = RUN.invoke(
        tune,
        [*common, '--trials', '1', '--epochs', '1', '--rows', '60', '--json'],
        catch_exceptions=False,
    )
    assert json.loads(done.stdout.strip().splitlines()[-1])[0]['trial'] == '0'
    assert (tmp_path / 'tables' / 'tune-dense.csv').exists()
