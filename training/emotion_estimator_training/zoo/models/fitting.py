"""Trains the zoo's networks from checked settings; an interrupted training continues."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.training_loop import (
    HISTORY,
    History,
    class_weights,
    read_history,
)
from emotion_estimator_training.zoo.data.windows import Windows
from emotion_estimator_training.zoo.models.layers import reseed_dropout

Settings = TypeVar('Settings')

OPTIMIZERS = ('adam', 'sgd')
#: What is best on the validation part: the greatest accuracy (Pua et al.) or the least loss
#: (Terbouche and Chaoui).
MONITORS = ('accuracy', 'loss')


@dataclass(frozen=True)
class ZooFitSettings:
    """How a network is trained.

    :param epochs: most of them; ``patience`` is how many pass without a better ``monitor``.
    :param class_weights: as in :func:`~.models.training_loop.class_weights`.
    :param call_epochs: epochs of one call, of which the next one goes on (Pua et al. trained four
        times 30); 0 is all.
    """

    batch: int = 8
    optimizer: str = 'adam'
    learning_rate: float = 1e-3
    epochs: int = 120
    patience: int = 15
    monitor: str = 'accuracy'
    class_weights: str = 'none'
    call_epochs: int = 0
    seed: int = 11

    def __post_init__(self) -> None:
        """Check the ranges.

        :raises InputError: one is left.
        """
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f'optimizer {self.optimizer!r}; choose of {", ".join(OPTIMIZERS)}')
        if self.monitor not in MONITORS:
            raise InputError(f'monitor {self.monitor!r}; choose of {", ".join(MONITORS)}')
        for name in ('batch', 'epochs', 'patience', 'learning_rate'):
            if not getattr(self, name) > 0:
                raise InputError(f'{name} must be over 0, got {getattr(self, name)}')


def read(kind: type[Settings], raw: Mapping[str, Any], name: str) -> Settings:
    """Build a dataclass of settings from configuration.

    :param name: of the model, for messages.
    :raises InputError: a setting is unknown, missing, or of another type than its default.
    """
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in known:
            raise InputError(f'{name} has no setting {key!r}; it has: {", ".join(known)}')
        # Of windows: a share, a share for each class, or a word.
        values[key] = (
            value if key == 'overlap' else _fitting(value, known[key].default, f'{name}: {key}')
        )
    missing = [
        one.name
        for one in known.values()
        if one.name not in values and one.default is MISSING and one.default_factory is MISSING
    ]
    if missing:
        raise InputError(f'{name} lacks the setting {missing[0]!r}')
    return kind(**values)


def _fitting(value: Any, default: Any, where: str) -> Any:
    if isinstance(default, ZooFitSettings):
        if not isinstance(value, Mapping):
            raise InputError(f'{where} must be settings by name')
        return read(ZooFitSettings, value, where)
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or not value:
            raise InputError(f'{where} must be a list, got {value!r}')
        return tuple(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, (bool, int, float, str)) and type(value) is not type(default):
        raise InputError(f'{where} must be of type {type(default).__name__}, got {value!r}')
    return value


Floats = NDArray[np.float32]
#: Makes a model's inputs of windows.
Reader = Callable[[Windows], list[Floats]]

BEST = 'best.weights.h5'
_CARD = 'card.json'


class _Batches(keras.utils.Sequence):
    """Batches in an order that depends on seed and epoch alone, so that a resumed epoch agrees."""

    def __init__(
        self, reader: Reader, windows: Windows, settings: ZooFitSettings, epoch: int
    ) -> None:
        self._reader, self._windows, self._settings = reader, windows, settings
        self._truth = np.eye(len(windows.classes), dtype=np.float32)[windows.labels]
        self._epoch = epoch - 1
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._windows) // self._settings.batch)

    def __getitem__(self, index: int) -> tuple[Any, Floats]:
        batch = self._settings.batch
        rows = self._order[index * batch : (index + 1) * batch]
        return self._reader(self._windows.take(rows)), self._truth[rows]

    def on_epoch_end(self) -> None:
        self._epoch += 1
        rng = np.random.default_rng([self._settings.seed, self._epoch])
        self._order = rng.permutation(len(self._windows))


class _Epoch(keras.callbacks.Callback):
    """Measures, saves and shows each epoch, and says when it is enough."""

    def __init__(
        self,
        reader: Reader,
        validation: Windows,
        settings: ZooFitSettings,
        folder: Path,
        history: History,
        state: Any,
        bar: Any,
    ) -> None:
        super().__init__()
        self._reader, self._validation, self._settings = reader, validation, settings
        self._folder, self._history, self._state, self._bar = folder, history, state, bar
        self._calls = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        reseed_dropout(self.model, self._settings.seed, epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        train_loss = round(float((logs or {})['loss']), 5)
        if not np.isfinite(train_loss):
            raise InputError(
                f'{self._folder.name}: the loss is no number after epoch {epoch + 1}; lower '
                f'learning_rate ({self._settings.learning_rate:g})'
            )
        found = probabilities(self.model, self._reader, self._validation)
        figures = classification(found, self._validation.labels, self._validation.classes)
        metrics = {
            'epoch': epoch + 1,
            'train_loss': train_loss,
            'loss': figures['cross_entropy'],
            'accuracy': figures['accuracy'],
            'macro_f1': figures['macro_f1'],
        }
        self._history.append(metrics)
        if best_epoch(self._history, self._settings.monitor) == epoch + 1:
            self.model.save_weights(self._folder / BEST)
        with (self._folder / HISTORY).open('a') as lines:
            lines.write(json.dumps(metrics) + '\n')
        # Last: what it does not know of is forgotten when training goes on.
        self._state.save(epoch + 1)
        self._calls += 1
        self._bar.set_postfix(loss=metrics['train_loss'], accuracy=metrics['accuracy'])
        self._bar.update()
        of_this_call = self._settings.call_epochs
        if enough(self._history, self._settings) or 0 < of_this_call <= self._calls:
            self.model.stop_training = True


def fit(
    model: Any,
    reader: Reader,
    train: Windows,
    validation: Windows,
    settings: ZooFitSettings,
    folder: Path,
    identity: Mapping[str, Any],
    progress: bool = True,
) -> History:
    """Train a Keras model and leave its best weights in it and in ``folder``.

    The same call goes on after an interruption, or after ``call_epochs``: optimizer, order of the
    windows and noise of the dropout are what they would have been without one. It does nothing
    more once training is over. Another ``identity`` begins anew.

    :param model: from the reader's inputs to probabilities (N, C).
    :param identity: what decides the outcome: JSON-able settings and a fingerprint of the data.
    :returns: all epochs' metrics on the validation windows.
    :raises InputError: the loss is no number any more.
    """
    weights = class_weights(settings.class_weights, train.labels, len(train.classes))
    optimizer = (
        keras.optimizers.SGD(settings.learning_rate, momentum=0.9)
        if settings.optimizer == 'sgd'
        else keras.optimizers.Adam(settings.learning_rate)
    )
    model.compile(optimizer, keras.losses.CategoricalCrossentropy())
    optimizer.build(model.trainable_variables)
    _open(folder, identity)
    state = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model, optimizer=optimizer), str(folder / 'state'), 1
    )
    latest = state.restore_or_initialize()
    done = int(latest.rsplit('-', 1)[1]) if latest else 0
    history = [one for one in read_history(folder) if one['epoch'] <= done]
    (folder / HISTORY).write_text(''.join(json.dumps(one) + '\n' for one in history))
    if not enough(history, settings):
        with tqdm(
            total=settings.epochs,
            initial=done,
            desc=folder.name,
            unit='epoch',
            disable=not progress,
        ) as bar:
            model.fit(
                _Batches(reader, train, settings, done),
                shuffle=False,
                verbose=0,
                initial_epoch=done,
                epochs=settings.epochs,
                class_weight=weights,
                callbacks=[_Epoch(reader, validation, settings, folder, history, state, bar)],
            )
    load_best(model, folder)
    return history


def probabilities(model: Any, reader: Reader, windows: Windows, batch: int = 64) -> Floats:
    """Return what a model makes of each window: (N, C) probabilities, or (N, E) encodings."""
    found = [
        np.asarray(
            model(
                reader(windows.take(np.arange(at, min(at + batch, len(windows))))), training=False
            )
        )
        for at in range(0, len(windows), batch)
    ]
    return np.concatenate([np.zeros((0, int(model.output_shape[-1])), np.float32), *found])


def load_best(model: Any, folder: Path) -> None:
    """Give a model the best weights of its folder.

    :raises ModelError: there are none, or they are another network's.
    """
    path = folder / BEST
    if not path.is_file():
        raise ModelError(f'{folder} holds no trained weights; call "emotion-estimator zoo run"')
    try:
        model.load_weights(path)
    except (OSError, ValueError) as error:
        raise ModelError(
            f'{path} does not fit {folder.name}; remove {folder} and train again'
        ) from error


def best_epoch(history: History, monitor: str) -> int:
    """Return the epoch with the greatest accuracy or the least loss, the first of equals."""
    sign = 1 if monitor == 'accuracy' else -1
    return int(max(history, key=lambda one: (sign * one[monitor], -one['epoch']))['epoch'])


def enough(history: History, settings: ZooFitSettings) -> bool:
    """Say whether training is over: all epochs done, or none better for ``patience`` epochs."""
    if not history:
        return False
    last = history[-1]['epoch']
    best = best_epoch(history, settings.monitor)
    return bool(last >= settings.epochs or last - best >= settings.patience)


def _open(folder: Path, identity: Mapping[str, Any]) -> None:
    """Make the folder ready for these settings and data; empty it where it holds others."""
    path = folder / _CARD
    text = json.dumps(identity, indent=1, sort_keys=True) + '\n'
    if not path.is_file() or path.read_text() != text:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        path.write_text(text)
