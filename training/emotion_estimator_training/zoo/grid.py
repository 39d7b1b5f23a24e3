"""Grid search over a sequence model's settings (seed 004, section 3.2)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from emotion_estimator.errors import InputError, first_line
from emotion_estimator_training.zoo.building import build
from emotion_estimator_training.zoo.failures import FAILURES
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import best_epoch
from emotion_estimator_training.zoo.models.model import NetworkModel, Place, Split

#: Settings that belong to how a model is fitted.
_OF_FIT = ('learning_rate', 'batch', 'epochs', 'patience')


def search(
    entry: Entry, grid: Mapping[str, Sequence[Any]], place: Place, split: Split, folder: Path
) -> list[dict[str, Any]]:
    """Train a model with every combination; return them, the best on the validation part first.

    What was trained is kept in ``<folder>/<model>.jsonl`` and is not trained again while settings,
    networks and data are the same; what failed is tried again.

    :param grid: values of each setting.
    :raises InputError: no combination could be trained.
    """
    path = folder / f'{entry.slug}.jsonl'
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        _key(one['identity']): one['found'] for one in _lines(path)
        if {'identity', 'found'} <= set(one)
    }
    results = []
    combinations = [dict(zip(grid, values)) for values in itertools.product(*grid.values())]
    for settings in tqdm(combinations, desc=f'grid {entry.name}', disable=not place.progress):
        try:
            model = _model(entry, settings, place, folder)
            identity = model.identity(split)
            found = known.get(_key(identity))
            if found is None:
                found = _trained(model, split)
                with path.open('a') as lines:
                    lines.write(json.dumps({'identity': identity, 'found': found}) + '\n')
        except FAILURES as error:
            found = {'failed': first_line(error)}
        results.append({'settings': settings, **found})
    results.sort(key=lambda one: one.get('macro_f1', -1.0), reverse=True)
    if 'macro_f1' not in results[0]:
        raise InputError(f'no combination of the grid could be trained: {results[0]["failed"]}')
    return results


def _model(
    entry: Entry, settings: Mapping[str, Any], place: Place, folder: Path
) -> NetworkModel:
    of_fit = {name: value for name, value in settings.items() if name in _OF_FIT}
    others = {name: value for name, value in settings.items() if name not in _OF_FIT}
    words = ','.join(f'{name}={value}' for name, value in settings.items())
    changed = replace(entry.changed(**others, fit=of_fit), name=f'{entry.name}-{words}')
    trial = replace(place, folder=folder / 'trials', progress=False)
    # The frames' own model lies where the run has it, and is learned once.
    if 'frame' not in place.shared:
        from emotion_estimator_training.zoo.models.xception import shared_frame_model

        shared_frame_model(place)
    model = build(changed, trial)
    if not isinstance(model, NetworkModel):
        raise InputError(f'{entry.name} has no epochs to choose by')
    return model


def _trained(model: NetworkModel, split: Split) -> dict[str, Any]:
    """Return what the best epoch of a combination reaches on the validation part."""
    history = model.fit(split)
    best = history[best_epoch(history, model.fit_settings.monitor) - 1]
    return {name: best[name] for name in ('accuracy', 'macro_f1', 'loss', 'epoch')}


def _key(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)


def _lines(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
