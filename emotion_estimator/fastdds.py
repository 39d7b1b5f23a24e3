"""Where Fast DDS looks for the profile that makes room for images in shared memory."""

from __future__ import annotations

from collections.abc import Mapping

#: Distributions whose Fast DDS (2.x) knows only the variable's old name; newer ones warn of it.
_OLD_NAME = ('humble', 'iron', 'jazzy')


def profile_variable(environment: Mapping[str, str]) -> str:
    """Return the environment variable that names the profile, by ROS_DISTRO."""
    old = environment.get('ROS_DISTRO') in _OLD_NAME
    return 'FASTRTPS_DEFAULT_PROFILES_FILE' if old else 'FASTDDS_DEFAULT_PROFILES_FILE'
