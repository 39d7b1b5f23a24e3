"""Single frames, and what puts them together without their order (Terbouche and Chaoui)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'sklearn'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from zoo_models import tiny_context, tiny_model, tiny_split
from zoo_tracks import CLASSES, made_tracks

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.zoo.data.windows import query_windows
from emotion_estimator_training.zoo.models.frame_aggregation import CertaintyWeighted, Statistics
from emotion_estimator_training.zoo.models.frame_model import KERAS_FILE, weights_file
from emotion_estimator_training.zoo.models.network_model import balanced_overlap

ASKED = query_windows(made_tracks(1, first=9), CLASSES, 4, 3)


@pytest.fixture(scope='module')
def context(tmp_path_factory):
    return tiny_context(tmp_path_factory.mktemp('zoo'))


@pytest.fixture(scope='module')
def split():
    return tiny_split()


def test_mean_is_the_mean_of_single_frames(context, split):
    model = tiny_model('mean', context)
    assert model.fit(split) == []
    frames = tiny_model('frame', context)
    expected = [
        frames.frame_probabilities(ASKED.tracks[track], False)[rows].mean(axis=0)
        for track, rows in zip(ASKED.track, ASKED.frames)
    ]
    np.testing.assert_allclose(model.predict(ASKED), expected, atol=1e-5)


def test_frames_are_learned_once(context, split):
    assert tiny_model('mean', context).frames is tiny_model('frame', context)
    assert tiny_model('frame', context).fit(split) is tiny_model('frame', context).fit(split)


def test_certain_frames_count_more():
    frames = tf.constant([[[0.5, 0.5], [0.99, 0.01]]])
    weighted = CertaintyWeighted()(frames).numpy()[0]
    assert weighted[0] > 0.97
    assert weighted.sum() == pytest.approx(1, abs=1e-5)


def test_statistics_by_hand():
    values = tf.constant([[[1.0, 2.0], [3.0, 6.0]]])
    found = Statistics(('mean', 'variance', 'minimum', 'maximum'))(values).numpy()[0]
    np.testing.assert_allclose(found, [2, 4, 1, 4, 1, 2, 3, 6])
    assert Statistics(('all',))(values).numpy()[0].tolist() == [1, 2, 3, 6]


@pytest.mark.parametrize('name', ['statistics', 'mlp'])
def test_statistics_learn_and_are_read_back(context, split, name):
    model = tiny_model(name, context)
    history = model.fit(split)
    assert history[0]['train_accuracy'] >= 0.75
    found = model.predict(ASKED)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    again = tiny_model(name, context)
    again.load()
    np.testing.assert_allclose(again.predict(ASKED), found, atol=1e-6)


def test_svm_answers_as_scikit_learn_does(context, split):
    model = tiny_model('statistics', context)
    model.fit(split)
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    def statistics(windows):
        frames = np.stack(
            [
                model.encode(windows.tracks[track], False)[rows]
                for track, rows in zip(windows.track, windows.frames)
            ]
        )
        return np.concatenate(
            [frames.mean(axis=1), frames.var(axis=1), frames.min(axis=1), frames.max(axis=1)],
            axis=1,
        )

    train = model.windows_of(split.train)
    scaler = StandardScaler().fit(statistics(train))
    machine = LinearSVC(
        C=0.01, class_weight='balanced', random_state=11, dual='auto', max_iter=5000
    ).fit(scaler.transform(statistics(train)), train.labels)
    said = machine.predict(scaler.transform(statistics(ASKED)))
    assert (model.predict(ASKED).argmax(axis=1) == said).all()


def test_a_class_without_training_windows_is_never_predicted(tmp_path):
    classes = ('happy', 'sad', 'neutral')
    split = tiny_split(classes)
    train = tuple(track for track in split.train if track.clip.label != 'sad')
    model = tiny_model('statistics', tiny_context(tmp_path, classes))
    model.fit(type(split)(classes, train, split.validation))
    found = model.predict(query_windows(split.validation, classes, 4, 4))
    assert found[:, 1].max() < 1e-6


def test_one_class_only_is_refused(tmp_path):
    split = tiny_split()
    happy = tuple(track for track in split.train if track.clip.label == 'happy')
    with pytest.raises(InputError, match='are of one class'):
        tiny_model('statistics', tiny_context(tmp_path)).fit(
            type(split)(CLASSES, happy, split.validation)
        )


def test_rare_classes_overlap_more():
    tracks = (*made_tracks(1, 10), *made_tracks(2, 15)[1::2])
    assert balanced_overlap(tracks) == {'happy': 0.75, 'sad': 0.0}


def test_xception_is_the_published_one_and_its_random_weights_are_noted(tmp_path, monkeypatch):
    from emotion_estimator_training.zoo.models import frame_model

    monkeypatch.setattr(frame_model, '_KERAS_FOLDER', tmp_path)
    context = tiny_context(tmp_path)
    model = tiny_model('frame', context, encoder='xception', side=71, units=[1024, 512, 256])
    model = frame_model.FrameModel(model.entry, context)
    layers = {layer.name: layer for layer in model.structure()}
    assert layers['pooling'].output == (None, 2048)
    assert [layers[f'fc_{n}'].output[1] for n in (1, 2, 3)] == [1024, 512, 256]
    assert model.encoder.output_shape == (None, 512)
    assert sum(one.parameters for one in layers.values() if '/' in one.name) == 20_861_480
    assert any('RANDOM WEIGHTS' in note and KERAS_FILE in note for note in context.notes)


def test_where_weights_are_looked_for(tmp_path, monkeypatch):
    from emotion_estimator_training.zoo.models import frame_model

    monkeypatch.setattr(frame_model, '_KERAS_FOLDER', tmp_path)
    assert weights_file('auto', None) is None
    kept = tmp_path / KERAS_FILE
    kept.touch()
    assert weights_file('auto', None) == kept and weights_file('random', None) is None
    with pytest.raises(ModelError, match='does not exist'):
        weights_file('auto', tmp_path / 'none.h5')


def test_other_weights_of_xception_are_another_model(tmp_path, monkeypatch, split):
    from emotion_estimator_training.zoo.models import frame_model

    monkeypatch.setattr(frame_model, '_KERAS_FOLDER', tmp_path)

    def identity(name):
        context = tiny_context(tmp_path)
        context.catalog._models['frame']['paper'].update(encoder='xception', side=71)
        return tiny_model(name, context).identity(split)

    for name in ('frame', 'lstm'):
        (tmp_path / KERAS_FILE).unlink(missing_ok=True)
        found = [identity(name)]
        for content in (b'first', b'second'):
            (tmp_path / KERAS_FILE).write_bytes(content)
            found.append(identity(name))
        assert found[0] != found[1] != found[2] != found[0]


def test_weights_that_keras_cannot_download_are_named(tmp_path, monkeypatch):
    from emotion_estimator_training.models.legacy_keras import keras

    def no_network(*_, **__):
        raise Exception('URL fetch failure on ...')

    monkeypatch.setattr(keras.applications, 'Xception', no_network)
    model = tiny_model(
        'frame', tiny_context(tmp_path), encoder='xception', side=71, weights='imagenet'
    )
    with pytest.raises(ModelError, match=rf'URL fetch failure.*put .*{KERAS_FILE} into'):
        model.build()


def test_weights_that_are_given_are_not_downloaded(tmp_path):
    context = replace(tiny_context(tmp_path), weights=tmp_path / 'none.h5')
    model = tiny_model('frame', context, encoder='xception', side=71, weights='imagenet')
    with pytest.raises(ModelError, match=r'none\.h5 does not exist'):
        model.build()


@pytest.mark.parametrize(
    'name, changes, message',
    [
        ('frame', {'encoder': 'alexnet'}, 'no encoder'),
        ('mean', {'how': 'median'}, 'median'),
        ('statistics', {'statistics': ['mode']}, 'choose statistics from'),
        ('statistics', {'classifier': 'tree'}, 'a classifier from'),
    ],
)
def test_invalid_settings_are_refused(tmp_path, name, changes, message):
    with pytest.raises(InputError, match=message):
        tiny_model(name, tiny_context(tmp_path), **changes).structure()
