"""Grid search over a network's settings, as Terbouche and Chaoui (3.2) did for their LSTMs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from emotion_estimator.errors import InputError, first_line
from emotion_estimator_training.models.training_loop import best_index
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.frame_model import shared_frame_model
from emotion_estimator_training.zoo.models.model import RunContext, Split
from emotion_estimator_training.zoo.models.network_model import NetworkModel
from emotion_estimator_training.zoo.models.registry import MODEL_FAILURES, build

#: Settings of the training; all others are settings of the model.
_FIT_SETTINGS = ('learning_rate', 'batch', 'epochs', 'patience')


def grid_search(
    entry: Entry,
    grid: Mapping[str, Sequence[Any]],
    context: RunContext,
    split: Split,
    folder: Path,
) -> list[dict[str, Any]]:
    """Train a model with every combination of settings; return the results, best first.

    Results are kept in ``<folder>/<model>.jsonl`` and reused while settings, networks and data are
    the same. Combinations that failed are tried again.

    :param grid: values to try of each setting.
    :returns: for each combination ``settings``, what it ``saw`` before, and ``accuracy``,
        ``macro_f1``, ``loss`` and ``epoch`` of the best epoch on the validation clips, or
        ``failed`` with the reason.
    :raises InputError: no combination could be trained.
    """
    path = folder / f'{entry.slug}.jsonl'
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        _key(one['identity']): one['found']
        for one in _read_lines(path)
        if {'identity', 'found'} <= set(one)
    }
    results = []
    combinations = [dict(zip(grid, values)) for values in itertools.product(*grid.values())]
    for settings in tqdm(combinations, desc=f'grid {entry.name}', disable=not context.progress):
        saw = {}
        try:
            model = _build_trial(entry, settings, context, folder)
            saw, identity = {'saw': model.saw}, model.identity(split)
            found = known.get(_key(identity))
            if found is None:
                found = _train(model, split)
                with path.open('a') as lines:
                    lines.write(json.dumps({'identity': identity, 'found': found}) + '\n')
        except MODEL_FAILURES as error:
            found = {'failed': first_line(error)}
        results.append({'settings': settings, **saw, **found})
    results.sort(key=lambda one: one.get('macro_f1', -1.0), reverse=True)
    if 'macro_f1' not in results[0]:
        raise InputError(f'no combination of the grid could be trained: {results[0]["failed"]}')
    return results


def _build_trial(
    entry: Entry, settings: Mapping[str, Any], context: RunContext, folder: Path
) -> NetworkModel:
    fit = {name: value for name, value in settings.items() if name in _FIT_SETTINGS}
    others = {name: value for name, value in settings.items() if name not in _FIT_SETTINGS}
    suffix = ','.join(f'{name}={value}' for name, value in settings.items())
    changed = entry.changed(**others, fit=fit)
    # The frame model stays in the run's folder, so that all trials share it.
    shared_frame_model(context)
    # It keeps its name, by which pretrained weights are found.
    place = folder / 'trials' / f'{entry.slug}-{suffix}'
    model = build(changed, replace(context, folder=place, progress=False))
    if not isinstance(model, NetworkModel):
        raise InputError(f'{entry.name} is not trained in epochs, so there is nothing to search')
    return model


def _train(model: NetworkModel, split: Split) -> dict[str, Any]:
    """Return the metrics of the best epoch on the validation clips."""
    history = model.fit(split)
    best = history[best_index(history, model.fit_settings.score)]
    return {name: best[name] for name in ('accuracy', 'macro_f1', 'loss', 'epoch')}


def _key(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the file's lines up to the first that is incomplete."""
    found = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
