"""Trains and measures any models of the zoo on the same split of the same clips."""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from emotion_estimator.errors import EmotionEstimatorError, InputError, first_line
from emotion_estimator.model_card import models_dir
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.models.training_loop import best_index
from emotion_estimator_training.zoo.data.video_set import VideoSet, counts
from emotion_estimator_training.zoo.data.windows import moments
from emotion_estimator_training.zoo.export import (
    export,
    exported_bytes,
    frame_time,
    shipped_bytes,
    shipped_time,
)
from emotion_estimator_training.zoo.models.catalog import Catalog, Entry
from emotion_estimator_training.zoo.models.frame_aggregation import (
    DecisionAggregation,
    StatisticsModel,
)
from emotion_estimator_training.zoo.models.microx import MicroX
from emotion_estimator_training.zoo.models.model import (
    NetworkModel,
    RunContext,
    Split,
    ZooModel,
    in_print,
)
from emotion_estimator_training.zoo.models.ours import Ours, Shipped
from emotion_estimator_training.zoo.models.sequence_heads import CnnRnn, SequenceModel
from emotion_estimator_training.zoo.models.survey import StcNlstm, Stcnn, TwoStream
from emotion_estimator_training.zoo.models.xception import FrameModel, shared_frame_model
from emotion_estimator_training.zoo.pictures import comparison_chart, confusions_chart
from emotion_estimator_training.zoo.reports import (
    Result,
    clip_accuracy,
    flips_per_second,
    measures,
    page,
    papers_order,
    right_by_clip,
    strengths,
)

#: Bad settings or data (Keras and scikit-learn say ValueError), a package or memory that lacks.
FAILURES = (
    EmotionEstimatorError,
    ImportError,
    MemoryError,
    ValueError,
    ArithmeticError,
    tf.errors.OpError,
)


KINDS: dict[str, Callable[[Entry, RunContext], ZooModel]] = {
    'microx': MicroX,
    'frame': FrameModel,
    'decision': DecisionAggregation,
    'statistics': StatisticsModel,
    'sequence': SequenceModel,
    'stcnn': Stcnn,
    'cnn-rnn': CnnRnn,
    'two-stream': TwoStream,
    'stc-nlstm': StcNlstm,
    'ours': Ours,
    'shipped': Shipped,
}


def build(entry: Entry, place: RunContext) -> ZooModel:
    """Return the untrained model.

    :raises InputError: there is no such kind, or a setting is wrong.
    """
    if entry.kind not in KINDS:
        raise InputError(f'{entry.name} is of kind {entry.kind!r}; choose of {", ".join(KINDS)}')
    if entry.name == 'frame' and entry == place.catalog.entry('frame', place.size):
        # The one that the sequence models are built on.
        return shared_frame_model(place)
    return KINDS[entry.kind](entry, place)


#: Settings that belong to how a model is fitted.
_OF_FIT = ('learning_rate', 'batch', 'epochs', 'patience')


def search(
    entry: Entry, grid: Mapping[str, Sequence[Any]], place: RunContext, split: Split, folder: Path
) -> list[dict[str, Any]]:
    """Train a model with every combination; return them, the best on the validation part first.

    What was trained is kept in ``<folder>/<model>.jsonl`` and is not trained again while settings,
    networks and data are the same; what failed is tried again.

    :param grid: values of each setting.
    :raises InputError: no combination could be trained.
    """
    path = folder / f'{entry.slug}.jsonl'
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        _key(one['identity']): one['found']
        for one in _lines(path)
        if {'identity', 'found'} <= set(one)
    }
    results = []
    combinations = [dict(zip(grid, values)) for values in itertools.product(*grid.values())]
    for settings in tqdm(combinations, desc=f'grid {entry.name}', disable=not place.progress):
        try:
            model = _model(entry, settings, place, folder)
            identity = model.identity(split)
            found = known.get(_key(identity))
            if found is None:
                found = _trained(model, split)
                with path.open('a') as lines:
                    lines.write(json.dumps({'identity': identity, 'found': found}) + '\n')
        except FAILURES as error:
            found = {'failed': first_line(error)}
        results.append({'settings': settings, **found})
    results.sort(key=lambda one: one.get('macro_f1', -1.0), reverse=True)
    if 'macro_f1' not in results[0]:
        raise InputError(f'no combination of the grid could be trained: {results[0]["failed"]}')
    return results


def _model(
    entry: Entry, settings: Mapping[str, Any], place: RunContext, folder: Path
) -> NetworkModel:
    of_fit = {name: value for name, value in settings.items() if name in _OF_FIT}
    others = {name: value for name, value in settings.items() if name not in _OF_FIT}
    words = ','.join(f'{name}={value}' for name, value in settings.items())
    changed = replace(entry.changed(**others, fit=of_fit), name=f'{entry.name}-{words}')
    trial = replace(place, folder=folder / 'trials', progress=False)
    # The frames' own model lies where the run has it, and is learned once.
    if 'frame' not in place.shared:
        from emotion_estimator_training.zoo.models.xception import shared_frame_model

        shared_frame_model(place)
    model = build(changed, trial)
    if not isinstance(model, NetworkModel):
        raise InputError(f'{entry.name} has no epochs to choose by')
    return model


def _trained(model: NetworkModel, split: Split) -> dict[str, Any]:
    """Return what the best epoch of a combination reaches on the validation part."""
    history = model.fit(split)
    best = history[best_index(history, model.fit_settings.score)]
    return {name: best[name] for name in ('accuracy', 'macro_f1', 'loss', 'epoch')}


def _key(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)


def _lines(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


_LOG = logging.getLogger(__name__)

PICTURE, PAGE, TABLE = 'zoo.png', 'zoo.md', 'zoo.json'

#: Of a made clip's expression: from here on it can be seen.
_STRONG = 0.5


@dataclass(frozen=True)
class RunSettings:
    """What a run does beside training.

    :param size: ``paper`` or ``reduced``.
    :param hop: models are asked at every so many frames of the test clips.
    :param covered: ask them of faces behind a mask too.
    :param timed: export them to TFLite, and time them.
    :param weights: Keras' weights file of Xception.
    :param models: folder of this package's own models; None is the shipped one.
    :param name: what the report calls the set.
    """

    size: str = 'reduced'
    hop: int = 1
    covered: bool = True
    timed: bool = True
    weights: Path | None = None
    models: Path | None = None
    progress: bool = True
    name: str = 'the set'


def run(
    video: VideoSet,
    catalog: Catalog,
    names: str,
    folder: Path,
    settings: RunSettings | None = None,
) -> list[Result]:
    """Train and measure models; write ``zoo.md``, ``zoo.json`` and the pictures into ``folder``.

    What is done is left out when the same call is made again; what was interrupted continues. A
    model that cannot be trained is named, with the reason, and the others go on. The report is
    written anew after each model.

    :param names: of models and groups, separated by commas.
    :returns: one result for each model; of one that failed, ``failed`` says why.
    :raises InputError: a name is unknown, or no model could be measured.
    """
    settings = settings or RunSettings()
    entries = catalog.chosen(names, settings.size)
    place = RunContext(
        folder / 'models',
        catalog,
        video.classes,
        settings.size,
        video.rate,
        settings.weights,
        settings.models,
        settings.progress,
    )
    split = Split(video.classes, tuple(video.tracks['train']), tuple(video.tracks['validation']))
    folder.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    for number, entry in enumerate(entries, start=1):
        if settings.progress:
            print(f'{number}/{len(entries)} {entry.name}: {entry.says}', flush=True)
        try:
            result = _result(entry, place, video, split, settings, folder)
        except FAILURES as error:
            result = {
                'model': entry.name,
                'says': entry.says,
                'kind': entry.kind,
                'failed': first_line(error),
            }
            _LOG.warning('%s: %s', entry.name, result['failed'])
            _LOG.debug('why %s failed', entry.name, exc_info=True)
        results.append(result)
        write_report(results, video, place, settings, folder)
    if all('failed' in one for one in results):
        raise InputError(f'no model could be measured: {results[0]["failed"]}')
    return results


def write_report(
    results: Sequence[Result],
    video: VideoSet,
    place: RunContext,
    settings: RunSettings,
    folder: Path,
) -> None:
    """Write the table as Markdown and JSON, and the pictures."""
    done = [one for one in results if 'accuracy' in one]
    title = f'{settings.name}: {len(video.tracks["test"])} test clips, {settings.size} models'
    if done:
        chance = 1 / len(video.classes)
        (folder / PICTURE).write_bytes(comparison_chart(done, title, chance))
    facts = {
        'facts': [
            f'Clips of {settings.name}, {video.rate:g} frames per second. '
            + ' '.join(
                f'{part.capitalize()}: {len(tracks)} clips ({counts(tracks, video.classes)}).'
                for part, tracks in video.tracks.items()
            ),
            f'Models: {settings.size}. Each is asked at the same moments, every '
            f"{settings.hop} frame(s) of the test clips, with its window ending there; the clip's "
            'label is the truth. Milliseconds: processor time (median) for cutting its inputs and '
            'running its TFLite file for one more frame, without the search for landmarks. '
            'The shipped networks take a step for it, the others run their whole window. Where a '
            'model reads what the shipped appearance network makes of faces, size and time have '
            'that network too, parameters have not.',
        ],
        'notes': [*video.warnings, *place.notes],
        'problems': list(video.problems),
    }
    (folder / PAGE).write_text(page(results, facts, PICTURE))
    whole = {
        'data': settings.name,
        'classes': list(video.classes),
        'rate': video.rate,
        'size': settings.size,
        'hop': settings.hop,
        'notes': facts['notes'],
        'problems': facts['problems'],
        'clips': {part: len(tracks) for part, tracks in video.tracks.items()},
        'order': papers_order({one['model']: one for one in results}),
        'models': list(results),
    }
    (folder / TABLE).write_text(json.dumps(whole, indent=1) + '\n')


def _result(
    entry: Entry,
    place: RunContext,
    video: VideoSet,
    split: Split,
    settings: RunSettings,
    folder: Path,
) -> Result:
    """Return a model's result, the one on disk where nothing has changed."""
    model = build(entry, place)
    test = Split(video.classes, tuple(video.tracks['test']), ())
    identity = {
        **model.identity(split),
        'test': test.fingerprint(),
        'hop': settings.hop,
        'covered': settings.covered,
        'timed': settings.timed,
    }
    path = folder / 'results' / f'{entry.slug}.json'
    known = _read(path)
    if known is not None and known['identity'] == json.loads(json.dumps(identity)):
        for note in known['notes']:
            model.note(note)
        result: Result = {**known['result'], 'says': entry.says}
        return result
    begun = time.monotonic()
    history = model.fit(split)
    seconds = time.monotonic() - begun
    result = _measured(model, video, settings, folder)
    result['fit_seconds'], result['epochs'] = round(seconds, 1), len(history)
    known = {'identity': identity, 'notes': model.noted, 'result': result}
    _write(path, json.dumps(known).encode())
    return result


def _measured(model: ZooModel, video: VideoSet, settings: RunSettings, folder: Path) -> Result:
    tracks = video.tracks['test']
    asked = moments(tracks, video.classes, model.window, settings.hop)
    found = model.predict(asked)
    result: Result = {
        'model': model.name,
        'says': model.entry.says,
        'kind': model.entry.kind,
        'window': model.window,
        **measures(found, asked.labels, video.classes),
        'clip_accuracy': round(clip_accuracy(found, asked), 4),
        'by_clip': right_by_clip(found, asked),
        'flips_per_second': round(flips_per_second(found, asked), 4),
        'parameters': model.parameters,
        'bytes': None,
        'ms_per_frame': None,
        'covered_accuracy': None,
        'note': model.cover_unseen,
    }
    chosen = moments(video.tracks['validation'], video.classes, model.window, settings.hop)
    if len(chosen):
        result['validation_macro_f1'] = measures(
            model.predict(chosen), chosen.labels, video.classes
        )['macro_f1']
    strong = strengths(asked) >= _STRONG
    if strong.any():
        figures = measures(found[strong], asked.labels[strong], video.classes)
        result['strong_accuracy'], result['strong_macro_f1'] = (
            figures['accuracy'],
            figures['macro_f1'],
        )
    _write(
        folder / 'structures' / f'{model.entry.slug}.txt',
        f'{in_print(model.structure())}\n'.encode(),
    )
    result['confusions'] = f'confusions/{model.entry.slug}.png'
    _write(folder / result['confusions'], confusions_chart(result, video.classes))
    if settings.covered and not model.cover_unseen:
        covered = measures(model.predict(asked, True), asked.labels, video.classes)
        result['covered_accuracy'] = covered['accuracy']
        result['covered_macro_f1'] = covered['macro_f1']
    if settings.timed:
        _time(model, video, result, settings, folder)
    return result


def _time(
    model: ZooModel, video: VideoSet, result: Result, settings: RunSettings, folder: Path
) -> None:
    """Put size and time of the exported model into its result; say why there are none."""
    track = max(video.tracks['test'], key=len)
    try:
        if isinstance(model, Shipped):
            models = settings.models or models_dir()
            result['bytes'] = shipped_bytes(models)
            result['ms_per_frame'] = round(shipped_time(models, track, video.rate), 3)
            return
        card = export(
            model,
            folder / 'exported',
            int(track.crops.shape[1]),
            {key: result[key] for key in ('accuracy', 'macro_f1', 'flips_per_second', 'n')},
        )
        result['bytes'] = exported_bytes(card, settings.models)
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
