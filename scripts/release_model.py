"""Put trained models into models/ if every test passes with them, in all three environments.

    make release-model FROM=out/candidate

The former files are put back if a test fails, or if this is interrupted. What passed is kept in
out/release: a step that passed with the same models, files and variables is not run again.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType, ModuleType
from typing import IO, Any

ROOT = Path(__file__).parents[1]
#: Targets of the Makefile, in the order in which they run.
STEPS = ('test', 'test-jazzy', 'test-modern')
#: Writes the checksums of released weights into the robot's code.
PINNING = Path('training/emotion_estimator_training/shipping/pins.py')
#: Files of a model; its JSON card last, which states the checksum of the weights.
SUFFIXES = ('.tflite', '.md', '.json')
#: Set empty for every step, so that all tests run: whoever calls may have chosen some.
ALL_TESTS = ('ARGS=', 'ROOM=', 'ON=kilted')
#: Would choose tests, or have make ignore or skip them.
_CHOOSING = ('MAKEFLAGS', 'MFLAGS', 'MAKEOVERRIDES', 'MAKELEVEL', 'PYTEST_ADDOPTS')
#: Seconds that a step has to end after a signal.
_PATIENCE = 20.0
#: Seconds between looks at what a step prints.
_PERIOD = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FAILED = re.compile(r'^(?:FAILED|ERROR) (.*)$', re.MULTILINE)


class ReleaseError(Exception):
    """The models cannot be released; the message is one line that says why and what to do."""


class Stopped(BaseException):
    """A signal asked to stop."""

    def __init__(self, number: int) -> None:
        """Remember the signal, for the exit status."""
        super().__init__(number)
        self.number = number


def sha256(content: bytes) -> str:
    """Return a checksum in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_candidate(folder: Path, models: Path) -> dict[str, bytes]:
    """Return the files of the models in a folder that differ from ``models``, by name.

    :raises ReleaseError: there are none; one is incomplete, is not what its card says, has no
        version of its own, or does not belong to the others.
    """
    names = sorted(card.stem for card in models.glob('*.json'))
    cards = sorted(card.stem for card in folder.glob('*.json') if card.stem in names)
    if not cards:
        raise ReleaseError(
            f'{folder} has no card of a model ({", ".join(f"{name}.json" for name in names)}); '
            'give the folder that training wrote: make release-model FROM=out/candidate'
        )
    found: dict[str, bytes] = {}
    checksums = {name: _card(models, name)['sha256'] for name in names}
    for name in cards:
        files = _files(folder, name)
        if all(_content(models / file) == content for file, content in files.items()):
            continue
        card, now = _card(folder, name), _card(models, name)
        if sha256(files[f'{name}.tflite']) != card['sha256']:
            raise ReleaseError(
                f'{folder}/{name}.tflite is not what its card describes; export it again'
            )
        if '+' in card['version']:
            raise ReleaseError(
                f'{name} has the version {card["version"]}, which is no release; describe it in '
                'releases.yaml and train or export it with --release'
            )
        if card['version'] == now['version'] and card['sha256'] != now['sha256']:
            raise ReleaseError(
                f'{name} {card["version"]} is in models/ already with other weights; give the new '
                'one a version of its own in releases.yaml'
            )
        checksums[name] = card['sha256']
        found |= files
    if not found:
        raise ReleaseError(f'{folder} has nothing that models/ does not have already')
    for name in cards:
        wanted = _card(folder, name).get('settings', {}).get('appearance_sha256')
        if wanted and wanted != checksums.get('appearance'):
            raise ReleaseError(
                f'{name} was trained with another appearance network than the one beside it; '
                f'put that one into {folder} too'
            )
    return found


def _files(folder: Path, name: str) -> dict[str, bytes]:
    files = {}
    for suffix in SUFFIXES:
        content = _content(folder / f'{name}{suffix}')
        if content is None:
            raise ReleaseError(
                f'{folder}/{name}{suffix} is missing; a model is {", ".join(SUFFIXES)}'
            )
        files[f'{name}{suffix}'] = content
    return files


def _card(folder: Path, name: str) -> dict[str, Any]:
    try:
        card = json.loads((folder / f'{name}.json').read_text())
        return {**card, 'version': str(card['version']), 'sha256': str(card['sha256'])}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ReleaseError(f'{folder}/{name}.json is no card of a model ({error!r})') from error


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def tree(root: Path, without: Iterable[str] = ()) -> dict[str, str]:
    """Return the checksum of each file that git tracks or would add, by its path.

    :param without: paths to leave out.
    """
    listed = subprocess.run(
        ['git', 'ls-files', '-co', '--exclude-standard', '-z'],
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout.decode(errors='surrogateescape')
    left_out = set(without)
    return {
        name: sha256((root / name).read_bytes())
        for name in sorted(set(listed.split('\0')))
        if name and name not in left_out and (root / name).is_file()
    }


def checksum(contents: Mapping[str, str]) -> str:
    """Return one checksum of several, by name."""
    return sha256(json.dumps(sorted(contents.items())).encode())


def pinning(root: Path) -> ModuleType:
    """Return the module of the training package that pins checksums, without that package.

    :raises ReleaseError: this is no checkout.
    """
    spec = importlib.util.spec_from_file_location('pins', root / PINNING)
    if spec is None or spec.loader is None or not (root / PINNING).is_file():
        raise ReleaseError(f'{PINNING} is missing; run this in a checkout')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def released(root: Path, models: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return what a release changes, by path: files of ``models/``, and their pinned checksums.

    :param models: new files, by name.
    :raises ReleaseError: the checksums cannot be written.
    """
    pins = pinning(root)
    there = {one.name: one.read_bytes() for one in (root / 'models').iterdir() if one.is_file()}
    try:
        text = pins.pinned((root / pins.PINS).read_text(), {**there, **models})
    except (OSError, ValueError, KeyError) as error:
        raise ReleaseError(f'{pins.PINS} cannot be written ({error!r})') from error
    return {f'models/{name}': content for name, content in models.items()} | {
        pins.PINS: text.encode()
    }


class Exchange:
    """Puts files into a folder and those below, and what was there before back.

    What was there lies in ``former`` meanwhile, where the next run finds it if this one is killed.
    """

    def __init__(self, root: Path, former: Path) -> None:
        """Name the folders; nothing is written yet."""
        self._root, self._former = root, former

    def put(self, files: Mapping[str, bytes]) -> None:
        """Keep what is there, and write ``files``."""
        kept = self._former.with_suffix('.new')
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for name in files:
            if (self._root / name).is_file():
                (kept / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._root / name, kept / name)
        (kept / 'names').write_text('\n'.join(files))
        # All at once: half of what was there is worse than none.
        kept.rename(self._former)
        for name, content in files.items():
            self._write(name, content)

    def restore(self) -> bool:
        """Put back what was there; return whether there was anything to put back."""
        if not self._former.is_dir():
            return False
        for name in (self._former / 'names').read_text().split('\n'):
            content = _content(self._former / name)
            if content is None:
                (self._root / name).unlink(missing_ok=True)
            else:
                self._write(name, content)
        self.keep()
        return True

    def keep(self) -> None:
        """Leave the files that are there."""
        done = self._former.with_suffix('.done')
        shutil.rmtree(done, ignore_errors=True)
        # All at once, as above.
        self._former.rename(done)
        shutil.rmtree(done)

    def _write(self, name: str, content: bytes) -> None:
        # A new file and time: make builds again what was built with the other model.
        target = self._root / name
        handle, path = tempfile.mkstemp(dir=target.parent, prefix=f'.{target.name}.')
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
        Path(path).chmod(0o644)
        Path(path).replace(target)


class Passed:
    """The steps that passed, with which models, files and variables."""

    def __init__(self, file: Path, key: str) -> None:
        """Read the file.

        :param key: checksum of models, files and variables.
        """
        self._file, self._key = file, key
        try:
            self._steps = dict(json.loads(file.read_text()))
        except (OSError, ValueError, TypeError):
            self._steps = {}

    def __contains__(self, step: object) -> bool:
        """Return whether a step passed with the same models, files and variables."""
        return self._steps.get(step) == self._key

    def add(self, step: str) -> None:
        """Remember that a step passed."""
        self._steps[step] = self._key
        self._file.write_text(json.dumps(self._steps, indent=1) + '\n')


def run_step(step: str, variables: Iterable[str], log: Path) -> int:
    """Run a target of the Makefile, show and log what it prints, and return its status."""
    environment = {name: value for name, value in os.environ.items() if name not in _CHOOSING}
    with log.open('wb') as written, log.open('rb') as shown:
        # Into a file: of a pipe, something that a test left running would keep the other end. In a
        # session of its own: a signal reaches make and all that it started, once.
        made = subprocess.Popen(
            ['make', '--no-print-directory', step, *ALL_TESTS, *variables],
            cwd=ROOT, env=environment, stdout=written, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            while made.poll() is None:
                _show(shown)
                time.sleep(_PERIOD)
            _show(shown)
        except BaseException:
            _stop(made)
            raise
    return made.returncode


def _show(log: IO[bytes]) -> None:
    sys.stdout.write(log.read().decode(errors='replace'))
    sys.stdout.flush()


def _stop(made: subprocess.Popen[bytes]) -> None:
    """End a step; on the first signal tests still end what they have started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(made.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            made.wait(_PATIENCE)
            return


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise :class:`Stopped` on the signals that ask a program to stop."""

    def stop(number: int, frame: FrameType | None) -> None:
        ignore_signals()
        raise Stopped(number)

    before = {one: signal.signal(one, stop) for one in _SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def ignore_signals() -> None:
    """Let nothing disturb what must be completed."""
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)


def lock(file: Path) -> IO[str]:
    """Return an open file that no other process can open so.

    :raises ReleaseError: another process has it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    held = file.open('w')
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise ReleaseError(
            'a model is being released already; wait until that has ended'
        ) from error
    return held


def release(folder: Path, variables: list[str], root: Path) -> str:
    """Run every step with the models of a folder in place; return what to do then.

    :param folder: as training writes it.
    :param variables: of make, as ``NAME=value``, for every step.
    :raises ReleaseError: the models are not fit for a release, or a step failed; models/ is as it
        was.
    """
    state, models = root / 'out' / 'release', root / 'models'
    with lock(state / 'lock'):
        exchange = Exchange(root, state / 'former')
        if exchange.restore():
            print('models/ was left with the models of a run that was killed: put back')
        new = read_candidate(folder, models)
        files = released(root, new)
        places = sorted(files)
        before = tree(root, places)
        key = checksum(
            {
                'models': checksum({name: sha256(content) for name, content in files.items()}),
                'files': checksum(before),
                'variables': '\n'.join(sorted(variables)),
            }
        )
        passed = Passed(state / 'passed.json', key)
        failed: list[str] = []
        try:
            exchange.put(files)
            for step in STEPS:
                if step in passed:
                    print(f'make {step}: passed before with the same models and files')
                    continue
                print(f'make {step}, with {_titles(new)}', flush=True)
                log = state / f'{step}.log'
                status = run_step(step, variables, log)
                _check_untouched(root, before, files, step)
                if status == 0:
                    passed.add(step)
                else:
                    failed.append(_failure(step, status, log, root))
            if failed:
                raise ReleaseError(f'{"; ".join(failed)}. models/ is as it was')
            ignore_signals()
            exchange.keep()
        except BaseException:
            ignore_signals()
            exchange.restore()
            raise
    return (
        f'make {", make ".join(STEPS)}: all pass with {_titles(new)}, now in models/.\n'
        'Put the figures into docs/accuracy.md and CHANGELOG.rst too, and commit all with\n'
        f'  git add {" ".join(places)}\n'
        'with the figures before and after in the message.'
    )


def _titles(files: Mapping[str, bytes]) -> str:
    cards = [json.loads(content) for name, content in files.items() if name.endswith('.json')]
    return ', '.join(f'{card.get("name", "model")} {card["version"]}' for card in cards)


def _failure(step: str, status: int, log: Path, root: Path) -> str:
    tests = _FAILED.findall(log.read_text(encoding='utf-8', errors='replace'))
    which = f': {", ".join(test.split(" - ")[0] for test in tests[:5])}' if tests else ''
    more = f' and {len(tests) - 5} more' if len(tests) > 5 else ''
    return f'make {step} failed with status {status} ({log.relative_to(root)}){which}{more}'


def _check_untouched(
    root: Path, before: Mapping[str, str], files: Mapping[str, bytes], step: str
) -> None:
    """Refuse a result of which nobody knows what it was of."""
    now = tree(root, files)
    changed = sorted(dict(before.items() ^ now.items()))
    changed += [name for name, content in files.items() if _content(root / name) != content]
    if changed:
        raise ReleaseError(
            f'{changed[0]} changed while make {step} ran, so its result counts for nothing; run '
            'this again and leave the files alone. models/ is as it was'
        )


def main() -> int:
    """Return 0 for released, 1 for refused, 128 plus the signal's number for interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, nargs='?', help='folder with the trained models')
    parser.add_argument(
        '--pin',
        action='store_true',
        help='only write the checksums of the files in models/ into the code, with no test',
    )
    parser.add_argument('variables', nargs='*', help='variables of make for each step, NAME=value')
    given = parser.parse_args()
    try:
        if given.pin:
            print(f'{pinning(ROOT).pin(ROOT / "models")} has the checksums of models/')
            return 0
        if given.folder is None:
            parser.error('say which folder has the trained models')
        with stopped_by_signals():
            print(release(given.folder.absolute(), given.variables, ROOT))
    except ReleaseError as reason:
        print(f'release-model: {reason}', file=sys.stderr)
        return 1
    except Stopped as stopped:
        print('release-model: interrupted; models/ is as it was', file=sys.stderr)
        return 128 + stopped.number
    return 0


if __name__ == '__main__':
    sys.exit(main())
