"""The linters of ament, as CMakeLists.txt sets them, with the programs that they wrap.

`ament_flake8` and `ament_pep257` have no wheels; flake8 with the plugins ROS installs beside it,
and pydocstyle, have. ruff (`make lint`) says most of this sooner, but not all.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    'benchmarks', 'emotion_estimator', 'examples', 'launch', 'reliability', 'scripts', 'test',
    'training',
)  # fmt: skip
# Of ament_flake8's plugins those whose rules are on in .flake8.
PLUGINS = ('flake8_builtins', 'flake8_class_newline', 'flake8_comprehensions', 'flake8_quotes')
# What ament_pep257 leaves out by itself.
AMENT_PEP257 = 'D100,D101,D102,D103,D104,D105,D106,D107,D203,D212,D404'


def complaints(*command: str) -> str:
    present = [name for name in FOLDERS if (ROOT / name).is_dir()]
    run = subprocess.run([sys.executable, '-m', *command, *present, 'setup.py'], check=False,
                         capture_output=True, text=True, cwd=ROOT)  # fmt: skip
    assert run.returncode in (0, 1), run.stderr
    return run.stdout + run.stderr


def need(*modules: str) -> None:
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    if absent:
        pytest.skip(f'not installed: {", ".join(absent)}')


def test_flake8_with_the_plugins_of_ros_is_content():
    need('flake8', *PLUGINS)
    assert complaints('flake8', '--config', '.flake8', '--jobs', '2') == ''


def test_pep257_is_content():
    need('pydocstyle')
    (options,) = re.findall(r'ament_pep257\(--add-ignore ([D\d ]+)\)',
                            (ROOT / 'CMakeLists.txt').read_text())  # fmt: skip
    ignored = ','.join([AMENT_PEP257, *options.split()])
    assert complaints('pydocstyle', '--match', r'.*\.py', '--ignore', ignored) == ''
