"""Random search over the papers' ranges; skipped where Keras Tuner is not installed."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'keras_tuner'):
    pytest.importorskip(module, reason=f'tuning needs {module} (pip install ./training)')

from emotion_estimator.errors import InputError
from emotion_estimator_training.models import tuning
from emotion_estimator_training.models.paper_networks import build
from emotion_estimator_training.models.paper_settings import SEARCHABLE, still_settings
from emotion_estimator_training.models.paper_training import StillData
from emotion_estimator_training.models.tuning import ACTIVATIONS, space, tune, write_results

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


def test_what_the_papers_only_name_is_searched_on_request():
    assert {one.name for one in space(1).space}.isdisjoint(SEARCHABLE)
    drawn = {one.name: one for one in space(1, SEARCHABLE).space}
    assert set(SEARCHABLE) < set(drawn)
    assert (drawn['momentum'].min_value, drawn['momentum'].max_value) == (0, 0.99)
    with pytest.raises(InputError, match='epochs cannot be searched for; choose of optimizer'):
        space(1, ['epochs'])


def test_what_is_searched_for_reaches_the_trial(tmp_path):
    more = ('optimizer', 'dropout', 'go_backwards', 'ema')
    rows = tune(made_data(), BASE, tmp_path, 2, verbose=False, more=more)
    assert all(set(more) < set(row) for row in rows)
    values = {**space(4, more).values, 'optimizer': 'sgd', 'dropout': 0.25}
    settings = tuning.settings_of(values, BASE)
    assert (settings.optimizer, settings.dropout, settings.ema) == ('sgd', 0.25, False)


def test_search_is_seeded_continues_and_takes_more_trials(tmp_path, monkeypatch):
    data = made_data()
    complete = tune(data, BASE, tmp_path / 'complete', 3, verbose=False)
    fitted = []

    def counted(*arguments, fit=tuning.fit_still, **options):
        fitted.append(arguments)
        if len(fitted) == 2:
            raise KeyboardInterrupt
        return fit(*arguments, **options)

    monkeypatch.setattr(tuning, 'fit_still', counted)
    with pytest.raises(KeyboardInterrupt):
        tune(data, BASE, tmp_path / 'parts', 2, verbose=False)
    assert len(tune(data, BASE, tmp_path / 'parts', 2, verbose=False)) == 2
    assert len(fitted) == 1 + 1 + 1
    parts = tune(data, BASE, tmp_path / 'parts', 3, verbose=False)
    assert len(fitted) == 4

    def drawn(rows):
        return sorted(row['learning_rate'] for row in rows)

    assert drawn(parts) == pytest.approx(drawn(complete))
    assert [row['macro_f1'] for row in complete] == sorted(
        (row['macro_f1'] for row in complete), reverse=True
    )


@pytest.mark.parametrize('activation', ACTIVATIONS)
def test_every_trial_is_a_network_that_answers(activation):
    settings = tuning.settings_of({**space(4).values, 'activation': activation}, BASE)
    assert settings.units == (10, 10, 10, 10)
    found = build(settings, 4, 3)(made_data().x).numpy()
    assert found.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-5)


def test_results_are_written_as_json_and_csv(tmp_path):
    rows = [{'trial': '1', 'macro_f1': 0.5}, {'trial': '0', 'macro_f1': 0.4}]
    path = write_results(rows, tmp_path / 'tables' / 'tune-dense.json')
    assert json.loads(path.read_text()) == rows
    with path.with_suffix('.csv').open(newline='') as file:
        assert [row['trial'] for row in csv.DictReader(file)] == ['1', '0']
