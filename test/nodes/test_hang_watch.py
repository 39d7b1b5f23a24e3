"""A process that hangs in a publication ends; one that was stopped does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emotion_estimator.nodes.hang_watch import HUNG

ROOT = Path(__file__).parents[2]

PROGRAM = """
import ctypes, sys, time
from emotion_estimator.nodes import hang_watch

class Publisher:
    topic_name = '/image_raw'
    def publish(self, seconds):
        # PyDLL keeps the interpreter's lock, CDLL gives it back.
        (ctypes.PyDLL if sys.argv[1] == 'locked' else ctypes.CDLL)(None).sleep(int(seconds))

publisher = Publisher()
hang_watch.guard(publisher)
with hang_watch.watching(publication=2, interpreter=float(sys.argv[3])):
    print('ready', flush=True)
    publisher.publish(int(sys.argv[2]))
if len(sys.argv) > 4:
    time.sleep(float(sys.argv[4]))
print('done', flush=True)
"""


def program(kind: str, seconds: int, interpreter: float, *after: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, '-c', PROGRAM, kind, str(seconds), str(interpreter), *map(str, after)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )


def test_a_publication_that_hangs_ends_the_process():
    process = program('free', 600, 60.0)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (HUNG, 'ready\n')
    assert 'a publication on /image_raw has hung for 2 s inside the middleware' in errors
    assert 'in publish' in errors


def test_a_publication_that_holds_the_interpreter_ends_the_process_too():
    process = program('locked', 600, 2.0)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (1, 'ready\n')
    assert 'Timeout' in errors and 'in publish' in errors


def test_a_process_that_has_ended_its_nodes_is_no_longer_watched():
    process = program('free', 1, 6.0, 9.0)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, 'ready\ndone\n', '')


def test_a_publication_that_takes_its_time_is_left_alone():
    process = program('free', 1, 60.0)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, 'ready\ndone\n', '')


@pytest.mark.skipif(not hasattr(signal, 'SIGSTOP'), reason='no SIGSTOP on this system')
def test_a_process_that_was_stopped_goes_on():
    process = program('free', 1, 60.0)
    assert process.stdout is not None
    assert process.stdout.readline() == 'ready\n'
    process.send_signal(signal.SIGSTOP)
    time.sleep(4.0)
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, 'done\n', '')
