"""Models that are asked by file: a TFLite file, a trained folder, or one checkpoint of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.runtimes import open_interpreter
from emotion_estimator.untrusted import quote
from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.data.stills import FER_CLASSES, SPLITS, TRAINING
from emotion_estimator_training.evaluation.person_bootstrap import (
    PersonBootstrap,
    share,
    with_interval,
)
from emotion_estimator_training.evaluation.recognizers import StreamingRecognizer
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.evaluation.small_test import small_test
from emotion_estimator_training.features.blendshape_table import NO_USAGE, BlendshapeTable
from emotion_estimator_training.features.feature_set import (
    EMBEDDING,
    FeatureSet,
    complete_vectors,
)

Floats = NDArray[np.float32]
_ALL = tuple(range(len(BLENDSHAPE_NAMES)))
#: File beside the weights of a network of single frames, and how these end.
_CARD, _WEIGHTS = 'still.json', '.weights.h5'


@dataclass(frozen=True, eq=False)
class AskedModel:
    """A model to measure.

    :param name: for tables.
    :param recognizer: has ``labels`` and ``stills``; see :class:`~.recognizers.Recognizer`.
    :param inputs: indices of the blendshapes that it reads.
    :param penalty: weight penalty that its loss adds to the cross-entropy.
    :param reads_embeddings: whether it reads the embeddings of crops too, where there are any.
    """

    name: str
    recognizer: Any
    inputs: tuple[int, ...]
    penalty: float = 0.0
    reads_embeddings: bool = False


class PlainTflite:
    """A TFLite file without a card that reads one frame's scores.

    :ivar labels: in output order.
    :ivar inputs: indices of the blendshapes that it reads.
    """

    def __init__(self, path: Path, labels: tuple[str, ...], inputs: tuple[int, ...] = ()) -> None:
        """Open a file.

        :param labels: of its output.
        :param inputs: empty for all 52.
        :raises ModelError: the file is none, or has another input or output.
        """
        self.labels = labels
        self.inputs = inputs or _ALL
        self._interpreter: Any = open_interpreter(path)
        given, answers = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )
        for count, wanted, details in (
            ('input', len(self.inputs), given),
            ('output', len(labels), answers),
        ):
            size = abs(int(np.prod(details[0]['shape'])))
            if len(details) != 1 or size != wanted or details[0]['dtype'] != np.float32:
                found = ', '.join(str(list(map(int, one['shape']))) for one in details)
                raise ModelError(
                    f'{quote(path)} has the {count} {found}, not {wanted} numbers; without a card '
                    'only a network of one frame can be asked: --blendshapes lists what it reads, '
                    '--labels what it tells'
                )
        self._given, self._answer = given[0], answers[0]

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) of ``labels`` for faces (N, 52 or more)."""
        found = np.zeros((len(vectors), len(self.labels)), np.float32)
        for row, scores in enumerate(vectors[:, list(self.inputs)]):
            self._interpreter.set_tensor(
                self._given['index'], scores.reshape(self._given['shape']).astype(np.float32)
            )
            self._interpreter.invoke()
            found[row] = self._interpreter.get_tensor(self._answer['index']).reshape(-1)
        return found


def load_asked(
    path: Path, labels: tuple[str, ...], inputs: tuple[int, ...] = (), every: bool = False
) -> list[AskedModel]:
    """Load what a path names: one model, or all kept epochs of a training.

    :param path: a ``.tflite`` file, with its card beside it or without; a folder that ``fit`` wrote
        (``<run>/checkpoints/<name>``); or an epoch's ``.weights.h5`` in it.
    :param labels: of a ``.tflite`` without a card.
    :param inputs: indices of the blendshapes that such a file reads; empty for all.
    :param every: load each kept epoch of a folder, not only the best.
    :raises InputError: it is none of these.
    :raises ModelError: its files do not match, or it does not read single frames.
    """
    if path.suffix == '.tflite':
        return [_tflite(path, labels, inputs)]
    folder = path if path.is_dir() else path.parent
    if (folder / _CARD).is_file() and (path.is_dir() or path.name.endswith(_WEIGHTS)):
        return _fitted(path, folder, every)
    if (folder / 'streaming.json').is_file():
        streaming = _FloatStreaming(folder.parent.parent)
        return [AskedModel(folder.name, streaming, _ALL, reads_embeddings=True)]
    raise InputError(
        f'{quote(path)} is no model; give a .tflite file, a folder that "training fit" wrote '
        f'(<run>/checkpoints/<name>), or an epoch*{_WEIGHTS} in it'
    )


def _tflite(path: Path, labels: tuple[str, ...], inputs: tuple[int, ...]) -> AskedModel:
    if not path.is_file():
        raise InputError(f'{quote(path)} is no file')
    card = path.with_suffix('.json')
    if not card.is_file():
        plain = PlainTflite(path, labels, inputs)
        return AskedModel(path.stem, plain, plain.inputs)
    classifier = EmotionClassifier.load(card)
    return AskedModel(path.stem, StreamingRecognizer(classifier), _ALL, reads_embeddings=True)


def _fitted(path: Path, folder: Path, every: bool) -> list[AskedModel]:
    os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
    from emotion_estimator_training.models.paper_training import StillRecognizer
    from emotion_estimator_training.models.training_loop import best_checkpoint, list_checkpoints

    if not path.is_dir():
        chosen = [path]
    elif every:
        best_checkpoint(folder)
        kept = sorted(list_checkpoints(folder), key=lambda one: one.epoch)
        chosen = [one.weights for one in kept]
    else:
        chosen = [best_checkpoint(folder).weights]
    models = []
    for weights in chosen:
        recognizer = StillRecognizer.load(folder, weights)
        penalty = float(sum(float(loss) for loss in recognizer.model.losses))
        name = f'{folder.name}, {weights.name.removesuffix(_WEIGHTS).replace("epoch-", "epoch ")}'
        models.append(AskedModel(name, recognizer, recognizer.inputs, penalty))
    return models


class _FloatStreaming:
    """The streaming network of a run folder as it was trained."""

    def __init__(self, run: Path) -> None:
        os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
        from emotion_estimator_training.models.streaming_store import load_streaming

        self._fitted = load_streaming(run)
        self.labels = self._fitted.grouping.labels

    def stills(self, vectors: Floats) -> Floats:
        return self._fitted.stills(complete_vectors(vectors))


def ask(
    model: AskedModel,
    table: BlendshapeTable,
    grouping: Grouping | None = None,
    vectors: Floats | None = None,
) -> dict[str, dict[str, Any]]:
    """Return a model's figures with intervals on each split of a table but Training.

    Rows that name no split count as one of their own, ``table``. Intervals are of a bootstrap over
    the table's people.

    :param grouping: gives FER2013's classes labels; one with other labels than the model's is not
        used.
    :param vectors: (N, 118), the same faces with their embeddings; None has blendshapes only.
    :returns: by split, what :func:`still_figures` returns, with ``loss``.
    :raises InputError: a label is unknown, the model reads what the table lacks, or there is no row
        to test on.
    """
    labels = tuple(model.recognizer.labels)
    same = grouping if grouping and sorted(grouping.labels) == sorted(labels) else None
    missing = [BLENDSHAPE_NAMES[i] for i in model.inputs if i not in table.known]
    if missing:
        raise InputError(
            f'{model.name} reads {missing[0]} and {len(missing) - 1} more that the table lacks'
            if len(missing) > 1
            else f'{model.name} reads {missing[0]}, which the table lacks'
        )
    truth = table.indices(labels, same)
    seen = table.blendshapes if vectors is None else vectors
    found: dict[str, dict[str, Any]] = {}
    for usage in (NO_USAGE, *range(len(SPLITS))):
        rows = np.flatnonzero(table.usage == usage)
        if usage == TRAINING or not len(rows):
            continue
        probabilities = model.recognizer.stills(seen[rows])
        figures = still_figures(
            probabilities, truth[rows], labels, [table.person[row] for row in rows]
        )
        figures['loss'] = round(figures['cross_entropy'][0] + model.penalty, 4)
        found['table' if usage == NO_USAGE else SPLITS[usage]] = figures
    if not found:
        raise InputError('every row is of Training; give rows to test on')
    return found


def still_figures(
    probabilities: Floats, truth: NDArray[np.int64], labels: Sequence[str], person: Sequence[str]
) -> dict[str, Any]:
    """Return figures of unrelated faces, each as [value, low, high] (95 %, bootstrap over people).

    :param probabilities: (N, L) over ``labels``.
    :param truth: (N,), index into ``labels``.
    :param person: (N,), who is seen.
    :returns: ``n``, ``people``, ``accuracy``, ``macro_f1``, ``cross_entropy``, by label
        ``precision``, ``recall`` and ``f1`` (None without a case), ``ece``, ``confusion_matrix``
        (rows truth), and ``warning``, None if the test is large enough.
    """
    size = len(labels)
    bootstrap = PersonBootstrap(person)
    cells = np.zeros((len(truth), size * size + 1))
    cells[np.arange(len(truth)), truth * size + probabilities.argmax(axis=1)] = 1
    right = np.maximum(probabilities[np.arange(len(truth)), truth], 1e-7)
    cells[:, -1] = -np.log(right)
    sums = bootstrap.sums(cells)
    matrix = sums[:, :-1].reshape(-1, size, size)
    hits = np.asarray(np.diagonal(matrix, axis1=1, axis2=2), np.float64)
    actual, said, total = matrix.sum(axis=2), matrix.sum(axis=1), matrix.sum(axis=(1, 2))
    f1 = share(2 * hits, actual + said)
    plain = classification(probabilities, truth, labels)
    return {
        'n': len(truth),
        'people': bootstrap.people,
        'accuracy': with_interval(share(hits.sum(axis=1), total)),
        # As everywhere here, a label that is neither shown nor reported counts as 0.
        'macro_f1': with_interval(np.nan_to_num(f1).mean(axis=1)),
        'cross_entropy': with_interval(share(sums[:, -1], total)),
        'precision': _by_label(share(hits, said), labels),
        'recall': _by_label(share(hits, actual), labels),
        'f1': _by_label(f1, labels),
        'ece': plain['ece'],
        'confusion_matrix': plain['confusion_matrix'],
        'warning': small_test('the test', plain['accuracy'], len(truth), bootstrap.people),
    }


def _by_label(values: NDArray[np.float64], labels: Sequence[str]) -> dict[str, Any]:
    return {label: with_interval(values[:, k]) for k, label in enumerate(labels)}


def table_of(features: FeatureSet) -> BlendshapeTable:
    """Return the faces of a :class:`~.feature_set.FeatureSet` as a table, without its copies."""
    plain = features.where(~features.augmented)
    return BlendshapeTable(
        plain.blendshapes,
        _ALL,
        tuple(FER_CLASSES[code] for code in plain.emotion),
        plain.usage,
        tuple(map(str, plain.image_id)),
        plain.augmented,
    )


_HEADLINE = {'cross_entropy': 'cross-entropy', 'accuracy': 'accuracy', 'macro_f1': 'macro-F1'}


def asked_tables(
    asked: dict[str, dict[str, dict[str, Any]]],
) -> list[tuple[str, list[str], list[list[Any]]]]:
    """Return tables of what :func:`ask` found, by the model's name: title, header and rows."""
    head: list[list[Any]] = []
    by_label: list[list[Any]] = []
    tables = []
    for model, splits in asked.items():
        for split, one in splits.items():
            head.append(
                [
                    model,
                    split,
                    one['n'],
                    one['people'],
                    f'{one["loss"]:.3f}',
                    *(_shown(one[name]) for name in _HEADLINE),
                    f'{one["ece"]:.3f}',
                ]
            )
            for label in one['recall']:
                by_label.append(
                    [
                        model,
                        split,
                        label,
                        *(_shown(one[name][label]) for name in ('precision', 'recall', 'f1')),
                    ]
                )
    tables.append(
        (
            'Figures, with the 95 % interval of a bootstrap over people or images',
            ['model', 'split', 'n', 'people', 'loss', *_HEADLINE.values(), 'ECE'],
            head,
        )
    )
    tables.append(
        ('Labels', ['model', 'split', 'label', 'precision', 'recall', 'F1'], by_label),
    )
    for model, splits in asked.items():
        for split, one in splits.items():
            labels = list(one['recall'])
            tables.append(
                (
                    f'Confusion of {model} on {split}: rows truth, columns prediction',
                    ['', *labels],
                    [[label, *row] for label, row in zip(labels, one['confusion_matrix'])],
                )
            )
    return tables


def _shown(value: list[float | None] | None) -> str:
    if value is None:
        return '-'
    own, low, high = value
    return f'{own:.3f}' if low is None else f'{own:.3f} [{low:.3f}, {high:.3f}]'


def with_embeddings_of(model: AskedModel, features: FeatureSet, appearance: Path) -> Floats | None:
    """Return the vectors (N, 118) of faces, if a model reads embeddings and there are crops.

    :param features: of :func:`table_of`, with its copies.
    :param appearance: card of the appearance network; None is returned if it does not exist.
    """
    if not model.reads_embeddings or not appearance.is_file():
        return None
    plain = features.where(~features.augmented)
    network = AppearanceNetwork.load(appearance)
    made = np.zeros((len(plain), EMBEDDING), np.float32)
    rows = np.flatnonzero(plain.crops.any(axis=(1, 2)) & (plain.usage != TRAINING))
    for row in rows:
        made[row] = network(plain.crops[row])
    vectors: Floats = replace(plain, embeddings=made).vectors
    return vectors
