"""Models that are asked by file, with intervals; trained ones need TensorFlow."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from still_features import made_features

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.evaluation.asked_models import (
    AskedModel,
    ask,
    load_asked,
    still_figures,
    table_of,
)
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.features.blendshape_table import NO_USAGE
from emotion_estimator_training.features.feature_set import save_features

GROUPING = load_grouping()
LABELS = GROUPING.labels


def made_answers(count=90, right=0.8):
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, count)
    said = np.where(rng.random(count) < right, truth, (truth + 1) % 3)
    return np.eye(3, dtype=np.float32)[said] * 0.7 + np.float32(0.1), truth


def test_figures_are_those_of_classification_with_intervals_around_them():
    probabilities, truth = made_answers()
    found = still_figures(probabilities, truth, LABELS, list(map(str, range(90))))
    plain = classification(probabilities, truth, LABELS)
    for name in ('accuracy', 'macro_f1', 'cross_entropy'):
        own, low, high = found[name]
        assert own == pytest.approx(plain[name], abs=1e-4)
        assert low < own < high
    for name in ('precision', 'recall', 'f1'):
        for label in LABELS:
            own, low, high = found[name][label]
            assert own == pytest.approx(plain[name][label], abs=1e-4)
            assert low <= own <= high
    assert found['confusion_matrix'] == plain['confusion_matrix']
    assert (found['n'], found['people']) == (90, 90)


def test_people_who_look_alike_widen_the_interval():
    probabilities, truth = made_answers(30)
    often = [np.repeat(one, 20, axis=0) for one in (probabilities, truth)]
    alone = still_figures(*often, LABELS, list(map(str, range(600))))
    together = still_figures(*often, LABELS, [str(i // 20) for i in range(600)])
    widths = [one['accuracy'][2] - one['accuracy'][1] for one in (alone, together)]
    assert widths[1] > 3 * widths[0]
    assert alone['warning'] is None
    assert '600 rows of 30 people' in together['warning']


def test_a_label_without_a_case_has_no_figure():
    found = still_figures(np.eye(3, dtype=np.float32)[[0, 0]], np.array([0, 0]), LABELS, ['a', 'b'])
    assert found['recall']['sad'] is None
    assert found['precision']['sad'] is None


class Smiles:
    """Calls a face happy that smiles, else sad."""

    labels = ('sad', 'unknown', 'happy')

    def stills(self, vectors):
        return np.eye(3, dtype=np.float32)[np.where(vectors[:, 44] > 0.3, 2, 0)]


def test_labels_of_another_order_are_mapped_and_training_is_left_out():
    model, table = AskedModel('smiles', Smiles(), (44,), 0.5), table_of(made_features())
    found = ask(model, table, GROUPING)
    assert list(found) == ['PublicTest']
    one = found['PublicTest']
    assert one['n'] == 60
    assert one['recall'] == {'sad': [1, 1, 1], 'unknown': [0, 0, 0], 'happy': [1, 1, 1]}
    assert one['loss'] == pytest.approx(one['cross_entropy'][0] + 0.5, abs=1e-3)
    nowhere = replace(table, usage=np.full(len(table), NO_USAGE))
    assert list(ask(model, nowhere, GROUPING)) == ['table']


def test_what_the_table_lacks_is_named():
    table = replace(table_of(made_features()), known=(1, 2))
    with pytest.raises(InputError, match='smiles reads mouthSmileLeft, which the table lacks'):
        ask(AskedModel('smiles', Smiles(), (44,)), table, GROUPING)


def test_the_shipped_network_is_asked_by_its_file():
    model = load_asked(models_dir() / 'emotion_lstm.tflite', LABELS)[0]
    found = ask(model, table_of(made_features()), GROUPING)['PublicTest']
    assert np.sum(found['confusion_matrix']) == 60
    assert found['recall']['happy'][0] > 0.8


@pytest.mark.parametrize('name', ['gone.tflite', 'folder', 'notes.txt'])
def test_what_is_no_model_is_refused_in_one_line(tmp_path, name):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'notes.txt').write_text('no model')
    with pytest.raises(InputError, match='is no ') as caught:
        load_asked(tmp_path / name, LABELS)
    assert '\n' not in str(caught.value)


def test_a_file_without_a_card_must_fit_its_inputs_and_labels(tmp_path):
    path = shutil.copy(models_dir() / 'emotion_lstm.tflite', tmp_path / 'plain.tflite')
    with pytest.raises(ModelError, match=r'plain.tflite has the input .*--blendshapes lists'):
        load_asked(path, LABELS)


def test_every_kept_checkpoint_is_measured_on_a_csv(tmp_path):
    for module in ('tensorflow', 'tf_keras'):
        pytest.importorskip(module, reason=f'needs {module} (pip install ./training)')
    from emotion_estimator_training.cli.training import training
    from emotion_estimator_training.models.paper_training import StillRecognizer
    from emotion_estimator_training.shipping.streaming import export_tflite

    features, run = made_features(), tmp_path / 'run'
    features = features.where(np.r_[:132])
    chosen = [BLENDSHAPE_NAMES[i] for i in (44, 30, 3)]
    path = tmp_path / 'faces.csv'
    words = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral']
    with path.open('w', newline='') as file:
        lines = csv.writer(file)
        lines.writerow([*chosen, 'label', 'usage'])
        for scores, code, usage in zip(features.blendshapes, features.emotion, features.usage):
            split = ('train', 'validation')[usage]
            lines.writerow([*scores[[44, 30, 3]], words[code], split])
    done = CliRunner().invoke(
        training,
        f'fit dense --run {run} --table {path} --units 8 --dropout 0.1 --epochs 5 --batch 32 '
        '--learning-rate 0.02 --keep-every 2 --name mine'.split(),
        catch_exceptions=False,
    )
    assert 'mine: ' in done.stdout
    assert 'warning: PublicTest has 12 rows' in done.stderr
    table = json.loads((run / 'tables' / 'mine.json').read_text())
    assert {2, 4} <= set(table['kept_epochs'])
    assert table['data']['inputs'] == [BLENDSHAPE_NAMES[i] for i in (3, 30, 44)]
    with (run / 'tables' / 'mine-checkpoints.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [int(row['epoch']) for row in rows] == table['kept_epochs']
    folder = run / 'checkpoints' / 'mine'
    base = ['evaluate', '--table', str(path), '--out', str(tmp_path / 'out')]
    done = CliRunner().invoke(
        training, [*base, '--model', str(folder), '--checkpoints'], catch_exceptions=False
    )
    found = json.loads((tmp_path / 'out' / 'asked.json').read_text())['models']
    assert [f'mine, epoch {epoch:04d}' for epoch in table['kept_epochs']] == list(found)
    for row in rows:
        one = found[f'mine, epoch {int(row["epoch"]):04d}']['PublicTest']
        assert one['accuracy'][0] == pytest.approx(float(row['accuracy']), abs=1e-3)
        assert one['precision']['happy'][0] == pytest.approx(
            float(row['precision happy']), abs=1e-3
        )
    assert 'Confusion of mine' in done.stdout
    assert 'Confusion of mine' in (tmp_path / 'out' / 'asked.md').read_text()
    plain = tmp_path / 'plain.tflite'
    plain.write_bytes(export_tflite(StillRecognizer.load(folder)))
    one = [*base, '--blendshapes', '3,30,44', '--model', str(plain), '--json']
    same = json.loads(CliRunner().invoke(training, one, catch_exceptions=False).stdout)['models']
    best = found[f'mine, epoch {table["best_epoch"]:04d}']['PublicTest']
    assert same['plain']['PublicTest']['confusion_matrix'] == best['confusion_matrix']


def test_the_runs_features_are_asked_where_no_table_is_given(tmp_path):
    from emotion_estimator_training.cli.training import training

    features = made_features()
    usage = np.where(features.image_id < 160, features.usage, 2)
    save_features(replace(features, usage=usage), tmp_path / 'features' / 'face_mesh.npz')
    asked = ['evaluate', '--run', str(tmp_path), '--out', str(tmp_path / 'out'), '--json']
    done = CliRunner().invoke(
        training,
        [*asked, '--model', str(models_dir() / 'emotion_lstm.tflite')],
        catch_exceptions=False,
    )
    found = json.loads(done.stdout)['models']['emotion_lstm']
    assert (found['PublicTest']['n'], found['PrivateTest']['n']) == (40, 20)
    done = CliRunner().invoke(
        training,
        [*asked, '--split', 'public', '--model', str(models_dir() / 'emotion_lstm.tflite')],
        catch_exceptions=False,
    )
    chosen = json.loads(done.stdout)['models']['emotion_lstm']
    assert chosen == {'PublicTest': found['PublicTest']}
    done = CliRunner().invoke(training, asked)
    assert done.exit_code == 2
    assert '--json need --model' in done.stderr
