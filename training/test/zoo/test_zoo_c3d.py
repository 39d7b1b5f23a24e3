"""C3D as Tran et al. published it."""

from __future__ import annotations

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from zoo_models import tiny_context, tiny_model, tiny_split
from zoo_tracks import CLASSES

from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo.models import fitting
from emotion_estimator_training.zoo.models.catalog import Catalog
from emotion_estimator_training.zoo.models.fitting import ZooFitSettings
from emotion_estimator_training.zoo.models.model import RunContext
from emotion_estimator_training.zoo.models.registry import build


def test_published_structure(tmp_path):
    catalog = Catalog.load()
    context = RunContext(tmp_path, catalog, CLASSES, 'paper')
    layers = {one.name: one for one in build(catalog.entry('c3d', 'paper'), context).structure()}
    convolutions = {name: one.output[-1] for name, one in layers.items() if name[:4] == 'conv'}
    assert convolutions == {
        'conv1a': 64,
        'conv2a': 128,
        'conv3a': 256,
        'conv3b': 256,
        'conv4a': 512,
        'conv4b': 512,
        'conv5a': 512,
        'conv5b': 512,
    }
    assert layers['conv1a'].parameters == 64 * (3 * 3 * 3 * 3 + 1)
    assert [layers[f'pool{n}'].output[1:4] for n in range(1, 6)] == [
        (16, 56, 56),
        (8, 28, 28),
        (4, 14, 14),
        (2, 7, 7),
        (1, 4, 4),
    ]
    # 8192 values, as in the published file of weights.
    assert layers['fc6'].parameters == 4096 * (8192 + 1)
    assert layers['fc7'].output == (None, 4096)


def test_reduced_model_is_small(tmp_path):
    catalog = Catalog.load()
    context = RunContext(tmp_path, catalog, CLASSES, 'reduced')
    model = build(catalog.entry('c3d', 'reduced'), context)
    assert model.network.output_shape == (None, 2) and model.parameters < 100_000


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'window': 3}, 'give 4 frames or more'),
        ({'convolutions': [1, 1]}, 'filters has 3 levels, convolutions 2'),
    ],
)
def test_invalid_settings_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        tiny_model('c3d', tiny_context(tmp_path), **changes)


def test_the_rate_is_divided_as_published():
    rates = [ZooFitSettings(learning_rate=0.003, divide_every=4).rate(epoch) for epoch in range(9)]
    assert rates == pytest.approx([0.003] * 4 + [0.0003] * 4 + [0.00003])
    assert ZooFitSettings(learning_rate=0.003).rate(100) == 0.003
    with pytest.raises(InputError, match='divide_every must be 0 or over, got -1'):
        ZooFitSettings(divide_every=-1)
    catalog = Catalog.load()
    every = {size: catalog.entry('c3d', size).settings['fit'] for size in ('paper', 'reduced')}
    assert {size: fit['divide_every'] for size, fit in every.items()} == {'paper': 4, 'reduced': 0}


def test_a_divided_rate_is_the_optimizers_and_resumes(tmp_path, monkeypatch):
    fit = {'epochs': 4, 'divide_every': 2, 'patience': 9, 'learning_rate': 0.01}
    used = []
    real = fitting.fit_epoch

    def watched(model, *given):
        used.append(float(model.optimizer.learning_rate))
        return real(model, *given)

    monkeypatch.setattr(fitting, 'fit_epoch', watched)
    whole = tiny_model('microx', tiny_context(tmp_path / 'whole'), fit=fit)
    history = whole.fit(tiny_split())
    assert used == pytest.approx([0.01, 0.01, 0.001, 0.001])
    for _ in range(4):
        parts = tiny_model(
            'microx', tiny_context(tmp_path / 'parts'), fit={**fit, 'call_epochs': 1}
        )
        again = parts.fit(tiny_split())
    assert again == history and used[4:] == pytest.approx(used[:4])
    for one, other in zip(whole.network.get_weights(), parts.network.get_weights()):
        np.testing.assert_allclose(one, other, atol=1e-6)
