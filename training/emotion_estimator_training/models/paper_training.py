"""Trains and measures the papers' networks of single frames."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.models.losses import class_weights
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
    Advance,
    History,
    LoopPlan,
    Metrics,
    best_checkpoint,
    claim_folder,
    clean_checkpoints,
    describe_checkpoint,
    fit_epoch,
    shuffled_batches,
    train_epochs,
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
    data: StillData, settings: StillSettings, folder: Path, progress: bool = True
) -> History:
    """Train a network; keep its two best epochs in ``folder`` and return all epochs' metrics.

    The same call continues an interrupted training, optimizer and row order included, and does
    nothing once training is over. Other settings or other data start from the beginning.

    :param folder: ``<run>/checkpoints/<model>``.
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
        clean_checkpoints(folder)

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
    def load(cls, folder: Path) -> StillRecognizer:
        """Load the best checkpoint of ``<run>/checkpoints/<model>``.

        :raises ModelError: there is none, or its files do not match.
        """
        checkpoint = best_checkpoint(folder)
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
    """

    source: str = 'face_landmarker'
    grouping: str = SHIPPED_GROUPING
    counts: str = 'paper'
    config: Path | None = None


def chosen_data(run: Path, model: str, choice: DataChoice, seed: int) -> StillData:
    """Read a model's rows from a run folder's ``features``.

    :raises InputError: features, grouping or counts are missing, or no face or no blendshape is
        left.
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

    PrivateTest is not used.

    :param run: the run folder, with ``features/<source>.npz``.
    :returns: the content of the table.
    """
    data = chosen_data(run, model, choice, settings.seed)
    folder = run / 'checkpoints' / model
    started = time.monotonic()
    history = fit_still(data, settings, folder, progress)
    best_epoch = best_checkpoint(folder).epoch
    recognizer = StillRecognizer.load(folder)
    table = {
        'model': model,
        'settings': {**asdict(settings), 'units': list(settings.units)},
        'data': {
            **asdict(choice),
            'config': str(choice.config) if choice.config else None,
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
        'history': history,
    }
    write_json(table, run / 'tables' / f'{model}.json')
    draw_history(model, history, best_epoch, run / 'figures' / f'{model}-history.png')
    return table


def in_words(table: dict[str, Any]) -> str:
    """Return a fit's outcome in one line.

    :param table: of :func:`run_still`.
    """
    metrics = table['public_test']
    recall = ', '.join(f'{label} {one:.2f}' for label, one in metrics['recall'].items())
    return (
        f'{table["model"]}: {table["parameters"]} parameters, epoch {table["best_epoch"]} of '
        f'{table["epochs_run"]}; PublicTest accuracy {metrics["accuracy"]:.3f}, '
        f'macro-F1 {metrics["macro_f1"]:.3f}, recall {recall}, '
        f'calibration error {metrics["ece"]:.3f}'
    )
