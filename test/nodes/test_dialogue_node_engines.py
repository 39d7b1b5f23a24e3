"""The dialogue manager node with every interface of a ROS4HRI robot, real or stand-ins."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from stand_in_packages import run_with_interfaces


def test_the_dialogue_manager_on_a_ros4hri_robot():
    run_with_interfaces('with_dialogue_manager.py')
