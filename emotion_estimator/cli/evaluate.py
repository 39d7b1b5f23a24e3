"""``emotion-estimator evaluate``: measure the shipped model on a table of blendshapes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.cli.verbosity import progress
from emotion_estimator.emotion import LABELS, FloatArray
from emotion_estimator.errors import InputError
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.strict_yaml import describe
from emotion_estimator.untrusted import cannot_read, quote, read_lines
from emotion_estimator.weights import is_released

_COUNT = len(BLENDSHAPE_NAMES)
Labels = NDArray[np.int64]


def read_blendshape_table(path: Path) -> tuple[FloatArray, Labels]:
    """Read blendshapes and labels from a CSV file.

    :param path: rows of 52 scores from 0 to 1 in ``BLENDSHAPE_NAMES`` order, then the label's
        number (0 happy, 1 unknown, 2 sad). Further columns are ignored, and so is a header: a first
        line without a number.
    :returns: the scores, float32 (N, 52), and the labels, int64 (N,).
    :raises InputError: the file cannot be read, is empty, or has a wrong row; names the line.
    """
    scores: list[list[float]] = []
    labels: list[int] = []
    try:
        lines = csv.reader(read_lines(path))
        for index, row in enumerate(lines):
            if not row or (index == 0 and _is_header(row)):
                continue
            values, label = _parse(row, f'{quote(path)}, line {lines.line_num}')
            scores.append(values)
            labels.append(label)
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise cannot_read('blendshape table', path, error, InputError) from error
    if not scores:
        raise InputError(
            f'blendshape table {quote(path)} has no rows; write 52 scores and a label per line'
        )
    return np.array(scores, np.float32), np.array(labels, np.int64)


def _is_header(row: list[str]) -> bool:
    return not any(_is_number(cell) for cell in row[:_COUNT])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parse(row: list[str], where: str) -> tuple[list[float], int]:
    if len(row) <= _COUNT:
        raise InputError(
            f'{where}: {len(row)} columns, but {_COUNT} blendshapes and a label are needed'
        )
    try:
        values = [float(cell) for cell in row[:_COUNT]]
    except ValueError as error:
        raise InputError(f'{where}: {quote(error)}; every score must be a number') from error
    label = row[_COUNT]
    if not _is_number(label) or float(label) not in range(len(LABELS)):
        raise InputError(f'{where}: label {describe(label)}; use 0 happy, 1 unknown or 2 sad')
    if not all(0.0 <= value <= 1.0 for value in values):
        raise InputError(f'{where}: every score must be a number from 0 to 1')
    return values, int(float(label))


def classification_report(truth: Labels, predicted: Labels) -> dict[str, Any]:
    """Return accuracy, macro-F1, recall of each label, the confusion matrix and the row count.

    Rows of the matrix are true labels, columns predicted ones. As in scikit-learn, a label that
    neither occurs nor is predicted does not count in macro-F1; its recall is None.

    :param truth: int64 (N,), numbers of ``LABELS``.
    :param predicted: int64 (N,), likewise.
    """
    size = len(LABELS)
    matrix = np.zeros((size, size), np.int64)
    np.add.at(matrix, (truth, predicted), 1)
    hits = np.diag(matrix).astype(float)
    actual, claimed = matrix.sum(axis=1), matrix.sum(axis=0)
    seen = (actual + claimed) > 0
    f1 = 2 * hits[seen] / (actual + claimed)[seen]
    return {
        'accuracy': float(hits.sum() / max(len(truth), 1)),
        'macro_f1': float(f1.mean()) if seen.any() else 0.0,
        'recall': {
            label: float(hits[k] / actual[k]) if actual[k] else None
            for k, label in enumerate(LABELS)
        },
        'confusion_matrix': matrix.tolist(),
        'n': len(truth),
    }


def evaluate_stills(
    scores: FloatArray, labels: Labels, classifier: EmotionClassifier | None = None
) -> dict[str, Any]:
    """Classify each row as a still face and compare the results with the labels.

    :param scores: float32 (N, 52), each 0 to 1.
    :param labels: int64 (N,), numbers of ``LABELS``.
    :param classifier: None takes the shipped one.
    :returns: what :func:`classification_report` returns, the model's title and checksum, and
        whether it is released.
    """
    classifier = classifier or EmotionClassifier.load()
    order = [LABELS.index(label) for label in classifier.labels]
    predicted = [
        order[int(np.argmax(classifier.classify_still(row)))]
        for row in progress(iterable=scores, unit='face')
    ]
    return {
        **classification_report(labels, np.array(predicted, np.int64)),
        'model': classifier.title,
        'model_sha256': classifier.sha256,
        'model_released': is_released(classifier.sha256),
    }


@click.command()
@click.option(
    '--blendshapes',
    'table',
    required=True,
    type=click.Path(path_type=Path),
    help="CSV file: 52 scores in MediaPipe's order, then the label: 0 happy, 1 unknown, 2 sad.",
)
@click.option('--json', 'as_json', is_flag=True, help='Print one JSON object.')
def evaluate(table: Path, as_json: bool) -> None:
    """Measure the shipped model on labelled blendshapes, each row taken as a still face."""
    report = evaluate_stills(*read_blendshape_table(table))
    if as_json:
        click.echo(json.dumps(report))
        return
    click.echo(
        f'{report["n"]} rows: accuracy {report["accuracy"]:.4f}, macro-F1 {report["macro_f1"]:.4f}'
    )
    for label, recall in report['recall'].items():
        shown = '-' if recall is None else f'{recall:.4f}'
        click.echo(f'  recall {label:8} {shown}')
