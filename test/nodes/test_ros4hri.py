"""ROS4HRI with hri_msgs, real or the stand-in, in an environment of its own; and without."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

import cmake_build

from emotion_estimator.nodes.ros4hri import open_ros4hri

HELPERS = Path(__file__).parents[1] / 'helpers'
ROOT = Path(__file__).parents[2]
STAND_IN = HELPERS / 'stand_in_hri_msgs'


class NodeThatLogs:
    """As much of a node as is used where hri_msgs is missing."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def get_logger(self) -> NodeThatLogs:
        return self

    def info(self, line: str) -> None:
        self.lines.append(line)


def test_without_hri_msgs_there_is_one_info_line_and_nothing_else(monkeypatch):
    for name in ('hri_msgs', 'hri_msgs.msg'):
        monkeypatch.setitem(sys.modules, name, None)
    node = NodeThatLogs()
    assert open_ros4hri(node) is None
    assert len(node.lines) == 1
    assert 'hri_msgs is not installed' in node.lines[0] and '\n' not in node.lines[0]


def stand_in() -> Path:
    """Return the prefix of the stand-in, built once for each environment."""
    key = f'{sys.prefix} {os.environ["AMENT_PREFIX_PATH"]}'
    name = hashlib.sha256(key.encode()).hexdigest()[:12]
    folder = ROOT / 'build' / 'stand_in_hri_msgs' / name
    folder.mkdir(parents=True, exist_ok=True)
    prefix, ready = folder / 'install', folder / 'ready'
    with (folder / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = [STAND_IN / 'CMakeLists.txt', *STAND_IN.glob('msg/*.msg')]
        newest = max(source.stat().st_mtime for source in sources)
        if not ready.exists() or ready.stat().st_mtime < newest:
            built = folder / 'build'
            cmake_build.build(STAND_IN, built, f'-DCMAKE_INSTALL_PREFIX={prefix}')
            cmake_build.cmake('--install', built)
            ready.touch()
    return prefix


@pytest.fixture(scope='module')
def with_hri_msgs():
    environment = cmake_build.environment()
    if importlib.util.find_spec('hri_msgs') is not None:
        return environment
    if not any(map(shutil.which, ('cc', 'gcc', 'clang'))):
        pytest.skip('neither hri_msgs nor a compiler for its stand-in is installed')
    prefix = stand_in()
    (module,) = prefix.glob('**/hri_msgs/msg/__init__.py')
    for name, value in (
        ('AMENT_PREFIX_PATH', prefix),
        ('LD_LIBRARY_PATH', prefix / 'lib'),
        ('PYTHONPATH', module.parents[2]),
    ):
        environment[name] = os.pathsep.join([str(value), environment.get(name, '')]).strip(':')
    return environment


def test_with_hri_msgs(with_hri_msgs):
    done = subprocess.run(
        [
            sys.executable, '-P', '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
            f'--rootdir={HELPERS}', str(STAND_IN / 'with_hri_msgs.py'),
        ],
        env=with_hri_msgs, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert ' skipped' not in done.stdout
