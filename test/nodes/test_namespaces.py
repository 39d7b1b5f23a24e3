"""Two cameras side by side, each with its estimator in a namespace, over real DDS."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from diagnostic_msgs.msg import DiagnosticArray
from ros_graph import RosGraph, value_of

from emotion_estimator.msg import Emotion
from emotion_estimator.sources.portrait import Portrait

ENOUGH = 10
SIDES = ('left', 'right')


def save(path, image):
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return str(path)


class SideBySide:
    """What was heard of a camera that sees a face, left, and of one that sees a wall, right.

    The right camera's images have another name and cross as JPEG, and its emotion is renamed too.
    """

    def __init__(self, folder):
        face = save(folder / 'face.png', next(iter(Portrait(30.0).frames())).image)
        wall = save(folder / 'wall.png', np.full((240, 320, 3), 90, np.uint8))
        with RosGraph(folder) as graph:
            self.left = graph.hear(Emotion, '/left/emotion', 1000)
            self.right = graph.hear(Emotion, '/right/mood', 1000)
            self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics', 1000)
            left, right = ('-r', '__ns:=/left'), ('-r', '__ns:=/right', '-r', 'image_raw:=rgb')
            graph.start(
                'estimator',
                *right,
                '-r',
                'emotion:=mood',
                image_transport='compressed',
                landmark_source=LANDMARK_SOURCE,
            )
            graph.start('estimator', *left, landmark_source=LANDMARK_SOURCE)
            camera = {'loop': True, 'fps': 10.0}
            self.quiet = graph.start(
                'camera', *left, '--log-level', 'warn', source=face, frame_id='left_eye', **camera
            )
            self.talking = graph.start(
                'camera',
                *right,
                '--log-level',
                'right.camera:=info',
                source=wall,
                frame_id='right_eye',
                **camera,
            )
            graph.wait_until(lambda: min(len(self.left), len(self.right)) >= ENOUGH, 60, 'both see')
            graph.wait_until(
                lambda: all(
                    value_of(self.diagnostics, f'{side}/{node}', 'state') == 'active'
                    for side in SIDES
                    for node in ('camera', 'estimator')
                ),
                20,
                'all four report that they are active',
            )
            self.topics = dict(graph.node.get_topic_names_and_types())
            self.publishers = {
                topic: graph.node.count_publishers(topic)
                for topic in ('/emotion', '/left/emotion', '/right/mood', '/right/emotion')
            }


@pytest.fixture(scope='module')
def both(tmp_path_factory):
    return SideBySide(tmp_path_factory.mktemp('side_by_side'))


def test_each_estimator_hears_its_own_camera_only(both):
    assert {m.header.frame_id for m in both.left} == {'left_eye'}
    assert {m.header.frame_id for m in both.right} == {'right_eye'}
    assert {m.label for m in both.right} == {'none'}
    assert both.left[-1].label != 'none'


def test_topics_lie_in_the_namespaces_under_the_names_they_were_given(both):
    assert both.publishers == {
        '/emotion': 0, '/left/emotion': 1, '/right/mood': 1, '/right/emotion': 0,
    }  # fmt: skip
    assert {'/left/image_raw', '/left/image_raw/compressed', '/left/emotions'} <= set(both.topics)
    assert {'/right/rgb', '/right/rgb/compressed', '/right/emotions'} <= set(both.topics)
    assert not [name for name in both.topics if name.startswith('/right/image_raw')]


def test_diagnostics_tell_the_cameras_apart(both):
    names = {status.name for message in both.diagnostics for status in message.status}
    assert names == {f'{side}/{node}' for side in SIDES for node in ('camera', 'estimator')}


def test_the_log_level_is_the_one_asked_for(both):
    assert 'capturing from' in both.talking.log.read_text()
    assert 'capturing from' not in both.quiet.log.read_text()
