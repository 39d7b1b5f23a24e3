"""``fit paper``, ``paper-relevant`` and ``dense``: from a table of features to measured weights."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator_training.data.grouping import SHIPPED_GROUPING, load_counts, load_grouping
from emotion_estimator_training.features.feature_set import FeatureSet, load_features
from emotion_estimator_training.features.relevant import chosen_blendshapes
from emotion_estimator_training.models.checkpoints import History, best
from emotion_estimator_training.models.still_data import StillData, still_data
from emotion_estimator_training.models.still_settings import StillSettings
from emotion_estimator_training.report.history_figure import draw_history
from emotion_estimator_training.tables import write_json


@dataclass(frozen=True)
class DataChoice:
    """Which rows are learned from.

    :param source: ``face_landmarker`` or ``face_mesh``.
    :param grouping: its name in ``config``; ``counts`` alike.
    :param config: a YAML file like ``config/training.yaml``; None takes that.
    """

    source: str = 'face_landmarker'
    grouping: str = SHIPPED_GROUPING
    counts: str = 'paper'
    config: Path | None = None


def chosen_data(run: Path, model: str, choice: DataChoice, seed: int) -> StillData:
    """Read the rows for a model from a run folder's ``features``.

    :raises InputError: the features, the grouping or the counts are missing, or no face or no
        blendshape is left.
    """
    grouping = load_grouping(choice.grouping, choice.config)
    counts = load_counts(choice.counts, choice.config)
    features: FeatureSet = load_features(run / 'features' / f'{choice.source}.npz')
    everything = tuple(range(len(BLENDSHAPE_NAMES)))
    inputs = chosen_blendshapes(run, features) if model == 'paper-relevant' else everything
    return still_data(features, grouping, counts, inputs, seed)


def run_still(
    run: Path, model: str, settings: StillSettings, choice: DataChoice, progress: bool = True
) -> dict[str, Any]:
    """Fit a model and write ``tables/<model>.json`` and ``figures/<model>-history.png``.

    PrivateTest is not looked at.

    :param run: the run folder, which holds ``features/<source>.npz``.
    :returns: what the table says.
    """
    data = chosen_data(run, model, choice, settings.seed)
    from emotion_estimator_training.models.still_fit import fit_still
    from emotion_estimator_training.models.still_recognizer import StillRecognizer

    folder = run / 'checkpoints' / model
    started = time.monotonic()
    history = fit_still(data, settings, folder, progress)
    recognizer = StillRecognizer.load(folder)
    table = {
        'model': model,
        'settings': {**asdict(settings), 'units': list(settings.units)},
        'data': {**asdict(choice), 'config': str(choice.config) if choice.config else None,
                 'training_rows': len(data.x), 'public_test_rows': len(data.held),
                 'labels': list(data.labels), 'inputs': [BLENDSHAPE_NAMES[i] for i in data.inputs]},
        'parameters': recognizer.parameters,
        'structure': [
            {**one._asdict(), 'output': list(one.output)} for one in recognizer.structure()
        ],
        'epochs_run': history[-1]['epoch'],
        'best_epoch': best(folder).epoch,
        'seconds_of_this_call': round(time.monotonic() - started, 1),
        'public_test': _best_metrics(history, best(folder).epoch),
        'history': history,
    }
    write_json(table, run / 'tables' / f'{model}.json')
    draw_history(model, history, best(folder).epoch, run / 'figures' / f'{model}-history.png')
    return table


def _best_metrics(history: History, epoch: int) -> dict[str, Any]:
    return next(one for one in history if one['epoch'] == epoch)


def in_words(table: dict[str, Any]) -> str:
    """Return a fit's outcome in one line."""
    figures = table['public_test']
    recall = ', '.join(f'{label} {one:.2f}' for label, one in figures['recall'].items())
    return (
        f'{table["model"]}: {table["parameters"]} parameters, epoch {table["best_epoch"]} of '
        f'{table["epochs_run"]}; PublicTest accuracy {figures["accuracy"]:.3f}, '
        f'macro-F1 {figures["macro_f1"]:.3f}, recall {recall}, '
        f'calibration error {figures["ece"]:.3f}'
    )
