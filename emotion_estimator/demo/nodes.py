"""The nodes as programs: where they are installed, their command lines and their environment."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from emotion_estimator.errors import InputError
from emotion_estimator.resources import profile_variable

PACKAGE = 'emotion_estimator'
NODES = ('camera', 'estimator', 'dialogue_manager')
#: Programs that run several nodes, with the nodes' names.
_SEVERAL = {'camera_estimator': ('camera', 'estimator')}


def find_prefix(environment: Mapping[str, str]) -> Path:
    """Return the install prefix that contains the nodes.

    :param environment: its AMENT_PREFIX_PATH is searched, as ``ros2 run`` does.
    :raises InputError: no prefix contains them.
    """
    for prefix in environment.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        folder = Path(prefix) / 'lib' / PACKAGE
        if prefix and all((folder / f'{node}_node').is_file() for node in NODES):
            return Path(prefix)
    raise InputError(
        'no ROS 2 nodes of this package on AMENT_PREFIX_PATH; run `make demo`, or build with '
        'colcon and source install/local_setup.bash'
    )


def choose_domain(environment: Mapping[str, str], wanted: int | None = None) -> int:
    """Return the ROS domain to use: the wanted one, the environment's, or one that looks free.

    :raises InputError: the environment's ROS_DOMAIN_ID is not a number from 0 to 232.
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
    """Return whether no process on this machine uses the ports of the domain's first participant.

    DDSI-RTPS 2.2, 9.6.1.1: PB + DG * domain is the multicast port, +10 the first unicast one.
    """
    for offset in (0, 10):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7400 + 250 * domain + offset))
            except OSError:
                return False
    return True


def ros_environment(environment: Mapping[str, str], domain: int, profile: Path) -> dict[str, str]:
    """Return an environment in which nodes discover only each other, on this machine.

    :param domain: ROS_DOMAIN_ID.
    :param profile: Fast DDS profile with enough shared memory for images.
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

    :param prefix: from :func:`find_prefix`.
    :param config: folder with ``<node>.yaml`` for every node that the program runs.
    :param parameters: override the file's.
    :param arguments: further ROS arguments, such as ``-r``, ``__ns:=/left``.
    """
    command = [sys.executable, str(prefix / 'lib' / PACKAGE / f'{node}_node'), '--ros-args']
    for name in _SEVERAL.get(node, (node,)):
        command += ['--params-file', str(config / f'{name}.yaml')]
    for name, value in parameters.items():
        command += ['-p', f'{name}:={_yaml(value)}']
    return [*command, *arguments]


def _yaml(value: object) -> str:
    if isinstance(value, str):
        # Quoted, or the device number 0 would arrive as an integer.
        escaped = value.replace('\\', '\\\\').replace('"', '\\"')
        return f'"{escaped}"'
    return str(value).lower() if isinstance(value, bool) else str(value)
