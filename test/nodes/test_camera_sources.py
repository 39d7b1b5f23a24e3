"""The camera node on cameras that are not there, and on cameras on the network."""

from __future__ import annotations

import re
import socket

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from network_camera import SIZE, NetworkCamera
from rclpy.qos import qos_profile_sensor_data
from ros_graph import RosGraph, value_of
from sensor_msgs.msg import Image

TIMEOUT = 40.0


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as made:
        yield made


class Watched:
    """A camera node and what it says."""

    def __init__(self, graph, source):
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        self.node = graph.start(
            'camera', source=source, retry_min=0.05, retry_max=0.2, network_timeout=1.0
        )

    def said(self, key):
        return value_of(self.diagnostics, 'camera', key) or ''

    def level(self):
        return next(s.level for m in self.diagnostics[-1:] for s in m.status)


def closed_port():
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]


def logged_at(line):
    return float(re.search(r'\[(\d+\.\d+)\]', line)[1])


@pytest.mark.parametrize('kind', ['device', 'rtsp'])
def test_within_two_seconds_it_says_that_there_is_no_such_camera(graph, kind):
    source, line = {
        'device': ('99', 'camera 99 cannot be opened: there is no /dev/video99; '),
        'rtsp': (f'rtsp://robot:SECRET@127.0.0.1:{closed_port()}/live', 'nothing listens on port'),
    }[kind]
    camera = Watched(graph, source)
    log = camera.node.log
    graph.wait_until(lambda: 'capturing from' in log.read_text(), TIMEOUT, 'it is active')
    graph.wait_until(lambda: line in log.read_text(), TIMEOUT, 'its log says so')
    graph.wait_until(lambda: line in camera.said('last_error'), TIMEOUT, 'diagnostics say so')
    (logged, *_) = [one for one in log.read_text().splitlines() if line in one]
    assert '[ERROR]' in logged
    (begun, *_) = [one for one in log.read_text().splitlines() if 'capturing from' in one]
    # By the node's own clock: this process may be late to look.
    assert logged_at(logged) - logged_at(begun) < 2.0
    assert camera.level() == DiagnosticStatus.ERROR
    assert 'SECRET' not in log.read_text() + str(camera.diagnostics)


def test_a_camera_on_the_network_is_published_lost_and_found_again(graph):
    images = graph.hear(Image, 'image_raw', qos_profile_sensor_data)
    with NetworkCamera() as network:
        network.login = 'robot:SECRET'
        camera = Watched(graph, network.url('/live', 'robot:SECRET'))
        graph.wait_until(lambda: len(images) > 5, TIMEOUT, 'images')
        assert (images[0].width, images[0].height) == SIZE
        graph.wait_until(lambda: camera.said('given') == '96x64', TIMEOUT, 'what it delivers')
        port = network.port
        assert camera.said('source') == network.url('/live')
    graph.wait_until(lambda: camera.said('times_lost') == '1', TIMEOUT, 'the loss is counted')
    graph.wait_until(
        lambda: f'nothing listens on port {port}' in camera.said('last_error'), TIMEOUT, 'the cause'
    )
    with NetworkCamera(port=port) as network:
        del images[:]
        graph.wait_until(lambda: len(images) > 5, TIMEOUT, 'images again')
        graph.wait_until(lambda: camera.said('last_error') == '', TIMEOUT, 'all is well')
        assert camera.node.status() is None
    assert 'SECRET' not in camera.node.log.read_text() + str(camera.diagnostics)
