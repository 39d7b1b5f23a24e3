"""What pip would install on another machine, for another Python; nothing is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

#: pip decides by the markers of the machine that it runs on, not of the one that is asked for.
_PIP = """
import sys
from pip._vendor.packaging import markers
here, machine, python = markers.default_environment, sys.argv.pop(1), sys.argv.pop(1)
markers.default_environment = lambda: {
    **here(), 'platform_machine': machine, 'sys_platform': 'linux', 'platform_system': 'Linux',
    'os_name': 'posix', 'python_version': python, 'python_full_version': f'{python}.0',
}
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def _resolve(
    machine: str, python: str, glibc: int, *requirements: str
) -> subprocess.CompletedProcess[str]:
    tags = [
        f'manylinux2014_{machine}',
        *(f'manylinux_2_{minor}_{machine}' for minor in range(17, glibc + 1)),
    ]
    return subprocess.run(
        [sys.executable, '-c', _PIP, machine, python, 'install', '--quiet', '--dry-run',
         '--ignore-installed', '--report', '-', '--target', '/nowhere', '--only-binary', ':all:',
         '--retries', '0', '--timeout', '15', '--disable-pip-version-check',
         '--implementation', 'cp', '--python-version', python,
         *(word for tag in tags for word in ('--platform', tag)), *requirements],
        check=False, capture_output=True, text=True, timeout=180,
    )  # fmt: skip


@cache
def registry_answers() -> bool:
    """Return whether a package registry answers pip."""
    # Of one wheel for all machines.
    try:
        return _resolve('aarch64', '3.12', 39, '--no-deps', 'rosbags').returncode == 0
    except subprocess.TimeoutExpired:
        return False


def resolved(machine: str, python: str, glibc: int, *requirements: str) -> dict[str, str]:
    """Return what pip would install under Linux, wheels only: name to version.

    Skips the test where no registry answers.

    :param machine: ``x86_64`` or ``aarch64``.
    :param python: such as ``3.12``.
    :param glibc: minor version of glibc 2.
    """
    if not registry_answers():
        pytest.skip('no package registry answers pip')
    try:
        run = _resolve(machine, python, glibc, *requirements)
    except subprocess.TimeoutExpired:
        pytest.skip('the package registry is too slow')
    assert run.returncode == 0, run.stderr[-2000:]
    packages = [item['metadata'] for item in json.loads(run.stdout)['install']]
    return {package['name'].lower(): package['version'] for package in packages}
