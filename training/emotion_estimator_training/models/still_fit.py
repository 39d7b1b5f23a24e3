"""Trains a network that reads single frames; an interrupted training goes on where it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.models.checkpoints import (
    SCORE,
    History,
    clean,
    enough,
    forget_after,
    record,
    weights_path,
)
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.losses import class_weights
from emotion_estimator_training.models.networks import build, compiled, probabilities
from emotion_estimator_training.models.still_data import Floats, StillData
from emotion_estimator_training.models.still_settings import StillSettings

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
        rows = self._order[index * self._batch:(index + 1) * self._batch]
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
        self, data: StillData, settings: StillSettings, folder: Path, history: History,
        state: Any, bar: Any,
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
            _Shuffled(x, y, settings.batch, settings.seed, done), shuffle=False, verbose=0,
            initial_epoch=done, epochs=settings.epochs, class_weight=weights,
            callbacks=[
                _Epoch(data, settings, folder, history, state, bar), CheckpointCleaner(folder)
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
