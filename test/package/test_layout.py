"""The tree, and what colcon makes of it."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

import pytest

from emotion_estimator import __version__
from emotion_estimator.resources import resource_dir

ROOT = Path(__file__).parents[2]
PACKAGE = 'emotion_estimator'
EXECUTABLES = {'bag_player_node', 'camera_estimator_node', 'camera_node', 'dialogue_manager_node',
               'emotion-estimator', 'estimator_node', 'live_node', 'llm_dialogue_node'}  # fmt: skip


def prefix() -> Path:
    """Return the prefix colcon installed to, or skip."""
    for entry in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if entry and (Path(entry) / 'share' / PACKAGE / 'package.xml').is_file():
            return Path(entry)
    return pytest.skip('the built package is not sourced')


@pytest.mark.parametrize(
    'name',
    ['package.xml', 'CMakeLists.txt', 'setup.py', 'Makefile', 'LICENSE', 'CHANGELOG.rst',
     'README.md', PACKAGE, 'launch', 'config', 'msg', 'models', 'test', '.ci/run'],
)  # fmt: skip
def test_the_tree_has_its_rooms(name):
    assert (ROOT / name).exists()


def test_one_version_everywhere():
    version = ET.parse(ROOT / 'package.xml').findtext('version')
    assert __version__ == version
    setup = subprocess.run(
        [sys.executable, 'setup.py', '--version'],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert setup.stdout.split()[-1] == version
    assert re.search(rf'^{re.escape(version)} ', (ROOT / 'CHANGELOG.rst').read_text(), re.M)
    training = (ROOT / 'training' / 'pyproject.toml').read_text()
    assert f'\nversion = "{version}"\n' in training
    assert f'"emotion-estimator=={version.rpartition(".")[0]}.*"' in training


def test_only_the_rooms_on_ros_import_the_generated_messages():
    # import-linter (`make lint`) holds every other direction; it cannot see generated modules.
    for file in (ROOT / PACKAGE).rglob('*.py'):
        if file.relative_to(ROOT / PACKAGE).parts[0] not in ('demo', 'nodes'):
            tree = ast.parse(file.read_text())
            modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            assert not modules & {f'{PACKAGE}.msg', f'{PACKAGE}.srv'}, file


def test_the_command_line_starts_without_tensorflow_ros_or_mediapipe():
    code = (
        'import sys; from emotion_estimator.cli.main import group; '
        'group(["--help"], standalone_mode=False); '
        "print([m for m in ('tensorflow', 'rclpy', 'mediapipe', 'matplotlib') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == '[]'


def sources(*folders: str) -> set[str]:
    """Return the files in ``folders``, relative to the repository."""
    return {
        str(file.relative_to(ROOT))
        for folder in folders
        for file in (ROOT / folder).rglob('*')
        if file.is_file() and '__pycache__' not in file.parts
    }


def assert_without_research(files: Iterable[str]) -> None:
    for file in files:
        assert not re.search(r'training|zoo|tensorflow|keras|requirements|\btest\b', file), file


def test_the_wheel_holds_the_robot_and_nothing_else(tmp_path):
    subprocess.run(
        [sys.executable, 'setup.py', '--quiet', 'egg_info', '--egg-base', tmp_path,
         'build_py', '--build-lib', tmp_path / 'lib'],
        capture_output=True, check=True, cwd=ROOT,
    )  # fmt: skip
    built = {str(f.relative_to(tmp_path / 'lib')) for f in (tmp_path / 'lib').rglob('*.*')}
    moved = {f'{PACKAGE}/{file}' for file in sources('config', 'models')}
    messages = {f'{PACKAGE}/message_definitions/{file[4:]}' for file in sources('msg')}
    assert built == sources(PACKAGE) | moved | messages
    assert_without_research(built)


def check_installed(installed: Path) -> None:
    library = installed / 'lib' / PACKAGE
    assert {file.name for file in library.iterdir()} == EXECUTABLES
    for file in library.iterdir():
        assert os.access(file, os.X_OK)
        assert file.read_text().startswith('#!/usr/bin/env python3\n')
    share = installed / 'share' / PACKAGE
    for folder in ('config', 'docs', 'examples', 'launch', 'models', 'security', 'views'):
        found = (file for file in (share / folder).rglob('*') if file.is_file())
        assert {str(file.relative_to(share)) for file in found} == sources(folder)
    for name in ('LICENSE', 'NOTICE', 'SECURITY.md', 'THIRD_PARTY.md'):
        assert (share / name).read_bytes() == (ROOT / name).read_bytes()
    for name in ('Emotion', 'EmotionArray', 'DialogueAction'):
        assert (share / 'msg' / f'{name}.msg').is_file()
    assert (share / 'srv' / 'ChooseTopic.srv').is_file()
    # colcon falls back to a plain Python build when package.xml is invalid; that has no such mark.
    assert (installed / 'share/ament_index/resource_index/packages' / PACKAGE).is_file()
    headers = installed / 'include' / PACKAGE / PACKAGE / 'msg'
    assert (headers / 'emotion.hpp').is_file()
    assert (share / 'cmake' / f'{PACKAGE}Config.cmake').is_file()
    (package,) = installed.glob(f'**/python3*/*-packages/{PACKAGE}')
    assert (package / 'msg' / '__init__.py').is_file()
    # Everything but what rosidl generates is a file of the repository, and none of them is missing.
    modules = {
        f'{PACKAGE}/{file.relative_to(package)}'
        for file in package.rglob('*.*')
        if file.is_file() and not {'msg', 'srv', '__pycache__'} & set(file.parts)
    }
    generated = {file for file in modules if file.endswith(('.c', '.so'))}
    assert modules - generated == sources(PACKAGE)
    assert_without_research(
        str(file.relative_to(installed))
        for file in installed.rglob('*')
        # The documentation is complete on a robot too.
        if file.is_file() and share / 'docs' not in file.parents
    )


def test_what_colcon_installed():
    check_installed(prefix())


def test_the_installed_package_is_the_one_that_runs():
    installed = prefix()
    module = importlib.import_module(f'{PACKAGE}.settings')
    assert installed in Path(module.__file__).parents
    assert importlib.import_module(f'{PACKAGE}.msg').Emotion.LABEL_NONE == 'none'
    assert resource_dir('models').is_dir()


def with_tools() -> dict[str, str]:
    """Return the environment with this Python's programs found first."""
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    return {**os.environ, 'PATH': path}


def test_symlink_install_gives_the_same(tmp_path):
    prefix()
    if not shutil.which('colcon', path=with_tools()['PATH']):
        pytest.skip('colcon is not here')
    # A workspace as an integrator has it, with the package beside others.
    (tmp_path / 'src').mkdir()
    (tmp_path / 'src' / PACKAGE).symlink_to(ROOT)
    run = subprocess.run(
        ['colcon', '--log-base', str(tmp_path / 'log'), 'build', '--symlink-install',
         '--base-paths', 'src', '--packages-select', PACKAGE,
         '--cmake-args', f'-DPython3_EXECUTABLE={sys.executable}', '-DBUILD_TESTING=OFF'],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=with_tools(),
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    installed = tmp_path / 'install' / PACKAGE
    check_installed(installed)
    (settings,) = installed.glob(f'**/python3*/*-packages/{PACKAGE}/settings.py')
    assert settings.is_symlink()
    check = subprocess.run(
        [sys.executable, '-c',
         'from emotion_estimator.msg import Emotion; '
         'from emotion_estimator.perception.classifier import EmotionClassifier; '
         'print(EmotionClassifier.load().labels)'],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(
            [str(settings.parents[1]), os.environ.get('PYTHONPATH', '')])},
    )  # fmt: skip
    assert 'happy' in check.stdout, check.stderr


def test_no_two_public_classes_share_a_name():
    found: dict[str, list[str]] = {}
    for folder in (PACKAGE, f'training/{PACKAGE}_training', 'benchmarks', 'reliability'):
        for file in (ROOT / folder).rglob('*.py'):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
                    found.setdefault(node.name, []).append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in found.items() if len(files) > 1} == {}
