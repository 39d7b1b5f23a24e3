"""Nodes that are killed or cannot start, by the real launch and launch_ros."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

pytest.importorskip('launch', reason='launch is not importable: no ROS distribution is sourced')
pytest.importorskip('launch_ros', reason='launch_ros is not importable')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from diagnostic_msgs.msg import DiagnosticArray
from launch_run import NODES, launched
from ros_graph import value_of

from emotion_estimator.msg import Emotion


def process(launch, executable):
    """Return the number of the executable's newest process."""
    pids = re.findall(rf'\[{executable}-\d+\]: process started with pid \[(\d+)\]', launch.text)
    return int(pids[-1])


def active_again(graph, launch, node):
    """Wait until a node that was started meanwhile is active."""
    reports = graph.hear(DiagnosticArray, '/diagnostics', 100)
    launch.wait(lambda: value_of(reports, node, 'state') == 'active', f'{node} is active again')


@pytest.mark.parametrize('node', NODES)
def test_a_killed_node_is_started_and_brought_up_again(graph, node):
    arguments = {'source': 'portrait', 'landmark_source': LANDMARK_SOURCE}
    with launched(graph, 'emotion.launch.py', **arguments) as launch:
        launch.wait_for_states('active', *NODES)
        first = process(launch, f'{node}_node')
        os.kill(first, signal.SIGKILL)
        launch.wait(lambda: process(launch, f'{node}_node') != first, f'{node} is started again')
        active_again(graph, launch, node)
        emotions = graph.hear(Emotion, '/emotion')
        launch.wait(lambda: emotions, 'emotions again')


def test_without_respawn_a_killed_node_stays_ended(graph):
    arguments = {'source': 'portrait', 'landmark_source': LANDMARK_SOURCE, 'respawn': 'false'}
    with launched(graph, 'emotion.launch.py', **arguments) as launch:
        launch.wait_for_states('active', *NODES)
        os.kill(process(launch, 'camera_node'), signal.SIGKILL)
        launch.wait(lambda: 'process has died' in launch.text, 'the camera has died')
        time.sleep(3.0)
        assert launch.text.count('[camera_node-1]: process started') == 1


def test_a_node_that_cannot_start_is_not_started_again(graph, tmp_path):
    (tmp_path / 'wrong.yaml').write_text('/**/camera:\n  ros__parameters:\n    fps: 1000.0\n')
    arguments = {'params_file': str(tmp_path / 'wrong.yaml'), 'landmark_source': LANDMARK_SOURCE}
    # 1 if launch_ros still waits for the camera's service when it shuts down, which makes it fail.
    with launched(graph, 'emotion.launch.py', statuses=(0, 1), **arguments) as launch:
        launch.wait_for_states('active', 'dialogue_manager')
        launch.wait(lambda: 'exit code 2' in launch.text, 'the camera has ended')
        time.sleep(3.0)
        assert launch.text.count('[camera_node-1]: process started') == 1
        assert not launch.ended()


def test_camera_and_estimator_in_one_process_come_back_together(graph):
    arguments = {'source': 'portrait', 'landmark_source': LANDMARK_SOURCE, 'intra_process': 'true'}
    with launched(graph, 'emotion.launch.py', **arguments) as launch:
        launch.wait_for_states('active', *NODES)
        first = process(launch, 'camera_estimator_node')
        os.kill(first, signal.SIGKILL)
        launch.wait(lambda: process(launch, 'camera_estimator_node') != first, 'started again')
        active_again(graph, launch, 'camera')
        emotions = graph.hear(Emotion, '/emotion')
        launch.wait(lambda: emotions, 'emotions again')


def test_without_autostart_a_respawned_node_waits_for_its_manager(graph):
    arguments = {'source': 'portrait', 'landmark_source': LANDMARK_SOURCE, 'autostart': 'false'}
    with launched(graph, 'emotion.launch.py', **arguments) as launch:
        launch.wait_for_states('unconfigured', *NODES)
        first = process(launch, 'camera_node')
        os.kill(first, signal.SIGKILL)
        launch.wait(lambda: process(launch, 'camera_node') != first, 'the camera is started again')
        reports = graph.hear(DiagnosticArray, '/diagnostics', 100)
        launch.wait(lambda: value_of(reports, 'camera', 'state'), 'a report of the camera')
        time.sleep(2.0)
        assert value_of(reports, 'camera', 'state') == 'unconfigured'
