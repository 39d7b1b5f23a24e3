"""The papers' networks, trained on a few made rows; skipped where TensorFlow is not installed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from still_features import made_features

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.runtimes import open_interpreter, runtimes
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.features.feature_set import save_features
from emotion_estimator_training.features.relevant import AUTHORS
from emotion_estimator_training.models import training_loop
from emotion_estimator_training.models.paper_networks import build, compiled, structure
from emotion_estimator_training.models.paper_settings import StillSettings, still_settings
from emotion_estimator_training.models.paper_training import (
    DataChoice,
    StillRecognizer,
    chosen_data,
    fit_still,
    load_recognizers,
    run_still,
    still_data,
)
from emotion_estimator_training.models.training_loop import list_checkpoints, read_history
from emotion_estimator_training.shipping.streaming import export_tflite

DENSE = StillSettings(
    kind='dense',
    units=(8,),
    activation='tanh',
    learning_rate=0.02,
    cosine=True,
    batch=16,
    epochs=4,
    patience=4,
)
EVERYTHING = tuple(range(52))


def made_data(inputs=EVERYTHING):
    return still_data(made_features(), load_grouping(), {}, inputs, 1)


def test_rows_are_chosen_by_image_with_their_copies():
    data = still_data(made_features(copies=2), load_grouping(), {'happy': 10}, (44, 30), 1)
    assert data.x.shape == (3 * 90, 2)
    assert data.public_test.shape == (60, 2)
    assert np.bincount(data.label).tolist() == [30, 120, 120]


def test_without_faces_nothing_is_trained():
    features = made_features()
    with pytest.raises(InputError, match='no face'):
        still_data(features.where(features.usage == 0), load_grouping(), {}, EVERYTHING, 1)


def test_paper_network_is_the_published_one():
    layers = structure(build(still_settings('paper', 'published'), 52, 3))
    assert [layer.output for layer in layers] == [
        (None, 52, 1),
        (None, 52, 52),
        (None, 52, 16),
        (None, 52, 48),
        (None, 44),
        (None, 3),
    ]
    assert [layer.kind for layer in layers] == ['Input', *['LSTM'] * 4, 'Dense']
    assert sum(layer.parameters for layer in layers) == 44631


def test_dense_learns_and_its_best_epoch_reads_stills_and_sequences(tmp_path):
    data, folder = made_data((44, 30, 3)), tmp_path / 'checkpoints' / 'dense'
    history = fit_still(data, DENSE, folder, progress=False)
    recognizer = load_recognizers(tmp_path)['dense']
    features = made_features()
    public_test = features.blendshapes[features.usage == 1]
    found = recognizer.stills(public_test)
    assert found.shape == (60, 3)
    assert found.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-5)
    assert (found.argmax(axis=1) == data.public_test_label).mean() > 0.95
    assert history[-1]['loss'] < history[0]['loss']
    kept = list_checkpoints(folder)
    assert len(kept) == 2
    assert kept[0].score == max(one['macro_f1'] for one in history)
    noted = next(one['accuracy'] for one in history if one['epoch'] == kept[0].epoch)
    assert (found.argmax(axis=1) == data.public_test_label).mean() == pytest.approx(noted, abs=1e-4)
    moving = recognizer.sequences(
        public_test.reshape(6, 10, 52), np.full((6, 10), 1 / 30, np.float32)
    )
    assert np.allclose(moving.reshape(-1, 3), found, atol=1e-6)
    assert recognizer.parameters == 3 * 8 + 8 + 8 * 3 + 3
    assert recognizer.labels == ('happy', 'unknown', 'sad')


SGD = {'optimizer': 'sgd', 'momentum': 0.9, 'ema': True, 'ema_momentum': 0.9, 'dropout': 0.3}


@pytest.mark.parametrize(
    ('kind', 'others'), [('dense', {}), ('lstm', {}), ('dense', SGD), ('lstm', SGD)]
)
def test_interrupted_fit_ends_as_the_uninterrupted(tmp_path, monkeypatch, kind, others):
    units = (5,) if kind == 'lstm' else (6, 4)
    settings = replace(DENSE, kind=kind, units=units, epochs=3, **others)
    data = made_data((44, 30))
    complete = fit_still(data, settings, tmp_path / 'complete', progress=False)

    def stopped(folder, metrics, record=training_loop.record):
        record(folder, metrics)
        if metrics['epoch'] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training_loop, 'record', stopped)
    with pytest.raises(KeyboardInterrupt):
        fit_still(data, settings, tmp_path / 'parts', progress=False)
    monkeypatch.undo()
    parts = fit_still(data, settings, tmp_path / 'parts', progress=False)
    assert [one['epoch'] for one in parts] == [1, 2, 3]
    for one, other in zip(complete, parts):
        assert one['loss'] == pytest.approx(other['loss'], abs=2e-5)
    found = [
        StillRecognizer.load(tmp_path / name).model.get_weights() for name in ('complete', 'parts')
    ]
    for one, other in zip(*found):
        assert one == pytest.approx(other, abs=1e-5)


def test_finished_fit_is_not_repeated_but_other_settings_are(tmp_path):
    data, short = made_data(), replace(DENSE, epochs=2)
    first = fit_still(data, short, tmp_path / 'dense', progress=False)

    def written():
        return [one.weights.stat().st_mtime_ns for one in list_checkpoints(tmp_path / 'dense')]

    before = written()
    assert fit_still(data, short, tmp_path / 'dense', progress=False) == first
    assert written() == before
    other = fit_still(data, replace(short, seed=2), tmp_path / 'dense', progress=False)
    assert other[0]['loss'] != first[0]['loss']
    assert [one['epoch'] for one in read_history(tmp_path / 'dense')] == [1, 2]


def test_no_progress_stops_training(tmp_path):
    settings = replace(DENSE, learning_rate=1e-9, epochs=50, patience=2)
    assert len(fit_still(made_data(), settings, tmp_path / 'dense', progress=False)) == 3


def test_class_weights_move_the_answers(tmp_path):
    data = made_data((3, 4))
    shares = []
    for number, weights in enumerate(('none', '9,1,1')):
        settings = replace(DENSE, class_weights=weights, epochs=2)
        fit_still(data, settings, tmp_path / str(number), progress=False)
        found = StillRecognizer.load(tmp_path / str(number)).stills(made_features().blendshapes)
        shares.append(found[:, 0].mean())
    assert shares[1] > shares[0] + 0.2


def test_the_dense_ablation_has_its_authors_shape():
    settings = still_settings('paper-dense', 'published')
    layers = structure(build(settings, 52, 3))
    dense = [layer.output[-1] for layer in layers if layer.kind == 'Dense']
    assert dense == [330, 300, 250, 220, 200, 150, 10, 3]
    assert (settings.activation, settings.dropout) == ('relu', 0.2)
    assert [layer.kind for layer in layers[1:5]] == ['Dense', 'Dropout'] * 2


def test_options_reach_the_layers_and_the_optimizer():
    settings = StillSettings(
        units=(4, 3),
        recurrent_activation='hard_sigmoid',
        kernel_initializer='he_normal',
        go_backwards=True,
        dropout=0.25,
    )
    for layer in build(settings, 5, 2).layers[:2]:
        config = layer.get_config()
        assert config['recurrent_activation'] == 'hard_sigmoid'
        assert 'HeNormal' in str(config['kernel_initializer'])
        assert (config['go_backwards'], config['dropout']) == (True, 0.25)
    plain = replace(DENSE, kernel_initializer='he_normal', dropout=0.25)
    *hidden, _ = [layer.get_config() for layer in build(plain, 5, 2).layers]
    assert all('HeNormal' in str(one['kernel_initializer']) for one in hidden[::2])
    assert [one['rate'] for one in hidden[1::2]] == [0.25] * len(DENSE.units)
    changes = {'beta_1': 0.5, 'beta_2': 0.6, 'amsgrad': False, 'clipnorm': 2.0}
    adam = compiled(
        build(DENSE, 5, 2), replace(DENSE, cosine=False, weight_decay=0.5, **changes), 1
    ).optimizer.get_config()
    assert adam['weight_decay'] == 0.5
    assert (adam['beta_1'], adam['beta_2'], adam['amsgrad']) == (0.5, 0.6, False)
    assert (adam['clipnorm'], adam['global_clipnorm']) == (2.0, None)
    sgd = compiled(
        build(DENSE, 5, 2), replace(DENSE, **SGD, cosine=False, global_clipnorm=0.0), 1
    ).optimizer.get_config()
    assert sgd['name'] == 'SGD'
    assert (sgd['momentum'], sgd['use_ema'], sgd['ema_momentum']) == (0.9, True, 0.9)
    assert (sgd['clipnorm'], sgd['global_clipnorm']) == (None, None)


def test_what_is_left_at_its_default_does_not_begin_an_old_training_again():
    assert set(StillSettings().identity()) == {
        'kind', 'units', 'activation', 'l2', 'weight_decay', 'learning_rate', 'cosine', 'amsgrad',
        'global_clipnorm', 'batch', 'loss', 'class_weights', 'seed',
    }  # fmt: skip
    assert StillSettings(dropout=0.2).identity()['dropout'] == 0.2


def test_the_blendshapes_to_read_are_chosen(tmp_path):
    save_features(made_features(), tmp_path / 'features' / 'face_landmarker.npz')

    def inputs(model, blendshapes):
        choice = DataChoice(counts='all', blendshapes=blendshapes)
        return chosen_data(tmp_path, model, choice, 1).inputs

    assert inputs('paper', '') == EVERYTHING
    assert inputs('paper', 'attrah-27') == AUTHORS
    assert inputs('paper', 'mouthSmileLeft,3') == (44, 3)
    assert inputs('paper-relevant', '30-31') == (30, 31)
    with pytest.raises(InputError, match='no blendshape of face_landmarker is relevant'):
        inputs('dense', 'relevant')


def test_a_table_without_a_validation_set_is_refused(tmp_path):
    path = tmp_path / 'mine.csv'
    path.write_text('jawOpen,label,usage\n0.1,happy,train\n0.2,sad,train\n')
    with pytest.raises(InputError, match='no row of PublicTest'):
        chosen_data(tmp_path, 'dense', DataChoice(tables=(path,)), 1)
    path.write_text('jawOpen,label,usage\n0.1,happy,train\n0.2,sad,val\n')
    assert chosen_data(tmp_path, 'dense', DataChoice(tables=(path,)), 1).inputs == (25,)
    with pytest.raises(InputError, match='the table has no column mouthSmileLeft'):
        chosen_data(tmp_path, 'dense', DataChoice(tables=(path,), blendshapes='25,44'), 1)
    with pytest.raises(InputError, match='--labels names the labels of tables'):
        chosen_data(tmp_path, 'dense', DataChoice(labels=('a', 'b')), 1)


@pytest.mark.parametrize(('kind', 'unrolled'), [('dense', False), ('lstm', False), ('lstm', True)])
def test_tflite_agrees_with_keras(tmp_path, kind, unrolled):
    settings = replace(DENSE, kind=kind, units=(6, 4), activation='selu')
    recognizer = StillRecognizer('one', ('a', 'b'), (1, 5, 9), build(settings, 3, 2))
    path = tmp_path / 'one.tflite'
    path.write_bytes(export_tflite(recognizer, unrolled))
    scores = np.random.default_rng(0).uniform(size=(5, 52)).astype(np.float32)
    for runtime in runtimes():
        interpreter = open_interpreter(path, runtime)
        given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        for row, wanted in zip(scores, recognizer.stills(scores)):
            values = row[list(recognizer.inputs)].reshape(given['shape'])
            interpreter.set_tensor(given['index'], values)
            interpreter.invoke()
            assert interpreter.get_tensor(answer['index'])[0] == pytest.approx(wanted, abs=1e-5)


def test_run_writes_table_and_picture_without_private_test(tmp_path):
    features = made_features()
    save_features(features, tmp_path / 'features' / 'face_landmarker.npz')
    table = run_still(tmp_path, 'dense', DENSE, DataChoice(counts='all'), progress=False)
    assert json.loads((tmp_path / 'tables' / 'dense.json').read_text()) == table
    assert table['public_test']['n'] == 60
    assert table['public_test']['macro_f1'] == max(one['macro_f1'] for one in table['history'])
    assert set(table['public_test']['recall']) == {'happy', 'unknown', 'sad'}
    assert (tmp_path / 'figures' / 'dense-history.png').stat().st_size > 10_000
    short, seven = replace(DENSE, epochs=1), DataChoice(grouping='seven')
    again = run_still(tmp_path, 'dense', short, seven, progress=False)
    assert len(again['public_test']['recall']) == 7


def test_weights_that_do_not_fit_are_refused_in_one_line(tmp_path):
    folder = tmp_path / 'checkpoints' / 'dense'
    fit_still(made_data(), replace(DENSE, epochs=1), folder, progress=False)
    card = json.loads((folder / 'still.json').read_text())
    card['settings']['units'] = [5]
    (folder / 'still.json').write_text(json.dumps(card))
    with pytest.raises(ModelError, match='fit again') as caught:
        load_recognizers(tmp_path)
    assert '\n' not in str(caught.value)
