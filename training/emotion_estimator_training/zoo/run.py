"""Trains and measures models of the zoo on one split of one set of clips."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from emotion_estimator.errors import EmotionEstimatorError, InputError, first_line
from emotion_estimator.model_card import models_dir
from emotion_estimator.worker_pool import Runner
from emotion_estimator_training.zoo.data.video_set import VideoSet
from emotion_estimator_training.zoo.data.windows import query_windows
from emotion_estimator_training.zoo.export import (
    export,
    exported_bytes,
    frame_time,
    shipped_bytes,
    shipped_time,
)
from emotion_estimator_training.zoo.intervals import (
    interval_figures,
    kind_figures,
    small_test_warning,
)
from emotion_estimator_training.zoo.metrics import (
    Result,
    classification_metrics,
    expression_strengths,
    flips_per_second,
)
from emotion_estimator_training.zoo.models.catalog import Catalog, Entry
from emotion_estimator_training.zoo.models.layer_summary import layer_table
from emotion_estimator_training.zoo.models.model import RunContext, Split, ZooModel
from emotion_estimator_training.zoo.models.ours import Shipped
from emotion_estimator_training.zoo.models.registry import MODEL_FAILURES, build
from emotion_estimator_training.zoo.parallel_training import (
    Opener,
    Seconds,
    train_jobs,
    training_jobs,
)
from emotion_estimator_training.zoo.pictures import confusions_chart
from emotion_estimator_training.zoo.report import ReportFacts, joined_notes, write_report

_LOG = logging.getLogger(__name__)

#: Strength from which on the expression of a made clip is visible.
_STRONG = 0.5


@dataclass(frozen=True)
class RunSettings:
    """What a run trains and measures.

    :param size: of the models: ``paper`` or ``reduced``.
    :param seeds: each model is trained once with each; none is that of the models file alone.
    :param hop: query models at every so many frames of the test clips.
    :param covered: also query them with a face mask over mouth and nose.
    :param timed: export models to TFLite, for their size and time.
    :param weights: file of Xception's ImageNet weights.
    :param own_models: folder of this package's models; None uses the shipped ones.
    :param pretrained: folder of ``zoo pretrain``, whose weights networks of pixels begin from.
    :param progress: print models and progress bars.
    :param name: what the report calls the set.
    :param processes: of training; see :func:`run`.
    """

    size: str = 'reduced'
    seeds: tuple[int, ...] = ()
    hop: int = 1
    covered: bool = True
    timed: bool = True
    weights: Path | None = None
    own_models: Path | None = None
    pretrained: Path | None = None
    progress: bool = True
    name: str = 'the set'
    processes: int | Runner | None = 1


def run(
    video: VideoSet,
    catalog: Catalog,
    names: str,
    folder: Path,
    settings: RunSettings | None = None,
    opener: Opener | None = None,
) -> list[Result]:
    """Train and measure models; write ``zoo.md``, ``zoo.json`` and the pictures into ``folder``.

    Finished models are not run again by the same call, an interrupted one resumes. A model that
    cannot be trained is listed with the reason, and the next one is run. The report is rewritten
    after each model that was run, and at the end.

    :param names: models and groups, separated by commas.
    :param opener: opens ``video`` in another process. With it, and more than one process, models
        are trained beside each other before the first one is measured.
    :returns: one result for each model; ``failed`` gives the reason of one that failed.
    :raises InputError: a name is unknown, or no model could be measured.
    """
    settings = settings or RunSettings()
    contexts = [
        RunContext(
            folder / 'models' if number == 0 else folder / 'models' / f'seed-{seed}',
            catalog if seed is None else catalog.seeded(seed),
            video.classes,
            size=settings.size,
            rate=video.rate,
            weights=settings.weights,
            own_models=settings.own_models,
            pretrained=settings.pretrained,
            progress=settings.progress,
        )
        for number, seed in enumerate(settings.seeds or (None,))
    ]
    context = contexts[0]
    warning = small_test_warning(video.tracks['test'])
    entries = context.catalog.chosen(names, settings.size)
    split = Split(video.classes, tuple(video.tracks['train']), tuple(video.tracks['validation']))
    plan = _Plan(video, split, contexts, settings, folder)
    folder.mkdir(parents=True, exist_ok=True)
    seconds: Seconds = {}
    if opener is not None and settings.processes != 1:
        waiting = _untrained(plan, entries)
        jobs = training_jobs(waiting, opener)
        if len(jobs) > 1:
            if settings.progress:
                print(f'training {len(waiting)} models', flush=True)
            seconds = train_jobs(jobs, settings.processes)
    results: list[Result] = []
    for number, entry in enumerate(entries, start=1):
        if settings.progress:
            print(f'{number}/{len(entries)} {entry.name}: {entry.description}', flush=True)
        try:
            result, known = _result(plan, entry, seconds)
        except MODEL_FAILURES as error:
            known = False
            result = {
                'model': entry.name,
                'description': entry.description,
                'kind': entry.kind,
                'failed': first_line(error),
            }
            _LOG.warning('%s: %s', entry.name, result['failed'])
            _LOG.debug('why %s failed', entry.name, exc_info=True)
        results.append(result)
        if known and number < len(entries):
            # Drawing takes seconds, reading does not.
            continue
        remarks = joined_notes(context.notes, [one.name for one in entries])
        notes = [*video.warnings, *([warning] if warning else []), *remarks]
        facts = ReportFacts(settings.name, settings.size, settings.hop, notes, video.problems)
        write_report(results, video, facts, folder)
    if all('failed' in one for one in results):
        raise InputError(f'no model could be measured: {results[0]["failed"]}')
    return results


@dataclass(frozen=True, eq=False)
class _Plan:
    """What the models of a run are trained and measured on.

    :param contexts: one for each seed.
    """

    video: VideoSet
    split: Split
    contexts: Sequence[RunContext]
    settings: RunSettings
    folder: Path

    @cached_property
    def _measured_on(self) -> dict[str, str]:
        parts = {'apart': self.video.apart, 'test': self.video.tracks['test']}
        return {
            name: Split(self.video.classes, tuple(tracks), ()).fingerprint()
            for name, tracks in parts.items()
        }

    def identity(self, model: ZooModel) -> dict[str, Any]:
        """Return what determines a model's result, as JSON has it."""
        found: dict[str, Any] = json.loads(
            json.dumps(
                {
                    **model.identity(self.split),
                    **self._measured_on,
                    'seeds': list(self.settings.seeds),
                    'saw': model.saw,
                    'hop': self.settings.hop,
                    'covered': self.settings.covered,
                    'timed': self.settings.timed,
                }
            )
        )
        return found

    def path(self, entry: Entry) -> Path:
        """Return the file of a model's result."""
        return self.folder / 'results' / f'{entry.slug}.json'

    def known(self, model: ZooModel) -> dict[str, Any] | None:
        """Return a model's result from disk; None if something has changed since."""
        known = _read(self.path(model.entry))
        return known if known is not None and known['identity'] == self.identity(model) else None

    def with_seed(self, entry: Entry, context: RunContext) -> ZooModel:
        """Return the model of an entry with the seed of a context."""
        return build(context.catalog.entry(entry.name, self.settings.size), context)


def _untrained(plan: _Plan, entries: Sequence[Entry]) -> list[tuple[ZooModel, RunContext]]:
    """Return the models without a result, each with each seed; those that cannot be built lack."""
    found: list[tuple[ZooModel, RunContext]] = []
    # Nothing that is built here is kept: notes are to come in the order of the models.
    contexts = [replace(one, shared={}, notes=[]) for one in plan.contexts]
    for entry in entries:
        with suppress(*MODEL_FAILURES):
            if plan.known(build(entry, contexts[0])) is None:
                found += [(plan.with_seed(entry, context), context) for context in contexts]
    return found


def _result(plan: _Plan, entry: Entry, taken: Seconds) -> tuple[Result, bool]:
    """Return a model's result, and whether it is from disk.

    :param taken: seconds of the models that were trained before.
    """
    first, *more = plan.contexts
    model = build(entry, first)
    known = plan.known(model)
    if known is not None:
        for note in known['notes']:
            model.note(note)
        return {**known['result'], 'description': entry.description}, True
    begun = time.monotonic()
    history = model.fit(plan.split)
    seconds = taken.get((str(first.folder), entry.name), time.monotonic() - begun)
    others = [plan.with_seed(entry, context) for context in more]
    for other in others:
        other.fit(plan.split)
    result = _measure(model, others, plan.video, plan.settings, plan.folder)
    result['fit_seconds'], result['epochs'] = round(seconds, 1), len(history)
    known = {'identity': plan.identity(model), 'notes': model.notes, 'result': result}
    _write(plan.path(entry), json.dumps(known).encode())
    return result, False


def _measure(
    model: ZooModel,
    others: Sequence[ZooModel],
    video: VideoSet,
    settings: RunSettings,
    folder: Path,
) -> Result:
    """Query a trained model; write its layers and confusions, and its export if wanted.

    :param others: the same model, trained with other seeds: they count in the main figures.
    """
    classes = video.classes
    queries = query_windows(video.tracks['test'], classes, model.window, settings.hop)
    probabilities = model.predict(queries)
    result: Result = {
        'model': model.name,
        'description': model.entry.description,
        'kind': model.entry.kind,
        'saw': model.saw,
        'window': model.window,
        **classification_metrics(probabilities, queries.labels, classes),
        **interval_figures(
            [probabilities, *(one.predict(queries) for one in others)], queries, classes
        ),
        'by_kind': kind_figures(probabilities, queries),
        'flips_per_second': round(flips_per_second(probabilities, queries), 4),
        'parameters': model.parameters,
        'bytes': None,
        'ms_per_frame': None,
        'covered_accuracy': None,
        'note': model.no_covered_reason,
    }
    validation = query_windows(video.tracks['validation'], classes, model.window, settings.hop)
    if len(validation):
        metrics = classification_metrics(model.predict(validation), validation.labels, classes)
        result['validation_macro_f1'] = metrics['macro_f1']
    if video.apart:
        apart = query_windows(video.apart, classes, model.window, settings.hop)
        result['by_kind'].update(kind_figures(model.predict(apart), apart))
    strong = expression_strengths(queries) >= _STRONG
    if strong.any():
        metrics = classification_metrics(probabilities[strong], queries.labels[strong], classes)
        result['strong_accuracy'] = metrics['accuracy']
        result['strong_macro_f1'] = metrics['macro_f1']
    _write(
        folder / 'structures' / f'{model.entry.slug}.txt',
        f'{layer_table(model.structure())}\n'.encode(),
    )
    result['confusions'] = f'confusions/{model.entry.slug}.png'
    _write(folder / result['confusions'], confusions_chart(result, classes))
    if settings.covered and not model.no_covered_reason:
        covered = interval_figures(
            [one.predict(queries, True) for one in (model, *others)], queries, classes
        )
        result['covered_accuracy'] = covered['accuracy']
        result['covered_macro_f1'] = covered['macro_f1']
        result['covered_by_clip'] = covered['by_clip']
    if settings.timed:
        _add_size_and_time(result, model, video, settings, folder)
    return result


def _add_size_and_time(
    result: Result, model: ZooModel, video: VideoSet, settings: RunSettings, folder: Path
) -> None:
    """Add size and time of the exported model to its result, or the reason they are missing."""
    track = max(video.tracks['test'], key=len)
    try:
        if isinstance(model, Shipped):
            models = settings.own_models or models_dir()
            result['bytes'] = shipped_bytes(models)
            result['ms_per_frame'] = round(shipped_time(models, track, video.rate), 3)
            return
        card = export(
            model,
            folder / 'exported',
            int(track.crops.shape[1]),
            {key: result[key] for key in ('accuracy', 'macro_f1', 'flips_per_second', 'n')},
        )
        result['bytes'] = exported_bytes(card, settings.own_models)
        result['ms_per_frame'] = round(frame_time(card, track), 3)
    except EmotionEstimatorError as error:
        result['not_timed'] = str(error)
        _LOG.warning('%s is not timed: %s', model.name, error)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(path.read_text())
        return known if {'identity', 'notes', 'result'} <= set(known) else None
    except (OSError, ValueError):
        return None
