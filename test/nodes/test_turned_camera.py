"""A camera that is mounted turned: its images are made upright, or the cure is told."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import qos_profile_sensor_data
from ros_graph import RosGraph, value_of
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_estimator.msg import Emotion
from emotion_estimator.nodes.conversion import image_message
from emotion_estimator.sources.portrait import Portrait

TIMEOUT = 60.0
#: Seconds between stamps, so that a minute passes in a few seconds.
STEP = 0.25


@pytest.fixture(scope='module')
def on_its_side():
    """Return a face as a camera sees it that is turned clockwise by 90 degrees."""
    face = next(iter(Portrait(15.0).frames())).image
    return np.ascontiguousarray(np.rot90(face))


def watch(folder, image, done, **parameters):
    """Publish an image until ``done`` holds of the emotions and diagnostics; return its answer.

    The next image is published once the last one is answered.
    """
    with RosGraph(folder) as graph:
        images = graph.node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        emotions = graph.hear(Emotion, 'emotion')
        diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        graph.start('estimator', landmark_source=LANDMARK_SOURCE, max_faces=1, **parameters)
        first, count, published = time.time() - 50.0, 0, 0.0

        def publish():
            nonlocal count, published
            answered = len(emotions) == count
            if images.get_subscription_count() and (answered or time.monotonic() - published > 2.0):
                count, published = len(emotions) + 1, time.monotonic()
                stamp = first + STEP * count
                header = Header(stamp=Time(sec=int(stamp), nanosec=int(stamp % 1 * 1e9)))
                images.publish(image_message(image, header))
            return done(emotions, diagnostics)

        graph.wait_until(publish, TIMEOUT, 'what is expected of a turned camera')
        return done(emotions, diagnostics)


def upright(emotions, _):
    faces = [one for one in emotions if one.face_id and abs(one.head_roll) < 20]
    return faces[-1:]


def test_a_given_turn_makes_images_upright(tmp_path, on_its_side):
    (face,) = watch(tmp_path, on_its_side, upright, rotate=90)
    # In pixels of the turned image, which is as wide as the other one is high.
    assert face.roi.x_offset + face.roi.width <= on_its_side.shape[0]


def test_auto_finds_the_turn_and_says_so(tmp_path, on_its_side):
    def done(emotions, diagnostics):
        return upright(emotions, None) and value_of(diagnostics, 'estimator', 'rotate') == '90'

    assert watch(tmp_path, on_its_side, done, rotate='auto')
    log = (tmp_path / 'estimator.log').read_text()
    assert log.count('images are turned by 90 degrees clockwise') == 1


def test_a_hint_is_given_where_the_turn_is_fixed(tmp_path, on_its_side):
    def done(emotions, diagnostics):
        assert not upright(emotions, None)
        return any(
            status.message == 'faces appear only after turning by 90 degrees; set rotate:=90'
            for message in diagnostics
            for status in message.status
        )

    assert watch(tmp_path, on_its_side, done)
