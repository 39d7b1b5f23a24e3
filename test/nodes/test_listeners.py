"""Nodes that work only while somebody subscribes, over real DDS."""

from __future__ import annotations

import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from diagnostic_msgs.msg import DiagnosticArray
from ros_graph import RosGraph, value_of
from sensor_msgs.msg import Image

from emotion_estimator.msg import Emotion, EmotionArray
from emotion_estimator.nodes.listeners import PATIENCE, Listeners
from emotion_estimator.nodes.qos import images

TIMEOUT = 40.0


class Topic:
    """A publisher with so many subscribers."""

    def __init__(self, count=0):
        self.count = count

    def get_subscription_count(self):
        return self.count


def test_a_listener_counts_on_for_a_while(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    topics = Topic(), Topic()
    listeners = Listeners(patience=5.0)
    now[0] = 104.0
    assert listeners.present(topics)
    now[0] = 106.0
    assert not listeners.present(topics)
    # Of one topic is enough.
    topics[1].count = 1
    assert listeners.present(topics)
    topics[1].count = 0
    now[0] = 110.0
    assert listeners.present(topics)
    now[0] = 112.0
    assert not listeners.present(topics)


class Room:
    """An estimator on the portrait, a subscriber that comes and goes, and diagnostics."""

    def __init__(self, graph):
        self.graph = graph
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')

    def says(self, node, key, value):
        self.graph.wait_until(
            lambda: value_of(self.diagnostics, node, key) == value, TIMEOUT, f'{node} {key} {value}'
        )

    def listen(self, kind=Emotion, topic='emotion'):
        heard = []
        subscription = self.graph.node.create_subscription(kind, topic, heard.append, 10)
        return heard, lambda: self.graph.node.destroy_subscription(subscription)


@pytest.fixture
def room(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield Room(graph)


def test_nothing_is_computed_or_sent_while_nobody_listens(room):
    graph = room.graph
    graph.start('estimator', landmark_source=LANDMARK_SOURCE, ros4hri=False)
    graph.start('camera', source='portrait', loop=True, fps=15.0)
    room.says('estimator', 'idle', 'True')
    # No image is sent to it either.
    room.says('camera', 'idle', 'True')
    before = value_of(room.diagnostics, 'estimator', 'frames_processed')
    seen = len(room.diagnostics)
    graph.wait_until(lambda: len(room.diagnostics) > seen + 4, TIMEOUT, 'more diagnostics')
    assert value_of(room.diagnostics, 'estimator', 'frames_processed') == before
    last = [s for m in room.diagnostics for s in m.status if s.name == 'estimator'][-1]
    assert last.level == b'\0', last.message

    for kind, topic in ((Emotion, 'emotion'), (EmotionArray, 'emotions')):
        heard, leave = room.listen(kind, topic)
        graph.wait_until(lambda heard=heard: len(heard) > 3, TIMEOUT, f'{topic} after idling')
        room.says('estimator', 'idle', 'False')
        leave()
        room.says('estimator', 'idle', 'True')


def test_it_works_on_for_nobody_if_asked(room):
    graph = room.graph
    graph.start('estimator', landmark_source=LANDMARK_SOURCE, ros4hri=False, lazy=False)
    graph.start('camera', source='portrait', loop=True, fps=15.0)
    graph.wait_until(
        lambda: int(value_of(room.diagnostics, 'estimator', 'frames_processed') or 0) > 5,
        TIMEOUT,
        'images are processed',
    )
    begun = time.monotonic()
    graph.wait_until(lambda: time.monotonic() > begun + PATIENCE + 2, TIMEOUT, 'patience ends')
    room.says('estimator', 'idle', 'False')
    # At run time, both ways.
    assert graph.set_parameters('estimator', lazy=True) == ''
    room.says('estimator', 'idle', 'True')
    assert graph.set_parameters('estimator', lazy=False) == ''
    room.says('estimator', 'idle', 'False')


def test_a_driver_that_knows_nothing_of_us_is_left_alone(room):
    """Its subscribers go and come, so that it may rest too, as many drivers do."""
    publisher = room.graph.node.create_publisher(Image, 'image_raw', images('reliable'))
    room.graph.start('estimator', landmark_source=LANDMARK_SOURCE, ros4hri=False)
    for count in (1, 0):
        room.graph.wait_until(
            lambda count=count: publisher.get_subscription_count() == count,
            TIMEOUT,
            f'{count} subscribers',
        )
    _, leave = room.listen()
    room.graph.wait_until(lambda: publisher.get_subscription_count() == 1, TIMEOUT, 'it is back')
    leave()


def test_in_one_process_the_camera_rests_with_the_estimator(room):
    graph = room.graph
    graph.start('camera_estimator', '-p', 'ros4hri:=false', source='portrait', loop=True)
    room.says('estimator', 'idle', 'True')
    room.says('camera', 'idle', 'True')
    heard, leave = room.listen()
    graph.wait_until(lambda: len(heard) > 3, TIMEOUT, 'emotions after idling')
    leave()
