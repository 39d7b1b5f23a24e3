"""What a robot's computer gets from pip: on x86-64 and arm64, for each distribution's Python."""

from __future__ import annotations

import json
import platform
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from emotion_estimator.runtimes import mediapipe_with_face_mesh

ROOT = Path(__file__).parents[2]
ROBOT = ROOT / 'requirements' / 'robot.txt'
#: Python and minor version of glibc 2 of Ubuntu 22.04 (Humble, JetPack 6), Debian 12 (Raspberry Pi
#: OS), Ubuntu 24.04 (Jazzy, Kilted).
SYSTEMS = {'humble': ('3.10', 35), 'debian12': ('3.11', 36), 'jazzy': ('3.12', 39)}
#: pip decides by the markers of the machine that it runs on, not of the one that is asked for.
PIP_ON_ARM64 = """
import sys
from pip._vendor.packaging import markers
here, python = markers.default_environment, sys.argv.pop(1)
markers.default_environment = lambda: {
    **here(), 'platform_machine': 'aarch64', 'sys_platform': 'linux', 'platform_system': 'Linux',
    'os_name': 'posix', 'python_version': python, 'python_full_version': f'{python}.0',
}
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def pip_on_arm64(python: str, glibc: int, *requirements: str) -> subprocess.CompletedProcess[str]:
    """Resolve requirements, wheels only, for arm64 on Linux; nothing is installed."""
    tags = [
        'manylinux2014_aarch64',
        *(f'manylinux_2_{minor}_aarch64' for minor in range(17, glibc + 1)),
    ]
    return subprocess.run(
        [sys.executable, '-c', PIP_ON_ARM64, python, 'install', '--quiet', '--dry-run',
         '--ignore-installed', '--report', '-', '--target', '/nowhere', '--only-binary', ':all:',
         '--retries', '0', '--timeout', '15', '--disable-pip-version-check',
         '--implementation', 'cp', '--python-version', python,
         *(word for tag in tags for word in ('--platform', tag)), *requirements],
        check=False, capture_output=True, text=True, timeout=180,
    )  # fmt: skip


@cache
def registry_answers() -> bool:
    # Of one wheel for all machines.
    try:
        return pip_on_arm64('3.12', 39, '--no-deps', 'rosbags').returncode == 0
    except subprocess.TimeoutExpired:
        return False


def resolved(system: str, *requirements: str) -> dict[str, str]:
    """Return what would be installed: name to version."""
    if not registry_answers():
        pytest.skip('no package registry answers pip')
    try:
        run = pip_on_arm64(*SYSTEMS[system], *requirements)
    except subprocess.TimeoutExpired:
        pytest.skip('the package registry is too slow')
    assert run.returncode == 0, run.stderr[-2000:]
    packages = [item['metadata'] for item in json.loads(run.stdout)['install']]
    return {package['name'].lower(): package['version'] for package in packages}


def robot_requirements() -> list[Requirement]:
    lines = (line.strip() for line in ROBOT.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith('#')]


def setup_arguments(monkeypatch) -> dict:
    given: dict = {}
    monkeypatch.setattr('setuptools.setup', lambda **arguments: given.update(arguments))
    runpy.run_path(str(ROOT / 'setup.py'))
    return given


def environment(machine: str, python: str) -> dict[str, str]:
    return {'platform_machine': machine, 'python_version': python, 'sys_platform': 'linux'}


@pytest.mark.parametrize('machine', ['x86_64', 'aarch64'])
@pytest.mark.parametrize('python', ['3.10', '3.11', '3.12', '3.13', '3.14'])
def test_one_mediapipe_for_each_machine(monkeypatch, machine, python):
    chosen = [
        requirement
        for requirement in robot_requirements()
        if requirement.name == 'mediapipe'
        and requirement.marker.evaluate(environment(machine, python))
    ]
    (mediapipe,) = chosen
    # The one that the nodes ask for where there is none.
    monkeypatch.setattr(platform, 'machine', lambda: machine)
    monkeypatch.setattr(sys, 'version_info', tuple(map(int, python.split('.'))))
    release = mediapipe_with_face_mesh()
    assert str(mediapipe.specifier) == (f'=={release}' if release else '>=1')


def test_setup_and_the_file_for_robots_agree(monkeypatch):
    given = setup_arguments(monkeypatch)
    ranges = {r.name: r.specifier for r in map(Requirement, given['install_requires'])}
    lines = robot_requirements()
    for requirement in lines:
        pin = str(requirement.specifier)
        if pin.startswith('=='):
            assert pin.removeprefix('==') in ranges[requirement.name]
        elif requirement.name != 'mediapipe':
            assert requirement.specifier == ranges[requirement.name]
    with_mesh = {str(r) for r in lines if str(r.specifier).startswith('==')}
    extra = {str(Requirement(r)) for r in given['extras_require']['face-mesh']}
    assert {line for line in extra if line.startswith('mediapipe')} == with_mesh


@pytest.mark.parametrize('system', SYSTEMS)
def test_the_whole_robot_has_wheels_for_arm64(monkeypatch, system):
    given = setup_arguments(monkeypatch)
    extras = given['extras_require']
    everything = [*given['install_requires'], *extras['demo'], *extras['face-mesh']]
    found = resolved(system, '-r', str(ROBOT), *everything)
    assert found['mediapipe'] == '0.10.18'
    # That MediaPipe's NumPy, which is also the one of the distributions' cv_bridge.
    assert found['numpy'].startswith('1.')


def test_what_rosdep_installs_is_in_our_ranges(monkeypatch):
    """Compare: the keys of rosdep name no versions: python3-mediapipe-pip, python3-rosbags-pip."""
    given = setup_arguments(monkeypatch)
    ranges = {r.name: r.specifier for r in map(Requirement, given['install_requires'])}
    found = resolved('jazzy', 'mediapipe', 'rosbags', 'ai-edge-litert')
    for name in ('mediapipe', 'rosbags', 'ai-edge-litert'):
        assert found[name] in ranges[name], name
    # Bundles no face mesh: `models fetch`, as the nodes say then.
    assert int(found['mediapipe'].split('.')[0]) >= 1
