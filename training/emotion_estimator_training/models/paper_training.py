"""Trains and measures the papers' networks of single frames; an interrupted training continues."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator_training.data.grouping import (
    SHIPPED_GROUPING,
    Grouping,
    choose,
    load_counts,
    load_grouping,
)
from emotion_estimator_training.data.stills import PUBLIC_TEST, TRAINING
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.features.feature_set import FeatureSet, load_features
from emotion_estimator_training.features.relevant import chosen_blendshapes
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.paper_networks import (
    PaperLayer,
    build,
    compiled,
    probabilities,
    structure,
)
from emotion_estimator_training.models.paper_settings import StillSettings
from emotion_estimator_training.models.training_loop import (
    SCORE,
    Checkpoint,
    History,
    best,
    class_weights,
    clean,
    enough,
    forget_after,
    record,
    weights_path,
)
from emotion_estimator_training.report.training_curves import draw_history
from emotion_estimator_training.tables import write_json

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StillData:
    """Training and PublicTest rows of one landmark source, as one network reads them.

    :param labels: in output order.
    :param inputs: K indices of the blendshapes that the network reads.
    :param x: float32 (N, K), Training; ``label`` (N,), index into ``labels``.
    :param held: float32 (M, K), PublicTest; ``held_label`` (M,).
    """

    source: str
    labels: tuple[str, ...]
    inputs: tuple[int, ...]
    x: Floats
    label: Ints
    held: Floats
    held_label: Ints

    def sample(self, rows: int, seed: int) -> StillData:
        """Return at most so many rows of Training, drawn at random, and all of PublicTest."""
        count = min(rows, len(self.x))
        drawn = np.random.default_rng(seed).choice(len(self.x), count, replace=False)
        return replace(self, x=self.x[drawn], label=self.label[drawn])

    def fingerprint(self) -> str:
        """Return a checksum of all of it."""
        parts = (self.x, self.label, self.held, self.held_label)
        digest = hashlib.sha256(repr((self.source, self.labels, self.inputs)).encode())
        for part in parts:
            digest.update(np.ascontiguousarray(part))
        return digest.hexdigest()


def still_data(
    features: FeatureSet,
    grouping: Grouping,
    counts: dict[str, int],
    inputs: tuple[int, ...],
    seed: int,
) -> StillData:
    """Choose and relabel the rows of a feature set.

    At most ``counts`` images of each class are drawn from Training as they are; each brings its
    augmented copies along (Attrah 2025, 3.2.1 and 3.2.4).

    :raises InputError: Training or PublicTest holds no face.
    """
    training, held = features.usage == TRAINING, features.usage == PUBLIC_TEST
    plain = np.flatnonzero(training & ~features.augmented)
    if not len(plain) or not held.any():
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
        held=features.blendshapes[held][:, columns],
        held_label=grouping.to_label[features.emotion[held]],
    )


#: What a run folder's models are found by: ``checkpoints/<model>/still.json``.
CARD = 'still.json'


class _Shuffled(keras.utils.Sequence):
    """Batches in an order that depends on seed and epoch alone, so that a resumed epoch agrees."""

    def __init__(self, x: Floats, y: Floats, batch: int, seed: int, epoch: int) -> None:
        self._x, self._y, self._batch, self._seed, self._epoch = x, y, batch, seed, epoch
        self._shuffle()

    def __len__(self) -> int:
        return -(-len(self._x) // self._batch)

    def __getitem__(self, index: int) -> tuple[Floats, Floats]:
        rows = self._order[index * self._batch : (index + 1) * self._batch]
        return self._x[rows], self._y[rows]

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        rng = np.random.default_rng([self._seed, self._epoch])
        self._order = rng.permutation(len(self._x))


class CheckpointCleaner(keras.callbacks.Callback):
    """Keeps the best checkpoints of a folder, after every epoch."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        super().__init__()
        self._folder, self._keep = folder, keep

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Clean the folder."""
        clean(self._folder, self._keep)


class _Epoch(keras.callbacks.Callback):
    """Measures, saves and shows each epoch, and says when it is enough."""

    def __init__(
        self,
        data: StillData,
        settings: StillSettings,
        folder: Path,
        history: History,
        state: Any,
        bar: Any,
    ) -> None:
        super().__init__()
        self._data, self._settings, self._folder = data, settings, folder
        self._history, self._state, self._bar = history, state, bar

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        found = probabilities(self.model, self._data.held)
        metrics = {
            'epoch': epoch + 1,
            'loss': round(float((logs or {})['loss']), 5),
            **classification(found, self._data.held_label, self._data.labels),
        }
        self.model.save_weights(weights_path(self._folder, epoch + 1))
        record(self._folder, metrics)
        self._history.append(metrics)
        # Last: what it does not know of is forgotten when training goes on.
        self._state.save(epoch + 1)
        self._bar.set_postfix(loss=metrics['loss'], **{SCORE: metrics[SCORE]})
        self._bar.update()
        if enough(self._history, self._settings.epochs, self._settings.patience):
            self.model.stop_training = True


def fit_still(
    data: StillData, settings: StillSettings, folder: Path, progress: bool = True
) -> History:
    """Train a network and keep its two best epochs in ``folder``; return all epochs' metrics.

    The same call goes on after an interruption, optimizer and order of the rows included, and
    does nothing more once training is over. Other settings or other data begin anew.

    :param folder: ``<run>/checkpoints/<model>``.
    :raises InputError: the settings name a loss or class weights that do not exist.
    """
    weights = class_weights(settings.class_weights, data.label, len(data.labels))
    steps = -(-len(data.x) // settings.batch)
    keras.backend.clear_session()
    keras.utils.set_random_seed(settings.seed)
    network = build(settings, len(data.inputs), len(data.labels))
    model = compiled(network, settings, steps)
    _open(folder, data, settings)
    state = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model, optimizer=model.optimizer), str(folder / 'state'), 1
    )
    latest = state.restore_or_initialize()
    done = int(latest.rsplit('-', 1)[1]) if latest else 0
    history = forget_after(folder, done)
    if enough(history, settings.epochs, settings.patience):
        return history
    x = data.x[..., None] if settings.kind == 'lstm' else data.x
    y = np.eye(len(data.labels), dtype=np.float32)[data.label]
    with tqdm(
        total=settings.epochs, initial=done, desc=folder.name, unit='epoch', disable=not progress
    ) as bar:
        model.fit(
            _Shuffled(x, y, settings.batch, settings.seed, done),
            shuffle=False,
            verbose=0,
            initial_epoch=done,
            epochs=settings.epochs,
            class_weight=weights,
            callbacks=[
                _Epoch(data, settings, folder, history, state, bar),
                CheckpointCleaner(folder),
            ],
        )
    return history


def _open(folder: Path, data: StillData, settings: StillSettings) -> None:
    """Make the folder ready for these settings and data; empty it where it holds others."""
    card = {
        'settings': settings.identity(),
        'data': data.fingerprint(),
        'source': data.source,
        'labels': list(data.labels),
        'inputs': list(data.inputs),
    }
    path = folder / CARD
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = None
    if known != card:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        path.write_text(json.dumps(card, indent=1) + '\n')


class StillRecognizer:
    """A network without memory: every frame is read for itself.

    :param name: what tables call it.
    :param labels: in output order.
    :param inputs: indices of the blendshapes that the network reads.
    :param model: Keras model of the network.
    """

    def __init__(
        self, name: str, labels: tuple[str, ...], inputs: tuple[int, ...], model: Any
    ) -> None:
        self.name, self.labels, self.inputs, self.model = name, labels, inputs, model

    @classmethod
    def load(cls, folder: Path) -> StillRecognizer:
        """Load the best checkpoint of ``<run>/checkpoints/<model>``.

        :raises ModelError: nothing was fitted there, or its files do not fit each other.
        """
        checkpoint: Checkpoint = best(folder)
        path = folder / CARD
        try:
            card = json.loads(path.read_text())
            raw = card['settings']
            settings = StillSettings(**{**raw, 'units': tuple(raw['units'])})
            labels, inputs = tuple(card['labels']), tuple(card['inputs'])
            model = build(settings, len(inputs), len(labels))
            model.load_weights(checkpoint.weights)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f'{path} does not fit the weights beside it; remove {folder} and fit again'
            ) from error
        return cls(folder.name, labels, inputs, model)

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) over ``labels`` of faces (N, 52 or 118)."""
        # Blendshapes come first, and are all that the papers' networks read.
        return probabilities(self.model, vectors[:, list(self.inputs)])

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) of faces (B, T, 52 or 118), frame by frame."""
        batch, steps, width = vectors.shape
        return self.stills(vectors.reshape(-1, width)).reshape(batch, steps, -1)

    @property
    def parameters(self) -> int:
        """Return how many numbers were trained."""
        return int(self.model.count_params())

    def structure(self) -> list[PaperLayer]:
        """Return the network's layers in order, as data."""
        return structure(self.model)


def load_recognizers(run: Path) -> dict[str, StillRecognizer]:
    """Return the fitted networks of single frames of a run folder, by name.

    :raises ModelError: one's files do not fit each other.
    """
    cards = sorted((run / 'checkpoints').glob(f'*/{CARD}'))
    return {card.parent.name: StillRecognizer.load(card.parent) for card in cards}


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

    folder = run / 'checkpoints' / model
    started = time.monotonic()
    history = fit_still(data, settings, folder, progress)
    recognizer = StillRecognizer.load(folder)
    table = {
        'model': model,
        'settings': {**asdict(settings), 'units': list(settings.units)},
        'data': {
            **asdict(choice),
            'config': str(choice.config) if choice.config else None,
            'training_rows': len(data.x),
            'public_test_rows': len(data.held),
            'labels': list(data.labels),
            'inputs': [BLENDSHAPE_NAMES[i] for i in data.inputs],
        },
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
