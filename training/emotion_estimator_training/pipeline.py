"""The training pipeline: its stages, from raw images to a report, and how they run and resume."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_estimator import __version__
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator_training.features.people import people_path
from emotion_estimator_training.shipping.model_folder import (
    APPEARANCE,
    HEAD,
    STREAMING,
    copy_model,
)
from emotion_estimator_training.tables import write_json

#: Stages of the papers' own networks, which take longest.
PAPER_STAGES = ('fit paper', 'fit paper-relevant')
#: Options of each stage in a quick run.
_QUICK: dict[str, dict[str, Any]] = {
    # After five epochs the int8 network failed its gate on some processors: 33 of 34 crops.
    'appearance': {'epochs': 15},
    'covered': {'faces': 40},
    'people': {'faces': 20},
    'relevant': {'least': 20},
    'fit dense': {'epochs': 10},
    'fit paper': {'epochs': 1},
    'fit paper-relevant': {'epochs': 1},
    'fit streaming': {'epochs': 10, 'steps': 60},
    'quantize': {'paper': False, 'rounds': 3, 'faces': 20},
    'evaluate': {'faces': 20, 'hard': 12},
}
#: Options that change no result: the number of workers, and where intermediate results are kept.
_WITHOUT_EFFECT = ('processes', 'cache')


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    :param work: runs it; what it prints is kept in a log.
    :param decided_by: what its result depends on, apart from earlier stages.
    :param makes: files that it writes; it runs again if one is missing.
    :param continues: folders from which it resumes by itself; deleted to restart it.
    """

    name: str
    work: Callable[[], object]
    decided_by: Mapping[str, object]
    makes: tuple[Path, ...]
    continues: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Verb:
    """A verb of ``emotion-estimator training`` that stages run.

    :param options: names of its options.
    :param run: takes options by name; the others have their defaults.
    """

    options: frozenset[str]
    run: Callable[..., object]


def training_stages(
    verbs: Mapping[str, Verb], options: Mapping[str, Any], quick: bool, keep_head: bool
) -> list[Stage]:
    """Return the stages of ``emotion-estimator training all``, in order.

    :param verbs: by name.
    :param options: shared by all verbs, each of which gets those that it has; with ``run``,
        ``models``, ``data``, ``teacher`` and ``config``; ``photographs`` and ``talking`` are None
        without them.
    :param quick: shorten each stage to test that it runs.
    :param keep_head: copy the shipped blendshape head instead of training one.
    """
    run, models, teacher = options['run'], options['models'], options['teacher']
    tables, checkpoints = run / 'tables', run / 'checkpoints'
    #: Landmark source of the papers' networks, which read only one.
    source = 'face_landmarker' if teacher else 'face_mesh'

    def known(name: str) -> str | None:
        return fingerprint(options[name]) if options[name] else None

    origin = {
        'version': __version__,
        'quick': quick,
        **{name: known(name) for name in ('data', 'teacher', 'config')},
    }

    def stage(
        name: str,
        *makes: Path,
        verb: str | None = None,
        continues: tuple[Path, ...] = (),
        reads: tuple[str, ...] = (),
        **own: Any,
    ) -> Stage:
        chosen = verbs[verb or name]
        given = {
            **{key: value for key, value in options.items() if key in chosen.options},
            **own,
            **(_QUICK.get(name, {}) if quick else {}),
        }
        decides = {key: value for key, value in given.items() if key not in _WITHOUT_EFFECT}
        content = {f'content of {key}': known(key) for key in reads}
        return Stage(
            name, lambda: chosen.run(**given), {**origin, **decides, **content}, makes, continues
        )

    def fit(model: str) -> Stage:
        return stage(
            f'fit {model}',
            tables / f'{model}.json',
            verb='fit',
            continues=(checkpoints / model,),
            model=model,
            source=source,
        )

    def head() -> Stage:
        if not keep_head:
            return stage(
                'blendshapes',
                models / f'{HEAD}.json',
                continues=(checkpoints / 'blendshape_head',),
                model_name='',
            )
        shipped = ModelCard.load(models_dir() / f'{HEAD}.json', HEAD)
        return Stage(
            'head',
            lambda: copy_model(HEAD, models_dir(), models),
            {**origin, 'sha256': shipped.sha256},
            (models / f'{HEAD}.json',),
        )

    return [
        stage('data', tables / 'counts.json'),
        head(),
        stage('clean', tables / 'undetected.json'),
        stage('features', run / 'features' / f'{source}.npz'),
        stage('covered', run / 'covered' / f'{source}.npz'),
        # Without photographs it forgets those of an earlier call.
        stage(
            'people',
            *((people_path(run),) if options['photographs'] else ()),
            reads=('photographs', 'talking'),
        ),
        stage(
            'appearance',
            models / f'{APPEARANCE}.json',
            continues=(checkpoints / 'appearance',),
            # --model-name names the classifier, whose name is published.
            model_name='',
        ),
        stage('relevant', tables / 'relevant.json'),
        stage('sequences', run / 'figures' / 'sequences.png'),
        *(fit(model) for model in ('dense', 'paper', 'paper-relevant', 'streaming')),
        stage('quantize', models / f'{STREAMING}.json'),
        stage('evaluate', run / 'report' / 'index.html', card=True),
    ]


def run_stages(
    stages: Sequence[Stage], run: Path, show: Callable[[str], object], restart: str | None = None
) -> dict[str, Any]:
    """Run the stages that are not done, and write ``tables/times.json`` after each.

    A stage is done if it ended with the same ``decided_by``, its files exist, and no earlier stage
    had to run. An interrupted stage is called again; its times add up.

    :param run: folder; the stages' output goes to ``log/<stage>.txt`` in it.
    :param show: prints a line.
    :param restart: name of the stage from which all run again from their start.
    :returns: ``seconds`` in total, and by stage ``seconds``, ``done``, ``this_call`` and ``key``.
    """
    path = run / 'tables' / 'times.json'
    earlier = _read_times(path)
    (run / 'log').mkdir(parents=True, exist_ok=True)
    times: dict[str, Any] = {}
    key, outdated, restarting = '', False, False
    for number, stage in enumerate(stages, 1):
        key = hashlib.sha256(
            json.dumps([key, stage.name, stage.decided_by], default=str, sort_keys=True).encode()
        ).hexdigest()[:16]
        before = earlier.get(stage.name, {})
        same = before.get('key') == key
        restarting = restarting or stage.name == restart
        outdated = outdated or restarting
        title = f'{number}/{len(stages)} {stage.name}'
        if same and before['done'] and not outdated and all(made.exists() for made in stage.makes):
            times[stage.name] = {**before, 'this_call': False}
            show(f'{title}: already done, in {before["seconds"]} s')
            continue
        outdated = True
        for folder in stage.continues if restarting else ():
            shutil.rmtree(folder, ignore_errors=True)
        spent = before['seconds'] if same and not before['done'] and not restarting else 0.0
        log = run / 'log' / f'{stage.name.replace(" ", "-")}.txt'
        show(f'{title} (log: {log})')
        started, done = time.monotonic(), False
        try:
            with log.open('w') as file, contextlib.redirect_stdout(file):
                stage.work()
            done = True
        finally:
            seconds = round(spent + time.monotonic() - started, 1)
            times[stage.name] = {'seconds': seconds, 'done': done, 'this_call': True, 'key': key}
            write_json(_with_total(times), path)
        show(f'    {seconds} s')
    write_json(_with_total(times), path)
    return _with_total(times)


def fingerprint(path: Path) -> str:
    """Return a digest of a file, or of all files in a folder: of names, sizes and times."""
    files = [path] if path.is_file() else sorted(path.rglob('*'))
    digest = hashlib.sha256()
    for file in files:
        about = file.stat()
        digest.update(f'{file} {about.st_size} {about.st_mtime_ns}\n'.encode())
    return digest.hexdigest()[:16]


def _with_total(times: dict[str, Any]) -> dict[str, Any]:
    return {'seconds': round(sum(one['seconds'] for one in times.values()), 1), 'stages': times}


def _read_times(path: Path) -> dict[str, Any]:
    """Return what an earlier call recorded of each stage; empty if that cannot be read."""
    try:
        stages: dict[str, Any] = json.loads(path.read_text())['stages']
        return {
            name: one
            for name, one in stages.items()
            if isinstance(one.get('key'), str)
            and isinstance(one.get('done'), bool)
            and isinstance(one.get('seconds'), float)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
