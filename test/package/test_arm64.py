"""What a robot's computer gets from pip: on x86-64 and arm64, for each distribution's Python."""

from __future__ import annotations

import platform
import runpy
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from pip_elsewhere import resolved

from emotion_estimator.runtimes import mediapipe_with_face_mesh

ROOT = Path(__file__).parents[2]
ROBOT = ROOT / 'requirements' / 'robot.txt'
#: Python and minor version of glibc 2 of Ubuntu 22.04 (Humble, JetPack 6), Debian 12 (Raspberry Pi
#: OS), Ubuntu 24.04 (Jazzy, Kilted).
SYSTEMS = {'humble': ('3.10', 35), 'debian12': ('3.11', 36), 'jazzy': ('3.12', 39)}


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


def ranges_on(machine: str, *required: str) -> dict[str, SpecifierSet]:
    """Return the ranges that setup.py asks for on a machine, by name."""
    here = environment(machine, '3.12')
    found = [Requirement(text) for text in required]
    return {r.name: r.specifier for r in found if not r.marker or r.marker.evaluate(here)}


@pytest.mark.parametrize('machine', ['x86_64', 'aarch64'])
def test_setup_and_the_file_for_robots_agree(monkeypatch, machine):
    given = setup_arguments(monkeypatch)
    ranges = ranges_on(machine, *given['install_requires'], *given['extras_require']['films'])
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
    found = resolved('aarch64', *SYSTEMS[system], '-r', str(ROBOT), *everything)
    assert found['mediapipe'] == '0.10.18'
    # That MediaPipe's NumPy, which is also the one of the distributions' cv_bridge.
    assert found['numpy'].startswith('1.')


def test_what_rosdep_installs_is_in_our_ranges(monkeypatch):
    """Compare: the keys of rosdep name no versions: python3-mediapipe-pip, python3-rosbags-pip."""
    ranges = ranges_on('aarch64', *setup_arguments(monkeypatch)['install_requires'])
    found = resolved('aarch64', *SYSTEMS['jazzy'], 'mediapipe', 'rosbags', 'ai-edge-litert')
    for name in ('mediapipe', 'rosbags', 'ai-edge-litert'):
        assert found[name] in ranges[name], name
    # Bundles no face mesh: the Face Landmarker of models/ runs.
    assert int(found['mediapipe'].split('.')[0]) >= 1
