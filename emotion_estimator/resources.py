"""Find the shipped folders (models, config, msg), however the package was installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emotion_estimator.errors import EmotionEstimatorError

_PACKAGE = Path(__file__).resolve().parent

#: Folders with another name inside the package: `emotion_estimator.msg` is the Python package that
#: ROS generates for the messages.
_RENAMED = {'msg': 'message_definitions'}

#: Distributions whose Fast DDS (2.x) knows only the variable's old name; newer ones deprecate it.
_OLD_NAME = ('humble', 'iron', 'jazzy')


def resource_dir(name: str) -> Path:
    """Return the shipped folder ``name`` (``models``, ``config`` or ``msg``).

    pip puts it inside the package; a checkout has it beside the package; colcon installs it under
    ``share/emotion_estimator`` of the prefix that holds the package.

    :raises EmotionEstimatorError: the installation does not have it.
    """
    candidates = [_PACKAGE / _RENAMED.get(name, name), _PACKAGE.parent / name]
    candidates += [up / 'share' / _PACKAGE.name / name for up in _PACKAGE.parents]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise EmotionEstimatorError(
        f'the installation at {_PACKAGE} has no {name} folder; reinstall it'
    )


def profile_variable(environment: Mapping[str, str]) -> str:
    """Return the environment variable for the Fast DDS profile, which depends on ROS_DISTRO."""
    old = environment.get('ROS_DISTRO') in _OLD_NAME
    return 'FASTRTPS_DEFAULT_PROFILES_FILE' if old else 'FASTDDS_DEFAULT_PROFILES_FILE'
