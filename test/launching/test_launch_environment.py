"""What the launch files put into the environment of the nodes, without launch."""

from __future__ import annotations

import pytest

from emotion_estimator.launching.environment import node_environment

PROFILE = '/share/fastdds.xml'


def variables(environment, profile=PROFILE, localhost='false'):
    return node_environment({'fastdds_profile': profile, 'localhost_only': localhost}, environment)


def test_fast_dds_gets_the_profile_by_the_name_of_its_distribution():
    assert variables({}) == {'FASTDDS_DEFAULT_PROFILES_FILE': PROFILE}
    assert variables({'ROS_DISTRO': 'humble'}) == {'FASTRTPS_DEFAULT_PROFILES_FILE': PROFILE}


@pytest.mark.parametrize(
    'name',
    [
        'FASTDDS_DEFAULT_PROFILES_FILE',
        'FASTRTPS_DEFAULT_PROFILES_FILE',
        'FASTDDS_BUILTIN_TRANSPORTS',
    ],
)
@pytest.mark.parametrize('distribution', ['humble', 'kilted'])
def test_what_the_user_configured_stays(name, distribution):
    assert variables({name: 'UDPv4', 'ROS_DISTRO': distribution}) == {}


@pytest.mark.parametrize('profile', ['', 'none'])
def test_the_profile_can_be_left_out(profile):
    assert variables({}, profile) == {}


def test_discovery_can_be_limited_to_this_machine():
    found = variables({'ROS_DISTRO': 'jazzy'}, 'none', 'true')
    assert found == {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    assert variables({'ROS_DISTRO': 'humble'}, 'none', 'true') == {'ROS_LOCALHOST_ONLY': '1'}
