"""Cameras as Linux lists them, in made folders: no camera is needed."""

from __future__ import annotations

import struct

import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.sources import v4l2
from emotion_estimator.sources.v4l2 import (
    check_device,
    find_video_nodes,
    node_capabilities,
    why_closed,
)

CAPTURE, METADATA, CODEC = 0x04200001, 0x04A00000, 0x04208000


@pytest.fixture
def machine(tmp_path):
    """Return a function that lists the nodes of a machine: number, name, index, flags."""
    listed, devices = tmp_path / 'sys', tmp_path / 'dev'
    devices.mkdir()

    def look(*nodes, missing=()):
        flags = {}
        for number, name, index, flag in nodes:
            entry = listed / f'video{number}'
            entry.mkdir(parents=True)
            (entry / 'name').write_text(name + '\n')
            (entry / 'index').write_text(f'{index}\n')
            if number not in missing:
                (devices / f'video{number}').touch()
            flags[devices / f'video{number}'] = flag
        return find_video_nodes(listed, devices, flags.get)

    return look


def test_nodes_are_listed_by_number_with_what_they_deliver(machine):
    found = machine(
        (10, 'bcm2835-codec', 0, CODEC),
        (2, 'Side camera', 0, CAPTURE),
        (0, 'HD Webcam', 0, CAPTURE),
        (1, 'HD Webcam', 1, METADATA),
    )
    assert [(n.path.name, n.name, n.captures) for n in found] == [
        ('video0', 'HD Webcam', True),
        ('video1', 'HD Webcam', False),
        ('video2', 'Side camera', True),
        ('video10', 'bcm2835-codec', False),
    ]
    assert all(n.exists and n.readable for n in found)


def test_a_node_that_does_not_answer_captures_if_it_is_the_cameras_first(machine):
    found = machine((0, 'HD Webcam', 0, None), (1, 'HD Webcam', 1, None))
    assert [n.captures for n in found] == [True, False]


def test_without_linuxs_folders_there_is_no_camera(tmp_path):
    assert find_video_nodes(tmp_path / 'no', tmp_path / 'neither') == []


def test_a_node_without_an_entry_in_sysfs_is_found(tmp_path):
    (tmp_path / 'video3').touch()
    (tmp_path / 'video').touch()
    (node,) = find_video_nodes(tmp_path / 'no', tmp_path, lambda _: None)
    assert (node.path.name, node.name, node.captures) == ('video3', '', True)


def test_flags_are_those_of_the_node_and_not_of_all_its_hardware(tmp_path, monkeypatch):
    asked = []

    def ioctl(device, request, buffer):
        asked.append(request)
        # driver, card, bus_info, version, capabilities, device_caps, reserved
        return struct.pack('=16s32s32s6I', b'uvcvideo', b'HD', b'usb', 6, *capabilities, 0, 0)[
            : len(buffer)
        ] + bytes(4)

    monkeypatch.setattr(v4l2.fcntl, 'ioctl', ioctl)
    (tmp_path / 'video1').touch()
    capabilities = 0x84A00001, METADATA, 0
    assert node_capabilities(tmp_path / 'video1') == METADATA
    capabilities = 0x04000001, 0, 0
    assert node_capabilities(tmp_path / 'video1') == 0x04000001
    # _IOR('V', 0, struct v4l2_capability)
    assert asked[0] == 2 << 30 | 104 << 16 | ord('V') << 8


def test_a_file_that_is_no_device_has_no_flags(tmp_path):
    (tmp_path / 'video0').touch()
    assert node_capabilities(tmp_path / 'video0') is None
    assert node_capabilities(tmp_path / 'video9') is None


WEBCAM = (0, 'HD Webcam', 0, CAPTURE)


@pytest.mark.parametrize(
    ('device', 'parts'),
    [
        (7, ['there is no /dev/video7', 'cameras found:', 'video0 (HD Webcam)']),
        ('/dev/v4l/by-id/gone', ['there is no /dev/v4l/by-id/gone', 'HD Webcam']),
        ('/dev/null', ['/dev/null is not a camera', 'HD Webcam']),
        (0, ['does not answer', 'close other programs']),
        (1, ['delivers no images', 'cameras found', 'video0']),
        (2, ['is not in /dev', '--device /dev/video2']),
    ],
)
def test_why_a_camera_does_not_open(machine, device, parts):
    nodes = machine(
        WEBCAM, (1, 'HD Webcam', 1, METADATA), (2, 'Side', 0, CAPTURE), missing={2}
    )  # fmt: skip
    text = why_closed(device, nodes)
    for part in parts:
        assert part in text
    assert 'Side' not in text or device == 2
    assert '\n' not in text


def test_a_camera_that_the_user_may_not_read(machine, monkeypatch):
    monkeypatch.setattr(v4l2.os, 'access', lambda *_: False)
    (node,) = machine(WEBCAM)
    assert not node.readable
    assert 'usermod -aG video' in why_closed(0, [node])


def test_without_any_camera():
    assert 'no camera was found' in why_closed(0, [])


def test_a_link_leads_to_its_node(machine, tmp_path):
    nodes = machine(WEBCAM)
    (tmp_path / 'by-id').symlink_to(tmp_path / 'dev' / 'video0')
    assert 'does not answer' in why_closed(str(tmp_path / 'by-id'), nodes)


@pytest.mark.parametrize('path', ['/dev/zero', '/dev/null', '/dev', '/dev/shm', '/etc/passwd'])
def test_what_is_no_camera_is_refused_where_a_camera_would_be_waited_for(path):
    with pytest.raises(InputError, match='is not a camera'):
        check_device(path)


@pytest.mark.parametrize('path', ['0', '7', '/dev/video93', '/dev/v4l/by-id/none', '/dev/a\0b'])
def test_a_camera_may_be_plugged_in_later(path):
    check_device(path)
