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
from emotion_estimator_training.cli.training.fit import fit
from emotion_estimator_training.cli.training.tune import tune
from emotion_estimator_training.data.stills import write_npz
from emotion_estimator_training.features.feature_set import save_features

RUN = CliRunner()


def needs_tensorflow():
    for module in ('tensorflow', 'tf_keras', 'keras_tuner'):
        pytest.importorskip(module, reason=f'needs {module} (pip install ./training)')


def test_help_needs_no_tensorflow():
    code = (
        'import sys; from emotion_estimator_training.cli.training import blendshapes, fit, tune\n'
        'for verb in (fit.fit, tune.tune, blendshapes.blendshapes):\n'
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
def test_what_is_missing_is_named_in_one_line(tmp_path, verb, arguments, words):
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
def test_without_tensorflow_fit_names_what_to_install(tmp_path):
    save_features(made_features(), tmp_path / 'features' / 'face_landmarker.npz')
    with pytest.raises(InputError, match=r'training needs tensorflow; pip install'):
        RUN.invoke(
            fit, ['dense', '--run', str(tmp_path)], catch_exceptions=False, standalone_mode=False
        )


def test_streaming_needs_images_for_their_votes(tmp_path):
    needs_tensorflow()
    done = RUN.invoke(fit, ['streaming', '--run', str(tmp_path)])
    assert done.exit_code == 2
    assert "Missing option '--data'" in done.stderr


@pytest.mark.parametrize(
    'option', [['--dropout', '0.2'], ['--blendshapes', 'all'], ['--keep-every', '2']]
)
def test_streaming_refuses_the_papers_options(tmp_path, option):
    needs_tensorflow()
    done = RUN.invoke(fit, ['streaming', '--run', str(tmp_path), '--data', 'x.npz', *option])
    assert done.exit_code == 2
    assert f'{option[0]} is not an option of streaming' in done.stderr


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['--units', '8,x'], 'give up to 32 widths'),
        (['--units', '8,,4'], 'give up to 32 widths'),
        (['--dropout', '1'], 'is not in the range'),
        (['--name', '../x'], '--name takes up to 64 letters'),
        (['--optimizer', 'lion'], 'is not one of'),
    ],
)
def test_wrong_settings_are_refused(tmp_path, arguments, says):
    needs_tensorflow()
    done = RUN.invoke(fit, ['dense', '--run', str(tmp_path), *arguments])
    assert done.exit_code == 2
    assert says in done.stderr


def test_settings_reach_the_training(tmp_path, monkeypatch):
    needs_tensorflow()
    from emotion_estimator_training.models import paper_training

    seen = []
    rows = tmp_path / 'rows.csv'
    rows.touch()

    def stop(run, model, settings, choice, **others):
        seen.append((settings, choice, others))
        raise KeyboardInterrupt

    monkeypatch.setattr(paper_training, 'run_still', stop)
    typed = (
        'paper --optimizer sgd --momentum 0.9 --beta-1 0.8 --beta-2 0.9 --no-amsgrad --ema '
        '--ema-momentum 0.95 --dropout 0.2 --recurrent-activation tanh --go-backwards '
        '--kernel-initializer he_normal --units 8,4 --batch 32 --patience 3 --name mine '
        '--keep-every 5 --blendshapes attrah-27 --labels calm,glad '
        f'--table {rows}'
    )
    RUN.invoke(fit, typed.split(), standalone_mode=False)
    settings, choice, others = seen[0]
    wanted = {
        'optimizer': 'sgd', 'momentum': 0.9, 'beta_1': 0.8, 'beta_2': 0.9, 'amsgrad': False,
        'ema': True, 'ema_momentum': 0.95, 'dropout': 0.2, 'recurrent_activation': 'tanh',
        'go_backwards': True, 'kernel_initializer': 'he_normal', 'units': (8, 4), 'batch': 32,
        'patience': 3,
    }  # fmt: skip
    assert {name: getattr(settings, name) for name in wanted} == wanted
    assert choice.blendshapes == 'attrah-27'
    assert (choice.tables, choice.labels) == ((rows,), ('calm', 'glad'))
    assert others == {'name': 'mine', 'every': 5}


def test_settings_reach_the_search(tmp_path, monkeypatch):
    needs_tensorflow()
    from emotion_estimator_training.models import paper_training, tuning

    seen = []
    rows = tmp_path / 'rows.csv'
    rows.touch()

    def stop(data, base, folder, trials, verbose, more):
        seen.append((data, base, folder, trials, more))
        raise KeyboardInterrupt

    monkeypatch.setattr(paper_training, 'chosen_data', lambda *given: given)
    monkeypatch.setattr(tuning, 'tune', stop)
    typed = (
        f'dense --run {tmp_path} --trials 7 --epochs 3 --search momentum,ema --units 8,4 --seed 5 '
        f'--table {rows} --labels calm,glad --blendshapes attrah-27'
    )
    RUN.invoke(tune, typed.split(), standalone_mode=False)
    (run, model, choice, seed), base, folder, trials, more = seen[0]
    assert (run, model, seed, trials) == (tmp_path, 'dense', 5, 7)
    assert (base.epochs, base.units, base.seed) == (3, (8, 4), 5)
    assert (choice.tables, choice.labels) == ((rows,), ('calm', 'glad'))
    assert choice.blendshapes == 'attrah-27'
    assert (folder, more) == (tmp_path / 'tuning', ('momentum', 'ema'))


def test_streaming_needs_features_first(tmp_path):
    needs_tensorflow()
    from tiny_appearance import made_stills

    data = write_npz(made_stills(), tmp_path / 'fer2013.npz')
    with pytest.raises(InputError, match='training features'):
        RUN.invoke(
            fit,
            ['streaming', '--run', str(tmp_path), '--data', str(data)],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_fit_and_tune_report_their_metrics(tmp_path):
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


WHOSE = {
    '--model-name': 'smiles',
    '--model-version': '0.2',
    '--trained-on': 'our ward',
    '--licence': 'CC-BY-4.0',
    '--data-licence': 'not to be passed on',
}


@pytest.mark.parametrize('verb', ['quantize', 'blendshapes'])
def test_verbs_that_write_a_model_take_its_identity(tmp_path, monkeypatch, verb):
    needs_tensorflow()
    from emotion_estimator_training.shipping import blendshape_head, streaming
    from emotion_estimator_training.shipping.identity import ModelIdentity

    seen = []

    def stop(*arguments):
        seen.extend(one for one in arguments if isinstance(one, ModelIdentity))
        raise ModelError('enough')

    monkeypatch.setattr(streaming, 'quantize_streaming', stop)
    monkeypatch.setattr(blendshape_head, 'ship_head', stop)
    more = ['--data', 'x.npz', '--teacher', 'x.task'] if verb == 'blendshapes' else []
    common = [verb, '--run', str(tmp_path), *more]
    stated = [one for pair in WHOSE.items() for one in pair]
    for arguments in (common, [*common, *stated], [*common, '--release']):
        RUN.invoke(training, arguments, standalone_mode=False)
    assert seen == [ModelIdentity(), ModelIdentity(*WHOSE.values()), ModelIdentity(release=True)]


def test_a_release_is_not_described_by_hand(tmp_path):
    needs_tensorflow()
    for verb in (['quantize'], ['all', '--quick']):
        with pytest.raises(InputError, match='--release describes models'):
            RUN.invoke(
                training,
                [*verb, '--run', str(tmp_path), '--release', '--trained-on', 'mine'],
                catch_exceptions=False,
                standalone_mode=False,
            )
    assert not list(tmp_path.iterdir())


def test_training_all_gives_models_their_identity(tmp_path, monkeypatch):
    needs_tensorflow()
    from emotion_estimator_training.cli.training import all as verb

    (tmp_path / 'images.npz').write_bytes(b'')
    (tmp_path / 'teacher.task').write_bytes(b'')
    planned = {}

    def kept(stages, *_):
        planned.update({stage.name: stage.decided_by for stage in stages})
        return {'stages': {}, 'seconds': 0.0}

    monkeypatch.setattr(verb, 'run_stages', kept)
    given = {'--data': 'images.npz', '--teacher': 'teacher.task', '--run': 'run'}
    paths = [one for key, name in given.items() for one in (key, str(tmp_path / name))]
    stated = [one for pair in WHOSE.items() for one in pair]
    RUN.invoke(verb.all, [*paths, *stated], catch_exceptions=False)
    for stage, name in (('blendshapes', ''), ('appearance', ''), ('quantize', 'smiles')):
        assert planned[stage]['model_name'] == name
        assert planned[stage]['model_version'] == '0.2'
        assert planned[stage]['trained_on'] == 'our ward'
        assert not planned[stage]['release']
    assert 'trained_on' not in planned['features']
