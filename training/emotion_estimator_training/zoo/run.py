"""Trains and measures any models of the zoo on the same split of the same clips."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_estimator.errors import EmotionEstimatorError, InputError, first_line
from emotion_estimator.model_card import models_dir
from emotion_estimator_training.zoo.building import build
from emotion_estimator_training.zoo.data.moments import moments
from emotion_estimator_training.zoo.data.video_set import VideoSet, counts
from emotion_estimator_training.zoo.export import export, exported_bytes
from emotion_estimator_training.zoo.failures import FAILURES
from emotion_estimator_training.zoo.figures import comparison_chart, confusions_chart
from emotion_estimator_training.zoo.frame_time import frame_time, shipped_bytes, shipped_time
from emotion_estimator_training.zoo.models.catalog import Catalog, Entry
from emotion_estimator_training.zoo.models.model import Place, Split, ZooModel
from emotion_estimator_training.zoo.models.ours import Shipped
from emotion_estimator_training.zoo.models.structure import in_print
from emotion_estimator_training.zoo.ordering import papers_order
from emotion_estimator_training.zoo.reports import (
    Result,
    clip_accuracy,
    flips_per_second,
    measures,
    page,
    right_by_clip,
    strengths,
)

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
    video: VideoSet, catalog: Catalog, names: str, folder: Path,
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
    place = Place(
        folder / 'models', catalog, video.classes, settings.size, video.rate, settings.weights,
        settings.models, settings.progress,
    )
    split = Split(
        video.classes, tuple(video.tracks['train']), tuple(video.tracks['validation'])
    )
    folder.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    for number, entry in enumerate(entries, start=1):
        if settings.progress:
            print(f'{number}/{len(entries)} {entry.name}: {entry.says}', flush=True)
        try:
            result = _result(entry, place, video, split, settings, folder)
        except FAILURES as error:
            result = {
                'model': entry.name, 'says': entry.says, 'kind': entry.kind,
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
    results: Sequence[Result], video: VideoSet, place: Place, settings: RunSettings, folder: Path
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
        'data': settings.name, 'classes': list(video.classes), 'rate': video.rate,
        'size': settings.size, 'hop': settings.hop, 'notes': facts['notes'],
        'problems': facts['problems'],
        'clips': {part: len(tracks) for part, tracks in video.tracks.items()},
        'order': papers_order({one['model']: one for one in results}), 'models': list(results),
    }
    (folder / TABLE).write_text(json.dumps(whole, indent=1) + '\n')


def _result(
    entry: Entry, place: Place, video: VideoSet, split: Split, settings: RunSettings, folder: Path
) -> Result:
    """Return a model's result, the one on disk where nothing has changed."""
    model = build(entry, place)
    test = Split(video.classes, tuple(video.tracks['test']), ())
    identity = {
        **model.identity(split), 'test': test.fingerprint(), 'hop': settings.hop,
        'covered': settings.covered, 'timed': settings.timed,
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
        'model': model.name, 'says': model.entry.says, 'kind': model.entry.kind,
        'window': model.window, **measures(found, asked.labels, video.classes),
        'clip_accuracy': round(clip_accuracy(found, asked), 4),
        'by_clip': right_by_clip(found, asked),
        'flips_per_second': round(flips_per_second(found, asked), 4),
        'parameters': model.parameters, 'bytes': None, 'ms_per_frame': None,
        'covered_accuracy': None, 'note': model.cover_unseen,
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
            figures['accuracy'], figures['macro_f1']
        )
    _write(folder / 'structures' / f'{model.entry.slug}.txt',
           f'{in_print(model.structure())}\n'.encode())
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
        card = export(model, folder / 'exported', int(track.crops.shape[1]), {
            key: result[key] for key in ('accuracy', 'macro_f1', 'flips_per_second', 'n')
        })
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
