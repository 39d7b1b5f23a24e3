"""What becomes of work and workers when the program that started them is ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LIMIT = 30.0

#: A verb whose work leaves a file where it is not cleaned up, and never ends by itself.
PROGRAM = """
import os, sys, time
from pathlib import Path

import click

from emotion_estimator.cli.main import group, main
from emotion_estimator.worker_pool import on_processes


def work(name):
    partial = Path(name)
    try:
        partial.write_text(f'{os.getpid()}.')
        time.sleep(600)
    finally:
        time.sleep(0.2)
        partial.unlink()


@group.command()
@click.option('--processes', type=int)
def wait(processes):
    if processes:
        list(on_processes(processes)(work, [f'{n}.partial' for n in range(4)]))
    else:
        work('0.partial')


if __name__ == '__main__':
    sys.exit(main())
"""


def alive(pid):
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return False
    # One that ended and waits for its parent is alive no more.
    return stat.rpartition(')')[2].split()[0] != 'Z'


def wait_until(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f'not within {LIMIT:g} s: {what}'
        time.sleep(0.02)


@pytest.fixture
def begin(tmp_path):
    """Return a function that begins the verb: the process, and who works once all do."""
    program = tmp_path / 'program.py'
    program.write_text(PROGRAM)
    begun = []

    def begin(*arguments, workers, nice=0):
        process = subprocess.Popen(
            ['nice', '-n', str(nice), sys.executable, program, 'wait', *map(str, arguments)],
            cwd=tmp_path,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        begun.append(process)

        def working():
            said = [file.read_text() for file in tmp_path.glob('*.partial')]
            return [int(pid[:-1]) for pid in said if pid.endswith('.')]

        wait_until(lambda: len(working()) == workers, 'the work begins')
        return process, working()

    yield begin
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def partials(folder):
    return sorted(file.name for file in folder.glob('*.partial'))


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_verb_that_is_ended_cleans_up(begin, tmp_path, number, status):
    process, _ = begin(workers=1)
    process.send_signal(number)
    _, said = process.communicate(timeout=LIMIT)
    assert process.returncode == status
    assert said.strip() == 'emotion-estimator: interrupted'
    assert partials(tmp_path) == []


def test_sigterm_ends_and_cleans_up_the_workers_too(begin, tmp_path):
    process, workers = begin('--processes', 2, workers=2)
    process.send_signal(signal.SIGTERM)
    # As `timeout` does.
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=LIMIT)
    assert (process.returncode, said.strip()) == (143, 'emotion-estimator: interrupted')
    assert not any(map(alive, workers))
    assert partials(tmp_path) == []


def test_ctrl_c_in_a_terminal_ends_and_cleans_up_all(begin, tmp_path):
    process, workers = begin('--processes', 2, workers=2)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=LIMIT)
    assert (process.returncode, said.strip()) == (130, 'emotion-estimator: interrupted')
    assert not any(map(alive, workers))
    assert partials(tmp_path) == []


def test_workers_do_not_outlive_a_program_that_is_killed(begin, tmp_path):
    process, workers = begin('--processes', 2, workers=2)
    process.kill()
    process.wait(LIMIT)
    wait_until(lambda: not any(map(alive, workers)), 'the workers end')
    assert partials(tmp_path) == []


@pytest.mark.parametrize('asked', [0, 3])
def test_workers_have_the_priority_that_the_caller_asked_for(begin, asked):
    process, workers = begin('--processes', 2, workers=2, nice=asked)
    of_process = os.getpriority(os.PRIO_PROCESS, process.pid)
    assert of_process == os.getpriority(os.PRIO_PROCESS, 0) + asked
    assert {os.getpriority(os.PRIO_PROCESS, worker) for worker in workers} == {of_process}
