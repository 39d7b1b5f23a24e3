"""Cross-validation over subjects: a run for each fold, and what the runs say together.

Terbouche and Chaoui trained and tested their model of single frames on 10 folds (3.1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.errors import InputError, first_line
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.data.video_set import VideoSet
from emotion_estimator_training.zoo.metrics import Result
from emotion_estimator_training.zoo.models.catalog import Catalog
from emotion_estimator_training.zoo.ordering import describe_ordering, paper_ordering
from emotion_estimator_training.zoo.report import markdown
from emotion_estimator_training.zoo.run import RunSettings, run

FOLDS_PAGE, FOLDS_TABLE = 'folds.md', 'folds.json'

#: Metrics with a mean and a standard deviation over the folds: key of a result, heading, decimals.
_METRICS = (
    ('accuracy', 'accuracy', 3),
    ('macro_f1', 'macro-F1', 3),
    ('strong_accuracy', 'at its apex', 3),
    ('clip_accuracy', 'clips right', 3),
    ('flips_per_second', 'flips/s', 2),
    ('covered_accuracy', 'mouth covered', 3),
)
_VALIDATION = 'validation_macro_f1'
#: Metrics that pooled predictions have too; the others need probabilities.
_POOLED = ('n', 'accuracy', 'macro_f1', 'precision', 'recall', 'f1', 'confusion_matrix')


def cross_validate(
    folds: Sequence[VideoSet],
    catalog: Catalog,
    names: str,
    folder: Path,
    settings: RunSettings | None = None,
) -> list[Result]:
    """Train and measure models on each fold; write ``folds.md`` and ``folds.json``.

    Each fold is a run of its own (:func:`~.run.run`) in ``fold-01``, ``fold-02``, ...; the same
    call continues an interrupted one. Sizes and times are measured, and models exported, in the
    first fold only. The report is rewritten after each fold.

    :param folds: of :func:`~.video_set.open_folds`.
    :param names: models and groups, separated by commas.
    :returns: for each model: ``folds`` that measured it, ``metrics`` with ``mean``, ``deviation``
        (None of one fold) and ``values`` of each, ``pooled`` metrics of the predictions of all
        folds together, and ``failed``: reasons by fold.
    :raises InputError: a name is unknown, or no fold measured a model.
    """
    settings = settings or RunSettings()
    entries = catalog.chosen(names, settings.size)
    runs: list[list[Result]] = []
    gathered: list[Result] = []
    for number, video in enumerate(folds, start=1):
        if settings.progress:
            print(f'fold {number}/{len(folds)}', flush=True)
        of_fold = replace(settings, timed=settings.timed and number == 1)
        try:
            runs.append(run(video, catalog, names, folder / f'fold-{number:02}', of_fold))
        except InputError as error:
            # Of a fold of few clips; the others may do.
            reason = first_line(error)
            runs.append([{'model': entry.name, 'failed': reason} for entry in entries])
        gathered = gather(runs, video.classes)
        _write(gathered, folds, len(runs), folder, settings)
        # Keras keeps all networks of a process otherwise.
        keras.backend.clear_session()
    if not any(one['folds'] for one in gathered):
        raise InputError(f'no fold measured a model: {gathered[0]["failed"]["1"]}')
    return gathered


def gather(runs: Sequence[Sequence[Result]], classes: Sequence[str]) -> list[Result]:
    """Return what the runs of all folds say of each model; see :func:`cross_validate`.

    :param runs: of each fold, the results of the same models.
    :param classes: in output order.
    """
    return [_of_model(results, classes) for results in zip(*runs)]


def _of_model(results: Sequence[Result], classes: Sequence[str]) -> Result:
    measured = [one for one in results if 'accuracy' in one]
    found: Result = {
        'model': results[0]['model'],
        'folds': len(measured),
        'failed': {
            str(number): one['failed']
            for number, one in enumerate(results, start=1)
            if 'failed' in one
        },
    }
    if not measured:
        return found
    metrics = {}
    for key in (*(key for key, _, _ in _METRICS), _VALIDATION):
        values = [one[key] for one in measured if one.get(key) is not None]
        if values:
            metrics[key] = {
                'mean': round(float(np.mean(values)), 4),
                'deviation': round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else None,
                'values': values,
            }
    return {
        **found,
        'description': measured[0]['description'],
        'kind': measured[0]['kind'],
        'parameters': measured[0]['parameters'],
        'metrics': metrics,
        'pooled': pooled(measured, classes),
    }


def pooled(results: Sequence[Result], classes: Sequence[str]) -> Result:
    """Return the metrics of one model's predictions on the test clips of all folds together.

    :param results: of each fold.
    :param classes: in output order.
    """
    matrix = np.sum([one['confusion_matrix'] for one in results], axis=0)
    truth, guess = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices(matrix.shape))
    metrics = classification(np.eye(len(classes), dtype=np.float32)[guess], truth, classes)
    clips = [len(one['by_clip']) for one in results]
    return {
        **{key: metrics[key] for key in _POOLED},
        'clip_accuracy': round(
            float(np.average([one['clip_accuracy'] for one in results], weights=clips)), 4
        ),
        'by_clip': [clip for one in results for clip in one['by_clip']],
    }


def folds_table(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the table of all models; ``-`` where a metric is missing."""
    head = ['model', 'folds', *(name for _, name, _ in _METRICS)]
    head += ['pooled accuracy', 'pooled macro-F1', 'parameters']
    return head, [
        [
            one['model'],
            str(one['folds']),
            *(_spread(one['metrics'].get(key), decimals) for key, _, decimals in _METRICS),
            f'{one["pooled"]["accuracy"]:.3f}',
            f'{one["pooled"]["macro_f1"]:.3f}',
            f'{one["parameters"]:,d}',
        ]
        for one in results
        if one['folds']
    ]


def _spread(metric: Result | None, decimals: int) -> str:
    if metric is None:
        return '-'
    text = f'{metric["mean"]:.{decimals}f}'
    deviation = metric['deviation']
    return text if deviation is None else f'{text} ± {deviation:.{decimals}f}'


def fold_ordering(results: Sequence[Result]) -> dict[str, Any] | None:
    """Return :func:`~.ordering.paper_ordering` over the subjects of all folds.

    A level's model is the one with the greatest mean macro-F1 on the folds' validation clips.
    Models that a fold did not measure do not count.
    """
    most = max((one['folds'] for one in results), default=0)
    complete = {
        one['model']: {
            **one['pooled'],
            **(
                {_VALIDATION: one['metrics'][_VALIDATION]['mean']}
                if _VALIDATION in one['metrics']
                else {}
            ),
        }
        for one in results
        if one['folds'] == most and most
    }
    return paper_ordering(complete)


def _write(
    results: Sequence[Result],
    folds: Sequence[VideoSet],
    done: int,
    folder: Path,
    settings: RunSettings,
) -> None:
    ordering = fold_ordering(results)
    content = {
        'data': settings.name,
        'classes': list(folds[0].classes),
        'size': settings.size,
        'hop': settings.hop,
        'folds': len(folds),
        'done': done,
        'clips': [{part: len(one) for part, one in video.tracks.items()} for video in folds],
        'order': ordering,
        'models': list(results),
    }
    (folder / FOLDS_TABLE).write_text(json.dumps(content, indent=1) + '\n')
    (folder / FOLDS_PAGE).write_text(_page(results, folds, done, settings, ordering))


def _page(
    results: Sequence[Result],
    folds: Sequence[VideoSet],
    done: int,
    settings: RunSettings,
    ordering: dict[str, Any] | None,
) -> str:
    classes = folds[0].classes
    tested = [track.clip for video in folds for track in video.tracks['test']]
    counts = {name: sum(clip.label == name for clip in tested) for name in classes}
    parts = [
        f'# The zoo on {len(folds)} folds',
        f'{done} of {len(folds)} folds are done. '
        f'Clips of {settings.name}: {len(tested)} of {len({clip.subject for clip in tested})} '
        f'subjects ({", ".join(f"{count} {name}" for name, count in counts.items())}), each tested '
        f'once. Models: {settings.size}. They are queried at every {settings.hop} frame(s) of the '
        f'test clips. By chance one in {len(classes)} is right ({1 / len(classes):.3f}), and '
        f'{max(counts.values()) / max(len(tested), 1):.3f} of the clips are of the commonest '
        'class.',
        'Each metric is the mean of the folds ± their standard deviation: how much it differs '
        'from one test to the next. It is no error of the mean, since the folds share training '
        'clips. Pooled are the metrics of all predictions together.',
        markdown(*folds_table(results)),
    ]
    failed = [
        f'- {one["model"]}, fold {number}: {reason}'
        for one in results
        for number, reason in one['failed'].items()
    ]
    if failed:
        parts.append('## Not measured\n\n' + '\n'.join(failed))
    if ordering:
        parts.append(
            '## Sequence models above aggregation above single frames?\n\n'
            + describe_ordering(ordering)
        )
    measured = [one for one in results if one['folds']]
    parts.append('## Accuracy in each fold\n\n' + markdown(*_each_fold(measured)))
    warnings = dict.fromkeys(
        f'- fold {number}: {line}'
        for number, video in enumerate(folds, start=1)
        for line in video.warnings
    )
    for one in measured:
        rows = [
            [f'truth {name}', *row] for name, row in zip(classes, one['pooled']['confusion_matrix'])
        ]
        parts.append(
            f'## {one["model"]}: {one["description"]}\n\n'
            + markdown(['pooled, predicted', *classes], rows)
        )
    if warnings:
        parts.append('## Warnings\n\n' + '\n'.join(warnings))
    if folds[0].problems:
        parts.append('## Clips left out\n\n' + '\n'.join(f'- {one}' for one in folds[0].problems))
    return '\n\n'.join(parts) + '\n'


def _each_fold(measured: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the accuracies of each model in each fold that measured it."""
    numbers = range(1, max((one['folds'] + len(one['failed']) for one in measured), default=0) + 1)
    rows = []
    for one in measured:
        left = iter(one['metrics']['accuracy']['values'])
        cells = ['-' if str(n) in one['failed'] else f'{next(left):.3f}' for n in numbers]
        rows.append([one['model'], *cells])
    return ['model', *map(str, numbers)], rows
