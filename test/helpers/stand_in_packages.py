"""Interface packages that have no wheel: the real ones, or stand-ins built from `stand_ins/`."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cmake_build
import pytest

FOLDER = Path(__file__).parent / 'stand_ins'
ROOT = Path(__file__).parents[2]
NAMES = tuple(
    sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and '__' not in path.name)
)

_CMAKE = """cmake_minimum_required(VERSION 3.16)
project({name})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
{found}
rosidl_generate_interfaces(${{PROJECT_NAME}} {files} DEPENDENCIES {needs})
ament_package()
"""
_PACKAGE = """<package format="3">
  <name>{name}</name>
  <version>0.0.0</version>
  <description>Stand-in for {name} in the tests of emotion_estimator; never installed.</description>
  <maintainer email="maintainers@emotion-estimator.dev">emotion_estimator maintainers</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  {depends}
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""


class NodeThatLogs:
    """As much of a node as is used where an interface package is missing."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def get_logger(self) -> NodeThatLogs:
        return self

    def info(self, line: str) -> None:
        self.lines.append(line)


def run_with_interfaces(file: str) -> None:
    """Run the tests in ``stand_ins/<file>`` where every interface package can be imported."""
    done = subprocess.run(
        [
            sys.executable, '-P', '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
            f'--rootdir={FOLDER.parent}', str(FOLDER / file),
        ],
        env=_environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert ' skipped' not in done.stdout


def _environment() -> dict[str, str]:
    environment = cmake_build.environment()
    if all(importlib.util.find_spec(name) is not None for name in NAMES):
        return environment
    if not any(map(shutil.which, ('cc', 'gcc', 'clang'))):
        pytest.skip(f'neither {", ".join(NAMES)} nor a compiler for stand-ins is installed')
    prefix = _built()
    (module,) = prefix.glob('**/hri_msgs/msg/__init__.py')
    for name, value in (
        ('AMENT_PREFIX_PATH', prefix),
        ('LD_LIBRARY_PATH', prefix / 'lib'),
        ('PYTHONPATH', module.parents[2]),
    ):
        environment[name] = os.pathsep.join([str(value), environment.get(name, '')]).strip(':')
    return environment


def _built() -> Path:
    """Return the prefix of the stand-ins, built once for each environment."""
    key = f'{sys.prefix} {os.environ["AMENT_PREFIX_PATH"]}'
    folder = ROOT / 'build' / 'stand_ins' / hashlib.sha256(key.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    ready = folder / 'ready'
    with (folder / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(path.stat().st_mtime for path in [Path(__file__), *FOLDER.glob('*/*/*')])
        if not ready.exists() or ready.stat().st_mtime < newest:
            for name in NAMES:
                _write_package(FOLDER / name, folder / 'src' / name)
            _colcon(folder)
            ready.touch()
    return folder / 'install'


def _write_package(source: Path, package: Path) -> None:
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(source, package)
    files = sorted(path.relative_to(source) for path in source.glob('*/*'))
    text = ''.join((source / file).read_text() for file in files)
    needs = [
        name
        for name in ('std_msgs', 'geometry_msgs', *NAMES)
        if f'{name}/' in text and name != source.name
    ]
    found = '\n'.join(f'find_package({name} REQUIRED)' for name in needs)
    depends = '\n  '.join(f'<depend>{name}</depend>' for name in [*needs, 'rosidl_default_runtime'])
    cmake = _CMAKE.format(
        name=source.name, found=found, files=' '.join(map(str, files)), needs=' '.join(needs)
    ).replace(' DEPENDENCIES )', ')')
    (package / 'CMakeLists.txt').write_text(cmake)
    (package / 'package.xml').write_text(_PACKAGE.format(name=source.name, depends=depends))


def _colcon(folder: Path) -> None:
    """Build what is in ``folder/src``; fail with the end of colcon's output."""
    done = subprocess.run(
        [
            'colcon', '--log-level', 'error', '--log-base', str(folder / 'log'), 'build',
            '--merge-install', '--build-base', str(folder / 'build'), '--install-base',
            str(folder / 'install'), '--base-paths', str(folder / 'src'), '--cmake-args',
            f'-DPython3_EXECUTABLE={sys.executable}', '-DBUILD_TESTING=OFF',
            '-DCMAKE_CXX_FLAGS=-O0',
        ],
        cwd=folder, env=cmake_build.environment(), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
