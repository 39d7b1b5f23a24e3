"""What the demo starts: which programs, with which arguments, in which environment."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotion_estimator.errors import InputError
from emotion_estimator.resources import profile_variable

PACKAGE = 'emotion_estimator'
NODES = ('camera', 'estimator', 'dialogue_manager')
#: Processes that hold more than the node they are named after.
_TOGETHER = {'camera_estimator': ('camera', 'estimator')}


@dataclass(frozen=True)
class DemoSettings:
    """What the user asked for.

    :param source: as the camera's parameter of the same name.
    :param landmarks: ``auto``, ``face_landmarker`` or ``face_mesh``.
    :param model: JSON card of a model that stands for the shipped networks; '' is these.
    :param output: folder for the film, the picture, the summary and the logs.
    :param fps: frames per second of the camera and the film.
    :param duration: seconds after the first message at which the demo ends; None waits for the
        source's end.
    :param domain: ROS_DOMAIN_ID; None takes the environment's, else a free one.
    :param patience: seconds without a message on ``emotion`` after which the demo gives up.
    :param plain: lines instead of the live screen even on a terminal.
    """

    source: str = 'portrait'
    landmarks: str = 'auto'
    model: str = ''
    output: Path = Path('out')
    fps: float = 30.0
    duration: float | None = None
    domain: int | None = None
    patience: float = 30.0
    plain: bool = False

    def problem(self) -> str | None:
        """Return what is wrong, None when all is well."""
        if not 1 <= self.fps <= 240:
            return f'--fps must lie in 1 to 240, not {self.fps:g}'
        if self.duration is not None and not self.duration > 0:
            return f'--duration must be above 0 seconds, not {self.duration:g}'
        if self.domain is not None and not 0 <= self.domain <= 232:
            return f'--domain must lie in 0 to 232, not {self.domain}'
        if not self.patience > 0:
            return f'--patience must be above 0 seconds, not {self.patience:g}'
        return None


def find_prefix(environment: Mapping[str, str]) -> Path:
    """Return the install prefix that holds the nodes.

    :param environment: its AMENT_PREFIX_PATH is searched, as ``ros2 run`` does.
    :raises InputError: no prefix has them.
    """
    for prefix in environment.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        folder = Path(prefix) / 'lib' / PACKAGE
        if prefix and all((folder / f'{node}_node').is_file() for node in NODES):
            return Path(prefix)
    raise InputError(
        'the nodes are not installed where AMENT_PREFIX_PATH points: run `make demo`, or build '
        'with colcon and source install/local_setup.bash'
    )


def choose_domain(environment: Mapping[str, str], wanted: int | None = None) -> int:
    """Return the domain to use: the wanted one, the environment's, or one that looks free.

    :raises InputError: the environment's is no number from 0 to 232.
    """
    if wanted is not None:
        return wanted
    given = environment.get('ROS_DOMAIN_ID', '')
    if given:
        if not given.isdecimal() or int(given) > 232:
            raise InputError(f'ROS_DOMAIN_ID must be a number from 0 to 232, not {given!r}')
        return int(given)
    candidates = random.sample(range(1, 102), 101)
    return next((domain for domain in candidates if _looks_free(domain)), candidates[0])


def _looks_free(domain: int) -> bool:
    """Tell whether nobody here holds the port at which a domain's first participant listens."""
    # DDSI-RTPS 2.2, 9.6.1.1: PB + DG * domain is the multicast port, +10 the first unicast one.
    for offset in (0, 10):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7400 + 250 * domain + offset))
            except OSError:
                return False
    return True


def ros_environment(environment: Mapping[str, str], domain: int, profile: Path) -> dict[str, str]:
    """Return the environment in which the demo and its nodes find each other and nobody else.

    :param profile: Fast DDS profile that makes room for images in shared memory.
    """
    return {
        **environment,
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'FASTDDS_DEFAULT_PROFILES_FILE': str(profile),
        profile_variable(environment): str(profile),
        'PYTHONUNBUFFERED': '1',
    }


def node_command(
    node: str,
    prefix: Path,
    config: Path,
    parameters: Mapping[str, object],
    arguments: Sequence[str] = (),
) -> list[str]:
    """Return the command line of a node.

    :param config: folder with ``<node>.yaml``, or of each node where the process holds several.
    :param parameters: these win over the file's.
    :param arguments: further ROS arguments, such as ``-r``, ``__ns:=/left``.
    """
    command = [sys.executable, str(prefix / 'lib' / PACKAGE / f'{node}_node'), '--ros-args']
    for name in _TOGETHER.get(node, (node,)):
        command += ['--params-file', str(config / f'{name}.yaml')]
    for name, value in parameters.items():
        command += ['-p', f'{name}:={_yaml(value)}']
    return [*command, *arguments]


def parameters(node: str, settings: DemoSettings) -> dict[str, object]:
    """Return the parameters that the demo sets on a node."""
    if node == 'camera':
        return {
            'source': settings.source,
            'fps': float(settings.fps),
            'exit_at_end': True,
            # Until camera, estimator and demo have found each other, frames would be lost.
            'wait_for_subscribers': 10.0,
        }
    if node == 'estimator':
        chosen = {'model': settings.model} if settings.model else {}
        return {'landmark_source': settings.landmarks, 'debug_image': True, **chosen}
    return {}


def _yaml(value: object) -> str:
    if isinstance(value, str):
        # Quoted, or the device number 0 would arrive as an integer.
        escaped = value.replace('\\', '\\\\').replace('"', '\\"')
        return f'"{escaped}"'
    return str(value).lower() if isinstance(value, bool) else str(value)
