"""MicroX (Pua et al.): its published structure, training in several calls, parts alone."""

from __future__ import annotations

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from zoo_models import tiny_context, tiny_model, tiny_split
from zoo_tracks import CLASSES, made_tracks

from emotion_estimator.emotion import EXPRESSIONS
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.training_loop import (
    best_index,
    claim_folder,
    is_finished,
    read_history,
)
from emotion_estimator_training.zoo.data.windows import query_windows
from emotion_estimator_training.zoo.models import fitting, layers
from emotion_estimator_training.zoo.models.catalog import Catalog
from emotion_estimator_training.zoo.models.fitting import BEST, CARD, MONITORS, ZooFitSettings
from emotion_estimator_training.zoo.models.model import RunContext
from emotion_estimator_training.zoo.models.registry import build


def test_published_structure(tmp_path):
    catalog = Catalog.load()
    entry = catalog.entry('microx', 'paper')
    assert entry.settings['parts'] == ['left_eye', 'right_eye', 'nose', 'mouth', 'face']
    # Two of the five, which are alike: all are 65 million numbers.
    model = build(
        entry.changed(parts=['mouth', 'face']), RunContext(tmp_path, catalog, EXPRESSIONS, 'paper')
    )
    found = {layer.name: layer for layer in model.structure()}
    assert model.window == 10
    assert found['mouth_input'].output == (None, 10, 30, 30, 3)
    # 4 gates of 64 filters of 3 x 3 over 3 colours and 64 of the state, and their biases.
    assert found['mouth_convlstm'].parameters == 4 * 64 * (9 * (3 + 64) + 1)
    assert found['mouth_convlstm'].output == (None, 28, 28, 64)
    assert found['mouth_dense'].output == (None, 256)
    assert found['mouth_emotion'].output == (None, 7)
    assert found['joined'].output == (None, 14)
    assert found['joined'].after == ('mouth_emotion', 'face_emotion')
    assert found['emotion'].parameters == 14 * 7 + 7


def test_the_convlstm_is_that_of_keras():
    rng = np.random.default_rng(3)
    frames = rng.random((2, 4, 7, 6, 3), dtype=np.float32)
    given = keras.Input(frames.shape[1:])
    wanted = keras.Model(given, keras.layers.ConvLSTM2D(5, 3)(given))
    found = keras.Model(given, layers.ConvLSTM2D(5, 3)(given))
    weights = [rng.normal(0.0, 0.5, one.shape) for one in wanted.get_weights()]
    for one in (wanted, found):
        one.set_weights(weights)
    np.testing.assert_allclose(found(frames), wanted(frames), atol=1e-6)
    slopes = []
    for one in (wanted, found):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(one(frames) ** 2)
        slopes.append(tape.gradient(loss, one.trainable_variables))
    for wanted_slope, found_slope in zip(*slopes):
        np.testing.assert_allclose(found_slope, wanted_slope, atol=1e-4)


def test_variants_are_other_parts_and_colours(tmp_path):
    context = tiny_context(tmp_path)
    alone = tiny_model('microx:mouth', context)
    assert [one.part for one in alone.inputs] == ['mouth']
    assert not any(layer.name == 'joined' for layer in alone.structure())
    grey = tiny_model('microx:mouth+grey', context)
    assert grey.inputs[0].shape(4) == (4, 12, 12, 1)
    with pytest.raises(InputError, match="no variant 'green'"):
        context.catalog.entry('microx:green', 'reduced')


def test_blocks_learn_stills_without_the_layer_that_joins_them(tmp_path):
    model = tiny_model('microx', tiny_context(tmp_path))
    network, inputs = model.of_stills()
    assert inputs == model.inputs
    windows = query_windows(made_tracks(), CLASSES, model.window, 9)
    values = model.reader()(windows.take(np.arange(3)))
    ends = [model.network.get_layer(f'{part}_emotion').output for part in model.settings.parts]
    each = keras.Model(model.network.inputs, ends)(values)
    np.testing.assert_allclose(network(values), np.mean(each, axis=0), rtol=1e-5)
    assert {layer.name for layer in model.network.layers} - {
        layer.name for layer in network.layers
    } == {'joined', 'emotion'}


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'parts': ['mouth', 'mouth']}, 'twice'),
        ({'parts': ['chin']}, 'no part'),
        ({'colour': 'yes'}, 'of type bool'),
        ({'depth': 3}, "no setting 'depth'"),
        ({'fit': {'optimizer': 'magic'}}, 'magic'),
        ({'overlap': 'much'}, 'overlap must be'),
    ],
)
def test_invalid_settings_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        tiny_model('microx', tiny_context(tmp_path), **changes).fit(tiny_split())


def test_trains_resumes_and_is_read_back(tmp_path):
    split, fit = tiny_split(), {'epochs': 3, 'patience': 3}
    pieces = {**fit, 'call_epochs': 2}
    model = tiny_model('microx:mouth', tiny_context(tmp_path), fit=pieces)
    first = model.fit(split)
    assert [one['epoch'] for one in first] == [1, 2]
    again = tiny_model('microx:mouth', tiny_context(tmp_path), fit=pieces)
    history = again.fit(split)
    assert history[:2] == first and len(history) == 3
    # As without an interruption: its order of the windows, its dropout, its optimizer.
    single = tiny_model('microx:mouth', tiny_context(tmp_path / 'single'), fit=fit)
    for one, other in zip(history, single.fit(split)):
        assert one == pytest.approx(other, abs=2e-4)
    asked = query_windows(made_tracks(1, first=9), CLASSES, 4, 3)
    found = again.predict(asked)
    assert found.shape == (len(asked), 2)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    read = tiny_model('microx:mouth', tiny_context(tmp_path), fit=pieces)
    read.load()
    np.testing.assert_allclose(read.predict(asked), found, atol=1e-6)
    assert np.abs(read.predict(asked, covered=True) - found).max() > 1e-4


def test_recognizes_what_is_in_the_mouth(tmp_path):
    model = tiny_model(
        'microx:mouth',
        tiny_context(tmp_path),
        dropout=0.0,
        dense=8,
        fit={'batch': 4, 'learning_rate': 0.02, 'epochs': 12, 'patience': 12},
    )
    model.fit(tiny_split(count=4))
    asked = query_windows(made_tracks(2, first=9), CLASSES, 4, 3)
    assert (model.predict(asked).argmax(axis=1) == asked.labels).mean() > 0.7


def test_rare_classes_count_more_and_training_ends_without_improvement(tmp_path):
    # It hardly moves, so that its losses are those of its first weights.
    model = tiny_model(
        'microx:mouth',
        tiny_context(tmp_path),
        dropout=0.0,
        fit={
            'learning_rate': 1e-9,
            'epochs': 9,
            'patience': 1,
            'class_weights': '1,3',
        },
    )
    split = tiny_split()
    history = model.fit(split)
    assert [one['epoch'] for one in history] == [1, 2]
    windows = model.windows_of(split.train)
    right = model.predict(windows)[np.arange(len(windows)), windows.labels]
    weighted = float(np.mean(np.where(windows.labels == 1, 3, 1) * -np.log(right)))
    assert [one['train_loss'] for one in history] == pytest.approx([weighted] * 2, abs=2e-4)


def test_training_and_validation_windows_overlap_as_set(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        'emotion_estimator_training.zoo.models.network_model.fit',
        lambda _, reader, *parts: seen.extend(parts[:2]),
    )
    tiny_model('microx:mouth', tiny_context(tmp_path), overlap={'sad': 0.5}).fit(tiny_split())
    # Of 12 frames: every fourth begins a window, or every second.
    assert [np.bincount(part.labels).tolist() for part in seen] == [[6, 10], [3, 5]]


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, 'fit_epoch', lambda *_: float('nan'))
    model = tiny_model('microx:mouth', tiny_context(tmp_path), fit={'learning_rate': 9.0})
    with pytest.raises(InputError, match=r'the loss is not finite after epoch 1; .*\(9\)'):
        model.fit(tiny_split())
    assert not read_history(model.folder)


def test_other_data_and_settings_start_again(tmp_path):
    model, split = tiny_model('microx:mouth', tiny_context(tmp_path)), tiny_split()
    claim_folder(model.folder, model.identity(split), CARD)
    kept = model.folder / BEST
    kept.touch()
    claim_folder(model.folder, model.identity(tiny_split()), CARD)
    assert kept.exists()
    other = type(split)(split.classes, made_tracks(3, 10), split.validation)
    claim_folder(model.folder, model.identity(other), CARD)
    assert not kept.exists()
    kept.touch()
    other_settings = tiny_model('microx:mouth', model.context, dense=5)
    claim_folder(model.folder, other_settings.identity(other), CARD)
    assert not kept.exists()


def test_without_weights_or_windows(tmp_path):
    model = tiny_model('microx:mouth', tiny_context(tmp_path))
    with pytest.raises(ModelError, match='no trained weights'):
        model.load()
    split = tiny_split()
    with pytest.raises(InputError, match='complete window'):
        model.fit(type(split)(split.classes, (), split.validation))
    model.folder.mkdir(parents=True, exist_ok=True)
    (model.folder / BEST).write_bytes(b'no weights')
    with pytest.raises(ModelError, match='does not match'):
        model.load()


def test_when_it_is_enough():
    history = [
        {'epoch': 1, 'accuracy': 0.5, 'macro_f1': 0.4, 'loss': 0.3},
        {'epoch': 2, 'accuracy': 0.7, 'macro_f1': 0.4, 'loss': 0.4},
        {'epoch': 3, 'accuracy': 0.7, 'macro_f1': 0.5, 'loss': 0.5},
    ]
    by_accuracy, by_macro_f1, by_loss = (ZooFitSettings(monitor=name).score for name in MONITORS)
    assert best_index(history, by_accuracy) == 1 and best_index(history, by_loss) == 0
    assert best_index(history, by_macro_f1) == 2
    assert is_finished(history, 9, 2, by_loss)
    assert not is_finished(history, 9, 2, by_accuracy)
    assert is_finished(history, 3, 9, by_accuracy)
    assert not is_finished([], 3, 9, by_accuracy)


def test_history_ends_with_its_first_broken_line(tmp_path):
    (tmp_path / 'history.jsonl').write_text('{"epoch": 1}\n{"epo')
    assert read_history(tmp_path) == [{'epoch': 1}]
