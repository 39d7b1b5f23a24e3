"""CMake as it runs after sourcing ROS, on the wheels too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PREFIXES = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]


def environment() -> dict[str, str]:
    """Return variables with which CMake finds ROS's packages, and programs their libraries."""
    return {
        **os.environ,
        'CMAKE_PREFIX_PATH': os.pathsep.join(PREFIXES),
        'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
        # The wheels' Python sets it for itself only.
        'LD_LIBRARY_PATH': os.pathsep.join(
            [*(f'{prefix}/lib' for prefix in PREFIXES), os.environ.get('LD_LIBRARY_PATH', '')]
        ),
    }


def build(source: Path, folder: Path, *definitions: str) -> None:
    """Configure and build ``source`` in ``folder``; fail with the end of CMake's output."""
    python = f'-DPython3_EXECUTABLE={sys.executable}'
    cmake('-S', source, '-B', folder, python, '-DBUILD_TESTING=OFF', *definitions)
    cmake('--build', folder, '--parallel', '2')


def cmake(*arguments: object) -> None:
    """Run CMake; fail with the end of its output."""
    done = subprocess.run(
        ['cmake', *map(str, arguments)],
        env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
