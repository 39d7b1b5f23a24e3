"""What every training shares: losses, checkpoints of each epoch, which folder is the same run."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError, ModelError

#: Categorical cross-entropy (Attrah 2025, equation 2), mean squared error (1), which the papers
#: began with, and the categorical focal loss (3), which they suggest: Keras' own.
LOSSES = {
    'cce': 'CategoricalCrossentropy',
    'mse': 'MeanSquaredError',
    'focal': 'CategoricalFocalCrossentropy',
}


def loss_named(name: str) -> Any:
    """Return the Keras loss of one-hot truth (N, L) and probabilities (N, L).

    :param name: ``cce``, ``mse`` or ``focal`` (alpha 0.25, gamma 2, as Keras has them).
    :raises InputError: there is no such loss.
    """
    from emotion_estimator_training.models.legacy_keras import keras

    if name not in LOSSES:
        raise InputError(f'there is no loss {name!r}; there are: {", ".join(LOSSES)}')
    return getattr(keras.losses, LOSSES[name])()


def class_weights(choice: str, label: NDArray[np.int64], labels: int) -> dict[int, float] | None:
    """Return how much each label counts, or None where all count alike.

    :param choice: ``none``; ``balanced``, every label as much as any other; or one positive number
        for each label, separated by commas.
    :param label: (N,), the training rows' labels, 0 to ``labels`` - 1.
    :raises InputError: ``choice`` is none of these.
    """
    if choice == 'none':
        return None
    if choice == 'balanced':
        counts = np.maximum(np.bincount(label, minlength=labels), 1)
        return dict(enumerate((len(label) / (labels * counts)).tolist()))
    try:
        weights = [float(part) for part in choice.split(',')]
    except ValueError:
        weights = []
    if len(weights) != labels or not all(0 < weight < np.inf for weight in weights):
        raise InputError(
            f'class weights {choice!r}; give none, balanced, or {labels} numbers over 0 '
            'separated by commas'
        )
    return dict(enumerate(weights))


#: What makes an epoch better than another, measured on PublicTest; more is better.
SCORE = 'macro_f1'
_WEIGHTS = re.compile(r'epoch-(\d+)\.weights\.h5')
HISTORY = 'history.jsonl'

History = list[dict[str, Any]]


@dataclass(frozen=True)
class Checkpoint:
    """One epoch's weights and metrics."""

    epoch: int
    score: float
    weights: Path

    @property
    def sidecar(self) -> Path:
        """Return where the metrics are."""
        return self.weights.with_name(f'epoch-{self.epoch:04d}.json')


def weights_path(folder: Path, epoch: int) -> Path:
    """Return where an epoch's weights belong."""
    return folder / f'epoch-{epoch:04d}.weights.h5'


def listed(folder: Path) -> list[Checkpoint]:
    """Return the whole checkpoints of a folder, best first, later first where they are equal."""
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


def best(folder: Path) -> Checkpoint:
    """Return the best checkpoint.

    :raises ModelError: there is none.
    """
    checkpoints = listed(folder)
    if not checkpoints:
        raise ModelError(
            f'{folder} holds no trained weights; run "emotion-estimator training fit {folder.name}"'
        )
    return checkpoints[0]


def clean(folder: Path, keep: int = 2) -> list[Path]:
    """Remove all checkpoints but the best ``keep``, and half-written ones; return what went.

    The papers ran this by a timer; here it follows every epoch, and does no harm to a folder that
    training writes to at the same time as long as its epochs are written weights first.
    """
    checkpoints = listed(folder)
    whole = {one.weights for one in checkpoints}
    gone = [path for one in checkpoints[keep:] for path in (one.sidecar, one.weights)]
    newest = max((one.epoch for one in checkpoints), default=0)
    for path in folder.glob('epoch-*.weights.h5'):
        named = _WEIGHTS.fullmatch(path.name)
        # One newer than the newest whole one may be on its way.
        if named and path not in whole and int(named[1]) < newest:
            gone.append(path)
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def record(folder: Path, metrics: dict[str, Any]) -> None:
    """Write an epoch's metrics (with ``epoch``) beside its weights and into the history."""
    sidecar = folder / f'epoch-{metrics["epoch"]:04d}.json'
    line = json.dumps(metrics)
    sidecar.write_text(line + '\n')
    with (folder / HISTORY).open('a') as lines:
        lines.write(line + '\n')


def read_history(folder: Path) -> History:
    """Return the metrics of all epochs so far, up to the first line that is not whole."""
    history: History = []
    path = folder / HISTORY
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            history.append(json.loads(line))
        except ValueError:
            break
    return history


def forget_after(folder: Path, epoch: int) -> History:
    """Drop what lies after ``epoch``, which training did not survive; return the history left."""
    history = [one for one in read_history(folder) if one['epoch'] <= epoch]
    (folder / HISTORY).write_text(''.join(json.dumps(one) + '\n' for one in history))
    for path in folder.glob('epoch-*'):
        number = re.match(r'epoch-(\d+)', path.name)
        if number and int(number[1]) > epoch:
            path.unlink()
    return history


def enough(history: Sequence[dict[str, Any]], epochs: int, patience: int) -> bool:
    """Say whether training is over: all epochs done, or none better for ``patience`` epochs."""
    if not history:
        return epochs < 1
    top = max(history, key=lambda one: one[SCORE])
    last = history[-1]['epoch']
    return bool(last >= epochs or last - top['epoch'] >= patience)


def same_run(folder: Path, *settings: Any) -> None:
    """Empty ``folder`` unless it holds a run with the same settings, which it then continues."""
    told = json.dumps([asdict(one) for one in settings], indent=1, default=str)
    note = folder / 'settings.json'
    if note.exists() and note.read_text() == told:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(told)


def checksum(*arrays: NDArray[Any]) -> str:
    """Return what changes with the data that is learned from: SHA-256 over the arrays' values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
