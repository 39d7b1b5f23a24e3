"""``make faults``: inflict each fault of the catalogue on running nodes, and measure the recovery.

Writes ``out/faults/table.md``, and with ``--write`` the table in ``docs/reliability.md``. The exit
status is 1 if a fault was not survived, not said, took over 500 MB, or the return to work too long.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import fault_scene

# Each adds its faults to the catalogue.
import faults_of_input
import faults_of_processes
import faults_of_set_up
from document import cell, machine, write_part
from fault_scene import CATALOGUE, MOST_MEMORY, Fault, Outcome, Peak, Scene
from robot import RosGraph

_HEAD = '| fault | what happens | well again after, s | memory, MB |\n|---|---|--:|--:|'
_MODULES = (faults_of_input, faults_of_processes, faults_of_set_up)
#: Address space of a process, in bytes.
_ADDRESSES = 10 << 30


@dataclass(frozen=True)
class Result:
    """What a fault did.

    :param seconds: until all worked again; None if there was nothing to come back.
    :param memory: MB by which a node grew meanwhile, at most.
    :param problem: why it does not count as survived; empty if it does.
    :param said: the line that names the fault.
    """

    seconds: float | None
    memory: float
    problem: str = ''
    said: str = ''


def row(found: Fault, result: Result | None) -> str:
    """Return a fault's row; one that was not inflicted has no figures."""
    figures = ('', '')
    then = found.then
    if result is not None:
        well = '-' if result.seconds is None else f'{result.seconds:.1f}'
        figures = (well, f'{result.memory:.0f}')
        if result.problem:
            then = f'{then} **Not yet: {cell(result.problem)}**'
    return f'| **{found.name}**: {found.what} | {then} | {figures[0]} | {figures[1]} |'


def table(results: dict[str, Result]) -> str:
    """Return the catalogue as Markdown, a table a group."""
    lines = []
    groups = dict.fromkeys(found.group for found in CATALOGUE.values())
    for group in groups:
        lines += [f'### {group[0].upper()}{group[1:]}', '', _HEAD]
        lines += [
            row(found, results.get(name))
            for name, found in CATALOGUE.items() if found.group == group
        ]  # fmt: skip
        lines.append('')
    borne = sum(not r.problem for r in results.values())
    lines.append(f'{borne} of {len(results)} survived. {machine()}')
    return '\n'.join(lines)


def said(results: dict[str, Result]) -> str:
    """Return the lines that the nodes gave, as Markdown."""
    lines = [f'| {name} | {cell(r.said)} |' for name, r in results.items() if r.said]
    return '\n'.join(['| fault | what was said |', '|---|---|', *lines])


class Inflicting:
    """Inflicts faults one after another; a graph that does not recover is replaced."""

    def __init__(self, folder: Path, landmarks: str) -> None:
        self._folder, self._landmarks = folder, landmarks
        self._stack = ExitStack()
        self._scene: Scene | None = None
        self._scenes = 0

    def __enter__(self) -> Inflicting:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, found: Fault) -> Result:
        """Inflict one fault."""
        scene = self._ready()
        peak = Peak(scene.pids)
        scene.command_mb = 0.0
        try:
            outcome = found.inflict(scene)
        except Exception as error:
            # Whatever goes wrong belongs to this fault: an assertion, a service without answer.
            text = ' '.join(str(error).split()) or type(error).__name__
            self._recover()
            return Result(None, peak.growth(), text)
        return self._judged(found, outcome, max(peak.growth(), scene.command_mb))

    @staticmethod
    def _judged(found: Fault, outcome: Outcome, memory: float) -> Result:
        problem = ''
        if outcome.seconds is not None and outcome.seconds > found.within:
            problem = f'well again after {outcome.seconds:.1f} s, not {found.within:g}'
        if memory > MOST_MEMORY:
            problem = f'a program took {memory:.0f} MB'
        return Result(outcome.seconds, memory, problem, outcome.said)

    def _ready(self) -> Scene:
        if self._scene is None:
            self._scenes += 1
            folder = self._folder / f'scene_{self._scenes}'
            folder.mkdir(parents=True)
            graph = self._stack.enter_context(RosGraph(folder))
            self._scene = Scene(graph, self._landmarks)
            assert self._scene.robot
        return self._scene

    def _recover(self) -> None:
        assert self._scene is not None
        try:
            self._scene.all_well(20.0)
            for name, eye in list(self._scene._eyes.items()):
                eye.feeding = True
                if eye.process.status() is not None:
                    self._scene.dismiss(name)
        except Exception:
            self._stack.close()
            self._scene = None


def load(path: Path) -> dict[str, Result]:
    """Return the results of earlier runs."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {name: Result(**value) for name, value in found.items() if name in CATALOGUE}


def main() -> int:
    """Inflict the faults asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog='make faults', description=__doc__.splitlines()[0])
    parser.add_argument('--only', default='', help='faults with this in their name or heading')
    parser.add_argument('--again', action='store_true', help='only those not survived last time')
    parser.add_argument('--landmarks', default='auto')
    parser.add_argument('--write', action='store_true', help='write docs/reliability.md')
    parser.add_argument('--list', action='store_true', help='name the faults')
    parser.add_argument('--output', type=Path, default=Path('out/faults'))
    options = parser.parse_args()
    state = options.output / 'results.json'
    known = load(state)
    chosen = {
        name: found for name, found in CATALOGUE.items()
        if options.only.lower() in f'{name} {found.group} {found.what}'.lower()
        and not (options.again and name in known and not known[name].problem)
    }  # fmt: skip
    if options.list:
        for name, found in chosen.items():
            print(f'{found.group:28} {name:28} {found.what}')
        return 0
    if not chosen:
        parser.error(f'no fault has {options.only!r} in its name or heading; see --list')
    shutil.rmtree(options.output / 'log', ignore_errors=True)
    (options.output / 'log').mkdir(parents=True)
    # Of each node: one that reads /dev/zero shall not take the machine along.
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    results: dict[str, Result] = {}
    try:
        with Inflicting(options.output / 'log', options.landmarks) as inflict:
            for number, (name, found) in enumerate(chosen.items(), start=1):
                begin = time.monotonic()
                results[name] = result = inflict(found)
                known[name] = result
                well = '' if result.seconds is None else f', well after {result.seconds:.1f} s'
                print(
                    f'{number:3} of {len(chosen)} {"FAIL" if result.problem else "ok  "} {name}'
                    f'{well} ({time.monotonic() - begin:.0f} s) {cell(result.problem)}',
                    flush=True,
                )
                state.write_text(json.dumps({k: vars(r) for k, r in known.items()}, indent=1))
    except KeyboardInterrupt:
        print('stopped early')
    (options.output / 'table.md').write_text(f'{table(known)}\n\n{said(known)}\n')
    if options.write:
        write_part('faults', table(known))
    failed = {name: r.problem for name, r in results.items() if r.problem}
    print(f'{len(results) - len(failed)} of {len(results)} survived; {options.output}/table.md')
    return int(bool(failed) or len(results) < len(chosen))


if __name__ == '__main__':
    os.environ.setdefault('ROS_LOG_DIR', str(Path('out/faults/ros').absolute()))
    assert fault_scene.CATALOGUE and _MODULES
    sys.exit(main())
