"""Trains the zoo's networks, from checked settings; an interrupted training continues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.models.losses import class_weights
from emotion_estimator_training.models.training_loop import (
    BEST,
    Advance,
    BestWeights,
    History,
    LoopPlan,
    Metrics,
    claim_folder,
    fit_epoch,
    shuffled_batches,
    train_epochs,
)
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.zoo.data.windows import Windows
from emotion_estimator_training.zoo.models.layers import reseed_dropout

Settings = TypeVar('Settings')
Floats = NDArray[np.float32]
#: Makes a model's inputs from windows.
Reader = Callable[[Windows], list[Floats]]

OPTIMIZERS = ('adam', 'sgd')
#: Ranks epochs on the validation part: greatest accuracy (Pua et al.), greatest macro-F1, or lowest
#: loss (Terbouche and Chaoui).
MONITORS = ('accuracy', 'macro_f1', 'loss')
#: Batches from which on windows are predicted by a graph.
_GRAPH_FROM = 8
#: Settings and data that a folder's network was trained with.
CARD = 'card.json'


@dataclass(frozen=True)
class ZooFitSettings:
    """How a network is trained.

    :param epochs: the most epochs to train.
    :param patience: epochs without a better ``monitor`` before training stops.
    :param class_weights: as in :func:`~.models.losses.class_weights`.
    :param call_epochs: epochs of one call, which the next call continues (Pua et al. trained four
        times 30); 0 trains all.
    :param epoch_batches: the most batches of an epoch, of windows drawn anew in each; 0 takes all.
    :param divide_every: epochs after which the learning rate is divided by 10, each time (Tran et
        al. 2015: 4); 0 keeps it.
    """

    batch: int = 8
    optimizer: str = 'adam'
    learning_rate: float = 1e-3
    epochs: int = 120
    patience: int = 15
    monitor: str = 'accuracy'
    class_weights: str = 'none'
    call_epochs: int = 0
    epoch_batches: int = 0
    divide_every: int = 0
    seed: int = SEED

    def __post_init__(self) -> None:
        """Check the ranges.

        :raises InputError: a setting is out of its range.
        """
        if self.optimizer not in OPTIMIZERS:
            raise InputError(
                f'unknown optimizer {self.optimizer!r}; choose one of {", ".join(OPTIMIZERS)}'
            )
        if self.monitor not in MONITORS:
            raise InputError(
                f'unknown monitor {self.monitor!r}; choose one of {", ".join(MONITORS)}'
            )
        for name in ('batch', 'epochs', 'patience', 'learning_rate'):
            if not getattr(self, name) > 0:
                raise InputError(f'{name} must be over 0, got {getattr(self, name)}')
        for name in ('call_epochs', 'epoch_batches', 'divide_every'):
            if getattr(self, name) < 0:
                raise InputError(f'{name} must be 0 or over, got {getattr(self, name)}')

    def batches(self, windows: int) -> int:
        """Return the number of batches of an epoch over so many windows."""
        every = -(-windows // self.batch)
        return min(every, self.epoch_batches or every)

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        steps = epoch // self.divide_every if self.divide_every else 0
        return self.learning_rate / 10.0**steps

    def score(self, metrics: Metrics) -> float:
        """Return what ranks an epoch by its metrics; greater is better."""
        value = float(metrics[self.monitor])
        return -value if self.monitor == 'loss' else value


def read(kind: type[Settings], raw: Mapping[str, Any], name: str) -> Settings:
    """Build a dataclass of settings from configuration.

    :param kind: the dataclass.
    :param raw: settings by name.
    :param name: of the model, for messages.
    :raises InputError: a setting is unknown, missing, or of another type than its default.
    """
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in known:
            raise InputError(f'{name} has no setting {key!r}; it has: {", ".join(known)}')
        # The overlap of windows has several forms: a share, shares by class, or a word.
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

    The same call continues after an interruption or after ``call_epochs``, with the optimizer,
    window order and dropout noise that an uninterrupted training would have. It does nothing once
    training is over. Another ``identity`` starts from the beginning.

    :param model: from the reader's inputs to probabilities (N, C).
    :param identity: JSON-able settings and a fingerprint of the data, which decide the outcome.
    :returns: all epochs' metrics on the validation windows.
    :raises InputError: the loss is no longer finite.
    """
    weights = class_weights(settings.class_weights, train.labels, len(train.classes))
    optimizer = (
        keras.optimizers.SGD(settings.learning_rate, momentum=0.9)
        if settings.optimizer == 'sgd'
        else keras.optimizers.Adam(settings.learning_rate)
    )
    model.compile(optimizer, keras.losses.CategoricalCrossentropy())
    optimizer.build(model.trainable_variables)
    claim_folder(folder, identity, CARD)
    truth = np.eye(len(train.classes), dtype=np.float32)[train.labels]
    best = BestWeights(model, folder)
    count = settings.batches(len(train))

    def run_epoch(number: int, advance: Advance) -> Metrics:
        reseed_dropout(model, settings.seed, number)
        optimizer.learning_rate = settings.rate(number)
        rows = shuffled_batches(len(train), settings.batch, [settings.seed, number])[:count]

        def batches() -> Iterator[tuple[list[Floats], Floats]]:
            for few in rows:
                advance()
                yield reader(train.take(few)), truth[few]

        loss = round(fit_epoch(model, batches(), len(rows), number, weights), 5)
        if not np.isfinite(loss):
            raise InputError(
                f'{folder.name}: the loss is not finite after epoch {number + 1}; lower '
                f'learning_rate ({settings.learning_rate:g})'
            )
        found = classification(
            probabilities(model, reader, validation), validation.labels, validation.classes
        )
        return {
            'epoch': number + 1,
            'train_loss': loss,
            'loss': found['cross_entropy'],
            'accuracy': found['accuracy'],
            'macro_f1': found['macro_f1'],
        }

    plan = LoopPlan(
        folder.name,
        settings.epochs,
        settings.score,
        settings.patience,
        settings.call_epochs,
        # An epoch may take an hour.
        batches=settings.epochs * count,
        shown=('train_loss', 'accuracy'),
        progress=progress,
    )
    history = train_epochs(
        plan, run_epoch, {'model': model, 'optimizer': optimizer}, folder, best.keep
    )
    load_best(model, folder)
    return history


def probabilities(model: Any, reader: Reader, windows: Windows, batch: int = 64) -> Floats:
    """Return a model's output for each window: probabilities (N, C) or encodings (N, E)."""

    def run(at: int) -> Floats:
        inputs = reader(windows.take(np.arange(at, min(at + batch, len(windows)))))
        if graph and at + batch <= len(windows):
            return np.asarray(model.predict_on_batch(inputs))
        return np.asarray(model(inputs, training=False))

    # Step by step a loop over frames takes ten times as long, but a graph takes seconds to trace.
    graph = len(windows) >= _GRAPH_FROM * batch
    found = [run(at) for at in range(0, len(windows), batch)]
    return np.concatenate([np.zeros((0, int(model.output_shape[-1])), np.float32), *found])


def load_best(model: Any, folder: Path) -> None:
    """Load the best weights of a folder into a model.

    :raises ModelError: there are none, or they are another network's.
    """
    path = folder / BEST
    if not path.is_file():
        raise ModelError(f'{folder} holds no trained weights; run "emotion-estimator zoo run"')
    try:
        model.load_weights(path)
    except (OSError, ValueError) as error:
        raise ModelError(
            f'{path} does not match {folder.name}; remove {folder} and train again'
        ) from error
