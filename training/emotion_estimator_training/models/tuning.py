"""Random search over the papers' ranges (Attrah's report, 5.3) with Keras Tuner."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

# Before Keras Tuner, which imports a Keras of its own for its callbacks and never trains with it.
from emotion_estimator_training.models import legacy_keras  # noqa: F401

# isort: split
import keras_tuner

from emotion_estimator_training.models.paper_settings import StillSettings
from emotion_estimator_training.models.paper_training import StillData, fit_still
from emotion_estimator_training.models.training_loop import SCORE, best_checkpoint

#: The papers' ranges; units go up to 32 in steps of 4 from 10, hence to 30.
LEARNING_RATE, L2, WEIGHT_DECAY = (1e-6, 1e-3), (1e-10, 1e-5), (1e-10, 9e-4)
UNITS = (10, 32, 4)
ACTIVATIONS = ('selu', 'tanh', 'relu', 'leaky_relu')
_METRICS = (SCORE, 'accuracy', 'cross_entropy', 'ece')


def space(layers: int) -> keras_tuner.HyperParameters:
    """Return the search space of a network of so many layers."""
    values = keras_tuner.HyperParameters()
    for name, (low, high) in (
        ('learning_rate', LEARNING_RATE),
        ('l2', L2),
        ('weight_decay', WEIGHT_DECAY),
    ):
        values.Float(name, low, high, sampling='log')
    for layer in range(layers):
        values.Int(f'units_{layer + 1}', *UNITS)
    values.Choice('activation', list(ACTIVATIONS))
    return values


def settings_of(values: dict[str, Any], base: StillSettings) -> StillSettings:
    """Return ``base`` with the values of a trial."""
    return replace(
        base,
        units=tuple(int(values[f'units_{i + 1}']) for i in range(len(base.units))),
        **{name: values[name] for name in ('learning_rate', 'l2', 'weight_decay', 'activation')},
    )


class _Search(keras_tuner.RandomSearch):
    """Trains each trial with Keras 2 by :func:`fit_still`; Keras Tuner's own way is Keras 3's."""

    def __init__(self, data: StillData, base: StillSettings, folder: Path, trials: int) -> None:
        self._data, self._base = data, base
        super().__init__(
            objective=keras_tuner.Objective(SCORE, 'max'),
            max_trials=trials,
            seed=base.seed,
            hyperparameters=space(len(base.units)),
            directory=str(folder.parent),
            project_name=folder.name,
            overwrite=False,
        )

    def checkpoints(self, trial: Any) -> Path:
        """Return a trial's folder of checkpoints."""
        return Path(self.get_trial_dir(trial.trial_id)) / 'checkpoints'

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return the metrics of a trial's best epoch."""
        settings = settings_of(trial.hyperparameters.values, self._base)
        folder = self.checkpoints(trial)
        history = fit_still(self._data, settings, folder, progress=False)
        top = best_checkpoint(folder).epoch
        metrics = next(one for one in history if one['epoch'] == top)
        return {name: metrics[name] for name in _METRICS}


def tune(
    data: StillData, base: StillSettings, folder: Path, trials: int, verbose: bool = True
) -> list[dict[str, Any]]:
    """Try random settings; return the trials, best first.

    An interrupted search goes on, in the middle of a trial too; more trials than before add to
    those that were. Other data or another ``base`` are another search.

    :param base: what is not searched for: epochs (the rate is constant), batch, loss, seed.
    :param folder: of Keras Tuner's projects.
    """
    base = replace(base, cosine=False)
    whole = json.dumps([asdict(base), data.fingerprint()], sort_keys=True)
    project = folder / hashlib.sha256(whole.encode()).hexdigest()[:12]
    search = _Search(data, base, project, trials)
    search.search(verbose=int(verbose))
    rows: list[dict[str, Any]] = []
    for trial in search.oracle.trials.values():
        if trial.status == 'COMPLETED':
            values = trial.hyperparameters.values
            rows.append(
                {
                    'trial': trial.trial_id,
                    **{name: values[name] for name in values},
                    **{name: trial.metrics.get_best_value(name) for name in _METRICS},
                }
            )
    return sorted(rows, key=lambda row: row[SCORE], reverse=True)


def write_results(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write trials as JSON to ``path``, and as CSV beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + '\n')
    with path.with_suffix('.csv').open('w', newline='') as file:
        table = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator='\n')
        table.writeheader()
        table.writerows(rows)
    return path
