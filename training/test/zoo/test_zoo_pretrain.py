"""An equal start: networks of pixels learn the same stills first, and the table says so."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'sklearn'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from click.testing import CliRunner
from zoo_models import FRAME, in_turn, tiny_catalog, tiny_context, tiny_model, tiny_split
from zoo_stills import MadeMesh, made_stills
from zoo_tracks import CLASSES, made_tracks

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator_training.cli.zoo import models as verbs
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    FERPLUS_CLASSES,
    PRIVATE_TEST,
    TRAINING,
    write_npz,
)
from emotion_estimator_training.models.training_loop import best_index
from emotion_estimator_training.zoo import pretrain as pretrain_module
from emotion_estimator_training.zoo.data import still_tracks as tracks_module
from emotion_estimator_training.zoo.data.clips import Clip
from emotion_estimator_training.zoo.data.made_people import held_out
from emotion_estimator_training.zoo.data.still_tracks import (
    STEPS,
    STILL_CLASSES,
    StillTrackSettings,
    people_of,
    still_tracks,
    still_windows,
)
from emotion_estimator_training.zoo.data.video_set import VideoSet
from emotion_estimator_training.zoo.grid_search import grid_search
from emotion_estimator_training.zoo.models import fitting
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.input_reader import InputReader
from emotion_estimator_training.zoo.models.pretrained import (
    SAW_APPEARANCE,
    SAW_NOTHING,
    SAW_OWN,
    SAW_SHIPPED,
)
from emotion_estimator_training.zoo.models.registry import build
from emotion_estimator_training.zoo.pretrain import PRETRAINED_TABLE, PretrainSettings, pretrain
from emotion_estimator_training.zoo.report import PAGE, TABLE
from emotion_estimator_training.zoo.run import RunSettings, run

STILLS = made_stills()
SETTINGS = PretrainSettings(progress=False)
#: Those that read pixels, and a model that only builds on one.
NAMES = 'microx,frame,stcnn,cnn-rnn,two-stream,stc-nlstm,lstm,ours'


@pytest.fixture(autouse=True)
def mesh(monkeypatch):
    made = MadeMesh()
    monkeypatch.setattr(tracks_module, 'extract', made)
    return made


def seen(folder, **settings):
    return still_tracks(STILLS, StillTrackSettings(side=32, **settings), folder)


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    """Return the folder of what every tiny network learned from the stills, and the rows."""
    from emotion_estimator_training.models.legacy_keras import tf

    folder = tmp_path_factory.mktemp('pretrained')
    tf.config.run_functions_eagerly(True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracks_module, 'extract', MadeMesh())
        rows = pretrain(seen(folder), tiny_catalog(), NAMES, folder, SETTINGS)
    tf.config.run_functions_eagerly(False)
    return folder, rows


def rows_of(tracks):
    return sorted(int(track.clip.name.removeprefix('still')) for track in tracks)


def test_a_still_is_a_track_that_drifts_a_little(tmp_path):
    track = seen(tmp_path).train[0]
    assert track.crops.shape == (STEPS, 32, 32, 3) and track.landmarks.shape == (STEPS, 478, 3)
    assert track.blendshapes.shape == (STEPS, 52) and track.found.all()
    assert (np.diff(track.times) > 0).all()
    assert not np.array_equal(track.crops[0], track.crops[-1])
    assert np.abs(track.crops[0].astype(int) - track.crops[-1]).mean() < 10
    # The mouth is where the landmarks say, with its class's shade.
    code = STILLS.emotion[rows_of([track])[0]]
    mouth = track.landmarks[0, [61, 291], :2].mean(axis=0).round().astype(int)
    assert abs(int(track.crops[0][mouth[1], mouth[0], 0]) - (20 + 35 * code)) < 12


def test_only_training_is_learned_and_private_test_is_never_looked_at(tmp_path, mesh):
    tracks = seen(tmp_path)
    assert (STILLS.usage[rows_of(tracks.train)] == TRAINING).all()
    assert len(tracks.train) == 28 and len(tracks.validation) == 14 - 1
    assert not STILLS.duplicate[rows_of(tracks.validation)].any()
    assert not (STILLS.usage[mesh.asked] == PRIVATE_TEST).any()
    assert tracks.missed == 0


def test_fewer_stills_are_as_many_of_each_class_and_the_first_of_more(tmp_path):
    few, more = seen(tmp_path, per_class=2), seen(tmp_path, per_class=3)
    assert np.bincount(STILLS.emotion[rows_of(few.train)]).tolist() == [2] * 7
    assert set(rows_of(few.train)) < set(rows_of(more.train))
    assert set(rows_of(few.validation)) < set(rows_of(more.validation))
    assert len(more.validation) in (6, 7)


def test_stills_without_a_face_and_people_of_a_set_are_left_out(tmp_path, mesh):
    clip = Clip('a', tmp_path, 'happy', 'still00003')
    people = people_of([clip, replace(clip, subject='portrait')])
    mesh.missed = (5,)
    tracks = seen(tmp_path, without=people)
    assert not {3, 5} & set(rows_of(tracks.train)) and len(tracks.train) == 26
    assert tracks.missed == 1
    with pytest.raises(InputError, match='animates no stills'):
        people_of([replace(clip, subject='anna')])
    mesh.missed = tuple(range(len(STILLS)))
    with pytest.raises(InputError, match='no face is found in the stills of Training'):
        seen(tmp_path)


def test_what_made_sets_are_made_from_is_not_learned(tmp_path):
    stills = made_stills()
    votes = np.zeros((len(stills), len(FERPLUS_CLASSES)), np.uint8)
    column = [FERPLUS_CLASSES.index(name) for name in FER_CLASSES]
    votes[np.arange(len(stills)), np.array(column)[stills.emotion]] = 9
    agreed = replace(stills, ferplus_votes=votes)
    found = rows_of(still_tracks(agreed, StillTrackSettings(), tmp_path / 'a').train)
    held = np.flatnonzero(held_out(agreed))
    assert len(held) and not set(held) & set(found)
    assert set(held) < set(
        rows_of(still_tracks(stills, StillTrackSettings(), tmp_path / 'b').train)
    )


def test_windows_of_stills(tmp_path):
    tracks = seen(tmp_path).train
    still = still_windows(tracks, 5)
    assert not still.frames.any() and still.classes == STILL_CLASSES
    drifting = still_windows(tracks, 5, seed=1)
    assert {tuple(one) for one in drifting.frames} == {(0, 0, 1, 2, 2), (2, 2, 1, 0, 0)}
    assert set(still_windows(tracks, 1, seed=1).frames.ravel()) == set(range(STEPS))
    assert np.array_equal(drifting.frames, still_windows(tracks, 5, seed=1).frames)


def test_every_network_of_pixels_learns_the_stills_once(done):
    folder, rows = done
    by_model = {name: row for row in rows for name in row['models']}
    assert set(by_model) == set(NAMES.split(','))
    assert by_model['frame'] is by_model['lstm']
    fitted = [row for row in rows if row['encoder']]
    assert len(fitted) == 6 and {row['stills'] for row in fitted} == {28}
    for row in fitted:
        assert 0 <= row['accuracy'] <= 1 and row['epochs'] == 1
        assert row['saw'] == 'FER2013 Training (pretrain)'
        card = json.loads((folder / f'{row["encoder"]}.json').read_text())
        assert card['classes'] == list(STILL_CLASSES) and card['accuracy'] == row['accuracy']
    assert by_model['ours'] == {'encoder': '', 'models': ['ours'], 'saw': SAW_NOTHING}
    table = json.loads((folder / PRETRAINED_TABLE).read_text())
    assert table['encoders'] == rows and table['public_test'] == 13


def test_the_epoch_is_not_that_which_says_one_class_of_everybody(tmp_path, monkeypatch):
    chosen = []

    def fit_twice(network, reader, train, validation, how, *_):
        history = [{'accuracy': 0.6, 'macro_f1': 0.2, 'loss': 0.1}]
        history.append({'accuracy': 0.5, 'macro_f1': 0.4, 'loss': 0.2})
        chosen.append(best_index(history, how.score))
        return history

    monkeypatch.setattr(pretrain_module, 'fit', fit_twice)
    rows = pretrain(seen(tmp_path), tiny_catalog(), 'microx,two-stream', tmp_path, SETTINGS)
    # One of them is fitted to clips by accuracy, the other by loss.
    assert [(row['accuracy'], row['macro_f1']) for row in rows] == [(0.5, 0.4)] * 2
    assert chosen == [1, 1]


def test_two_streams_learn_the_one_that_stills_have(done):
    with np.load(done[0] / 'two-stream.npz') as arrays:
        assert {name.split('_')[0] for name in arrays.files} == {'spatial'}


def test_what_is_fitted_is_not_fitted_again(done, tmp_path, monkeypatch):
    def forbidden(*_):
        raise AssertionError('fitted again')

    monkeypatch.setattr(pretrain_module, 'fit', forbidden)
    folder, rows = done
    again = pretrain(seen(tmp_path), tiny_catalog(), NAMES, folder, SETTINGS)
    assert again == rows
    with pytest.raises(AssertionError, match='again'):
        pretrain(seen(tmp_path), tiny_catalog(), 'stcnn', folder, replace(SETTINGS, epochs=2))


def test_an_interrupted_call_resumes(tmp_path, monkeypatch, eager):
    catalog, tracks = tiny_catalog(), seen(tmp_path)
    settings = replace(SETTINGS, epochs=2)
    whole = pretrain(tracks, catalog, 'cnn-rnn', tmp_path / 'whole', settings)
    measure, measured = fitting.classification, []

    def interrupted(*arguments):
        measured.append(arguments)
        # At the end of the second epoch, which is not kept.
        if len(measured) == 2:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(fitting, 'classification', interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(tracks, catalog, 'cnn-rnn', tmp_path / 'parts', settings)
    assert not list((tmp_path / 'parts').glob('*.npz'))
    parts = pretrain(tracks, catalog, 'cnn-rnn', tmp_path / 'parts', settings)
    assert len(measured) == 3
    [one], [other] = whole, parts
    assert {**one, 'seconds': 0} == {**other, 'seconds': 0}
    name = 'cnn-rnn--frame.npz'
    with np.load(tmp_path / 'whole' / name) as a, np.load(tmp_path / 'parts' / name) as b:
        assert all(np.allclose(a[key], b[key]) for key in a.files)


def test_networks_are_fitted_beside_each_other_once_each(tmp_path, monkeypatch, capsys, eager):
    names, settings = 'lstm,frame,ours,two-stream', replace(SETTINGS, progress=True)
    alone = pretrain(seen(tmp_path), tiny_catalog(), names, tmp_path / 'alone', settings)
    capsys.readouterr()
    opener = partial(still_tracks, STILLS, StillTrackSettings(side=32), tmp_path)
    fitted = []
    real = pretrain_module.fit
    monkeypatch.setattr(
        pretrain_module, 'fit', lambda *given: fitted.append(given[0].name) or real(*given)
    )
    many = replace(settings, processes=in_turn)
    folder = tmp_path / 'beside'
    for _ in range(2):
        beside = pretrain(seen(tmp_path), tiny_catalog(), names, folder, many, opener)
        assert [{**row, 'seconds': 0} for row in beside if 'seconds' in row] == [
            {**row, 'seconds': 0} for row in alone if 'seconds' in row
        ]
    assert fitted == ['frame', 'spatial']
    assert capsys.readouterr().out.count('two-stream: 1 epochs, ') == 1


def test_one_that_cannot_be_fitted_elsewhere_is_named_once(tmp_path, caplog, eager):
    catalog = tiny_catalog()
    catalog._models['stcnn']['paper']['fit'] = {'learning_rate': 1e30, 'epochs': 1}
    opener = partial(still_tracks, STILLS, StillTrackSettings(side=32), tmp_path)
    many = replace(SETTINGS, processes=in_turn)
    rows = pretrain(seen(tmp_path), catalog, 'stcnn,frame', tmp_path, many, opener)
    assert ['failed' in row for row in rows] == [True, False]
    assert caplog.text.count('the loss is not finite') == 1


def weights_by_layer(network):
    return {layer.name: layer.get_weights() for layer in network.layers if layer.get_weights()}


@pytest.mark.parametrize(
    'name, classes',
    [
        ('microx', STILL_CLASSES),
        ('microx', STILL_CLASSES[::-1]),
        ('frame', CLASSES),
        ('stcnn', CLASSES),
        ('two-stream', STILL_CLASSES),
        ('stc-nlstm', STILL_CLASSES[::-1]),
    ],
)
def test_layers_begin_from_the_stills_and_those_of_the_classes_where_they_are_equal(
    done, tmp_path, name, classes
):
    context = replace(tiny_context(tmp_path, classes), pretrained=done[0])
    held = weights_by_layer(tiny_model(name, context).network)
    with np.load(done[0] / f'{name}.npz') as arrays:
        known = {key: arrays[key] for key in arrays.files}
    learned = {key.rpartition('/')[0] for key in known}
    same = {
        layer
        for layer in learned
        if all(np.array_equal(one, known[f'{layer}/{at}']) for at, one in enumerate(held[layer]))
    }
    of_classes = {layer for layer in learned if layer.endswith('emotion')}
    assert of_classes
    assert same == (learned if classes == STILL_CLASSES else learned - of_classes)


def test_what_is_built_on_a_network_begins_from_it(done, tmp_path):
    context = replace(tiny_context(tmp_path), pretrained=done[0])
    for name, slug in (('lstm', 'frame'), ('mean', 'frame'), ('cnn-rnn', 'cnn-rnn--frame')):
        model = tiny_model(name, context)
        with np.load(done[0] / f'{slug}.npz') as arrays:
            begun = model.frames.network.get_layer('fc_1').get_weights()[0]
            np.testing.assert_array_equal(begun, arrays['fc_1/0'])
        assert model.saw == 'FER2013 Training (pretrain)'


def video() -> VideoSet:
    tracks = {
        'train': made_tracks(2, 10),
        'validation': made_tracks(1, 10, first=5),
        'test': made_tracks(1, 10, first=8),
    }
    return VideoSet(CLASSES, tracks, 10.0, [], [])


def test_the_table_says_what_each_saw_and_runs_do_not_mix(done, tmp_path, eager):
    catalog = tiny_catalog()
    catalog._models['reads'] = {
        'kind': 'frame',
        'paper': {**FRAME, 'encoder': 'appearance', 'units': [4]},
    }
    settings = RunSettings(hop=5, covered=False, timed=False, progress=False)
    anew = run(video(), catalog, 'frame,reads', tmp_path, settings)
    assert [one['saw'] for one in anew] == [SAW_NOTHING, SAW_APPEARANCE]
    [begun] = run(video(), catalog, 'frame', tmp_path, replace(settings, pretrained=done[0]))
    assert begun['saw'] == 'FER2013 Training (pretrain)'
    assert begun != {**anew[0], 'saw': begun['saw']}
    assert '| FER2013 Training (pretrain) |' in (tmp_path / PAGE).read_text()
    assert json.loads((tmp_path / TABLE).read_text())['models'][0]['saw'] == begun['saw']
    [again] = run(video(), catalog, 'frame', tmp_path, settings)
    assert again['saw'] == SAW_NOTHING
    identities = [
        tiny_model('frame', replace(tiny_context(tmp_path), pretrained=folder)).identity(
            tiny_split()
        )
        for folder in (None, done[0])
    ]
    assert identities[0] != identities[1]


def test_our_networks_say_what_they_saw(tmp_path):
    context = tiny_context(tmp_path)
    saw = {name: tiny_model(name, context).saw for name in ('ours', 'fused')}
    assert saw == {'ours': SAW_NOTHING, 'fused': SAW_APPEARANCE}
    assert build(Entry('shipped', 'shipped', '', {}), context).saw == SAW_SHIPPED
    own = replace(context, own_models=models_dir(), shared={})
    assert tiny_model('fused', own).saw == SAW_OWN


def test_a_network_without_weights_begins_anew_and_says_so(tmp_path):
    context = replace(tiny_context(tmp_path), pretrained=tmp_path)
    model = tiny_model('cnn-rnn', context)
    assert model.saw == SAW_NOTHING and model.frames.network
    [note] = model.notes
    assert note.startswith('cnn-rnn:frame begins anew') and note.endswith('--models cnn-rnn"')


def test_weights_of_another_network_or_damaged_ones_are_refused(done, tmp_path):
    folder = tmp_path / 'weights'
    folder.mkdir()
    context = replace(tiny_context(tmp_path), pretrained=folder)

    def refused(error, message, **changes):
        with pytest.raises(error, match=message) as found:
            assert tiny_model('stcnn', context, **changes).network
        assert len(str(found.value).splitlines()) == 1

    card, weights = folder / 'stcnn.json', folder / 'stcnn.npz'
    for path in (card, weights):
        path.write_bytes((done[0] / path.name).read_bytes())
    refused(InputError, 'of another network', filters=3, dense=[5])
    # Another window changes the layer after it only.
    model = tiny_model('stcnn', context, window=8)
    assert model.network and model.notes == ['stcnn begins from 1 of 2 pretrained layers']
    weights.write_bytes(weights.read_bytes() + b'\0')
    refused(ModelError, 'is not the file that stcnn.json describes')
    weights.unlink()
    refused(ModelError, 'cannot be read .*zoo pretrain" again')
    card.write_text('[]')
    refused(ModelError, 'stcnn.json cannot be read')


def test_models_that_fail_are_named_and_the_others_are_fitted(tmp_path, eager):
    catalog = tiny_catalog()
    catalog._models['stcnn']['paper']['window'] = 4
    rows = pretrain(seen(tmp_path), catalog, 'stcnn,two-stream', tmp_path / 'out', SETTINGS)
    assert 'window 4' in rows[0]['failed'] and rows[1]['accuracy'] >= 0
    with pytest.raises(InputError, match='no network could be fitted: stcnn'):
        pretrain(seen(tmp_path), catalog, 'stcnn', tmp_path / 'out', SETTINGS)


def test_the_verb_prints_a_table(tmp_path, eager):
    data = write_npz(STILLS, tmp_path / 'fer2013.npz')
    (tmp_path / 'models.yaml').write_text(
        json.dumps({'models': {'frame': {'kind': 'frame', 'paper': FRAME}}})
    )
    options = [
        *('--data', str(data), '--out', str(tmp_path / 'out'), '--models', 'frame'),
        *('--models-config', str(tmp_path / 'models.yaml'), '--cache', str(tmp_path / 'cache')),
        *('--stills', '2', '--side', '32'),
    ]
    result = CliRunner().invoke(verbs.pretrain, options, catch_exceptions=False)
    [row] = [line for line in result.stdout.splitlines() if line.startswith('frame ')]
    assert row.endswith('FER2013 Training, 14 stills (pretrain)')
    assert '14 stills of Training, accuracy on ' in result.stdout
    assert result.stdout.splitlines()[-1] == str(tmp_path / 'out' / PRETRAINED_TABLE)
    [said] = json.loads(CliRunner().invoke(verbs.pretrain, [*options, '--json']).stdout)
    assert said['accuracy'] == json.loads((tmp_path / 'out/frame.json').read_text())['accuracy']


def test_many_windows_are_predicted_as_few_are(tmp_path):
    network = tiny_model('microx', tiny_context(tmp_path, STILL_CLASSES)).network
    windows = still_windows(seen(tmp_path).train, 4)
    reader = InputReader(tiny_model('microx', tiny_context(tmp_path)).inputs)
    steps, graph = (fitting.probabilities(network, reader, windows, batch) for batch in (28, 3))
    # 28 windows by three are nine batches and one window, by 28 a single batch.
    assert network.predict_function is not None
    np.testing.assert_allclose(steps, graph, atol=1e-5)


def test_progress_counts_batches(tmp_path, capfd, eager):
    settings = replace(SETTINGS, epochs=2, progress=True)
    pretrain(seen(tmp_path), tiny_catalog(), 'two-stream', tmp_path / 'out', settings)
    # 28 stills by eight, twice.
    assert 'two-stream: 100%' in (said := capfd.readouterr().err) and '8/8' in said


def test_the_run_verb_hands_the_folder_on(tmp_path, monkeypatch):
    given = []

    def stop(*arguments):
        given.append(arguments[4:])
        raise InputError('enough')

    monkeypatch.setattr('emotion_estimator_training.zoo.run.run', stop)
    monkeypatch.setattr(verbs, 'open_video_set', lambda **_: video())
    options = ['--data', str(tmp_path), '--run', str(tmp_path / 'out'), '--processes', '3']
    options.append('--pretrained')
    CliRunner().invoke(verbs.run, [*options, str(tmp_path)])
    [(settings, opener)] = given
    assert (settings.pretrained, settings.processes) == (tmp_path, 3)
    # Another process opens the same set, with one of its own.
    choice, _, processes = pickle.loads(pickle.dumps(opener)).args
    assert (choice.data, processes) == (tmp_path, 1)
    missing = CliRunner().invoke(verbs.run, [*options, str(tmp_path / 'none')])
    assert missing.exit_code == 2 and 'does not exist' in missing.output


def test_a_grid_begins_from_pretrained_weights_and_says_so(done, tmp_path):
    context = replace(tiny_context(tmp_path), pretrained=done[0])
    entry = tiny_model('stcnn', context).entry
    grid = {'learning_rate': [0.01, 0.02]}
    found = grid_search(entry, grid, context, tiny_split(), tmp_path / 'grid')
    assert [one['saw'].endswith('(pretrain)') for one in found] == [True, True]
    assert len(list((tmp_path / 'grid' / 'trials').iterdir())) == 2
    anew = replace(context, pretrained=None, shared={})
    found = grid_search(entry, grid, anew, tiny_split(), tmp_path / 'grid')
    assert [one['saw'] for one in found] == [SAW_NOTHING] * 2


def test_the_grid_verb_hands_the_folder_on(tmp_path, monkeypatch):
    given = []

    def stop(entry, grid, context, *_):
        given.append(context.pretrained)
        raise InputError('enough')

    monkeypatch.setattr('emotion_estimator_training.zoo.grid_search.grid_search', stop)
    monkeypatch.setattr(verbs, 'open_video_set', lambda **_: video())
    options = ['stcnn', '--data', str(tmp_path), '--run', str(tmp_path / 'out')]
    CliRunner().invoke(verbs.grid, [*options, '--pretrained', str(tmp_path)])
    assert given == [tmp_path]


@pytest.mark.parametrize('room', [1, 0])
def test_inputs_are_kept_where_there_is_room_for_all(tmp_path, monkeypatch, room):
    inputs = tiny_model('microx', tiny_context(tmp_path)).inputs
    windows = still_windows(seen(tmp_path).train, 4)
    needed = len(windows) * STEPS * sum(3 * one.side**2 for one in inputs)
    monkeypatch.setattr(pretrain_module, '_MOST_KEPT', needed - 1 + room)
    made = []
    real = pretrain_module.InputReader
    monkeypatch.setattr(
        pretrain_module, 'InputReader', lambda *given: made.append(1) or real(*given)
    )
    read = pretrain_module._reader(inputs, len(windows))
    first, again = read(windows), read(windows)
    # A reader of its own for each call keeps nothing.
    assert len(made) == (1 if room else 2)
    for one, other, fresh in zip(first, again, real(inputs)(windows)):
        np.testing.assert_array_equal(one, fresh)
        np.testing.assert_array_equal(other, fresh)
