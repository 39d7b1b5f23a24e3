"""Stamps, simulated time and bags that loop, through the real estimator node."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from ros_graph import RosGraph, value_of
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_estimator.msg import Emotion, EmotionArray
from emotion_estimator.nodes.conversion import image_message, seconds
from emotion_estimator.sources.portrait import Portrait

START_TIMEOUT = 40.0
#: A bag of long ago.
BEGIN = 1_000.0


def stamp_of(at):
    return Time(nanoseconds=round(at * 1e9)).to_msg()


class Replay:
    """Plays images with their old stamps, and the clock with them."""

    def __init__(self, graph):
        self.graph = graph
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        self.emotions = graph.hear(Emotion, 'emotion', 1000)
        self.arrays = graph.hear(EmotionArray, 'emotions', 1000)
        self.images = graph.node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        self.clock = graph.node.create_publisher(Clock, '/clock', 10)
        self.frames = [f.image for f in itertools.islice(Portrait(15.0).frames(), 15)]

    def show(self, image, at, delay=0.02):
        """Publish one image and wait for its answer; the clock stands ``delay`` s after it."""
        self.clock.publish(Clock(clock=stamp_of(at + delay)))
        before = len(self.emotions)

        def answered():
            self.images.publish(image_message(image, Header(stamp=stamp_of(at))))
            # Best effort: an image may be lost, and is then sent again.
            end = time.monotonic() + 2.0
            while len(self.emotions) == before and time.monotonic() < end:
                self.graph.heard_anything(0.1)
            return len(self.emotions) > before

        self.graph.wait_until(answered, START_TIMEOUT, f'an answer to stamp {at}')
        return self.emotions[-1]

    def play(self, begin):
        return [self.show(image, begin + k / 15) for k, image in enumerate(self.frames)]

    def said(self, key):
        return value_of(self.diagnostics, 'estimator', key)

    def wait_for_report(self):
        before = len(self.diagnostics)
        self.graph.wait_until(lambda: len(self.diagnostics) > before + 1, 10, 'a new report')
        return self.diagnostics[-1]


@pytest.fixture
def replay(tmp_path, request):
    with RosGraph(tmp_path) as graph:
        made = Replay(graph)
        graph.start('estimator', landmark_source=LANDMARK_SOURCE, **request.param)
        graph.wait_until(lambda: made.said('state') == 'active', START_TIMEOUT, 'it is active')
        yield made


@pytest.mark.parametrize('replay', [{'use_sim_time': True}], indirect=True)
def test_a_bag_under_its_own_clock_and_round_again(replay):
    # Reported before any clock was heard: the steady clock drives diagnostics.
    assert replay.said('frames_processed') == '0'
    first = replay.play(BEGIN)
    assert [m.label for m in first][-1] != 'none'
    assert {m.face_id for m in first} == {'face_1'}
    for k, message in enumerate(first):
        assert seconds(message.header.stamp) == pytest.approx(BEGIN + k / 15, abs=1e-6)
        # The clock stood 0.02 s after the image when it came, or at most at the next image's.
        assert 0.0 <= message.latency < 0.2
    report = replay.wait_for_report()
    assert BEGIN <= seconds(report.header.stamp) < BEGIN + 2
    assert 'use_sim_time' not in report.status[0].message
    assert 0.0 <= float(replay.said('latency_p50_ms')) <= float(replay.said('latency_p95_ms')) < 200

    # The bag loops: clock and stamps jump back.
    resets = int(replay.said('state_resets'))
    second = replay.play(BEGIN)
    assert [m.label for m in second] == [m.label for m in first]
    assert {m.face_id for m in second} == {'face_2'}
    np.testing.assert_allclose(
        [m.probabilities for m in second], [m.probabilities for m in first], atol=0.02
    )
    replay.wait_for_report()
    assert int(replay.said('state_resets')) == resets + 1
    assert replay.said('last_error') == ''

    # And forward, further than reset_gap; then there is no face any more.
    third = replay.show(replay.frames[0], BEGIN + 500)
    assert third.face_id == 'face_3'
    empty = np.zeros_like(replay.frames[0])
    no_face = replay.show(empty, BEGIN + 501)
    assert no_face.label == 'none'
    replay.graph.wait_until(
        lambda: replay.arrays and replay.arrays[-1].header == no_face.header, 5, 'the array'
    )
    assert list(replay.arrays[-1].emotions) == []


@pytest.mark.parametrize('replay', [{}], indirect=True)
def test_a_bag_without_its_clock_is_warned_of(replay):
    replay.show(replay.frames[0], BEGIN)
    report = replay.wait_for_report()
    assert report.status[0].level == DiagnosticStatus.WARN
    assert 'use_sim_time' in report.status[0].message
    assert replay.said('last_error') == ''
