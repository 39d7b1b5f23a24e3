"""``make fuzz``: give every reader of foreign bytes mutated inputs, and count what goes wrong.

Each reader runs in a process of its own with forked workers (``fuzz_reader.py``); Ctrl-C stops
early, and the next run on the same code continues. Writes ``out/fuzz/table.md``. The exit status is
1 if an input ended, hung or filled a worker or raised anything but the package's errors.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from document import machine, write_part
from readers import READERS
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_PROGRAM = Path(__file__).with_name('fuzz_reader.py')
_COLUMNS = (
    'reader', 'bytes of', 'inputs', 'accepted', 'refused', 'native crashes', 'hangs', 'uncaught',
    'over 500 MB', 'inputs/s', 'peak MB',
)  # fmt: skip
#: Seconds for a reader's process to stop by itself.
_PATIENCE = 30.0


def tallies(folder: Path) -> dict[str, dict]:
    """Return the tallies in a folder by reader, in the order of ``READERS``."""
    found = {}
    for name in READERS:
        with suppress(OSError, ValueError):
            found[name] = json.loads((folder / f'{name}.json').read_text())
    return found


def failures(tally: dict) -> int:
    """Return the number of inputs that went wrong."""
    return sum(tally[kind] for kind in ('crash', 'hang', 'uncaught', 'memory'))


def table(found: dict[str, dict]) -> str:
    """Return the result as Markdown: a row a reader, and the kinds of failures below."""
    lines = ['| ' + ' | '.join(_COLUMNS) + ' |', '|---' * 2 + '|--:' * (len(_COLUMNS) - 2) + '|']
    for name, tally in found.items():
        rate = tally['inputs'] / max(tally['seconds'], 1e-9)
        cells = [
            name, READERS[name].what,
            *(f'{tally[key]:,}' for key in ('inputs', 'accepted', 'refused', 'crash', 'hang',
                                            'uncaught', 'memory')),
            f'{rate:,.0f}', f'{tally["peak_mb"]:,.0f}',
        ]  # fmt: skip
        lines.append('| ' + ' | '.join(cells) + ' |')
    counts = ('inputs', 'crash', 'hang', 'uncaught', 'memory')
    total = {key: sum(tally[key] for tally in found.values()) for key in counts}
    lines += [
        '',
        f'{len(found)} readers, {total["inputs"]:,} inputs: {total["crash"]} native crashes, '
        f'{total["hang"]} hangs, {total["uncaught"]} uncaught exceptions, {total["memory"]} over '
        '500 MB.',
    ]
    kinds = [(name, *kind) for name, tally in found.items() for kind in tally['kinds'].items()]
    if kinds:
        lines += ['', '| reader | what | times | bytes | repeat |', '|---|---|--:|--:|---|']
    for name, signature, (times, kind, path, size) in kinds:
        count = found[name]['uncaught'] if kind == 'uncaught' and times == 1 else times
        repeat = f"`make fuzz ARGS='--repeat {path} --reader {name}'`"
        shown = f'{kind}: {signature}'.replace('|', '\\|')
        least = f'{times}' if count == times else f'{times} or more'
        lines.append(f'| {name} | {shown} | {least} | {size} | {repeat} |')
    return '\n'.join(lines) + '\n'


class Fuzzing:
    """Runs readers' processes, a few at a time."""

    def __init__(self, options: argparse.Namespace, names: list[str]) -> None:
        self._options = options
        self._waiting = list(names)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # What was done is known by then: a reader that runs longer leaves less for the others.
        self._seconds = 60.0 * options.minutes * options.jobs / len(names)
        self.broken: list[str] = []

    def run(self, show: Progress) -> None:
        """Run all; KeyboardInterrupt passes once all have stopped."""
        folder = self._options.output
        bars = {}
        try:
            while self._waiting or self._running:
                while self._waiting and len(self._running) < self._options.jobs:
                    name = self._waiting.pop(0)
                    self._running[name] = self._start(name)
                    bars[name] = show.add_task(name, total=self._seconds, counts='')
                for name, process in list(self._running.items()):
                    with suppress(OSError, ValueError):
                        text = (folder / f'{name}.progress').read_text()
                        inputs, failed = map(int, text.split())
                        counts = f'{inputs:,} inputs, {failed} failed'
                        show.update(bars[name], counts=counts)
                    show.advance(bars[name], 0.2)
                    if process.poll() is not None:
                        show.update(bars[name], completed=self._seconds)
                        self._ended(name)
                time.sleep(0.2)
        finally:
            self._stop()

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        o = self._options
        command = [sys.executable, str(_PROGRAM), name, '--seconds', str(self._seconds)]
        command += ['--seed', str(o.seed), '--output', str(o.output), '--inputs', str(o.inputs)]
        log = (o.output / f'{name}.log').open('wb')
        # In a session of its own: Ctrl-C reaches this process alone, which then stops it.
        return subprocess.Popen(
            [*command, *(['--fresh'] if o.fresh else [])], start_new_session=True,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def _ended(self, name: str) -> None:
        status = self._running.pop(name).wait()
        if status not in (0, 1) or not (self._options.output / f'{name}.json').is_file():
            self.broken.append(f'{name}: status {status}, see {self._options.output}/{name}.log')

    def _stop(self) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGINT)
        for name, process in list(self._running.items()):
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            self._ended(name)


def main() -> int:
    """Run the readers asked for, write the table; return the exit status."""
    parser = argparse.ArgumentParser(prog='make fuzz', description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=10.0, help='for all together')
    parser.add_argument('--reader', action='append', choices=READERS, help='only this one; again')
    parser.add_argument('--seed', type=int, default=1, help='another seed gives other inputs')
    parser.add_argument('--inputs', type=int, default=1 << 62, help='at most, a reader')
    parser.add_argument('--jobs', type=int, default=1, help='readers at a time')
    parser.add_argument('--fresh', action='store_true', help='count from 0, with a new corpus')
    parser.add_argument('--repeat', type=Path, help='read this file once by the reader named')
    parser.add_argument('--write', action='store_true', help='write docs/reliability.md')
    parser.add_argument('--list', action='store_true', help='name the readers')
    parser.add_argument('--output', type=Path, default=Path('out/fuzz'))
    options = parser.parse_args()
    console = Console()
    if options.list:
        for name, reader in READERS.items():
            console.print(f'{name:14} {reader.what}', highlight=False)
        return 0
    names = options.reader or list(READERS)
    if options.repeat:
        if len(names) != 1:
            parser.error('--repeat needs --reader')
        command = [sys.executable, str(_PROGRAM), names[0], '--repeat', str(options.repeat)]
        return subprocess.call(command)
    options.output.mkdir(parents=True, exist_ok=True)
    fuzzing = Fuzzing(options, names)
    stopped = False
    columns = (TextColumn('{task.description:14}'), BarColumn(30), TimeRemainingColumn(),
               TextColumn('{task.fields[counts]}'))  # fmt: skip
    try:
        with Progress(*columns, console=console) as show:
            fuzzing.run(show)
    except KeyboardInterrupt:
        stopped = True
    found = {name: tally for name, tally in tallies(options.output).items() if name in names}
    text = table(found)
    (options.output / 'table.md').write_text(text)
    print(text)
    if options.write:
        write_part('fuzz', f'{text}\n{machine()}')
    for line in fuzzing.broken:
        print(f'not run: {line}')
    if stopped:
        print('stopped early; the same command continues')
    return int(bool(fuzzing.broken) or any(map(failures, found.values())))


if __name__ == '__main__':
    sys.exit(main())
