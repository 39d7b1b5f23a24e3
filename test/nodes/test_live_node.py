"""The live node over DDS, beside publishers of plain messages, in a real browser."""

from __future__ import annotations

import re
import time
from array import array

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')
pytest.importorskip('nicegui', reason="needs NiceGUI: pip install 'emotion-estimator[live]'")

from browser import Visit, browsing
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import Log
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_graph import RosGraph, value_of
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import String

from emotion_estimator.msg import DialogueAction, Emotion, EmotionArray

START_TIMEOUT = 60.0
TOPICS = ('image_raw', 'emotions', 'dialogue/action', 'dialogue/context')


class Robot:
    """Publishes as a robot does that knows nothing of the page."""

    def __init__(self, graph: RosGraph) -> None:
        self.graph, node = graph, graph.node
        self.images = node.create_publisher(Image, 'image_raw', 10)
        self.emotions = node.create_publisher(EmotionArray, 'emotions', 10)
        self.actions = node.create_publisher(DialogueAction, 'dialogue/action', 10)
        self.contexts = node.create_publisher(String, 'dialogue/context', 10)
        self.diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.heard = graph.hear(String, 'dialogue/user_said')
        self.reports = graph.hear(DiagnosticArray, '/diagnostics')
        transient = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.log = graph.hear(Log, '/rosout', transient)
        self.child = graph.start('live')
        graph.wait_until(lambda: self.address, START_TIMEOUT, 'the page is served')

    @property
    def address(self) -> str:
        found = re.search(r'http://127\.0\.0\.1:\S+', self.child.log.read_text())
        return found.group() if found else ''

    def listeners(self) -> int:
        return sum(self.graph.node.count_subscribers(topic) for topic in TOPICS)

    def show(self, label: str = 'sad', face_id: str = '7') -> None:
        """Publish an image and the face in it."""
        stamp = self.graph.node.get_clock().now().to_msg()
        image = Image(
            height=120, width=160, step=480, encoding='rgb8', data=array('B', b'\x80' * 57600)
        )
        image.header.stamp = stamp
        emotion = Emotion(
            face_id=face_id, label=label, confidence=0.5, labels=['happy', 'sad'],
            probabilities=[0.5, 0.5], latency=0.02,
            roi=RegionOfInterest(x_offset=10, y_offset=10, width=50, height=60),
        )  # fmt: skip
        emotion.header.stamp = stamp
        self.images.publish(image)
        both = EmotionArray(emotions=[emotion])
        both.header.stamp = stamp
        self.emotions.publish(both)


@pytest.fixture(scope='module')
def robot(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp('live')) as graph:
        yield Robot(graph)


@pytest.fixture
def visit(robot):
    with browsing() as browser, Visit(browser, robot.address) as opened:
        wait_until(robot, lambda: robot.listeners() == len(TOPICS))
        yield opened
        assert opened.errors == []
        assert opened.failed == []


def wait_until(robot, done, each=lambda: None) -> None:
    end = time.monotonic() + START_TIMEOUT
    while not done():
        assert time.monotonic() < end, (robot.child.log.read_text(), robot.reports[-2:])
        each()
        robot.graph.heard_anything(0.05)


def test_the_key_is_not_told_on_rosout(robot):
    wait_until(robot, lambda: any(line.name == 'live' for line in robot.log))
    key = robot.address.partition('key=')[2]
    assert len(key) > 10
    assert not [line.msg for line in robot.log if key in line.msg]


def test_it_listens_only_while_a_page_is_open(robot):
    assert robot.listeners() == 0
    with browsing() as browser, Visit(browser, robot.address):
        wait_until(robot, lambda: robot.listeners() == len(TOPICS))
        wait_until(robot, lambda: value_of(robot.reports, 'live', 'pages_open') == '1')
    wait_until(robot, lambda: robot.listeners() == 0)


def test_the_page_shows_what_is_published(robot, visit):
    def shown() -> str:
        return visit.marked('readings').inner_text()

    wait_until(robot, lambda: 'sad' in shown(), robot.show)
    wait_until(robot, lambda: visit.marked('picture').locator('img').count(), robot.show)
    picture = visit.marked('picture').locator('img')
    wait_until(
        robot,
        lambda: (picture.get_attribute('src') or '').startswith('data:image/jpeg'),
        robot.show,
    )


def test_the_conversation_and_what_was_held_back(robot, visit):
    robot.actions.publish(
        DialogueAction(action='check_in', utterance='How are you?', rule='ask', reason='sad')
    )
    robot.contexts.publish(String(data='{"turns": {"floor": "person_speaks"}}'))
    held = KeyValue(key='suppressed', value='cheer: cooldown, 3.0 s left')
    status = DiagnosticStatus(name='dialogue_manager', values=[held])
    robot.diagnostics.publish(DiagnosticArray(status=[status]))
    body = visit.page.locator('body')
    for words in ('How are you?', 'floor: person speaks', 'held back: cheer: cooldown'):
        wait_until(robot, lambda words=words: words in body.inner_text(), robot.show)


def test_odd_contexts_do_no_harm(robot, visit):
    for odd in ('', '[]', '{"turns": 3}', '{"turns": {}}', 'x' * 100_000):
        robot.contexts.publish(String(data=odd))
    wait_until(robot, lambda: 'happy' in visit.marked('readings').inner_text(), robot.show)
    assert robot.child.status() is None


def test_what_is_typed_is_published_as_a_recogniser_would(robot, visit):
    field = visit.page.get_by_label('What the person says')
    field.fill('I like tea')
    field.press('Enter')
    wait_until(robot, lambda: 'I like tea' in [message.data for message in robot.heard])
    wait_until(robot, lambda: 'I like tea' in visit.marked('chat').inner_text(), robot.show)


def test_a_damaged_image_is_said_and_the_next_one_shown(robot, visit):
    def damaged() -> None:
        stamp = robot.graph.node.get_clock().now().to_msg()
        image = Image(height=120, width=160, step=480, encoding='rgb8', data=array('B', b'1'))
        both = EmotionArray()
        image.header.stamp = both.header.stamp = stamp
        robot.images.publish(image)
        robot.emotions.publish(both)

    status = visit.marked('status')
    wait_until(robot, lambda: status.is_visible() and status.inner_text(), damaged)
    wait_until(robot, lambda: not status.is_visible(), robot.show)


def test_an_estimator_that_is_not_there_is_said(robot, visit):
    visit.page.get_by_text('Source and settings').click()
    handle = visit.marked('sad_threshold')
    handle.click()
    body = visit.page.locator('body')
    wait_until(robot, lambda: 'does not answer' in body.inner_text())


def test_a_threshold_is_set_on_the_estimator(robot, visit):
    estimator = Node('estimator', context=robot.graph.node.context)
    for name in ('happy_threshold', 'sad_threshold', 'abstain_below'):
        estimator.declare_parameter(name, 0.9)
    robot.graph.also_spin(estimator)
    visit.page.get_by_text('Source and settings').click()
    visit.marked('sad_threshold').click()
    wait_until(robot, lambda: estimator.get_parameter('sad_threshold').value == 0.5)
    assert estimator.get_parameter('happy_threshold').value == 0.9
