"""The training loop of every network here: epochs, history, best weights, patience and resume.

A trainer brings a function that trains one epoch and returns its metrics; :func:`train_epochs`
does the rest. After each epoch it appends the metrics to ``history.jsonl`` and saves the state
(weights and optimizer), so that an interrupted training continues with the epoch it was in.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.errors import ModelError

Made = TypeVar('Made')
Metrics = dict[str, Any]
History = list[Metrics]
#: Moves the progress bar by a batch.
Advance = Callable[[], object]

#: The metric that ranks the epochs of the papers' networks, measured on PublicTest; more is better.
SCORE = 'macro_f1'
HISTORY = 'history.jsonl'
BEST = 'best.weights.h5'


@dataclass(frozen=True)
class LoopPlan:
    """When training ends, which epoch is best, and what the progress bar shows.

    :param name: the progress bar's label.
    :param epochs: the most epochs to train.
    :param score: of an epoch's metrics; greater is better.
    :param patience: epochs without a better score after which training stops; None never does.
    :param call_epochs: epochs of one call, which the next call continues; 0 trains all.
    :param batches: of all epochs together, if the bar counts batches; 0 counts epochs.
    :param shown: names of the metrics that the bar shows.
    """

    name: str
    epochs: int
    score: Callable[[Metrics], float] = lambda metrics: float(metrics[SCORE])
    patience: int | None = None
    call_epochs: int = 0
    batches: int = 0
    shown: tuple[str, ...] = ()
    progress: bool = True


def train_epochs(
    plan: LoopPlan,
    run_epoch: Callable[[int, Advance], Metrics],
    tracked: Mapping[str, Any],
    folder: Path | None,
    keep: Callable[[Metrics, bool], None] = lambda metrics, is_best: None,
) -> History:
    """Train epoch by epoch; continue where an earlier call in the same folder stopped.

    An interrupted training ends as it would have without the interruption, as long as an epoch's
    random numbers depend on seed and epoch alone. A finished one is not trained further.

    :param run_epoch: trains one epoch and returns its metrics. It gets the epoch's number, from 0,
        and a function to call after each batch if the bar counts batches.
    :param tracked: Keras models and the optimizer by name: the state that is saved and restored.
    :param folder: for state and history; claim it with :func:`claim_folder` first. None keeps
        nothing and always trains from the beginning.
    :param keep: called after each epoch with its metrics and whether it is the best so far, to
        save weights.
    :returns: the metrics of all epochs, those of earlier calls included.
    """
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    state = _State(folder, tracked) if folder else None
    done = state.restore() if state else 0
    history = forget_after(folder, done) if folder else []
    if is_finished(history, plan.epochs, plan.patience, plan.score):
        return history
    with tqdm(
        desc=plan.name,
        total=plan.batches or plan.epochs,
        initial=done * plan.batches // plan.epochs if plan.batches else done,
        unit='batch' if plan.batches else 'epoch',
        disable=not plan.progress,
    ) as bar:
        for number in range(done, plan.epochs):
            metrics = run_epoch(number, bar.update)
            history.append(metrics)
            keep(metrics, best_index(history, plan.score) == number)
            if folder and state:
                record(folder, metrics)
                # Last: a resumed training forgets whatever the state does not include.
                state.save(number + 1)
            bar.set_postfix({name: metrics[name] for name in plan.shown})
            if not plan.batches:
                bar.update()
            if is_finished(history, plan.epochs, plan.patience, plan.score):
                break
            if 0 < plan.call_epochs <= number + 1 - done:
                break
    return history


class _State:
    """The latest state of a training on disk: weights, optimizer and the number of epochs."""

    def __init__(self, folder: Path, tracked: Mapping[str, Any]) -> None:
        from emotion_estimator_training.models.legacy_keras import tf

        self._folder = folder
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**tracked), str(folder / 'state'), max_to_keep=1
        )

    def restore(self) -> int:
        """Restore the latest state; return how many epochs it has behind it."""
        latest = self._manager.latest_checkpoint
        done = int(latest.rpartition('-')[2]) if latest else 0
        # Without their metrics these epochs are of no use.
        if done > len(read_history(self._folder)):
            return 0
        if done:
            self._manager.checkpoint.restore(latest).expect_partial()
        return done

    def save(self, done: int) -> None:
        self._manager.save(checkpoint_number=done)


def best_index(history: Sequence[Metrics], score: Callable[[Metrics], float]) -> int:
    """Return the index of the epoch with the greatest score, the first of equals."""
    return max(range(len(history)), key=lambda number: score(history[number]))


def is_finished(
    history: Sequence[Metrics],
    epochs: int,
    patience: int | None,
    score: Callable[[Metrics], float] = lambda metrics: float(metrics[SCORE]),
) -> bool:
    """Return whether all epochs are done, or none was better for ``patience`` epochs."""
    if len(history) >= epochs:
        return True
    if not history or patience is None:
        return False
    return len(history) - 1 - best_index(history, score) >= patience


class BestWeights:
    """A model's weights after its best epoch: in a folder, or in memory without one.

    :meth:`keep` is made for :func:`train_epochs`.
    """

    def __init__(self, model: Any, folder: Path | None) -> None:
        self._model, self._folder = model, folder
        self._weights: list[NDArray[Any]] = model.get_weights()

    def keep(self, metrics: Metrics, is_best: bool) -> None:
        """Save the weights if the epoch is the best so far."""
        if not is_best:
            return
        if self._folder is None:
            self._weights = self._model.get_weights()
            return
        with atomic_write(self._folder / BEST) as partial:
            self._model.save_weights(partial)

    def restore(self) -> None:
        """Give the model its best weights."""
        if self._folder is None:
            self._model.set_weights(self._weights)
        else:
            self._model.load_weights(self._folder / BEST)


def shuffled_batches(rows: int, batch: int, seed: Sequence[int]) -> list[NDArray[np.int64]]:
    """Return row numbers 0 to ``rows`` - 1 in random order, ``batch`` at a time.

    :param seed: training seed and epoch, so that a resumed epoch has the same batches.
    """
    order = np.random.default_rng(seed).permutation(rows)
    return [order[at : at + batch] for at in range(0, rows, batch)]


def prefetched(make: Callable[[int], Made], numbers: Iterable[int]) -> Iterator[Made]:
    """Yield ``make(number)`` in order, each made in a thread while the one before is used."""
    with ThreadPoolExecutor(1) as thread:
        ahead: Future[Made] | None = None
        for number in numbers:
            following = thread.submit(make, number)
            if ahead:
                yield ahead.result()
            ahead = following
        if ahead:
            yield ahead.result()


def fit_epoch(
    model: Any,
    batches: Iterable[tuple[Any, ...]],
    count: int,
    number: int,
    weights: dict[int, float] | None = None,
) -> float:
    """Train a compiled Keras model for one epoch; return its mean loss.

    :param batches: ``count`` pairs of inputs and one-hot labels.
    :param number: of the epoch, from 0.
    :param weights: of each label in the loss.
    """
    fitted = model.fit(
        iter(batches),
        steps_per_epoch=count,
        initial_epoch=number,
        epochs=number + 1,
        class_weight=weights,
        shuffle=False,
        verbose=0,
    )
    return float(fitted.history['loss'][0])


def claim_folder(folder: Path, identity: Any, note: str = 'settings.json') -> None:
    """Prepare a folder for a training; empty it if it holds another one.

    :param identity: JSON-able settings and data checksum, which decide the outcome.
    :param note: the file of the folder that holds them.
    """
    wanted = json.loads(json.dumps(identity, default=str))
    try:
        known = json.loads((folder / note).read_text())
    except (OSError, ValueError):
        known = None
    if known != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / note).write_text(json.dumps(wanted, indent=1) + '\n')


def checksum(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of the arrays' values, to recognize training data by."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def record(folder: Path, metrics: Metrics) -> None:
    """Append an epoch's metrics to the history."""
    with (folder / HISTORY).open('a') as lines:
        lines.write(json.dumps(metrics) + '\n')


def read_history(folder: Path) -> History:
    """Return the metrics of all epochs so far, up to the first incomplete line."""
    history: History = []
    path = folder / HISTORY
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            history.append(json.loads(line))
        except ValueError:
            break
    return history


def forget_after(folder: Path, epochs: int) -> History:
    """Drop what follows the first ``epochs`` epochs; return the remaining history."""
    history = read_history(folder)[:epochs]
    with atomic_write(folder / HISTORY) as partial:
        partial.write_text(''.join(json.dumps(one) + '\n' for one in history))
    for path in folder.glob('epoch-*'):
        number = re.match(r'epoch-(\d+)', path.name)
        if number and int(number[1]) > epochs:
            path.unlink()
    return history


_WEIGHTS = re.compile(r'epoch-(\d+)\.weights\.h5')


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one epoch, and their score."""

    epoch: int
    score: float
    weights: Path

    @property
    def sidecar(self) -> Path:
        """Return the path of the epoch's metrics."""
        return self.weights.with_name(f'epoch-{self.epoch:04d}.json')


def weights_path(folder: Path, epoch: int) -> Path:
    """Return the path of an epoch's weights."""
    return folder / f'epoch-{epoch:04d}.weights.h5'


def describe_checkpoint(folder: Path, metrics: Metrics) -> None:
    """Write the metrics of an epoch, after its weights: they make it a complete checkpoint."""
    sidecar = Checkpoint(metrics['epoch'], 0.0, weights_path(folder, metrics['epoch'])).sidecar
    sidecar.write_text(json.dumps(metrics) + '\n')


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the complete checkpoints of a folder, best first, the later of equals first."""
    found = []
    for sidecar in folder.glob('epoch-*.json'):
        try:
            metrics = json.loads(sidecar.read_text())
            one = Checkpoint(
                int(metrics['epoch']), float(metrics[SCORE]), weights_path(folder, metrics['epoch'])
            )
        except (ValueError, KeyError, TypeError):
            continue
        if one.weights.is_file():
            found.append(one)
    return sorted(found, key=lambda one: (one.score, one.epoch), reverse=True)


def best_checkpoint(folder: Path) -> Checkpoint:
    """Return the best checkpoint.

    :raises ModelError: there is none.
    """
    checkpoints = list_checkpoints(folder)
    if not checkpoints:
        raise ModelError(
            f'{folder} holds no trained weights; run "emotion-estimator training fit {folder.name}"'
        )
    return checkpoints[0]


def clean_checkpoints(folder: Path, keep: int = 2, every: int = 0) -> list[Path]:
    """Remove all checkpoints but the best ``keep``, and incomplete ones; return what was removed.

    Those of each ``every``-th epoch are kept too; 0 keeps none of them.

    Attrah's code did this by a timer; here it follows every epoch. It may run while a training
    writes to the folder, as long as an epoch's weights are written before its metrics.
    """
    checkpoints = list_checkpoints(folder)
    complete = {one.weights for one in checkpoints}
    spare = [one for one in checkpoints[keep:] if not every or one.epoch % every]
    gone = [path for one in spare for path in (one.sidecar, one.weights)]
    newest = max((one.epoch for one in checkpoints), default=0)
    for path in folder.glob('epoch-*.weights.h5'):
        named = _WEIGHTS.fullmatch(path.name)
        # Weights newer than the newest complete checkpoint may still be described.
        if named and path not in complete and int(named[1]) < newest:
            gone.append(path)
    for path in gone:
        path.unlink(missing_ok=True)
    return gone
