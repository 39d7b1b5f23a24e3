"""Lets every network of pixels learn the same stills first (``zoo pretrain``)."""

from __future__ import annotations

import json
import logging
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator.perception.window_classifier import WindowInput
from emotion_estimator.worker_pool import Runner, runner_of
from emotion_estimator_training.models.training_loop import best_index
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.tables import write_json
from emotion_estimator_training.zoo.data.still_tracks import (
    STEPS,
    STILL_CLASSES,
    StillTracks,
    still_windows,
)
from emotion_estimator_training.zoo.data.windows import Windows
from emotion_estimator_training.zoo.models.catalog import Catalog, Entry
from emotion_estimator_training.zoo.models.fitting import Floats, Reader, ZooFitSettings, fit
from emotion_estimator_training.zoo.models.input_reader import InputReader
from emotion_estimator_training.zoo.models.model import RunContext, Split
from emotion_estimator_training.zoo.models.network_model import NetworkModel
from emotion_estimator_training.zoo.models.pretrained import (
    SAW_NOTHING,
    find_pretrained,
    write_pretrained,
)
from emotion_estimator_training.zoo.models.registry import MODEL_FAILURES, build
from emotion_estimator_training.zoo.parallel_training import opened, use_one_thread

_LOG = logging.getLogger(__name__)

#: The table of all encoders, in the folder of their weights.
PRETRAINED_TABLE = 'pretrained.json'
#: Values of a network's row, which its card has too.
_FROM_CARD = ('saw', 'stills', 'epochs', 'accuracy', 'macro_f1', 'parameters', 'seconds')

#: Bytes of inputs that are kept between epochs; cutting them takes half of the time.
_MOST_KEPT = 1 << 30

#: Columns of the table: key of a row, heading, format.
_COLUMNS = (
    ('accuracy', 'accuracy', '.3f'),
    ('macro_f1', 'macro-F1', '.3f'),
    ('epochs', 'epochs', 'd'),
    ('parameters', 'parameters', ',d'),
    ('seconds', 'seconds', '.0f'),
    ('saw', 'saw', 's'),
)


@dataclass(frozen=True)
class PretrainSettings:
    """How networks learn stills.

    :param size: of the models: ``paper`` or ``reduced``.
    :param epochs: the most epochs; 0 is what the models file has for each model.
    :param limited: whether Training's stills are not all taken, for what ``saw`` says.
    :param weights: file of Xception's ImageNet weights.
    :param progress: print models and progress bars.
    :param processes: of fitting; see :func:`pretrain`.
    """

    size: str = 'reduced'
    epochs: int = 0
    limited: bool = False
    seed: int = SEED
    weights: Path | None = None
    progress: bool = True
    processes: int | Runner | None = 1


def pretrain(
    tracks: StillTracks,
    catalog: Catalog,
    names: str,
    folder: Path,
    settings: PretrainSettings | None = None,
    opener: Callable[[], StillTracks] | None = None,
) -> list[dict[str, Any]]:
    """Fit the networks of pixels of models to stills; write weights, cards and a table.

    Each network learns from the same stills of Training, once for all models that build on it, with
    the optimizer of its ``fit`` settings and balanced classes; the epoch with the greatest macro-F1
    on PublicTest is kept. Finished networks are not fitted again by the same call, an interrupted
    one resumes.

    :param names: models and groups, separated by commas.
    :param folder: gets ``<encoder>.npz`` and ``.json``, and ``pretrained.json``.
    :param opener: returns ``tracks`` in another process; can be pickled. With it, and more than one
        process, networks are fitted beside each other.
    :returns: one row for each network, or model without one: ``encoder`` (empty without),
        ``models`` that begin from it, ``saw``, and of networks ``stills``, ``epochs``,
        ``accuracy`` and ``macro_f1`` (PublicTest), ``parameters`` and ``seconds``, or ``failed``
        with the reason.
    :raises InputError: a name is unknown, or no network could be fitted.
    """
    settings = settings or PretrainSettings()
    context = RunContext(
        folder / 'training',
        catalog,
        STILL_CLASSES,
        size=settings.size,
        weights=settings.weights,
        progress=settings.progress,
    )
    split = Split(STILL_CLASSES, tracks.train, tracks.validation)
    rows: dict[str, dict[str, Any]] = {}
    entries = catalog.chosen(names, settings.size)
    if opener is not None and settings.processes != 1:
        jobs = _jobs(entries, context, split, settings, folder, opener)
        if len(jobs) > 1:
            for _ in runner_of(settings.processes)(PretrainJob.fit, jobs):
                pass
    for entry in entries:
        row = _row(entry, context, split, settings, folder, rows)
        if row is not None:
            rows[row['encoder'] or entry.slug] = row
            write_json(
                {
                    'classes': list(STILL_CLASSES),
                    'size': settings.size,
                    'training': len(split.train),
                    'public_test': len(split.validation),
                    'without_a_face': tracks.missed,
                    'notes': context.notes,
                    'encoders': list(rows.values()),
                },
                folder / PRETRAINED_TABLE,
            )
    found = list(rows.values())
    failed = [row['failed'] for row in found if 'failed' in row]
    if failed and not any('accuracy' in row for row in found):
        raise InputError(f'no network could be fitted: {failed[0]}')
    return found


@dataclass(frozen=True)
class PretrainJob:
    """A network that one process fits to stills.

    :param opener: the pickled opener of the stills.
    :param entry: a model that builds on the network.
    :param context: of the model; nothing in it is built yet.
    """

    opener: bytes
    entry: Entry
    context: RunContext
    settings: PretrainSettings
    folder: Path

    def fit(self) -> None:
        """Fit the network and write it; what cannot be fitted is left to the caller to name."""
        use_one_thread()
        tracks: StillTracks = opened(self.opener)
        split = Split(STILL_CLASSES, tracks.train, tracks.validation)
        try:
            encoder = build(self.entry, self.context).pixel_encoder()
            assert isinstance(encoder, NetworkModel)
            row = _fitted(encoder, split, self.settings, self.folder)
        except MODEL_FAILURES as error:
            _LOG.debug('%s: %s', self.entry.name, first_line(error))
            return
        if self.settings.progress:
            print(f'{encoder.name}: {row["epochs"]} epochs, {row["seconds"]:.0f} s', flush=True)


def _jobs(
    entries: Sequence[Entry],
    context: RunContext,
    split: Split,
    settings: PretrainSettings,
    folder: Path,
    opener: Callable[[], StillTracks],
) -> list[PretrainJob]:
    """Return a job for each network that is not fitted yet; what cannot be built has none."""
    pickled = pickle.dumps(opener)
    jobs: dict[str, PretrainJob] = {}
    # What is built here is not kept: its notes would come twice.
    asked = replace(context, shared={}, notes=[])
    for entry in entries:
        with suppress(*MODEL_FAILURES):
            encoder = build(entry, asked).pixel_encoder()
            if (
                isinstance(encoder, NetworkModel)
                and encoder.entry.slug not in jobs
                and _known(folder, encoder.entry.slug, _identity(encoder, split, settings)) is None
            ):
                fresh = replace(context, shared={}, notes=[])
                jobs[encoder.entry.slug] = PretrainJob(pickled, entry, fresh, settings, folder)
    return list(jobs.values())


def pretrained_table(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of a table of what :func:`pretrain` returns; ``-`` where one lacks."""

    def text(row: Mapping[str, Any], key: str, form: str) -> str:
        return format(row[key], form) if key in row else '-'

    head = ['models', *(heading for _, heading, _ in _COLUMNS)]
    return head, [
        [', '.join(row['models']), *(text(row, key, form) for key, _, form in _COLUMNS)]
        for row in rows
    ]


def _row(
    entry: Entry,
    context: RunContext,
    split: Split,
    settings: PretrainSettings,
    folder: Path,
    rows: dict[str, dict[str, Any]],
) -> dict[str, Any] | None:
    """Return a model's row; None if an earlier model's has the same network."""
    row: dict[str, Any] = {'encoder': '', 'models': [entry.name]}
    try:
        model = build(entry, context)
        encoder = model.pixel_encoder()
        if not isinstance(encoder, NetworkModel):
            return {**row, 'saw': model.saw}
        row['encoder'] = slug = encoder.entry.slug
        if slug in rows:
            rows[slug]['models'].append(entry.name)
            return None
        if settings.progress:
            print(f'{encoder.name}: {len(split.train)} stills', flush=True)
        return {**row, **_fitted(encoder, split, settings, folder)}
    except MODEL_FAILURES as error:
        _LOG.warning('%s: %s', entry.name, first_line(error))
        _LOG.debug('why %s failed', entry.name, exc_info=True)
        return {**row, 'failed': first_line(error)}


def _fitted(
    encoder: NetworkModel, split: Split, settings: PretrainSettings, folder: Path
) -> dict[str, Any]:
    """Fit a network, write its weights and card, and return its row."""
    begun = time.monotonic()
    how = _how(encoder, settings)
    identity = _identity(encoder, split, settings)
    known = _known(folder, encoder.entry.slug, identity)
    if known is not None:
        return known
    network, inputs = encoder.of_stills()
    train = still_windows(split.train, encoder.window, settings.seed)
    validation = still_windows(split.validation, encoder.window)
    history = fit(
        network,
        _reader(inputs, len(train) + len(validation)),
        train,
        validation,
        how,
        encoder.folder,
        identity,
        settings.progress,
    )
    best = history[best_index(history, how.score)]
    stills = 'FER2013 Training'
    if settings.limited:
        stills += f', {len(split.train)} stills'
    saw = f'{stills} (pretrain)'
    if encoder.saw != SAW_NOTHING:
        saw = f'{encoder.saw}, {saw}'
    row = {
        'saw': saw,
        'stills': len(split.train),
        'epochs': len(history),
        'accuracy': best['accuracy'],
        'macro_f1': best['macro_f1'],
        'parameters': network.count_params(),
        'seconds': round(time.monotonic() - begun, 1),
    }
    card = {**row, 'classes': list(STILL_CLASSES), 'size': settings.size, 'identity': identity}
    write_pretrained(network, folder, encoder.entry.slug, card)
    return row


def _how(encoder: NetworkModel, settings: PretrainSettings) -> ZooFitSettings:
    """Return how a network learns stills."""
    return replace(
        encoder.fit_settings,
        class_weights='balanced',
        # Accuracy would keep epochs that say PublicTest's commonest class of every face.
        monitor='macro_f1',
        call_epochs=0,
        epoch_batches=0,
        seed=settings.seed,
        epochs=settings.epochs or encoder.fit_settings.epochs,
    )


def _identity(encoder: NetworkModel, split: Split, settings: PretrainSettings) -> dict[str, Any]:
    """Return what determines the weights that a network learns."""
    return {**encoder.identity(split), 'fit': asdict(_how(encoder, settings))}


def _known(folder: Path, name: str, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Return the row of a network that was fitted so before, if its weights are still there."""
    try:
        if find_pretrained(folder, name) is None:
            return None
        card = json.loads((folder / f'{name}.json').read_text())
        same = card['identity'] == json.loads(json.dumps(identity))
        return {key: card[key] for key in _FROM_CARD} if same else None
    except (ModelError, KeyError):
        return None


def _reader(inputs: Sequence[WindowInput], stills: int) -> Reader:
    """Return a reader of stills' inputs, which keeps them if there is room for all."""
    pixels = STEPS * sum(3 * one.side**2 for one in inputs)
    if stills * pixels <= _MOST_KEPT:
        return InputReader(inputs)

    def read(windows: Windows) -> list[Floats]:
        return InputReader(inputs)(windows)

    return read
