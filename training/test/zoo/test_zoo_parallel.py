"""Models train beside each other in processes of their own, and come out the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

for module in ('tensorflow', 'tf_keras', 'sklearn'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from zoo_models import in_turn, tiny_catalog
from zoo_tracks import made_video

from emotion_estimator_training.zoo import run as run_module
from emotion_estimator_training.zoo.run import RunSettings, run

SETTINGS = RunSettings(hop=3, covered=False, timed=False, progress=False)
#: Two that read the same frame model, and one of its own.
NAMES = 'stcnn,mean,lstm'


@pytest.fixture
def given(monkeypatch):
    """Return the names that each job trained, in order."""
    found = []
    real = run_module.train_jobs

    def watched(jobs, processes):
        found.extend([entry.name for entry in job.entries] for job in jobs)
        return real(jobs, processes)

    monkeypatch.setattr(run_module, 'train_jobs', watched)
    return found


def without_times(results):
    return [{**one, 'fit_seconds': None} for one in results]


def test_in_processes_of_their_own_they_learn_the_same(tmp_path, capfd, eager):
    alone = run(made_video(), tiny_catalog(), NAMES, tmp_path / 'alone', SETTINGS)
    settings = replace(SETTINGS, processes=2, progress=True)
    beside = run(made_video(), tiny_catalog(), NAMES, tmp_path / 'two', settings, made_video)
    for one, other in zip(alone, beside):
        # A thread more or less adds in another order.
        assert other['accuracy'] == pytest.approx(one['accuracy'], abs=0.01)
        assert other['fit_seconds'] > 0.05
    said = capfd.readouterr().out
    assert said.startswith('training 3 models\n')
    assert all(f'{name}: ' in said for name in NAMES.split(','))


def test_models_of_one_frame_network_are_one_job_and_each_seed_another(tmp_path, given, eager):
    settings = replace(SETTINGS, seeds=(3, 4), processes=in_turn)
    results = run(made_video(), tiny_catalog(), NAMES, tmp_path, settings, made_video)
    assert given == [['stcnn'], ['stcnn'], ['mean', 'lstm'], ['mean', 'lstm']]
    once = run(
        made_video(), tiny_catalog(), NAMES, tmp_path / 'once', replace(settings, processes=1)
    )
    assert without_times(results) == without_times(once)


def test_what_has_a_result_is_not_trained_again(tmp_path, given, eager):
    settings = replace(SETTINGS, processes=in_turn)
    first = run(made_video(), tiny_catalog(), 'stcnn', tmp_path, settings, made_video)
    # One job needs no other process.
    assert given == []
    more = run(made_video(), tiny_catalog(), 'microx,' + NAMES, tmp_path, settings, made_video)
    assert given == [['microx'], ['mean', 'lstm']]
    assert [one for one in more if one['model'] == 'stcnn'] == first


def test_a_model_that_fails_is_named_once_and_the_others_are_trained(
    tmp_path, given, caplog, eager
):
    catalog = tiny_catalog()
    catalog._models['stcnn']['paper']['fit'] = {'learning_rate': 1e30, 'epochs': 2}
    settings = replace(SETTINGS, processes=in_turn)
    results = run(made_video(), catalog, NAMES, tmp_path, settings, made_video)
    assert ['failed' in one for one in results] == [True, False, False]
    assert caplog.text.count('loss is not finite') == 1
    assert given == [['stcnn'], ['mean', 'lstm']]
