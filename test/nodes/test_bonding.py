"""Nodes keep a bond while they are active, where bondpy is installed (here: a stand-in)."""

from __future__ import annotations

import sys
import types

import pytest
import rclpy
from rclpy.parameter import Parameter

pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from emotion_estimator.nodes.dialogue_manager import DialogueManagerNode


class Bond:
    """As much of bondpy's class as is used."""

    made: list[Bond] = []

    def __init__(self, node, topic, bond_id):
        self.topic, self.id, self.course = topic, bond_id, []
        Bond.made.append(self)

    def start(self):
        self.course.append('start')

    def shutdown(self):
        self.course.append('shutdown')


@pytest.fixture
def bondpy(monkeypatch):
    module = types.ModuleType('bondpy.bondpy')
    module.Bond = Bond
    monkeypatch.setitem(sys.modules, 'bondpy', types.ModuleType('bondpy'))
    monkeypatch.setitem(sys.modules, 'bondpy.bondpy', module)
    monkeypatch.setattr(Bond, 'made', [])
    return Bond.made


@pytest.fixture
def manager():
    rclpy.init(args=[], domain_id=20)
    try:
        node = DialogueManagerNode()
        yield node
        node.stop()
        node.destroy_node()
    finally:
        rclpy.shutdown()


def switched_on(node):
    node.set_parameters([Parameter('bond', value=True)])
    return node


def test_the_bond_lasts_as_long_as_the_node_is_active(bondpy, manager):
    node = switched_on(manager)
    node.trigger_configure()
    assert not bondpy
    node.trigger_activate()
    (bond,) = bondpy
    assert (bond.topic, bond.id, bond.course) == ('bond', 'dialogue_manager', ['start'])
    node.trigger_deactivate()
    assert bond.course == ['start', 'shutdown']
    node.trigger_activate()
    node.stop()
    assert [one.course for one in bondpy] == [['start', 'shutdown']] * 2


def test_there_is_no_bond_unless_asked_for(bondpy, manager):
    manager.bring_up()
    assert not bondpy


def test_without_bondpy_the_node_works(manager, monkeypatch):
    monkeypatch.setitem(sys.modules, 'bondpy', None)
    switched_on(manager).bring_up()
    assert manager.state == 'active'
