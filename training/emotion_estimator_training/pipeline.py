"""Runs stages one after another: times them, keeps what they say, and leaves out what is done."""

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

from emotion_estimator_training.tables import write_json


@dataclass(frozen=True)
class Stage:
    """One part of a long run.

    :param work: does it; what it prints is kept in a file.
    :param decided_by: what its outcome depends on, beside the stages before it.
    :param makes: what it leaves; once that is gone it has to run again.
    :param continues: folders from which it goes on by itself where it was; emptied where it is
        asked to run again.
    """

    name: str
    work: Callable[[], object]
    decided_by: Mapping[str, object]
    makes: tuple[Path, ...]
    continues: tuple[Path, ...] = ()


def run_stages(
    stages: Sequence[Stage], run: Path, say: Callable[[str], object], again: str | None = None
) -> dict[str, Any]:
    """Run those that are not done, and write ``tables/times.json`` after each.

    A stage is done when it ended with the same ``decided_by``, what it makes is there, and none
    before it had to run. One that was interrupted is called again, and adds to its time.

    :param run: folder; what the stages print goes to ``log/<stage>.txt`` in it.
    :param say: shows a line.
    :param again: name of the stage from which on all run again, from their beginnings.
    :returns: ``seconds`` of all, and by stage its ``seconds``, ``done``, ``this_call`` and ``key``.
    """
    path = run / 'tables' / 'times.json'
    known = _read(path)
    (run / 'log').mkdir(parents=True, exist_ok=True)
    times: dict[str, Any] = {}
    key, anew, asked = '', False, False
    for number, stage in enumerate(stages, 1):
        key = hashlib.sha256(
            json.dumps([key, stage.name, stage.decided_by], default=str, sort_keys=True).encode()
        ).hexdigest()[:16]
        before = known.get(stage.name, {})
        same = before.get('key') == key
        asked = asked or stage.name == again
        anew = anew or asked
        title = f'{number}/{len(stages)} {stage.name}'
        if same and before['done'] and not anew and all(made.exists() for made in stage.makes):
            times[stage.name] = {**before, 'this_call': False}
            say(f'{title}: done before, in {before["seconds"]} s')
            continue
        anew = True
        for folder in stage.continues if asked else ():
            shutil.rmtree(folder, ignore_errors=True)
        spent = before['seconds'] if same and not before['done'] and not asked else 0.0
        log = run / 'log' / f'{stage.name.replace(" ", "-")}.txt'
        say(f'{title} (says: {log})')
        started, done = time.monotonic(), False
        try:
            with log.open('w') as file, contextlib.redirect_stdout(file):
                stage.work()
            done = True
        finally:
            seconds = round(spent + time.monotonic() - started, 1)
            times[stage.name] = {'seconds': seconds, 'done': done, 'this_call': True, 'key': key}
            write_json(_whole(times), path)
        say(f'    {seconds} s')
    write_json(_whole(times), path)
    return _whole(times)


def _whole(times: dict[str, Any]) -> dict[str, Any]:
    return {'seconds': round(sum(one['seconds'] for one in times.values()), 1), 'stages': times}


def _read(path: Path) -> dict[str, Any]:
    """Return what an earlier call noted of each stage; nothing if that cannot be read."""
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


def fingerprint(path: Path) -> str:
    """Return what changes when a file, or a file below a folder, does: names, sizes and times."""
    files = [path] if path.is_file() else sorted(path.rglob('*'))
    digest = hashlib.sha256()
    for file in files:
        about = file.stat()
        digest.update(f'{file} {about.st_size} {about.st_mtime_ns}\n'.encode())
    return digest.hexdigest()[:16]
