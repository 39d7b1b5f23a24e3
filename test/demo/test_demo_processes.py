"""Starting and ending other programs: none is left behind, whatever they do about signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from emotion_estimator.demo import tether
from emotion_estimator.demo.processes import ChildProcess, ProcessSet
from emotion_estimator.errors import EmotionEstimatorError

LIMIT = 20.0

POLITE = 'import signal; print("ready", flush=True); signal.pause()'
IGNORES_INT = (
    'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print("ready", flush=True)\n'
    'while True: signal.pause()'
)
IGNORES_ALL = (
    'import signal\n'
    'for s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n'
    'print("ready", flush=True)\n'
    'while True: signal.pause()'
)
# Leaves a grandchild in its group that ignores SIGINT, and ends at once.
LEAVES_A_CHILD = (
    'import subprocess, sys\n'
    f'child = subprocess.Popen([sys.executable, "-c", {IGNORES_ALL!r}])\n'
    'print("child", child.pid, flush=True)'
)


def wait_until(condition) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, 'took too long'
        time.sleep(0.005)


def child(tmp_path, code: str, name: str = 'node') -> ChildProcess:
    return ChildProcess(name, [sys.executable, '-c', code], tmp_path / 'log' / f'{name}.log')


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ('code', 'status', 'patience'),
    [
        (POLITE, -signal.SIGINT, (LIMIT, LIMIT)),
        (IGNORES_INT, -signal.SIGTERM, (0.1, LIMIT)),
        (IGNORES_ALL, -signal.SIGKILL, (0.1, 0.1)),
    ],
)
def test_leaving_the_block_ends_what_runs(tmp_path, code, status, patience):
    with ProcessSet(patience) as processes:
        node = processes.start(child(tmp_path, code), os.environ)
        wait_until(lambda: node.last_lines() == ['ready'])
        assert node.status() is None
        assert processes.ended() == []
        assert os.getpgid(node.pid) == os.getsid(node.pid) == node.pid
    assert not exists(node.pid)
    assert node.status() == status


def test_an_error_inside_the_block_ends_them_too(tmp_path):
    with pytest.raises(KeyError), ProcessSet() as processes:
        node = processes.start(child(tmp_path, POLITE), os.environ)
        raise KeyError
    assert not exists(node.pid)


def test_what_a_dead_node_left_in_its_group_is_ended(tmp_path):
    with ProcessSet((0.1, 0.1)) as processes:
        node = processes.start(child(tmp_path, LEAVES_A_CHILD), os.environ)
        wait_until(lambda: processes.ended() == [node])
        grandchild = int(node.last_lines()[0].split()[1])
        assert exists(grandchild)
    # Whoever adopts it collects it when it can; until then it is a zombie, which runs no more.
    wait_until(lambda: not exists(grandchild) or _is_zombie(grandchild))


def _is_zombie(pid: int) -> bool:
    try:
        with open(f'/proc/{pid}/stat') as stat:  # noqa: PTH123
            return stat.read().rpartition(')')[2].split()[0] == 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_death_is_seen_with_its_status_and_last_words(tmp_path):
    code = 'import sys; print("one\\n\\ntwo"); print("three", file=sys.stderr); sys.exit(3)'
    with ProcessSet() as processes:
        node = processes.start(child(tmp_path, code), os.environ)
        wait_until(lambda: processes.ended() == [node])
        assert node.status() == 3
        assert sorted(node.last_lines()) == ['one', 'three', 'two']
        assert len(node.last_lines(2)) == 2
    assert node.status() == 3


def test_a_death_by_signal_is_negative(tmp_path):
    with ProcessSet() as processes:
        node = processes.start(child(tmp_path, POLITE), os.environ)
        os.kill(node.pid, signal.SIGKILL)
        wait_until(lambda: node.status() is not None)
        assert node.status() == -signal.SIGKILL


def test_stopping_twice_and_before_any_start_is_fine(tmp_path):
    processes = ProcessSet()
    processes.stop()
    node = processes.start(child(tmp_path, POLITE), os.environ)
    processes.stop()
    processes.stop()
    assert not exists(node.pid)
    assert ChildProcess('never', ['x'], tmp_path / 'x').last_lines() == []


# Starts a program and waits to be killed.
KILLED_PARENT = """
import os, signal, sys
from pathlib import Path
from emotion_estimator.demo.processes import ChildProcess
node = ChildProcess('node', [sys.executable, '-c', sys.argv[1]], Path(sys.argv[2]))
node.start(os.environ)
print(node.pid, flush=True)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux tells a child of its parent')
def test_a_parent_that_is_killed_takes_its_programs_with_it(tmp_path):
    log = tmp_path / 'node.log'
    with subprocess.Popen(
        [sys.executable, '-c', KILLED_PARENT, POLITE, str(log)], stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        wait_until(lambda: log.exists() and 'ready' in log.read_text())
        assert exists(pid)
        parent.kill()
    wait_until(lambda: not exists(pid) or _is_zombie(pid))


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux tells a child of its parent')
def test_a_parent_that_is_already_dead_starts_nothing():
    program = [sys.executable, '-c', 'print("started")']
    # No process has a number beyond the kernel's highest.
    for parent, printed in ((os.getpid(), 'started\n'), (2**22 + 1, '')):
        done = subprocess.run([sys.executable, tether.__file__, str(parent), *program],
                              capture_output=True, text=True, check=True)  # fmt: skip
        assert done.stdout == printed


def test_a_missing_program_is_named(tmp_path):
    node = ChildProcess('camera', [str(tmp_path / 'none')], tmp_path / 'camera.log')
    with pytest.raises(EmotionEstimatorError, match=r'camera cannot be started: .*none'):
        ProcessSet().start(node, os.environ)
