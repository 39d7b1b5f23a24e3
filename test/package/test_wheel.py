"""The wheel and the sdist: what is in them, and the command that a clean environment gets."""

from __future__ import annotations

import email
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from pip_elsewhere import registry_answers, resolved

from emotion_estimator.perception.landmarks.face_landmarker import FACE_LANDMARKER_SHA256

pytest.importorskip('setuptools', minversion='70.1', reason='builds wheels with setuptools alone')

ROOT = Path(__file__).parents[2]
PORTRAIT = ROOT / 'emotion_estimator' / 'sources' / 'data' / 'astronaut.jpg'
PYTHONS = ('3.10', '3.11', '3.12', '3.13')
#: What an environment may take in the end, with pip in it, on x86-64: in MiB.
MOST = 450


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], check=False, capture_output=True, text=True, timeout=400, **options
    )


def built(*command: object, cwd: Path) -> None:
    done = run(sys.executable, *command, cwd=cwd)
    assert done.returncode == 0, done.stderr[-2000:]


def wheel_of(source: Path, folder: Path) -> Path:
    built(
        '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation',
        '--disable-pip-version-check', '--wheel-dir', folder, source, cwd=folder,
    )  # fmt: skip
    (wheel,) = folder.glob('*.whl')
    return wheel


@pytest.fixture(scope='module')
def checkout(tmp_path_factory) -> Path:
    """Copy what is built: building leaves files behind, which another build would pack."""
    folder = tmp_path_factory.mktemp('checkout')
    for name in ('config', 'emotion_estimator', 'models', 'msg', 'test'):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__'))
    for file in ROOT.iterdir():
        if file.is_file() and not file.name.startswith('.'):
            shutil.copy(file, folder)
    return folder


@pytest.fixture(scope='module')
def wheel(checkout, tmp_path_factory) -> Path:
    return wheel_of(checkout, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def metadata(wheel) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
        return email.message_from_bytes(archive.read(name))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if '/RECORD' not in name}


def test_the_sdist_gives_the_same_wheel(checkout, wheel, tmp_path):
    code = f'from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})'
    built('-c', code, cwd=checkout)
    (sdist,) = tmp_path.glob('emotion_estimator-*.tar.gz')
    (tmp_path / 'wheel').mkdir()
    assert contents(wheel_of(sdist, tmp_path / 'wheel')) == contents(wheel)


def test_a_landmark_source_comes_with_it(wheel):
    content = contents(wheel)['emotion_estimator/models/face_landmarker.task']
    assert hashlib.sha256(content).hexdigest() == FACE_LANDMARKER_SHA256
    assert 'emotion_estimator/models/face_landmarker.md' in contents(wheel)


def test_its_metadata_say_who_made_it_and_for_what(metadata):
    package = ET.parse(ROOT / 'package.xml')
    maintainer = package.find('maintainer')
    assert metadata['Home-page'] == package.findtext('url')
    assert metadata['Author'] == package.findtext('author')
    assert metadata['Author-email'] == maintainer.get('email')
    assert metadata['License'] == 'Apache-2.0'
    classifiers = metadata.get_all('Classifier')
    assert {f'Programming Language :: Python :: {python}' for python in PYTHONS} <= {*classifiers}
    assert {'robotics', 'ROS 2', 'facial expression'} <= set(metadata['Keywords'].split(','))


def required(metadata: Message, machine: str, python: str) -> dict[str, Requirement]:
    """Return what is asked for without an extra: name to requirement, each named once."""
    here = {'platform_machine': machine, 'python_version': python, 'extra': ''}
    every = [Requirement(text) for text in metadata.get_all('Requires-Dist')]
    found = [one for one in every if not one.marker or one.marker.evaluate(here)]
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


@pytest.mark.parametrize('python', PYTHONS)
@pytest.mark.parametrize('machine', ['x86_64', 'aarch64', 'arm64', 'AMD64'])
def test_it_asks_for_one_opencv(metadata, machine, python):
    asked = required(metadata, machine, python)
    # Those with the face mesh, and those after 0.10.31, ask for opencv-contrib-python themselves.
    brings_opencv = Version('1.2.3') in asked['mediapipe'].specifier
    assert brings_opencv == (machine == 'aarch64')
    assert Version('0.10.31') in asked['mediapipe'].specifier
    wanted = set() if brings_opencv else {'opencv-python-headless'}
    assert {name for name in asked if name.startswith('opencv')} == wanted
    assert 'av' not in asked


@pytest.mark.robot
@pytest.mark.parametrize('python', PYTHONS)
@pytest.mark.parametrize('machine', ['x86_64', 'aarch64'])
def test_pip_finds_a_wheel_of_all_it_needs_and_one_opencv(wheel, machine, python):
    found = resolved(machine, python, 36, str(wheel))
    assert len([name for name in found if name.startswith('opencv')]) == 1
    assert found['mediapipe'] == '0.10.31' or machine == 'aarch64'
    assert 'jaxlib' not in found


@functools.cache
def other_python(version: str) -> str | None:
    """Return a Python of this version, such as ``3.12``; None if the machine has none."""
    if version == f'{sys.version_info.major}.{sys.version_info.minor}':
        return sys.executable
    found = shutil.which(f'python{version}')
    works = found and run(found, '-c', 'import ensurepip, venv').returncode == 0
    return found if works else None


@pytest.fixture(
    scope='module',
    params=[
        python
        if python == f'{sys.version_info.major}.{sys.version_info.minor}'
        else pytest.param(python, marks=pytest.mark.robot)
        for python in PYTHONS
    ],
)
def clean(request, wheel, tmp_path_factory) -> Path:
    """Make a virtual environment in which pip installs the wheel and what that asks for."""
    python = other_python(request.param)
    if python is None:
        pytest.skip(f'no Python {request.param} here')
    if not registry_answers():
        pytest.skip('no package registry answers pip')
    folder = tmp_path_factory.mktemp('clean')
    assert run(python, '-m', 'venv', folder, env=bare(folder)).returncode == 0
    try:
        done = run(folder / 'bin' / 'pip', 'install', '--quiet', wheel, env=bare(folder))
    except subprocess.TimeoutExpired:
        pytest.skip('the package registry is too slow')
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def bare(home: Path) -> dict[str, str]:
    """Return an environment without this one's packages and cached models."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith('PYTHON')}
    return kept | {'HOME': str(home), 'XDG_CACHE_HOME': str(home / 'cache')}


def offline(home: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command where no other machine can be reached."""
    nowhere = dict.fromkeys(('http_proxy', 'https_proxy', 'all_proxy'), 'http://127.0.0.1:9')
    alone = ('unshare', '--map-root-user', '--net')
    can = shutil.which('unshare') and run(*alone, 'true').returncode == 0
    return run(*(alone if can else ()), *command, cwd=home, env=bare(home) | nowhere)


def test_its_command_answers_at_once_and_offline(clean, tmp_path):
    command = clean / 'bin' / 'emotion-estimator'
    done = offline(tmp_path, command, 'image', PORTRAIT, '--json')
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)['faces']
    assert face['label'] == 'happy'
    assert face['confidence'] > 0.9
    listed = offline(tmp_path, command, 'models', 'list').stdout
    assert 'emotion_estimator/models/face_landmarker.task (the official file)' in listed
    assert len([*clean.glob('lib/python3*/site-packages/opencv*.dist-info')]) == 1


def test_it_says_what_films_need(clean, tmp_path):
    film = tmp_path / 'a.avi'
    film.write_bytes(b'RIFF\0\0\0\0AVI LIST')
    done = offline(tmp_path, clean / 'bin' / 'emotion-estimator', 'video', film)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "needs PyAV, which is not installed; run: pip install 'av>=17'" in line


@pytest.mark.robot
def test_it_is_small(clean):
    files = [file for file in clean.glob('lib/python3*/site-packages/**/*') if file.is_file()]
    assert sum(file.stat().st_size for file in files) / 2**20 < MOST
