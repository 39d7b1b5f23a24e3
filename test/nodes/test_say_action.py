"""Speaking by action: interfaces, real or stand-ins, in an environment of their own; without."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from stand_in_packages import NodeThatLogs, run_with_interfaces

from emotion_estimator.errors import InputError
from emotion_estimator.nodes.say_action import INTERFACES, SayAction


@pytest.mark.parametrize('interface', ['', 'tts_msgs', 'tts_msgs/action/Say', 'my_robot/action/T'])
def test_an_unknown_interface_is_refused_with_those_that_are_known(interface):
    with pytest.raises(InputError) as refused:
        SayAction(NodeThatLogs(), '/say', interface)
    assert repr(interface) in str(refused.value) and '\n' not in str(refused.value)
    assert all(known in str(refused.value) for known in INTERFACES)


@pytest.mark.parametrize('interface', INTERFACES)
def test_an_interface_that_is_not_installed_is_refused_too(interface, monkeypatch):
    package = interface.split('/')[0]
    for name in (package, f'{package}.action'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError) as refused:
        SayAction(NodeThatLogs(), '/say', interface)
    assert f'{package} is not installed' in str(refused.value)
    assert all(known in str(refused.value) for known in INTERFACES)
    assert '\n' not in str(refused.value)


def test_with_the_interfaces():
    run_with_interfaces('with_say_action.py')
