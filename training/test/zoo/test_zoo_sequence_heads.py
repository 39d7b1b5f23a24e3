"""LSTMs and the IRNN over encodings (Terbouche and Chaoui, figures 5, 18 to 20), the grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from zoo_models import tiny_context, tiny_model, tiny_split

from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo import grid_search as grid_module
from emotion_estimator_training.zoo.grid_search import grid_search
from emotion_estimator_training.zoo.models.catalog import Catalog, Entry
from emotion_estimator_training.zoo.models.fitting import ZooFitSettings, read
from emotion_estimator_training.zoo.models.model import RunContext
from emotion_estimator_training.zoo.models.network_model import NetworkModel
from emotion_estimator_training.zoo.models.registry import build

THREE = ('neutral', 'happy', 'pensive')


@pytest.fixture(scope='module')
def context(tmp_path_factory):
    return tiny_context(tmp_path_factory.mktemp('zoo'))


@pytest.mark.parametrize(
    'name, kinds, hidden',
    [
        ('lstm', ['LSTM', 'Dropout', 'Dense'], 128),
        ('deep-lstm', ['LSTM', 'Dropout', 'LSTM', 'Dropout', 'Dense'], 128),
        ('bi-lstm', ['Bidirectional LSTM', 'Dropout', 'Dense'], 256),
    ],
)
def test_published_structure(tmp_path, name, kinds, hidden):
    catalog = Catalog.load()
    context = RunContext(tmp_path, catalog, THREE, 'paper')
    # The encoder is not built for this: Xception takes its time.
    model = build(catalog.entry(name, 'paper'), context)
    assert model.window == 16 and model.inputs[0].shape(16) == (16, 512)
    from emotion_estimator_training.zoo.models.layer_summary import summarize_layers

    found = summarize_layers(model.build())
    assert [layer.kind for layer in found] == ['InputLayer', *kinds]
    assert found[-2].output == (None, hidden) and found[-1].output == (None, 3)
    settings = model.settings
    assert (settings.dropout, settings.fit.learning_rate) == (0.4, 0.03)
    assert (settings.fit.monitor, settings.fit.patience) == ('loss', 10)


def test_structure_has_the_frame_and_the_window(context):
    names = [layer.name for layer in tiny_model('lstm', context).structure()]
    assert names[0] == 'frame/face_input' and names[-1] == 'emotion'
    # What follows the encoding in the frame's own classifier is not read.
    assert 'frame/fc_2' in names and 'frame/fc_3' not in names


def test_irnn_begins_as_the_identity(context):
    model = tiny_model('cnn-rnn', context)
    recurrent = model.build().get_layer('irnn').get_weights()[1]
    np.testing.assert_array_equal(recurrent, np.eye(4))
    assert model.frames is not tiny_model('lstm', context).frames


def test_grid_tries_all_once_and_sorts(context, tmp_path):
    # Quicker than an LSTM; the grid is the same to both.
    entry, split = context.catalog.entry('stcnn', 'reduced'), tiny_split()
    values = {'filters': [2, 3], 'learning_rate': [0.01]}
    found = grid_search(entry, values, context, split, tmp_path)
    assert sorted(one['settings']['filters'] for one in found) == [2, 3]
    assert found[0]['macro_f1'] >= found[1]['macro_f1']
    lines = (tmp_path / 'stcnn.jsonl').read_text()
    assert grid_search(entry, values, context, split, tmp_path) == found
    assert (tmp_path / 'stcnn.jsonl').read_text() == lines


def test_grid_names_what_fails(context, tmp_path):
    with pytest.raises(InputError, match=r'no combination.*has no setting'):
        grid_search(
            context.catalog.entry('lstm', 'reduced'),
            {'colour': [1]},
            context,
            tiny_split(),
            tmp_path,
        )


def test_grid_tries_again_what_is_trained_otherwise(context, tmp_path, monkeypatch):
    tried = []

    class Model(NetworkModel):
        def __init__(self, entry, context):
            super().__init__(
                entry, context, 4, [], read(ZooFitSettings, entry.settings['fit'], 'x')
            )

        def build(self):
            raise AssertionError

        def fit(self, split):
            tried.append(self.name)
            return [{'epoch': 1, 'loss': 1.0, 'accuracy': 0.5, 'macro_f1': 0.5}]

    monkeypatch.setattr('emotion_estimator_training.zoo.grid_search.build', Model)
    entry, split = Entry('x', 'x', '', {'fit': {'epochs': 1}}), tiny_split()
    for changed, count in (({}, 1), ({}, 1), ({'window': 8}, 2), ({'fit': {'epochs': 2}}, 3)):
        found = grid_search(
            entry.changed(**changed), {'learning_rate': [0.01]}, context, split, tmp_path
        )
        assert len(tried) == count and found[0]['macro_f1'] == 0.5
    grid_search(entry, {'learning_rate': [0.01]}, replace(context, rate=5.0), split, tmp_path)
    assert len(tried) == 4


def test_grid_tries_again_what_failed_and_names_what_keras_refuses(context, tmp_path, monkeypatch):
    entry, split = context.catalog.entry('stcnn', 'reduced'), tiny_split()
    real = grid_module.build

    def broken(entry, context):
        if entry.settings['filters'] == 3:
            raise ValueError('negative dimension\nin layer x')
        return real(entry, context)

    monkeypatch.setattr(grid_module, 'build', broken)
    values = {'filters': [2, 3]}
    done, failed = grid_search(entry, values, context, split, tmp_path)
    assert done['macro_f1'] >= 0 and failed['failed'] == 'negative dimension'
    monkeypatch.setattr(grid_module, 'build', real)
    assert all('macro_f1' in one for one in grid_search(entry, values, context, split, tmp_path))


def test_papers_grid_is_the_published_one():
    assert Catalog.load().grid('paper') == {
        'learning_rate': [0.1, 0.03, 0.01, 0.003, 0.001],
        'hidden': [64, 128, 256],
        'dropout': [0.4, 0.5, 0.6, 0.7, 0.8],
    }
