"""ROS4HRI's voices with hri_msgs, real or the stand-in, in an environment of its own; without."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from stand_in_packages import NodeThatLogs, run_with_interfaces

from emotion_estimator.nodes.ros4hri_speech import open_ros4hri_speech


def test_without_hri_msgs_there_is_one_info_line_and_nothing_else(monkeypatch):
    for name in ('hri_msgs', 'hri_msgs.msg'):
        monkeypatch.setitem(sys.modules, name, None)
    node = NodeThatLogs()
    assert open_ros4hri_speech(node, print, print) is None
    (line,) = node.lines
    assert 'hri_msgs is not installed' in line and '\n' not in line


def test_with_hri_msgs():
    run_with_interfaces('with_voices.py')
