"""Intents with hri_actions_msgs, real or the stand-in, in an environment of its own; without."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from stand_in_packages import NodeThatLogs, run_with_interfaces

from emotion_estimator.nodes.ros4hri_intents import open_ros4hri_intents


def test_without_hri_actions_msgs_there_is_one_info_line_and_nothing_else(monkeypatch):
    for name in ('hri_actions_msgs', 'hri_actions_msgs.msg'):
        monkeypatch.setitem(sys.modules, name, None)
    node = NodeThatLogs()
    assert open_ros4hri_intents(node) is None
    (line,) = node.lines
    assert 'hri_actions_msgs is not installed' in line and '\n' not in line


def test_with_hri_actions_msgs():
    run_with_interfaces('with_intents.py')
