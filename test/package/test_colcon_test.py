"""`colcon test`: CMake registers every room, and what pytest finds there is counted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import cmake_build
import pytest

ROOT = Path(__file__).parents[2]
TEST = ROOT / 'test'
ROOMS = {file.relative_to(TEST).parts[0] for file in TEST.glob('*/**/test_*.py')} - {'helpers'}
#: A room, and a file of it that is quick: its tests run here a second time.
QUICK, FILE = 'benchmarks', 'test_dialogue_scoring'


def ctest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ctest in ``folder``, from which no Python package of the sources can be imported."""
    environment = {**cmake_build.environment(), 'PYTEST_ADDOPTS': f'-k {FILE}'}
    return subprocess.run(
        ['ctest', *arguments], cwd=folder, env=environment, check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope='module')
def build(tmp_path_factory) -> Path:
    path = cmake_build.environment()['PATH']
    absent = [name for name in ('cmake', 'ctest') if not shutil.which(name, path=path)]
    if absent or not any(map(shutil.which, ('cc', 'gcc', 'clang'))):
        pytest.skip(f'not installed: {", ".join(absent) or "a compiler"}')
    if not any((Path(p) / 'share/ament_cmake').is_dir() for p in cmake_build.PREFIXES):
        pytest.skip('no ROS distribution is sourced')
    # CMake refuses NumPy's headers below the source folder, where `make` has its environment.
    folder = tmp_path_factory.mktemp('colcon_test')
    (folder / 'source').symlink_to(ROOT)
    cmake_build.cmake(
        '-S', folder / 'source', '-B', folder / 'build', '-DBUILD_TESTING=ON',
        f'-DPython3_EXECUTABLE={sys.executable}',
    )  # fmt: skip
    return folder / 'build'


def test_every_room_is_a_test_with_a_time_limit_of_its_own(build):
    shown = json.loads(ctest(build, '--show-only=json-v1').stdout)['tests']
    limits = {
        test['name']: {p['name']: p['value'] for p in test['properties']}['TIMEOUT']
        for test in shown
        if any('pytest' in word for word in test['command'])
    }
    assert limits.keys() == {'core', *ROOMS}
    assert limits['dialogue'] < limits['nodes']


def test_results_say_how_many_tests_ran(build):
    run = ctest(build, '--output-on-failure', '-R', f'^{QUICK}$')
    assert run.returncode == 0, run.stdout
    (file,) = build.glob(f'test_results/*/{QUICK}.xunit.xml')
    (suite,) = ET.parse(file).getroot().iter('testsuite')
    written = (TEST / QUICK / f'{FILE}.py').read_text()
    assert int(suite.get('tests', 0)) >= len(re.findall(r'^def test_', written, re.MULTILINE)) > 1
    assert suite.get('failures') == suite.get('errors') == '0'


def test_without_pytest_there_is_a_failure(build, tmp_path):
    registered = ctest(build, '--show-only=json-v1').stdout
    (command,) = (
        test['command'] for test in json.loads(registered)['tests'] if test['name'] == QUICK
    )
    results = tmp_path / 'results.xml'
    runner, after = command[: command.index('--command')], command[command.index('--command') :]
    assert after[1] == sys.executable
    # -I -S: neither this environment's packages nor the user's.
    after[1:2] = [os.path.realpath(sys.executable), '-I', '-S']
    run = subprocess.run(
        [str(results) if word.endswith('.xml') else word for word in [*runner, *after]],
        cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode != 0
    assert 'No module named pytest' in run.stdout
    (suite,) = ET.parse(results).getroot().iter('testsuite')
    assert int(suite.get('failures', 0)) + int(suite.get('errors', 0)) == 1
