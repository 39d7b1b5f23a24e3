"""Epochs of a part of the windows: how many, which, and that an interruption changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from zoo_tracks import CLASSES, made_tracks

from emotion_estimator.errors import InputError
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.data.windows import query_windows
from emotion_estimator_training.zoo.models.fitting import ZooFitSettings, fit


def network():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dense(len(CLASSES), 'softmax')(inputs))


def fitted(folder, epochs=3, **settings):
    """Fit, and return the network and the windows that were read in training, epoch by epoch."""
    windows = query_windows(made_tracks(), CLASSES, 2, 3)
    seen: list[list[tuple[int, int]]] = []
    model = network()

    def reader(few):
        seen.append([(int(t), int(f[-1])) for t, f in zip(few.track, few.frames)])
        return [np.stack([few.track, few.frames[:, -1]], axis=1).astype(np.float32) / 10]

    found = ZooFitSettings(batch=4, epochs=epochs, patience=9, seed=5, **settings)
    history = fit(model, reader, windows, windows.take(np.arange(1)), found, folder, {}, False)
    assert [one['epoch'] for one in history] == list(range(1, epochs + 1))
    train = [batch for batch in seen if len(batch) == found.batch]
    size = found.batches(len(windows))
    return model, [
        [one for batch in train[at : at + size] for one in batch]
        for at in range(0, len(train), size)
    ]


def test_an_epoch_takes_as_many_batches_as_are_asked_for_and_others_the_next_time(tmp_path):
    _, epochs = fitted(tmp_path, epoch_batches=2)
    assert [len(one) for one in epochs] == [8, 8, 8]
    assert all(len(set(one)) == 8 for one in epochs), 'none twice'
    assert len({frozenset(one) for one in epochs}) == 3


def test_zero_takes_all():
    every = ZooFitSettings(batch=4)
    assert every.batches(10) == 3
    assert ZooFitSettings(batch=4, epoch_batches=2).batches(10) == 2
    assert ZooFitSettings(batch=4, epoch_batches=9).batches(10) == 3


def test_an_interruption_changes_nothing(tmp_path):
    whole, epochs = fitted(tmp_path / 'whole', epochs=4, epoch_batches=2)
    fitted(tmp_path / 'parts', epochs=2, epoch_batches=2)
    continued, last = fitted(tmp_path / 'parts', epochs=4, epoch_batches=2)
    assert last == epochs[2:]
    for one, other in zip(whole.get_weights(), continued.get_weights()):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('name', ['call_epochs', 'epoch_batches', 'divide_every'])
def test_fewer_than_none_are_refused(name):
    with pytest.raises(InputError, match=f'{name} must be 0 or over, got -1'):
        ZooFitSettings(**{name: -1})
