"""Random search over the papers' ranges (Attrah's report, 5.3) with Keras Tuner.

Random search: Bergstra and Bengio 2012.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before Keras Tuner, which imports Keras 3 for its callbacks and never trains with it.
from emotion_estimator_training.models import legacy_keras  # noqa: F401

# isort: split
import keras_tuner

from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import quote
from emotion_estimator_training.models.paper_settings import (
    ACTIVATIONS,
    INITIALIZERS,
    OPTIMIZERS,
    RECURRENT_ACTIVATIONS,
    SEARCHABLE,
    StillSettings,
)
from emotion_estimator_training.models.paper_training import StillData, fit_still
from emotion_estimator_training.models.training_loop import SCORE, best_checkpoint

if TYPE_CHECKING:

    class RandomSearch:
        """What is used of Keras Tuner's class, which has no types."""

        oracle: Any
        search: Any
        get_trial_dir: Any

        def __init__(self, **settings: Any) -> None: ...
else:
    from keras_tuner import RandomSearch

#: The papers' ranges. Units rise in steps of 4 from 10 to at most 32, that is to 30.
LEARNING_RATE, L2, WEIGHT_DECAY = (1e-6, 1e-3), (1e-10, 1e-5), (1e-10, 9e-4)
UNITS = (10, 32, 4)
#: What the papers also tried, without saying in which range: these ranges are this package's own.
_CHOICES: dict[str, list[Any]] = {
    'optimizer': list(OPTIMIZERS),
    'amsgrad': [True, False],
    'ema': [False, True],
    'recurrent_activation': list(RECURRENT_ACTIVATIONS),
    'kernel_initializer': list(INITIALIZERS),
    'go_backwards': [False, True],
    'batch': [64, 128, 256],
}
_RANGES = {
    'momentum': (0.0, 0.99, 'linear'),
    'beta_1': (0.5, 0.99, 'linear'),
    'beta_2': (0.9, 0.9999, 'linear'),
    'ema_momentum': (0.9, 0.9999, 'linear'),
    'clipnorm': (0.1, 10.0, 'log'),
    'global_clipnorm': (0.1, 10.0, 'log'),
    'dropout': (0.0, 0.5, 'linear'),
}
_METRICS = (SCORE, 'accuracy', 'cross_entropy', 'ece')


def space(layers: int, more: Sequence[str] = ()) -> Any:
    """Return the search space of a network with this many layers, as Keras Tuner's values.

    :param more: names of ``SEARCHABLE`` settings to search too.
    :raises InputError: one is none of these.
    """
    unknown = [name for name in more if name not in SEARCHABLE]
    if unknown:
        raise InputError(
            f'{quote(unknown[0])} cannot be searched for; choose of {", ".join(SEARCHABLE)}'
        )
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
    for name in dict.fromkeys(more):
        if name in _CHOICES:
            values.Choice(name, _CHOICES[name])
        else:
            low, high, sampling = _RANGES[name]
            values.Float(name, low, high, sampling=sampling)
    return values


def settings_of(values: dict[str, Any], base: StillSettings) -> StillSettings:
    """Return ``base`` with a trial's values."""
    units = tuple(int(values[f'units_{i + 1}']) for i in range(len(base.units)))
    others = {name: one for name, one in values.items() if not name.startswith('units_')}
    return replace(base, units=units, **others)


class _Search(RandomSearch):
    """Trains each trial with :func:`fit_still`, in Keras 2; Keras Tuner would use Keras 3."""

    def __init__(
        self,
        data: StillData,
        base: StillSettings,
        folder: Path,
        trials: int,
        more: Sequence[str],
    ) -> None:
        self._data, self._base = data, base
        super().__init__(
            objective=keras_tuner.Objective(SCORE, 'max'),
            max_trials=trials,
            seed=base.seed,
            hyperparameters=space(len(base.units), more),
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
    data: StillData,
    base: StillSettings,
    folder: Path,
    trials: int,
    verbose: bool = True,
    more: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Try random settings; return the trials, best first.

    An interrupted search continues, even within a trial; asking for more trials adds to the earlier
    ones. Other data or another ``base`` start another search.

    :param base: settings that are not searched for, such as epochs, batch, loss and seed; the
        learning rate is constant.
    :param folder: for Keras Tuner's projects.
    :param more: as for :func:`space`.
    """
    base = replace(base, cosine=False)
    identity = json.dumps([asdict(base), data.fingerprint(), *more], sort_keys=True)
    project = folder / hashlib.sha256(identity.encode()).hexdigest()[:12]
    search = _Search(data, base, project, trials, more)
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
    """Write trials as JSON to ``path`` and as CSV beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + '\n')
    with path.with_suffix('.csv').open('w', newline='') as file:
        table = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator='\n')
        table.writeheader()
        table.writerows(rows)
    return path
