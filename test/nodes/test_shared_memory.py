"""Segments in /dev/shm: made private, and removed if and only if their owner has died."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.errors import InputError
from emotion_estimator.nodes import shared_memory
from emotion_estimator.nodes.shared_memory import RemovedSegments, keep_private, remove_dead

OLD, YOUNG = 5000.0, 1000.0
NAME = 'fastdds_0123456789abcdef'

_HOLD = """
import fcntl, os, sys
number = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(number, fcntl.LOCK_EX)
print('locked', flush=True)
sys.stdin.read()
"""


def segment(folder, name=NAME, size=1000, age=OLD):
    """Make a segment and its lock file, as Fast DDS leaves them; return both."""
    made, lock = folder / name, folder / f'{name}_el'
    made.write_bytes(bytes(size))
    lock.touch()
    made.chmod(0o644)
    os.utime(lock, (time.time() - age,) * 2)
    return made, lock


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def left_in(folder):
    return {path.name for path in folder.iterdir()}


def test_a_segment_is_removed_once_its_owner_was_killed_and_not_before(tmp_path):
    made, lock = segment(tmp_path, size=13_000_000)
    owner = subprocess.Popen(
        [sys.executable, '-I', '-S', '-c', _HOLD, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout.readline() == b'locked\n'
    assert remove_dead(tmp_path) == RemovedSegments()
    assert made.exists()
    assert lock.exists()
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    removed = remove_dead(tmp_path)
    assert removed == RemovedSegments(1, 13_000_000)
    assert str(removed) == (
        '1 shared memory segment (13.0 MB) of processes that have died: removed'
    )
    assert left_in(tmp_path) == set()


#: name, whether the lock is held, its age, whether the segment exists.
FILES = st.dictionaries(
    st.builds(
        '{}_{:016x}'.format, st.sampled_from(['fastdds', 'fastrtps']), st.integers(0, 2**64 - 1)
    ),
    st.tuples(st.booleans(), st.sampled_from([0.0, 1.0, -1.0, OLD]), st.booleans()),
    max_size=8,
)


@given(FILES)
@settings(deadline=None, max_examples=50)
def test_only_what_is_old_and_unlocked_is_removed(files):
    with TemporaryDirectory() as name, ExitStack() as held:
        folder = Path(name)
        kept = set()
        for segment_name, (locked, age, exists) in files.items():
            made, lock = segment(folder, segment_name, age=age)
            if not exists:
                made.unlink()
            if locked:
                fcntl.flock(held.enter_context(lock.open('rb')), fcntl.LOCK_EX)
            if locked or age != OLD:
                kept |= {lock.name, *([made.name] if exists else [])}
        dead = [exists for locked, age, exists in files.values() if not locked and age == OLD]
        assert remove_dead(folder, YOUNG) == RemovedSegments(sum(dead), 1000 * sum(dead))
        assert left_in(folder) == kept


@pytest.mark.parametrize(
    'name',
    [
        'fastdds_port7412',
        'sem.fastdds_port7412_mutex',
        'fast_datasharing_01.0f.6a.9c.01.00.00.00_0.0.1.3',
        'fastdds_0123',
        'fastdds_0123456789ABCDEF',
        'other_0123456789abcdef',
        'fastdds_0123456789abcdef_el',
        'lttng-ust-wait-6',
    ],
)
def test_files_that_are_no_segments_stay(tmp_path, name):
    made, lock = segment(tmp_path, name)
    assert remove_dead(tmp_path) == RemovedSegments()
    assert left_in(tmp_path) == {made.name, lock.name}


def test_a_segment_without_a_lock_file_stays(tmp_path):
    made, lock = segment(tmp_path)
    lock.unlink()
    assert remove_dead(tmp_path) == RemovedSegments()
    assert made.exists()


@pytest.mark.parametrize('linked', ['lock', 'segment'])
def test_links_are_not_followed(tmp_path, linked):
    outside = tmp_path / 'outside'
    outside.write_bytes(b'precious')
    os.utime(outside, (time.time() - OLD,) * 2)
    folder = tmp_path / 'shm'
    folder.mkdir()
    made, lock = segment(folder)
    link = lock if linked == 'lock' else made
    link.unlink()
    link.symlink_to(outside)
    assert remove_dead(folder) == RemovedSegments()
    assert left_in(folder) == {made.name, lock.name}
    assert outside.read_bytes() == b'precious'


def test_other_users_segments_stay(tmp_path, monkeypatch):
    made, lock = segment(tmp_path)
    us = os.geteuid()
    monkeypatch.setattr(os, 'geteuid', lambda: us + 1)
    assert remove_dead(tmp_path) == RemovedSegments()
    assert left_in(tmp_path) == {made.name, lock.name}
    with lock.open('rb'):
        assert keep_private(tmp_path) == 0
    assert mode(made) == 0o644


def test_a_pipe_and_a_folder_that_is_not_there_do_no_harm(tmp_path):
    os.mkfifo(tmp_path / f'{NAME}_el')
    assert remove_dead(tmp_path) == RemovedSegments()
    assert remove_dead(tmp_path / 'nowhere') == RemovedSegments()
    assert keep_private(tmp_path / 'nowhere') == 0


def test_only_the_segments_of_this_process_become_private(tmp_path):
    made, lock = segment(tmp_path)
    others, _ = segment(tmp_path, 'fastdds_fedcba9876543210')
    with lock.open('rb'):
        assert keep_private(tmp_path) == 1
    assert mode(made) == 0o600
    assert mode(others) == 0o644
    assert keep_private(tmp_path) == 0


def test_a_link_in_the_place_of_our_segment_is_not_followed(tmp_path):
    made, lock = segment(tmp_path)
    outside = tmp_path / 'outside'
    outside.touch(mode=0o644)
    outside.chmod(0o644)
    made.unlink()
    made.symlink_to(outside)
    with lock.open('rb'):
        assert keep_private(tmp_path) == 0
    assert mode(outside) == 0o644


def test_it_looks_where_glibc_puts_shared_memory():
    assert Path('/dev/shm') == shared_memory.FOLDER


def test_a_process_of_nodes_removes_what_is_dead_when_it_starts_and_when_it_stops(monkeypatch):
    running = pytest.importorskip('emotion_estimator.nodes.running', reason='ROS 2 is not sourced')
    calls = []
    monkeypatch.setattr(shared_memory, 'remove_dead', lambda: calls.append('remove_dead'))
    monkeypatch.setattr(running.rclpy, 'init', lambda **_: calls.append('init'))
    monkeypatch.setattr(running.rclpy, 'try_shutdown', lambda: calls.append('shutdown'))

    def no_nodes():
        raise InputError('a parameter is wrong; mend it')

    monkeypatch.setattr(running.rclpy, 'ok', lambda: True)
    monkeypatch.setattr(running, 'SingleThreadedExecutor', lambda: None)
    assert running.run(no_nodes) == 2
    assert calls == ['remove_dead', 'init', 'shutdown', 'remove_dead']
