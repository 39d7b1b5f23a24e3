"""The Fast DDS profile holds images, and is named by the variable that each Fast DDS reads."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from emotion_estimator.resources import profile_variable, resource_dir

FULL_HD = 1920 * 1080 * 3
DOCKER = 64 * 2**20


@pytest.mark.parametrize(
    ('distribution', 'old'), [('humble', True), ('jazzy', True), ('kilted', False), (None, False)]
)
def test_fast_dds_reads_its_profile_by_the_name_of_its_time(distribution, old):
    variable = profile_variable({'ROS_DISTRO': distribution} if distribution else {})
    assert variable.startswith('FASTRTPS' if old else 'FASTDDS')


def test_a_full_hd_image_fits_into_shared_memory_and_docker_holds_four_processes():
    tree = ElementTree.parse(resource_dir('config') / 'fastdds.xml')
    shared, udp = tree.findall('.//{*}transport_descriptors/{*}transport_descriptor')
    segment, message = (
        int(shared.findtext(f'{{*}}{name}')) for name in ('segment_size', 'maxMessageSize')
    )
    assert FULL_HD < message < segment
    assert 4 * segment <= DOCKER
    used = [item.text for item in tree.findall('.//{*}userTransports/{*}transport_id')]
    assert used == [item.findtext('{*}transport_id') for item in (shared, udp)]
