"""The managed life of the real nodes: states, failures and recovery, over real DDS."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import cv2
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from rclpy.qos import qos_profile_sensor_data
from ros_graph import RosGraph, value_of
from sensor_msgs.msg import Image

from emotion_estimator.msg import Emotion
from emotion_estimator.nodes.conversion import seconds
from emotion_estimator.sources.portrait import Portrait

START_TIMEOUT = 40.0
MIB = 2**20
LANDMARK_WEIGHTS = {'face_mesh': ('face_detection', 'face_mesh', 'blendshape_head')}.get(
    LANDMARK_SOURCE, (LANDMARK_SOURCE,)
)


def last_status(diagnostics, node):
    for message in reversed(diagnostics):
        for status in message.status:
            if status.name == node:
                return status
    return None


def wait_for_state(graph, diagnostics, node, state):
    graph.wait_until(
        lambda: value_of(diagnostics, node, 'state') == state, START_TIMEOUT, f'{node} is {state}'
    )


def hears_more(graph, messages, count=3, timeout=20.0):
    before = len(messages)
    graph.wait_until(lambda: len(messages) >= before + count, timeout, f'{count} more messages')


def fall_silent(graph, messages):
    """Wait until no message comes for a while; others, such as diagnostics, may."""

    def silent():
        before, end = len(messages), time.monotonic() + 0.7
        while time.monotonic() < end:
            graph.heard_anything(0.1)
        return len(messages) == before

    graph.wait_until(silent, 20, 'silence')


class Robot:
    """Camera and estimator that wait for a manager, and what they say."""

    def __init__(self, graph):
        self.graph = graph
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        self.emotions = graph.hear(Emotion, 'emotion', 1000)
        # A picture that stands still: the animated portrait's memory goes up and down by itself.
        self.source = str(graph.folder / 'face.png')
        cv2.imwrite(self.source, cv2.cvtColor(next(Portrait().frames()).image, cv2.COLOR_RGB2BGR))
        self.camera = graph.start(
            'camera', autostart=False, source=self.source, loop=True, fps=15.0
        )
        self.estimator = graph.start('estimator', autostart=False, landmark_source=LANDMARK_SOURCE)


@pytest.fixture(scope='module')
def robot(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp('robot')) as graph:
        # glibc would give each new thread another arena, up to eight for each core: growth that
        # ends, but only after many cycles.
        graph.environment['MALLOC_ARENA_MAX'] = '2'
        yield Robot(graph)


def to_state(robot, node, state):
    """Bring a node from wherever the last test left it into ``state``."""
    graph = robot.graph
    if graph.state(node) == 'active':
        assert graph.transition(node, 'deactivate')
    if graph.state(node) == 'inactive' and state == 'unconfigured':
        assert graph.transition(node, 'cleanup')
    if graph.state(node) == 'unconfigured' and state != 'unconfigured':
        assert graph.transition(node, 'configure')
    if state == 'active':
        assert graph.transition(node, 'activate')
    assert graph.state(node) == state


def test_without_autostart_a_node_waits_and_reports_it(robot):
    for node in ('camera', 'estimator'):
        to_state(robot, node, 'unconfigured')
        wait_for_state(robot.graph, robot.diagnostics, node, 'unconfigured')
        status = last_status(robot.diagnostics, node)
        assert (status.level, status.message) == (DiagnosticStatus.OK, 'unconfigured')
    assert robot.graph.node.count_publishers('/emotion') == 0
    assert robot.graph.node.count_publishers('/image_raw') == 0


def test_a_model_that_is_no_file_is_refused_and_the_node_answers(robot, tmp_path):
    graph = robot.graph
    to_state(robot, 'estimator', 'unconfigured')
    os.mkfifo(tmp_path / 'pipe')
    for file, kind in (('/dev/zero', 'a device'), (tmp_path / 'pipe', 'a pipe')):
        assert graph.set_parameters('estimator', model=str(file)) == ''
        assert not graph.transition('estimator', 'configure')
        said = f'model card {file} cannot be read (it is {kind}, not a file)'
        graph.wait_until(
            lambda said=said: said in str(value_of(robot.diagnostics, 'estimator', 'last_error')),
            10,
            said,
        )
    assert graph.set_parameters('estimator', model='') == ''
    to_state(robot, 'estimator', 'inactive')
    reason = graph.set_parameters('estimator', model='/dev/zero')
    assert 'model can be changed only while the node is unconfigured' in reason


def test_each_transition_does_its_work(robot):
    graph, diagnostics = robot.graph, robot.diagnostics
    to_state(robot, 'camera', 'active')
    to_state(robot, 'estimator', 'inactive')
    wait_for_state(graph, diagnostics, 'estimator', 'inactive')
    # Models are loaded; there is no subscription to images yet.
    assert value_of(diagnostics, 'estimator', 'landmark_source') == LANDMARK_SOURCE
    assert len(value_of(diagnostics, 'estimator', 'model_sha256')) == 64
    for name in ('emotion_lstm', 'appearance', *LANDMARK_WEIGHTS, 'speaking', 'upright'):
        stated = value_of(diagnostics, 'estimator', f'weights_{name}')
        assert re.fullmatch('[0-9a-f]{12} released', stated), name
    assert value_of(diagnostics, 'estimator', 'branches') == 'fused'
    assert value_of(diagnostics, 'estimator', 'vocabulary') == 'three'
    assert graph.node.count_publishers('/emotion') == 1
    assert graph.node.count_subscribers('/image_raw') == 0
    assert robot.emotions == []

    assert graph.transition('estimator', 'activate')
    hears_more(graph, robot.emotions)
    wait_for_state(graph, diagnostics, 'estimator', 'active')

    assert graph.transition('estimator', 'deactivate')
    graph.wait_until(lambda: graph.node.count_subscribers('/image_raw') == 0, 10, 'no subscriber')
    before = len(robot.emotions)
    wait_for_state(graph, diagnostics, 'estimator', 'inactive')
    assert len(robot.emotions) - before <= 1

    assert graph.transition('estimator', 'cleanup')
    wait_for_state(graph, diagnostics, 'estimator', 'unconfigured')
    assert value_of(diagnostics, 'estimator', 'landmark_source') == ''
    graph.wait_until(lambda: graph.node.count_publishers('/emotion') == 0, 10, 'topic is down')

    to_state(robot, 'estimator', 'active')
    hears_more(graph, robot.emotions)


def test_a_deactivated_camera_is_silent_and_a_face_starts_again(robot):
    graph = robot.graph
    to_state(robot, 'estimator', 'active')
    to_state(robot, 'camera', 'active')
    hears_more(graph, robot.emotions)
    assert graph.transition('camera', 'deactivate')
    wait_for_state(graph, robot.diagnostics, 'camera', 'inactive')
    published = value_of(robot.diagnostics, 'camera', 'frames_published')
    fall_silent(graph, robot.emotions)
    assert value_of(robot.diagnostics, 'camera', 'frames_published') == published
    last = robot.emotions[-1]
    # Longer than reset_gap: the first image then begins another stream.
    graph.wait_until(
        lambda: graph.node.get_clock().now().nanoseconds * 1e-9 - seconds(last.header.stamp) > 1.5,
        10,
        'a gap',
    )
    assert graph.transition('camera', 'activate')
    hears_more(graph, robot.emotions)
    assert last.face_id
    assert robot.emotions[-1].face_id not in ('', last.face_id)


def test_what_counts_at_configure_is_refused_until_the_node_is_cleaned_up(robot):
    graph = robot.graph
    to_state(robot, 'estimator', 'active')
    reason = graph.set_parameters('estimator', max_faces=2)
    assert 'max_faces can be changed only while the node is unconfigured' in reason
    assert 'clean up' in reason
    # The same value is no change.
    assert graph.set_parameters('estimator', max_faces=4) == ''
    to_state(robot, 'estimator', 'unconfigured')
    assert graph.set_parameters('estimator', max_faces=2) == ''
    assert graph.set_parameters('estimator', max_faces=4) == ''


def test_thresholds_count_from_the_next_image_on(robot):
    graph = robot.graph
    for node in ('camera', 'estimator'):
        to_state(robot, node, 'active')
    hears_more(graph, robot.emotions)
    reason = graph.set_parameters('estimator', sad_threshold=float('nan'))
    # By ROS itself, from the range that the parameter declares.
    assert 'sad_threshold' in reason and 'nan' in reason and '\n' not in reason
    assert graph.set_parameters('estimator', sad_threshold=1.0, happy_threshold=1.0) == ''
    hears_more(graph, robot.emotions, count=5)
    seen = [message for message in robot.emotions[-4:] if message.face_id]
    assert seen and {message.label for message in seen} == {'unknown'}
    probabilities = dict(zip(seen[-1].labels, seen[-1].probabilities))
    assert seen[-1].confidence == probabilities['unknown']
    # Any probability reaches this.
    assert graph.set_parameters('estimator', sad_threshold=1e-6, happy_threshold=1e-6) == ''
    hears_more(graph, robot.emotions, count=5)
    assert {m.label for m in robot.emotions[-4:] if m.face_id} <= {'happy', 'sad'}
    assert graph.set_parameters('estimator', sad_threshold=0.0, happy_threshold=0.0) == ''


def test_a_configuration_that_fails_can_be_mended(robot):
    graph, diagnostics = robot.graph, robot.diagnostics
    to_state(robot, 'estimator', 'unconfigured')
    wrong = {'landmark_source': 'face_landmarker', 'face_landmarker_path': '/nowhere/f.task'}
    assert graph.set_parameters('estimator', **wrong) == ''
    assert not graph.transition('estimator', 'configure')
    assert graph.state('estimator') == 'unconfigured'
    graph.wait_until(
        lambda: last_status(diagnostics, 'estimator').level == DiagnosticStatus.ERROR, 10, 'ERROR'
    )
    assert 'face landmarker model /nowhere/f.task cannot be read' in value_of(
        diagnostics, 'estimator', 'last_error'
    )
    right = {'landmark_source': LANDMARK_SOURCE, 'face_landmarker_path': ''}
    assert graph.set_parameters('estimator', **right) == ''
    to_state(robot, 'camera', 'active')
    to_state(robot, 'estimator', 'active')
    hears_more(graph, robot.emotions)
    wait_for_state(graph, diagnostics, 'estimator', 'active')
    graph.wait_until(
        lambda: last_status(diagnostics, 'estimator').level == DiagnosticStatus.OK, 10, 'OK'
    )


def test_a_source_that_cannot_be_opened_fails_the_configuration(robot):
    graph = robot.graph
    to_state(robot, 'camera', 'unconfigured')
    assert graph.set_parameters('camera', source='/nowhere/film.mp4') == ''
    assert not graph.transition('camera', 'configure')
    graph.wait_until(
        lambda: 'is not a file' in (value_of(robot.diagnostics, 'camera', 'last_error') or ''),
        10,
        'the missing file in diagnostics',
    )
    assert graph.set_parameters('camera', source=robot.source) == ''
    to_state(robot, 'camera', 'active')


def usage(child):
    """Resident bytes, threads and file descriptors of a process."""
    proc = Path('/proc') / str(child.pid)
    fields = dict(
        line.split(':', 1) for line in (proc / 'status').read_text().splitlines() if ':' in line
    )
    return (
        int(fields['VmRSS'].split()[0]) * 1024,
        int(fields['Threads']),
        len(list((proc / 'fd').iterdir())),
    )


def test_ten_cycles_leave_nothing_behind(robot):
    graph = robot.graph
    nodes = {'camera': robot.camera, 'estimator': robot.estimator}
    measured = {node: [] for node in nodes}
    for node in nodes:
        to_state(robot, node, 'active')
    # On a slow machine a cycle is a gap after which MediaPipe restarts, and its allocations
    # settle only after some twenty of those; see the next test.
    assert graph.set_parameters('estimator', reset_gap=60.0) == ''
    warm_up, window = 3, 5
    for _ in range(warm_up + 2 * window + 2):
        for node in nodes:
            assert graph.transition(node, 'deactivate')
        for node in nodes:
            assert graph.transition(node, 'activate')
        hears_more(graph, robot.emotions, count=2)
        for node, child in nodes.items():
            measured[node].append(usage(child))
    assert graph.set_parameters('estimator', reset_gap=1.0) == ''
    for node, rows in measured.items():
        # The least of several cycles: an image that is just under way only adds.
        before, after = (
            [min(column) for column in zip(*part)]
            for part in (rows[warm_up : warm_up + window], rows[-window:])
        )
        # Noise of the allocator is allowed for; a leaked image a cycle (0.8 MB) is not.
        assert after[0] - before[0] < 4 * MIB, (node, 'memory', rows)
        assert after[1] <= before[1], (node, 'threads', rows)
        assert after[2] <= before[2], (node, 'files', rows)


def test_loading_and_freeing_models_leaves_nothing_behind(robot):
    graph, rows = robot.graph, []
    for _ in range(6):
        to_state(robot, 'estimator', 'unconfigured')
        to_state(robot, 'estimator', 'active')
        hears_more(graph, robot.emotions, count=2)
        rows.append(usage(robot.estimator))
    memory, threads, files = zip(*rows)
    assert threads[-1] <= threads[1], threads
    assert files[-1] <= files[1], files
    # One set of models is about 100 MB.
    assert memory[-1] - memory[1] < 30 * MIB, memory


def test_a_transition_that_is_not_possible_is_refused_however_it_is_asked_for(robot):
    graph = robot.graph
    to_state(robot, 'camera', 'active')
    for wrong in (Transition.TRANSITION_ACTIVATE, 'activate', Transition.TRANSITION_CLEANUP, 77):
        assert not graph.transition('camera', wrong)
    assert graph.state('camera') == 'active'
    assert graph.transition('camera', Transition.TRANSITION_DEACTIVATE)
    assert graph.transition('camera', Transition.TRANSITION_ACTIVATE)
    assert robot.camera.status() is None


def test_images_that_cease_to_come_show_in_diagnostics(robot):
    graph, diagnostics = robot.graph, robot.diagnostics
    to_state(robot, 'estimator', 'active')
    to_state(robot, 'camera', 'active')
    hears_more(graph, robot.emotions)
    assert graph.transition('camera', 'deactivate')
    graph.wait_until(
        lambda: 'no image from /image_raw for' in last_status(diagnostics, 'estimator').message,
        15,
        'a warning',
    )
    assert last_status(diagnostics, 'estimator').level == DiagnosticStatus.WARN
    graph.wait_until(
        lambda: value_of(diagnostics, 'estimator', 'fps') == '0.00', 15, 'the rate is none'
    )
    assert graph.transition('camera', 'activate')
    graph.wait_until(
        lambda: last_status(diagnostics, 'estimator').level == DiagnosticStatus.OK, 15, 'OK'
    )


def test_shutdown_is_final_and_still_reported(robot):
    # The last of the module: nothing comes after it.
    graph, diagnostics = robot.graph, robot.diagnostics
    to_state(robot, 'camera', 'active')
    assert graph.transition('camera', 'shutdown')
    wait_for_state(graph, diagnostics, 'camera', 'finalized')
    graph.wait_until(lambda: graph.node.count_publishers('/image_raw') == 0, 10, 'topic is down')
    assert not graph.transition('camera', 'configure')


def test_camera_and_estimator_in_one_process_pass_no_image_through_dds(tmp_path):
    with RosGraph(tmp_path) as graph:
        diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        emotions = graph.hear(Emotion, 'emotion', 1000)
        process = graph.start(
            'camera_estimator',
            source='portrait',
            fps=15.0,
            loop=True,
            landmark_source=LANDMARK_SOURCE,
        )
        hears_more(graph, emotions, timeout=START_TIMEOUT)
        assert graph.node.count_subscribers('/image_raw') == 0
        assert graph.node.count_subscribers('/image_raw/compressed') == 0
        assert emotions[-1].header.frame_id == 'camera_optical_frame'
        for node in ('camera', 'estimator'):
            wait_for_state(graph, diagnostics, node, 'active')
        # Each logs the lines of its part of the core.
        assert f'[estimator]: landmark source {LANDMARK_SOURCE}' in process.log.read_text()
        # Somebody else still gets them.
        images = graph.hear(Image, 'image_raw', qos_profile_sensor_data)
        hears_more(graph, images)
        # Each has its own life.
        assert graph.transition('camera', 'deactivate')
        fall_silent(graph, emotions)
        assert graph.state('estimator') == 'active'
        assert graph.transition('camera', 'activate')
        hears_more(graph, emotions)
        assert process.status() is None
