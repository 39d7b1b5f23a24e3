"""Environment variables that launch files give the nodes."""

from __future__ import annotations

from collections.abc import Mapping

from emotion_estimator.resources import profile_variable

#: With any of these set, the user has configured Fast DDS, and the profile keeps off.
_USERS_OWN = (
    'FASTDDS_DEFAULT_PROFILES_FILE',
    'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_BUILTIN_TRANSPORTS',
)
#: Distributions from before ROS_AUTOMATIC_DISCOVERY_RANGE.
_OLD_DISCOVERY = ('humble',)


def node_environment(given: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set for a node.

    :param given: the launch arguments ``fastdds_profile`` (a path; empty or ``none`` is no profile)
        and ``localhost_only`` (``true`` or ``false``).
    :param environment: that of the launch, whose settings of Fast DDS take precedence.
    """
    variables = {}
    profile = given['fastdds_profile']
    if profile not in ('', 'none') and not any(name in environment for name in _USERS_OWN):
        variables[profile_variable(environment)] = profile
    if given['localhost_only'] == 'true':
        if environment.get('ROS_DISTRO') in _OLD_DISCOVERY:
            variables['ROS_LOCALHOST_ONLY'] = '1'
        else:
            variables['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    return variables
