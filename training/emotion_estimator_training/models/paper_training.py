"""Trains and measures the papers' networks of single frames."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.untrusted import quote_some
from emotion_estimator_training.data.grouping import (
    SHIPPED_GROUPING,
    Grouping,
    choose,
    load_counts,
    load_grouping,
)
from emotion_estimator_training.data.stills import PUBLIC_TEST, SPLITS, TRAINING
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.evaluation.small_test import small_test
from emotion_estimator_training.features.blendshape_table import BlendshapeTable, read_tables
from emotion_estimator_training.features.feature_set import FeatureSet, load_features
from emotion_estimator_training.features.relevant import (
    RELEVANT,
    blendshapes_named,
    chosen_blendshapes,
    relevant_blendshapes,
)
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.models.losses import class_weights
from emotion_estimator_training.models.paper_networks import (
    PaperLayer,
    build,
    compiled,
    probabilities,
    reseed,
    structure,
)
from emotion_estimator_training.models.paper_settings import StillSettings
from emotion_estimator_training.models.training_loop import (
    SCORE,
    Advance,
    History,
    LoopPlan,
    Metrics,
    best_checkpoint,
    claim_folder,
    clean_checkpoints,
    describe_checkpoint,
    fit_epoch,
    list_checkpoints,
    shuffled_batches,
    train_epochs,
    weights_path,
)
from emotion_estimator_training.report.training_curves import draw_history
from emotion_estimator_training.tables import write_csv, write_json

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: Indices of all blendshapes.
EVERYTHING = tuple(range(len(BLENDSHAPE_NAMES)))


@dataclass(frozen=True, eq=False)
class StillData:
    """Training and PublicTest rows of one landmark source, as one network reads them.

    :param labels: in output order.
    :param inputs: indices of the K blendshapes that the network reads.
    :param x: float32 (N, K), blendshapes of Training; ``label`` (N,), indices into ``labels``.
    :param public_test: float32 (M, K), those of PublicTest; ``public_test_label`` (M,).
    """

    source: str
    labels: tuple[str, ...]
    inputs: tuple[int, ...]
    x: Floats
    label: Ints
    public_test: Floats
    public_test_label: Ints

    def sample(self, rows: int, seed: int) -> StillData:
        """Return a random sample of at most ``rows`` rows of Training, with all of PublicTest."""
        count = min(rows, len(self.x))
        drawn = np.random.default_rng(seed).choice(len(self.x), count, replace=False)
        return replace(self, x=self.x[drawn], label=self.label[drawn])

    def fingerprint(self) -> str:
        """Return a checksum of the data."""
        parts = (self.x, self.label, self.public_test, self.public_test_label)
        digest = hashlib.sha256(repr((self.source, self.labels, self.inputs)).encode())
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()


def still_data(
    features: FeatureSet,
    grouping: Grouping,
    counts: dict[str, int],
    inputs: tuple[int, ...],
    seed: int,
) -> StillData:
    """Choose and relabel the rows of a feature set.

    At most ``counts`` images of each class are drawn from Training, together with their augmented
    copies (Attrah 2025, 3.2.1 and 3.2.4).

    :raises InputError: there is no face in Training or none in PublicTest.
    """
    training, public_test = features.usage == TRAINING, features.usage == PUBLIC_TEST
    plain = np.flatnonzero(training & ~features.augmented)
    if not len(plain) or not public_test.any():
        raise InputError(
            f'the {features.source} found no face in Training or none in PublicTest; '
            'training needs both'
        )
    chosen = plain[choose(features.emotion[plain], counts, seed)]
    rows = training & np.isin(features.image_id, features.image_id[chosen])
    columns = list(inputs)
    return StillData(
        source=features.source,
        labels=grouping.labels,
        inputs=inputs,
        x=features.blendshapes[rows][:, columns],
        label=grouping.to_label[features.emotion[rows]],
        public_test=features.blendshapes[public_test][:, columns],
        public_test_label=grouping.to_label[features.emotion[public_test]],
    )


#: Settings and data that a network was trained with: ``checkpoints/<model>/still.json``.
CARD = 'still.json'


def fit_still(
    data: StillData, settings: StillSettings, folder: Path, progress: bool = True, every: int = 0
) -> History:
    """Train a network; keep its two best epochs in ``folder`` and return all epochs' metrics.

    The same call continues an interrupted training, optimizer and row order included, and does
    nothing once training is over. Other settings or other data start from the beginning.

    :param folder: ``<run>/checkpoints/<model>``.
    :param every: keep each so many-th epoch too; 0 keeps the best only.
    :raises InputError: the settings name an unknown loss or invalid class weights.
    """
    weights = class_weights(settings.class_weights, data.label, len(data.labels))
    steps = -(-len(data.x) // settings.batch)
    keras.backend.clear_session()
    keras.utils.set_random_seed(settings.seed)
    model = compiled(build(settings, len(data.inputs), len(data.labels)), settings, steps)
    claim_folder(folder, _card(data, settings), CARD)
    x = data.x[..., None] if settings.kind == 'lstm' else data.x
    y = np.eye(len(data.labels), dtype=np.float32)[data.label]

    def run_epoch(number: int, _: Advance) -> Metrics:
        reseed(model, settings.seed, number)
        batches = shuffled_batches(len(x), settings.batch, [settings.seed, number])
        loss = fit_epoch(model, ((x[rows], y[rows]) for rows in batches), steps, number, weights)
        return {
            'epoch': number + 1,
            'loss': round(loss, 5),
            **classification(
                probabilities(model, data.public_test), data.public_test_label, data.labels
            ),
        }

    def keep(metrics: Metrics, is_best: bool) -> None:
        model.save_weights(weights_path(folder, metrics['epoch']))
        describe_checkpoint(folder, metrics)
        clean_checkpoints(folder, every=every)

    plan = LoopPlan(
        folder.name,
        settings.epochs,
        patience=settings.patience,
        shown=('loss', SCORE),
        progress=progress,
    )
    tracked = {'model': model, 'optimizer': model.optimizer}
    return train_epochs(plan, run_epoch, tracked, folder, keep)


def _card(data: StillData, settings: StillSettings) -> dict[str, Any]:
    return {
        'settings': settings.identity(),
        'data': data.fingerprint(),
        'source': data.source,
        'labels': list(data.labels),
        'inputs': list(data.inputs),
    }


class StillRecognizer:
    """A network without memory, which reads each frame by itself.

    :param name: for tables.
    :param labels: in output order.
    :param inputs: indices of the blendshapes that the network reads.
    :param model: the Keras model.
    """

    def __init__(
        self, name: str, labels: tuple[str, ...], inputs: tuple[int, ...], model: Any
    ) -> None:
        self.name, self.labels, self.inputs, self.model = name, labels, inputs, model

    @classmethod
    def load(cls, folder: Path, weights: Path | None = None) -> StillRecognizer:
        """Load a checkpoint of ``<run>/checkpoints/<model>``.

        :param weights: the epoch's weights; None is the best one's.
        :raises ModelError: there is none, or its files do not match.
        """
        weights = weights or best_checkpoint(folder).weights
        path = folder / CARD
        try:
            card = json.loads(path.read_text())
            raw = card['settings']
            settings = StillSettings(**{**raw, 'units': tuple(raw['units'])})
            labels, inputs = tuple(card['labels']), tuple(card['inputs'])
            model = build(settings, len(inputs), len(labels))
            model.load_weights(weights)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f'{path} does not match the weights beside it; remove {folder} and fit again'
            ) from error
        return cls(folder.name, labels, inputs, model)

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) of ``labels`` for faces (N, 52 or 118)."""
        # Blendshapes come first, and the papers' networks read nothing else.
        return probabilities(self.model, vectors[:, list(self.inputs)])

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) for faces (B, T, 52 or 118), frame by frame."""
        batch, steps, width = vectors.shape
        return self.stills(vectors.reshape(-1, width)).reshape(batch, steps, -1)

    @property
    def parameters(self) -> int:
        """Return the number of trained parameters."""
        return int(self.model.count_params())

    def structure(self) -> list[PaperLayer]:
        """Return the network's layers in order."""
        return structure(self.model)


def load_recognizers(run: Path) -> dict[str, StillRecognizer]:
    """Return a run folder's fitted networks of single frames, by name.

    :raises ModelError: the files of one do not match.
    """
    cards = sorted((run / 'checkpoints').glob(f'*/{CARD}'))
    return {card.parent.name: StillRecognizer.load(card.parent) for card in cards}


@dataclass(frozen=True)
class DataChoice:
    """Which rows are trained on.

    :param source: ``face_landmarker`` or ``face_mesh``.
    :param grouping: its name in ``config``.
    :param counts: their name in ``config``: the most images per class.
    :param config: a YAML file like ``config/training.yaml``, the default.
    :param blendshapes: those to read, as :func:`~.relevant.blendshapes_named` takes them, or
        ``relevant``; empty for the model's.
    :param tables: CSV files to train on instead of ``source``; all their rows, whatever ``counts``.
    :param labels: those of the tables, if ``grouping`` is not theirs.
    """

    source: str = 'face_landmarker'
    grouping: str = SHIPPED_GROUPING
    counts: str = 'paper'
    config: Path | None = None
    blendshapes: str = ''
    tables: tuple[Path, ...] = ()
    labels: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the choice with names of files."""
        files = {'config': self.config and str(self.config), 'tables': [*map(str, self.tables)]}
        return {**asdict(self), 'labels': list(self.labels), **files}


def chosen_data(run: Path, model: str, choice: DataChoice, seed: int) -> StillData:
    """Read a model's rows from a run folder's ``features``.

    :raises InputError: features, grouping or counts are missing, or no face or no blendshape is
        left.
    """
    listed = choice.blendshapes or (RELEVANT if model == 'paper-relevant' else '')
    # Before anything is read, which may take long.
    inputs = () if listed in ('', RELEVANT) else blendshapes_named(listed)
    grouping = None if choice.labels else load_grouping(choice.grouping, choice.config)
    if choice.tables:
        return table_data(read_tables(choice.tables), listed, inputs, choice.labels, grouping)
    if grouping is None:
        raise InputError('--labels names the labels of tables; give --table, or --grouping')
    counts = load_counts(choice.counts, choice.config)
    features: FeatureSet = load_features(run / 'features' / f'{choice.source}.npz')
    if listed == RELEVANT:
        inputs = chosen_blendshapes(run, features)
    return still_data(features, grouping, counts, inputs or EVERYTHING, seed)


def table_data(
    table: BlendshapeTable,
    listed: str,
    inputs: tuple[int, ...],
    labels: tuple[str, ...],
    grouping: Grouping | None,
) -> StillData:
    """Return the rows of a table: Training to learn from, PublicTest to choose the epoch by.

    :param listed: ``relevant`` for the paper's rule; otherwise ``inputs`` counts.
    :param inputs: indices of the blendshapes to read; empty for all that the table has.
    :param labels: in output order, if ``grouping`` is None.
    :raises InputError: a part or a blendshape is missing, or a label unknown.
    """
    if listed == RELEVANT:
        inputs = relevant_blendshapes(table)
        if not inputs:
            raise InputError('no blendshape of the table is relevant; list some in --blendshapes')
    inputs = inputs or table.known
    check_known(inputs, table.known)
    training, public_test = table.usage == TRAINING, table.usage == PUBLIC_TEST
    for rows, split in ((training, TRAINING), (public_test, PUBLIC_TEST)):
        if not rows.any():
            raise InputError(
                f'the table has no row of {SPLITS[split]}; training needs Training and PublicTest '
                '(validation): a column usage, or files with these words in their names'
            )
    labels = grouping.labels if grouping else labels
    label, columns = table.indices(labels, grouping), list(inputs)
    return StillData(
        source='table',
        labels=labels,
        inputs=inputs,
        x=table.blendshapes[training][:, columns],
        label=label[training],
        public_test=table.blendshapes[public_test][:, columns],
        public_test_label=label[public_test],
    )


def check_known(inputs: Sequence[int], known: Sequence[int]) -> None:
    """Refuse to read blendshapes that a table does not have.

    :raises InputError: one is missing.
    """
    missing = [BLENDSHAPE_NAMES[i] for i in inputs if i not in known]
    if missing:
        raise InputError(
            f'the table has no column {quote_some(missing)}, which the network reads; list those '
            'that it has in --blendshapes, and train with them'
        )


def run_still(
    run: Path,
    model: str,
    settings: StillSettings,
    choice: DataChoice,
    progress: bool = True,
    name: str = '',
    every: int = 0,
) -> dict[str, Any]:
    """Fit a model and write ``tables/<name>.json`` and ``figures/<name>-history.png``.

    PrivateTest is not used.

    :param run: the run folder, with ``features/<source>.npz``.
    :param name: of its checkpoints and tables; empty for the model's.
    :param every: as for :func:`fit_still`; the kept epochs are listed in
        ``tables/<name>-checkpoints.csv``.
    :returns: the content of the table.
    """
    data = chosen_data(run, model, choice, settings.seed)
    name = name or model
    folder = run / 'checkpoints' / name
    started = time.monotonic()
    history = fit_still(data, settings, folder, progress, every)
    best_epoch = best_checkpoint(folder).epoch
    recognizer = StillRecognizer.load(folder)
    table = {
        'model': model,
        'name': name,
        'settings': {**asdict(settings), 'units': list(settings.units)},
        'data': {
            **choice.as_json(),
            'training_rows': len(data.x),
            'public_test_rows': len(data.public_test),
            'labels': list(data.labels),
            'inputs': [BLENDSHAPE_NAMES[i] for i in data.inputs],
        },
        'parameters': recognizer.parameters,
        'structure': [
            {**one._asdict(), 'output': list(one.output)} for one in recognizer.structure()
        ],
        'epochs_run': history[-1]['epoch'],
        'best_epoch': best_epoch,
        'seconds_of_this_call': round(time.monotonic() - started, 1),
        'public_test': history[best_epoch - 1],
        'kept_epochs': sorted(one.epoch for one in list_checkpoints(folder)),
        'history': history,
    }
    write_json(table, run / 'tables' / f'{name}.json')
    if every:
        write_csv(*checkpoint_rows(table), run / 'tables' / f'{name}-checkpoints.csv')
    draw_history(name, history, best_epoch, run / 'figures' / f'{name}-history.png')
    return table


def checkpoint_rows(table: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return header and rows of the kept epochs, each measured on PublicTest.

    :param table: of :func:`run_still`.
    """
    labels, kept = table['data']['labels'], set(table['kept_epochs'])
    shown = ('loss', 'cross_entropy', 'accuracy', 'macro_f1', 'ece')
    by_label = [(figure, label) for figure in ('precision', 'recall') for label in labels]
    header = ['epoch', *shown, *(f'{figure} {label}' for figure, label in by_label)]
    rows = [
        [one['epoch'], *(one[name] for name in shown), *(one[a][b] for a, b in by_label)]
        for one in table['history']
        if one['epoch'] in kept
    ]
    return header, rows


def warnings_of(table: dict[str, Any]) -> list[str]:
    """Return what makes a fit's figures doubtful, a line each: a small PublicTest.

    :param table: of :func:`run_still`.
    """
    metrics = table['public_test']
    found = small_test('PublicTest', metrics['accuracy'], metrics['n'])
    return [found] if found else []


def in_words(table: dict[str, Any]) -> str:
    """Return a fit's outcome in one line.

    :param table: of :func:`run_still`.
    """
    metrics = table['public_test']
    recall = ', '.join(f'{label} {one:.2f}' for label, one in metrics['recall'].items())
    return (
        f'{table["name"]}: {table["parameters"]} parameters, epoch {table["best_epoch"]} of '
        f'{table["epochs_run"]}; PublicTest accuracy {metrics["accuracy"]:.3f}, '
        f'macro-F1 {metrics["macro_f1"]:.3f}, recall {recall}, '
        f'calibration error {metrics["ece"]:.3f}'
    )
