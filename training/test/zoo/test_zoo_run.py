"""One command over several models: one table, one picture, what failed named, resumed."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

for module in ('tensorflow', 'tf_keras', 'sklearn'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from click.testing import CliRunner
from zoo_models import tiny_catalog, tiny_context, tiny_model, tiny_split
from zoo_tracks import CLASSES, made_track, made_tracks, made_video

from emotion_estimator.errors import InputError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator_training.cli.zoo.models import run as run_verb
from emotion_estimator_training.cli.zoo.models import structure
from emotion_estimator_training.models.training_loop import BEST
from emotion_estimator_training.zoo import run as run_module
from emotion_estimator_training.zoo.docs_page import write_docs
from emotion_estimator_training.zoo.models.catalog import Catalog, Entry
from emotion_estimator_training.zoo.models.model import Split
from emotion_estimator_training.zoo.models.registry import build
from emotion_estimator_training.zoo.report import CURVES, PAGE, PICTURE, TABLE
from emotion_estimator_training.zoo.run import RunSettings, run

SETTINGS = RunSettings(hop=3, timed=False, progress=False)


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    names = 'frame,mean,lstm'
    return folder, run(made_video(), tiny_catalog(), names, folder, SETTINGS)


def test_every_model_is_queried_at_the_same_times(done):
    _, results = done
    assert [one['model'] for one in results] == ['frame', 'mean', 'lstm']
    assert {one['n'] for one in results} == {6}
    for one in results:
        assert one['parameters'] > 100 and one['covered_accuracy'] is not None


def test_each_seed_trains_a_model_of_its_own(tmp_path):
    settings = replace(SETTINGS, seeds=(3, 4), covered=False)
    results = run(made_video(), tiny_catalog(), 'lstm,mean,statistics', tmp_path, settings)
    assert [len(one['by_seed']['accuracy']) for one in results] == [2, 2, 2]
    for one in results:
        assert one['accuracy'] == pytest.approx(np.mean(one['by_seed']['accuracy']), abs=1e-4)
    first, second = (
        hashlib.sha256((tmp_path / 'models' / folder / BEST).read_bytes()).hexdigest()
        for folder in ('lstm', 'seed-4/lstm')
    )
    assert first != second
    assert tiny_catalog().seeded(3).entry('statistics', 'paper').settings['seed'] == 3
    again = run(made_video(), tiny_catalog(), 'lstm', tmp_path, settings)
    assert again[0]['by_seed'] == results[0]['by_seed']


def test_clips_that_are_measured_apart_count_in_a_row_of_their_own(tmp_path):
    def of_kind(tracks, kind):
        return tuple(replace(one, clip=replace(one.clip, kind=kind)) for one in tracks)

    plain = replace(
        made_video(),
        tracks={**made_video().tracks, 'test': of_kind(made_tracks(1, 10, first=8), 'shown')},
    )
    both = replace(plain, apart=of_kind(made_tracks(2, 10, first=12), 'moved'))
    (alone,) = run(plain, tiny_catalog(), 'frame', tmp_path / 'plain', SETTINGS)
    (beside,) = run(both, tiny_catalog(), 'frame', tmp_path / 'both', SETTINGS)
    assert set(alone['by_kind']) == {'shown'}
    assert beside['by_kind']['moved'][0] == 4
    assert beside['by_kind']['shown'] == alone['by_kind']['shown']
    assert beside['accuracy'] == alone['accuracy'] and beside['n'] == alone['n']


def test_size_and_time_are_those_of_what_is_exported(tmp_path, caplog):
    catalog = tiny_catalog()
    # Frames are read by the shipped appearance network, as in the reduced models.
    catalog._models['frame']['paper']['encoder'] = 'appearance'
    (one,) = run(made_video(), catalog, 'lstm', tmp_path, RunSettings(hop=5, progress=False))
    files = [*(tmp_path / 'exported').glob('lstm*.tflite'), models_dir() / 'appearance.tflite']
    assert len(files) == 3
    assert one['bytes'] == sum(path.stat().st_size for path in files)
    assert one['ms_per_frame'] > 0
    assert one['covered_accuracy'] is not None
    # The run has just made these files itself.
    assert 'not released' not in caplog.text


def test_table_and_picture(done):
    folder, results = done
    table = json.loads((folder / TABLE).read_text())
    assert [one['model'] for one in table['models']] == [one['model'] for one in results]
    assert table['clips'] == {'train': 4, 'validation': 2, 'test': 2}
    assert set(table['order']['levels']) == {'per frame', 'aggregation', 'sequence'}
    assert table['order']['chosen_on'] == 'validation'
    assert table['order']['holds'] == (
        results[0]['macro_f1'] < results[1]['macro_f1'] < results[2]['macro_f1']
    )
    page = (folder / PAGE).read_text()
    assert '2 clips are not there' in page and '**CROSS**' in page
    assert all(f'| {one["model"]} |' in page for one in results)
    assert (folder / PICTURE).read_bytes().startswith(b'\x89PNG')
    assert (folder / CURVES).read_bytes().startswith(b'\x89PNG') and f']({CURVES})' in page
    assert 'lstm_1' in (folder / 'structures' / 'lstm.txt').read_text()


def test_a_run_becomes_a_page_of_the_documentation(done, tmp_path):
    folder, results = done
    page = tmp_path / 'docs' / 'results.md'
    page.parent.mkdir()
    write_docs(folder, page, 'emotion-estimator zoo run --data made')
    text = page.read_text()
    assert '    emotion-estimator zoo run --data made\n' in text
    assert ModelCard.load(models_dir() / 'emotion_lstm.json', 'emotion_lstm').title in text
    assert '2 clips of 1 subjects (test)' in text and '- **CROSS**' in text
    for one in results:
        assert f'| {one["model"]} |' in text
    assert '| aggregation above per frame (Terbouche and Chaoui) |' in text
    images = page.parent / 'images'
    assert (images / 'zoo.png').read_bytes() == (folder / PICTURE).read_bytes()
    assert (images / 'zoo_curves.png').read_bytes() == (folder / CURVES).read_bytes()
    assert '](images/zoo_curves.png)' in text
    with pytest.raises(InputError, match='cannot be written from'):
        write_docs(tmp_path, page, '')


def test_what_is_done_is_left_out(done, monkeypatch):
    folder, results = done

    def forbidden(*_):
        raise AssertionError('measured again')

    monkeypatch.setattr(run_module, '_measure', forbidden)
    assert run(made_video(), tiny_catalog(), 'frame,lstm', folder, SETTINGS) == [
        results[0],
        results[2],
    ]


def test_without_epochs_there_are_no_curves(tmp_path):
    catalog = tiny_catalog()
    catalog._models['shipped'] = {'kind': 'shipped'}
    (tmp_path / CURVES).write_bytes(b'of an earlier run')
    run(made_video(), catalog, 'shipped', tmp_path, SETTINGS)
    assert not (tmp_path / CURVES).exists() and CURVES not in (tmp_path / PAGE).read_text()
    write_docs(tmp_path, tmp_path / 'page.md', '')
    assert 'curves' not in (tmp_path / 'page.md').read_text()
    assert not (tmp_path / 'images' / 'zoo_curves.png').exists()


def test_models_that_fail_are_named_and_the_others_are_run(tmp_path, monkeypatch):
    catalog = tiny_catalog()
    catalog._models['stcnn']['paper']['window'] = 4
    catalog._models['shipped'] = {'kind': 'shipped'}
    real = run_module.build

    def broken(entry, context):
        if entry.name == 'lstm':
            # As Keras and scikit-learn do.
            raise ValueError('negative dimension\nin layer x')
        return real(entry, context)

    monkeypatch.setattr(run_module, 'build', broken)
    settings = RunSettings(hop=5, covered=False, timed=False, progress=False)
    results = run(made_video(), catalog, 'stcnn,lstm,shipped', tmp_path, settings)
    assert 'window 4' in results[0]['failed']
    assert results[1]['failed'] == 'negative dimension'
    assert results[2]['accuracy'] >= 0 and results[2]['bytes'] is None
    assert '- stcnn: ' in (tmp_path / PAGE).read_text()
    with pytest.raises(InputError, match='no model could be measured'):
        run(made_video(), catalog, 'stcnn', tmp_path, settings)


def test_clips_too_short_or_without_a_face_are_noted(tmp_path):
    context = tiny_context(tmp_path)
    model = tiny_model('microx', context)
    full, hidden = made_tracks(1, 12)
    hidden = replace(hidden, found=np.arange(12) == 0)
    short = made_track('happy', 's7', 3)
    assert set(model.windows_of([full, hidden, short]).track) == {0, 2}
    model.windows_of([full, hidden, short])
    assert context.notes == [
        'microx learns without 1 clips without a complete window: s0_sad_0 shows the face too '
        'rarely in each 4 frames',
        'microx repeats the last frame of 1 clips without a complete window: s7_happy_0',
    ]


def test_the_verb_prints_the_table_and_what_was_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(
        'emotion_estimator_training.cli.zoo.models.open_video_set', lambda **_: made_video()
    )
    (tmp_path / 'models.yaml').write_text(
        yaml.safe_dump(
            {
                'models': {
                    'shipped': {'kind': 'shipped'},
                    'odd': {'kind': 'microx', 'paper': {'parts': ['ear']}},
                }
            }
        )
    )
    options = [
        '--data',
        str(tmp_path),
        '--run',
        str(tmp_path / 'out'),
        '--models-config',
        str(tmp_path / 'models.yaml'),
        '--models',
        'odd,shipped',
        '--hop',
        '4',
    ]
    result = CliRunner().invoke(run_verb, options, catch_exceptions=False)
    assert "not measured: odd: a face has no part 'ear'" in result.output
    (row,) = [line for line in result.output.splitlines() if line.startswith('shipped ')]
    assert result.output.splitlines()[-1] == str(tmp_path / 'out' / PICTURE)
    (one,) = json.loads((tmp_path / 'out' / TABLE).read_text())['models'][1:]
    assert one['bytes'] > 100_000 and one['ms_per_frame'] > 0
    assert f'{one["accuracy"]:.3f}' in row
    said = json.loads(CliRunner().invoke(run_verb, [*options, '--json']).stdout)
    assert said[1]['confusion_matrix'] == one['confusion_matrix']


def test_names_and_groups():
    catalog = Catalog.load()
    chosen = [one.name for one in catalog.chosen('sequence-study,microx:face', 'reduced')]
    assert chosen == [
        'frame',
        'mean',
        'weighted',
        'statistics',
        'statistics:mlp',
        'statistics:covariance',
        'statistics:eigenvector',
        'statistics:gaussian',
        'lstm',
        'deep-lstm',
        'bi-lstm',
        'frame-pairs',
        'microx:face',
    ]
    for name in (*catalog.chosen('all', 'paper'), *catalog.chosen('microx-study', 'reduced')):
        assert name.description
    with pytest.raises(InputError, match="no model 'vgg'"):
        catalog.chosen('microx,vgg', 'reduced')
    with pytest.raises(InputError, match='no size'):
        catalog.entry('microx', 'huge')


def test_catalogs_that_cannot_be_read(tmp_path):
    path = tmp_path / 'zoo_models.yaml'
    for content, message in (
        ('a: [', 'invalid YAML'),
        ('models: {}\nmodels: {}', "line 2 .key 'models' occurs twice"),
        ('models: {x: {}}', 'without a kind'),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            Catalog.load(path)
    with pytest.raises(InputError, match='cannot be read'):
        Catalog.load(tmp_path / 'none.yaml')


def test_structure_verb_prints_the_figure():
    shown = CliRunner().invoke(structure, ['microx', '--classes', '7'], catch_exceptions=False)
    assert 'mouth_convlstm' in shown.output and 'ConvLSTM2D' in shown.output
    listed = CliRunner().invoke(structure, ['all'], catch_exceptions=False)
    assert 'stc-nlstm: ' in listed.output


@pytest.mark.parametrize('name', ['emotion_lstm', 'appearance'])
def test_other_shipped_networks_are_measured_again(tmp_path, name):
    split = tiny_split()

    def identity():
        context = replace(tiny_context(tmp_path), own_models=tmp_path / 'models', shared={})
        return build(Entry('shipped', 'shipped', '', {}), context).identity(split)

    shutil.copytree(models_dir(), tmp_path / 'models')
    before = identity()
    assert identity() == before
    card = tmp_path / 'models' / f'{name}.json'
    weights = card.with_suffix('.tflite')
    # TFLite reads nothing beyond a file's end.
    weights.write_bytes(weights.read_bytes() + b'\0')
    changed = hashlib.sha256(weights.read_bytes()).hexdigest()
    card.write_text(json.dumps({**json.loads(card.read_text()), 'sha256': changed}))
    assert identity() != before


def test_frames_shown_at_other_times_are_other_data():
    split = tiny_split()
    slower = tuple(replace(track, times=track.times * 2) for track in split.train)
    assert Split(CLASSES, slower, split.validation).fingerprint() != split.fingerprint()


def test_another_rate_is_another_model(tmp_path):
    split, context = tiny_split(), tiny_context(tmp_path)
    slower = replace(context, rate=5.0)
    assert tiny_model('ours', context).identity(split) != tiny_model('ours', slower).identity(split)


def test_notes_are_kept_when_results_are_read(tmp_path):
    settings = RunSettings(hop=5, covered=False, timed=False, progress=False)
    tracks = {**made_video().tracks, 'train': (*made_tracks(2, 10), made_track('happy', 's7', 3))}
    few = replace(made_video(), tracks=tracks)
    run(few, tiny_catalog(), 'frame,statistics', tmp_path, settings)
    notes = json.loads((tmp_path / TABLE).read_text())['notes']
    assert any(note.startswith('statistics repeats') for note in notes)
    for names in ('frame,statistics', 'statistics'):
        run(few, tiny_catalog(), names, tmp_path, settings)
        assert json.loads((tmp_path / TABLE).read_text())['notes'] == notes


def test_notes_on_single_frames_are_those_of_what_is_built_on_them_too(tmp_path):
    context = tiny_context(tmp_path)
    model = tiny_model('lstm', context)
    model.frames.note('RANDOM')
    model.note('short')
    assert model.notes == ['RANDOM', 'short'] and model.frames.notes == ['RANDOM']
    assert context.notes == ['RANDOM', 'short']


def test_results_keep_what_models_are_chosen_by(done):
    assert all(0 <= one['validation_macro_f1'] <= 1 for one in done[1])
