from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emotion_estimator.cli import doctor
from emotion_estimator.sources.v4l2 import VideoNode


@pytest.fixture
def findings(monkeypatch):
    monkeypatch.setattr(doctor, '_communication', lambda: 'message received')
    return lambda: {finding.subject: finding for finding in doctor.examine()}


def test_a_package_that_raises_anything_becomes_a_line(findings, monkeypatch, tmp_path):
    for name in ('mediapipe', 'cv2'):
        (tmp_path / f'{name}.py').write_text(
            r'raise TypeError("Descriptors cannot be created directly.\nIf this came from a _pb2")'
        )
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    found = findings()
    for subject in ('landmarks', 'cv2'):
        assert found[subject].needed
        assert not found[subject].good
        assert 'Descriptors cannot be created directly.' in found[subject].text
        assert '\n' not in found[subject].text


def test_an_installation_without_its_models_becomes_lines(findings, monkeypatch):
    def gone():
        raise FileNotFoundError('the installation lacks its models folder; reinstall it')

    monkeypatch.setattr(doctor, 'models_dir', gone)
    found = findings()
    for subject in ('blendshape head', 'appearance', 'emotion model'):
        assert not found[subject].good
        assert 'lacks its models folder' in found[subject].text


def test_nodes_that_cannot_talk_are_no_reason_to_fail(monkeypatch):
    monkeypatch.setattr(doctor, '_ECHO', 'raise ImportError("no rclpy")')
    found = {finding.subject: finding for finding in doctor.examine()}['node communication']
    assert (found.good, found.needed) == (False, False)
    assert found.text.startswith('ImportError: no rclpy (source ROS 2')


def test_cameras_are_listed_with_what_to_do(findings, monkeypatch):
    def node(number, name, **given):
        known = {'exists': True, 'readable': True, 'captures': True} | given
        return VideoNode(Path(f'/dev/video{number}'), name, **known)

    nodes = [
        node(0, 'HD Webcam'),
        node(1, 'HD Webcam', captures=False),
        node(2, 'Side', readable=False),
        node(4, 'Far', exists=False, readable=False),
    ]
    monkeypatch.setattr(doctor, 'find_video_nodes', lambda: nodes)
    found = [f for f in doctor.examine() if f.subject == 'camera']
    assert [f.text.partition(':')[0] for f in found] == [
        '/dev/video0 (HD Webcam)',
        '/dev/video2 (Side)',
        '/dev/video4 (Far)',
    ]
    assert [f.good for f in found] == [True, False, False]
    assert not any(f.needed for f in found)
    assert 'usermod -aG video' in found[1].text
    assert '--device /dev/video4' in found[2].text


def test_no_camera_is_no_reason_to_fail(findings, monkeypatch):
    monkeypatch.setattr(doctor, 'find_video_nodes', list)
    found = findings()['camera']
    assert (found.good, found.needed) == (False, False)
    assert found.text.startswith('none found')
