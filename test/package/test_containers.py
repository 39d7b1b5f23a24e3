"""Dockerfile and devcontainer: files that they name exist, and both install what README says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / 'Dockerfile').read_text()
SET_UP = ROOT / '.devcontainer' / 'set_up.sh'


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with their arguments, lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith('#')]
    joined = '\n'.join(lines).replace('\\\n', ' ')
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines()]


def test_what_the_image_copies_exists():
    sources = [
        name
        for kind, arguments in instructions()
        if kind == 'COPY'
        for name in shlex.split(arguments)[:-1]
    ]
    assert sources == ['package.xml', 'requirements/robot.txt', '.']
    assert all((ROOT / name).exists() for name in sources)


def test_nothing_that_the_build_installs_is_left_out_of_the_image():
    ignored = (ROOT / '.dockerignore').read_text().split()
    cmake = (ROOT / 'CMakeLists.txt').read_text()
    (folders,) = re.findall(r'install\(DIRECTORY ([\w ]+)\n  DESTINATION share', cmake)
    for folder in (*folders.split(), 'emotion_estimator', 'msg', 'srv', 'scripts', 'requirements'):
        assert (ROOT / folder).is_dir()
        assert not any(Path(folder).match(pattern) for pattern in ignored), folder


@pytest.mark.parametrize('text', [DOCKERFILE, SET_UP.read_text()], ids=['Dockerfile', 'set_up.sh'])
def test_pip_installs_the_keys_that_rosdep_skips(text):
    (skipped,) = re.findall(r'--skip-keys "([^"]+)"', text)
    robot = (ROOT / 'requirements' / 'robot.txt').read_text()
    package = (ROOT / 'package.xml').read_text()
    for key in skipped.split():
        assert f'<exec_depend>{key}</exec_depend>' in package
        assert re.search(rf'^{key.removeprefix("python3-").removesuffix("-pip")}\b', robot, re.M)
    assert 'pip install' in text and 'requirements/robot.txt' in text


def test_the_image_starts_the_launch_file_with_the_arguments_of_docker_run(tmp_path):
    (entry,) = (arguments for kind, arguments in instructions() if kind == 'ENTRYPOINT')
    command = json.loads(entry)
    # In place of the workspace, and of `ros2`, which says how it was called.
    (tmp_path / 'install').mkdir()
    (tmp_path / 'install' / 'setup.bash').write_text(f'PATH={tmp_path}:$PATH\n')
    (tmp_path / 'ros2').write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    (tmp_path / 'ros2').chmod(0o755)
    said = subprocess.run(
        [*command, 'source:=my film.mp4', 'loop:=true'], cwd=tmp_path, check=True,
        capture_output=True, text=True, timeout=20,
    ).stdout  # fmt: skip
    assert said == 'launch|emotion_estimator|emotion.launch.py|source:=my film.mp4|loop:=true|'
    assert (ROOT / 'launch' / 'emotion.launch.py').is_file()


def test_the_devcontainer_is_read_and_sets_itself_up():
    text = (ROOT / '.devcontainer' / 'devcontainer.json').read_text()
    config = json.loads(re.sub(r'^\s*//.*$', '', text, flags=re.MULTILINE))
    assert config['image'].startswith('ros:')
    assert f'bash {SET_UP.relative_to(ROOT)}' == config['postCreateCommand']
    bash = shutil.which('bash')
    assert subprocess.run([bash, '-n', SET_UP], check=False).returncode == 0
    folder = config['workspaceFolder']
    assert f'target={folder},' in config['workspaceMount']
    assert f'cd {Path(folder).parents[1]}\n' in SET_UP.read_text()
