"""A short part of `make faults` and `make soak`, on one graph of real nodes."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

# Its faults enter the catalogue.
import faults
import soak
from available import LANDMARK_SOURCE
from fault_scene import CATALOGUE, Scene
from robot import NODES, RosGraph


@pytest.fixture(scope='module')
def scene(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp('faults')) as graph:
        yield Scene(graph, LANDMARK_SOURCE)


# How long it takes depends on what else runs here: `make faults` holds that.
@pytest.mark.parametrize(
    'name', ['SIGKILL camera', 'SIGSTOP estimator', 'policy from /dev/zero', 'activate estimator']
)
def test_a_fault_is_borne(scene, name):
    outcome = CATALOGUE[name].inflict(scene)
    assert outcome.seconds is not None
    assert faults.row(CATALOGUE[name], None).startswith(f'| **{name}**')


def test_a_soak_samples_every_node_while_things_change(scene):
    changes = soak.Surroundings(scene.robot, seed=1, first=0.0)
    rows = [row for found in soak.watch(scene.robot, changes, 4.0, period=1.0) for row in found]
    assert sum(changes.counts.values()) >= 1
    assert {row['node'] for row in rows} == set(NODES)
    assert all(row['own_mb'] > 5 and row['threads'] > 3 and row['descriptors'] > 3 for row in rows)
    assert sum(row['emotions_s'] for row in rows) > 0
    assert not scene.robot.ended()


def rows(growth, threads):
    """Return samples of an hour, with ``growth`` MB an hour and more threads at the end."""
    for number in range(720):
        for node in NODES:
            yield {
                'seconds': 5.0 * number, 'node': node, 'reset': 0, 'cpu': 0.5 * number,
                'own_mb': 80.0 + growth * number / 720 + 0.01 * (number % 3),
                'threads': 20 + threads * (number > 600), 'descriptors': 25,
            }  # fmt: skip


@pytest.mark.parametrize(
    ('growth', 'threads', 'words'),
    [(0.3, 0, []), (4.0, 0, ['grows by']), (0.0, 5, ['had 20 threads at first and 25 at last'])],
)
def test_growth_is_a_problem(growth, threads, words):
    lines, problems = soak.judge(list(rows(growth, threads)), warm_up=120.0)
    assert len(lines) == 2 + len(NODES)
    assert len(problems) == len(words) * len(NODES)
    assert all(word in problem for word in words for problem in problems)
