"""What the nodes read and write: compressed images, rates, settings that change at work."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from array import array

from available import LANDMARK_SOURCE
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from ros_graph import RosGraph, value_of
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from emotion_estimator.msg import Emotion
from emotion_estimator.nodes.conversion import compressed_image_message, image_message
from emotion_estimator.sources.portrait import Portrait

START_TIMEOUT = 40.0


def header(at):
    return Header(stamp=Time(nanoseconds=round(at * 1e9)).to_msg())


class Stand:
    """An estimator, and this test in place of the camera."""

    def __init__(self, graph, transport='raw'):
        self.graph = graph
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        self.emotions = graph.hear(Emotion, 'emotion', 1000)
        self.pictures = graph.hear(Image, 'debug_image', qos_profile_sensor_data)
        kind, topic = (
            (Image, 'image_raw')
            if transport == 'raw'
            else (CompressedImage, 'image_raw/compressed')
        )
        self.images = graph.node.create_publisher(kind, topic, qos_profile_sensor_data)
        self.estimator = graph.start(
            'estimator', landmark_source=LANDMARK_SOURCE, image_transport=transport
        )
        graph.wait_until(lambda: self.said('state') == 'active', START_TIMEOUT, 'it is active')
        graph.wait_until(self.images.get_subscription_count, 10, 'it listens')
        self.faces = [f.image for f in itertools.islice(Portrait(15.0).frames(), 3)]
        self.at = 100.0

    def said(self, key):
        return value_of(self.diagnostics, 'estimator', key)

    def show(self, message=None):
        """Publish an image, 1/15 s after the last, and return the answer."""
        self.at += 1 / 15
        message = message or image_message(self.faces[0], Header())
        message.header = header(self.at)
        before = len(self.emotions)
        self.images.publish(message)
        self.graph.wait_until(lambda: len(self.emotions) > before, 10, 'an answer')
        return self.emotions[-1]


@pytest.fixture(scope='module')
def stand(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp('stand')) as graph:
        yield Stand(graph)


def test_blendshapes_stop_with_the_next_image(stand):
    assert len(stand.show().blendshapes) == 52
    assert stand.graph.set_parameters('estimator', publish_blendshapes=False) == ''
    assert len(stand.show().blendshapes) == 0
    assert stand.graph.set_parameters('estimator', publish_blendshapes=True) == ''
    assert len(stand.show().blendshapes) == 52


def test_the_debug_image_can_be_turned_on_and_off_at_work(stand):
    graph = stand.graph
    stand.show()
    assert graph.node.count_publishers('/debug_image') == 0
    assert graph.set_parameters('estimator', debug_image=True) == ''
    graph.wait_until(lambda: graph.node.count_publishers('/debug_image'), 10, 'the topic')

    def drawn():
        stand.show()
        return stand.pictures

    graph.wait_until(drawn, 10, 'a picture')
    picture = stand.pictures[-1]
    assert (picture.width, picture.height, picture.encoding) == (512, 512, 'rgb8')
    shown = np.frombuffer(picture.data, np.uint8).reshape(512, 512, 3)
    assert 0.005 < (shown != stand.faces[0]).any(axis=2).mean() < 0.6
    assert graph.set_parameters('estimator', debug_image=False) == ''
    stand.show()
    graph.wait_until(lambda: not graph.heard_anything(0.3), 5, 'silence')
    count = len(stand.pictures)
    stand.show()
    graph.wait_until(lambda: not graph.heard_anything(0.3), 5, 'silence')
    assert len(stand.pictures) == count


def test_a_limit_of_the_rate_skips_images_and_counts_them(stand):
    graph = stand.graph
    stand.show()
    assert graph.set_parameters('estimator', max_rate_hz=5.0) == ''
    skipped = int(stand.said('frames_skipped'))
    stand.at += 1.0
    stand.show()
    for _ in range(2):
        # 1/15 s after the last one each: too soon at 5 Hz.
        stand.at += 1 / 15
        stand.images.publish(image_message(stand.faces[0], header(stand.at)))
        graph.wait_until(
            lambda n=skipped + 1: int(stand.said('frames_skipped')) >= n, 10, 'it is counted'
        )
        skipped += 1
    count = len(stand.emotions)
    stand.show()
    assert len(stand.emotions) == count + 1
    assert graph.set_parameters('estimator', max_rate_hz=0.0) == ''
    stand.show()


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ({'max_rate_hz': 500.0}, 'max_rate_hz'),
        ({'primary_face': 'loudest'}, 'primary_face must be one of largest, nearest_centre'),
        ({'image_transport': 'compressed'}, 'clean up the node first'),
        ({'debug_image': 'please'}, "debug_image must be of type bool, got 'please'"),
    ],
)
def test_a_wrong_setting_is_refused_and_the_work_continues(stand, values, expected):
    assert expected in stand.graph.set_parameters('estimator', **values)
    assert stand.show().label != 'none'


def test_every_parameter_is_described(stand):
    from dataclasses import fields

    from emotion_estimator.settings import EstimatorSettings

    declared = fields(EstimatorSettings)
    found = stand.graph.describe('estimator', *(item.name for item in declared))
    for item, descriptor in zip(declared, found):
        assert descriptor.description == item.metadata['description']
        assert descriptor.read_only == (item.metadata['change'] == 'startup')
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        if item.metadata['minimum'] is not None:
            assert (ranges[0].from_value, ranges[0].to_value) == (
                item.metadata['minimum'],
                item.metadata['maximum'],
            )
        for choice in item.metadata['choices']:
            assert choice in descriptor.additional_constraints


def png(image):
    done, data = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    return CompressedImage(format='png', data=array('B', data.tobytes()))


def test_compressed_images_of_any_kind_are_read_and_bad_ones_survived(tmp_path):
    with RosGraph(tmp_path) as graph:
        stand = Stand(graph, 'compressed')
        assert graph.node.count_subscribers('/image_raw') == 0
        roi = stand.show(compressed_image_message(stand.faces[0], Header(), 90)).roi
        for message in (
            png(stand.faces[0]),
            CompressedImage(format='bgr8; png compressed bgr8', data=png(stand.faces[0]).data),
        ):
            answer = stand.show(message)
            assert answer.label != 'none'
            assert abs(answer.roi.width - roi.width) < 20
        bad = int(stand.said('frames_bad'))
        for count, (message, expected) in enumerate(
            (
                (CompressedImage(format='jpeg'), 'cannot be decoded'),
                (CompressedImage(format='jpeg', data=array('B', b'no picture')), 'cannot be deco'),
                (
                    CompressedImage(format='16UC1; compressedDepth png', data=array('B', b'x')),
                    'is a depth image',
                ),
            ),
            start=bad + 1,
        ):
            stand.at += 1 / 15
            message.header = header(stand.at)
            stand.images.publish(message)
            graph.wait_until(lambda n=count: int(stand.said('frames_bad')) == n, 10, 'it counts')
            assert expected in stand.said('last_error')
        assert stand.show(png(stand.faces[0])).label != 'none'
        assert stand.estimator.status() is None


def test_the_camera_compresses_only_for_subscribers_and_takes_new_settings(tmp_path):
    with RosGraph(tmp_path) as graph:
        emotions = graph.hear(Emotion, 'emotion', 1000)
        graph.start('camera', source='portrait', fps=15.0, loop=True)
        graph.start('estimator', landmark_source=LANDMARK_SOURCE, image_transport='compressed')
        graph.wait_until(lambda: len(emotions) > 3, START_TIMEOUT, 'emotions from JPEGs')
        # Nobody wants raw images, so that none are published.
        assert graph.node.count_subscribers('/image_raw') == 0
        pictures = graph.hear(CompressedImage, 'image_raw/compressed', qos_profile_sensor_data)
        graph.wait_until(lambda: pictures, 10, 'a JPEG')
        decoded = cv2.imdecode(np.frombuffer(pictures[-1].data, np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape == (512, 512, 3)
        assert pictures[-1].header.frame_id == 'camera_optical_frame'
        size = len(pictures[-1].data)
        assert graph.set_together('camera', frame_id='left_eye', jpeg_quality=20) == ''
        graph.wait_until(lambda: pictures[-1].header.frame_id == 'left_eye', 10, 'the new frame_id')
        assert len(pictures[-1].data) < 0.6 * size
        graph.wait_until(lambda: emotions[-1].header.frame_id == 'left_eye', 10, 'in emotions too')
