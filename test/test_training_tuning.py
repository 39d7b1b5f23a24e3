"""Random search over the papers' ranges; skipped where Keras Tuner is not installed."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'keras_tuner'):
    pytest.importorskip(module, reason=f'tuning needs {module} (requirements/training.in)')

from emotion_estimator.training import tuning
from emotion_estimator.training.still_data import StillData
from emotion_estimator.training.still_settings import still_settings
from emotion_estimator.training.tuning import ACTIVATIONS, space, tune, write_results

BASE = still_settings('dense', 'published', epochs=1, batch=32)


def made_data():
    rng = np.random.default_rng(1)
    label = np.arange(60) % 3
    x = rng.uniform(0, 0.3, (60, 4)).astype(np.float32)
    x[np.arange(60), label] += 0.6
    return StillData('face_mesh', ('a', 'b', 'c'), (0, 1, 2, 3), x, label, x[:30], label[:30])


def test_space_is_the_papers():
    values = space(4)
    drawn = {spec.name: spec for spec in values.space}
    assert (drawn['learning_rate'].min_value, drawn['learning_rate'].max_value) == (1e-6, 1e-3)
    assert (drawn['l2'].min_value, drawn['l2'].max_value) == (1e-10, 1e-5)
    assert (drawn['weight_decay'].min_value, drawn['weight_decay'].max_value) == (1e-10, 9e-4)
    assert all(drawn[name].sampling == 'log' for name in ('learning_rate', 'l2', 'weight_decay'))
    assert [drawn[f'units_{i}'].step for i in (1, 2, 3, 4)] == [4] * 4
    assert set(drawn['activation'].values) == set(ACTIVATIONS)


def test_search_is_seeded_goes_on_and_takes_more_trials(tmp_path, monkeypatch):
    data = made_data()
    whole = tune(data, BASE, tmp_path / 'whole', 4, verbose=False)
    fitted = []

    def counted(*arguments, fit=tuning.fit_still, **options):
        fitted.append(arguments)
        if len(fitted) == 2:
            raise KeyboardInterrupt
        return fit(*arguments, **options)

    monkeypatch.setattr(tuning, 'fit_still', counted)
    with pytest.raises(KeyboardInterrupt):
        tune(data, BASE, tmp_path / 'parts', 3, verbose=False)
    assert len(tune(data, BASE, tmp_path / 'parts', 3, verbose=False)) == 3
    assert len(fitted) == 1 + 1 + 2
    parts = tune(data, BASE, tmp_path / 'parts', 4, verbose=False)
    assert len(fitted) == 5

    def drawn(rows):
        return sorted(row['learning_rate'] for row in rows)
    assert drawn(parts) == pytest.approx(drawn(whole))
    assert [row['macro_f1'] for row in whole] == sorted(
        (row['macro_f1'] for row in whole), reverse=True
    )


@pytest.mark.parametrize('activation', ACTIVATIONS)
def test_every_activation_trains(tmp_path, activation):
    values = {**space(4).values, 'activation': activation}
    settings = tuning.settings_of(values, BASE)
    history = tuning.fit_still(made_data(), settings, tmp_path / 'one', progress=False)
    assert np.isfinite(history[0]['loss'])


def test_results_are_written_as_json_and_csv(tmp_path):
    rows = [{'trial': '1', 'macro_f1': 0.5}, {'trial': '0', 'macro_f1': 0.4}]
    path = write_results(rows, tmp_path / 'tables' / 'tune-dense.json')
    assert json.loads(path.read_text()) == rows
    with path.with_suffix('.csv').open(newline='') as file:
        assert [row['trial'] for row in csv.DictReader(file)] == ['1', '0']
