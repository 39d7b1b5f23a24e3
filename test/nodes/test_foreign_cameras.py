"""Camera drivers that know nothing of us, in processes of their own, without our DDS profile."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from diagnostic_msgs.msg import DiagnosticStatus
from foreign_robot import TIMEOUT, Robot
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from ros_graph import RosGraph
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from emotion_estimator.msg import DialogueAction
from emotion_estimator.nodes.conversion import seconds
from emotion_estimator.sources.portrait import Portrait


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as made:
        yield made


def test_of_an_ordinary_drivers_images_none_is_lost(graph):
    robot = Robot(graph)
    robot.drive_to_the_end()
    # Best effort received 22 of them.
    assert robot.count('frames_processed', 'frames_dropped') >= 58
    assert robot.said('image_reliability') == 'reliable'
    assert float(robot.said('images_lost_percent')) < 5.0


def test_images_that_do_not_arrive_are_reported(graph):
    robot = Robot(graph)
    robot.drive('--size', '64', '48', '--drop', '0.4', '--rate', '30', '--count', '900')
    robot.wait(lambda: 'are lost before they arrive' in robot.status().message, 'it says so')
    assert robot.status().level == DiagnosticStatus.WARN
    assert 25.0 < float(robot.said('images_lost_percent')) < 55.0


def test_what_best_effort_loses_of_large_images_is_reported(graph):
    robot = Robot(graph)
    robot.drive('--best-effort', '--size', '1280', '720', '--count', '900')
    robot.wait(lambda: 'are lost before they arrive' in robot.status().message, 'it says so')
    assert 'have the driver publish reliably' in robot.status().message
    # Hardly any arrives: only the middleware knows of the others.
    assert float(robot.said('images_lost_percent')) > 50.0


def test_a_best_effort_driver_is_heard_too(graph):
    robot = Robot(graph)
    robot.drive('--best-effort', '--size', '64', '48', '--count', '600')
    robot.wait(lambda: robot.count('frames_processed') > 5, 'it hears the driver')
    assert robot.said('image_reliability') == 'best_effort'
    assert 'incompatible' not in robot.estimator.log.read_text()


def test_reliability_is_what_the_parameters_say(graph):
    robot = Robot(graph, image_reliability='reliable')
    robot.drive('--best-effort', '--size', '64', '48', '--count', '600')
    robot.wait(
        lambda: 'does not hear; set image_reliability to auto' in robot.status().message, 'it says'
    )
    assert robot.status().level == DiagnosticStatus.WARN
    assert robot.count('frames_processed') == 0


def test_an_override_takes_precedence(graph):
    override = {'qos_overrides./image_raw.subscription.reliability': 'best_effort'}
    robot = Robot(graph, **override)
    robot.drive('--size', '64', '48', '--count', '600')
    robot.wait(lambda: robot.count('frames_processed') > 5, 'it hears the driver')
    assert robot.said('image_reliability') == 'best_effort'
    (info,) = graph.node.get_subscriptions_info_by_topic('/image_raw')
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


@pytest.mark.parametrize('stamps', ['zero', 'stuck'])
def test_a_driver_without_stamps_is_understood_and_warned_of(graph, tmp_path, stamps):
    np.save(tmp_path / 'face.npy', next(iter(Portrait(15.0).frames())).image)
    robot = Robot(graph)
    graph.start('dialogue_manager')
    actions = graph.hear(DialogueAction, 'dialogue/action')
    driver = robot.drive(
        '--picture', str(tmp_path / 'face.npy'), '--stamps', stamps, '--count', '600'
    )
    robot.wait(lambda: actions, 'the robot does something')
    now = graph.node.get_clock().now().nanoseconds * 1e-9
    assert abs(seconds(robot.emotions[-1].header.stamp) - now) < 30.0
    assert robot.emotions[-1].header.frame_id == 'eye'
    cause = {'zero': 'images have no stamp', 'stuck': 'the stamps of the images stand still'}
    robot.wait(lambda: cause[stamps] in robot.status().message, 'it warns')
    assert 'have the driver stamp them' in robot.status().message
    assert robot.status().level == DiagnosticStatus.WARN
    assert driver.status() is None
    # What is published from now on advances all the same: the warning may overtake an emotion.
    seen = len(robot.emotions)
    robot.wait(lambda: len(robot.emotions) >= seen + 20, 'emotions go on')
    recent = [seconds(m.header.stamp) for m in robot.emotions[-10:]]
    assert recent == sorted(set(recent))


def test_late_images_are_dropped_and_nobody_is_forgotten(graph, tmp_path):
    np.save(tmp_path / 'face.npy', next(iter(Portrait(15.0).frames())).image)
    robot = Robot(graph)
    robot.drive_to_the_end(
        '--picture', str(tmp_path / 'face.npy'), '--rate', '20', '--jitter', '0.12', '--count', '60'
    )
    assert robot.count('frames_late') >= 5
    assert robot.said('state_resets') == '0'
    assert {m.face_id for m in robot.emotions} == {'face_1'}


def test_two_cameras_on_one_topic_are_named(graph):
    robot = Robot(graph)
    for namespace in ('left', 'right'):
        robot.drive(
            '--topic', '/image_raw', '--size', '64', '48', '--count', '600',
            '--ros-args', '-r', f'__ns:=/{namespace}', name=namespace,
        )  # fmt: skip
    warning = '2 publishers on /image_raw (/left/driver, /right/driver)'
    robot.wait(lambda: warning in robot.status().message, 'it warns')
    assert robot.status().level == DiagnosticStatus.WARN


def test_two_clocks_on_one_topic_are_named(graph):
    robot = Robot(graph)
    robot.drive('--stamps', 'two_clocks', '--size', '64', '48', '--rate', '30', '--count', '900')
    warning = 'the images on /image_raw come from two clocks, and only the later one is followed'
    robot.wait(lambda: warning in robot.status().message, 'it warns')
    assert robot.status().level == DiagnosticStatus.WARN
    robot.wait(lambda: robot.count('frames_late') > 30, 'they are counted')
    # Those of the other clock are left out; they do not start the stream over each time.
    assert robot.count('state_resets') <= 2


def test_many_resets_are_warned_of(graph):
    robot = Robot(graph)
    robot.drive('--stamps', 'jumps', '--size', '64', '48', '--rate', '30', '--count', '900')
    robot.wait(lambda: 'all faces were forgotten' in robot.status().message, 'it warns')
    assert 'times on /image_raw within 60 s' in robot.status().message
    assert robot.status().level == DiagnosticStatus.WARN
    assert robot.count('state_resets') >= 5


@pytest.mark.parametrize('reliability', [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT])
def test_everybody_hears_the_cameras_images(graph, reliability):
    heard = graph.hear(Image, 'image_raw', QoSProfile(depth=5, reliability=reliability))
    graph.start('camera', source='portrait')
    graph.wait_until(lambda: len(heard) > 3, TIMEOUT, 'images')


def test_a_camera_can_publish_best_effort(graph):
    heard = graph.hear(Image, 'image_raw', qos_profile_sensor_data)
    graph.start('camera', source='portrait', image_reliability='best_effort')
    graph.wait_until(lambda: heard, TIMEOUT, 'images')
    (info,) = graph.node.get_publishers_info_by_topic('/image_raw')
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


def test_without_clock_each_node_says_so_and_no_time_on_it_stops_one(graph):
    robot = Robot(graph, use_sim_time=True)
    names = ('estimator', 'dialogue_manager', 'camera')
    nodes = [robot.estimator, graph.start('dialogue_manager', use_sim_time=True)]
    nodes.append(graph.start('camera', use_sim_time=True, source='portrait'))
    for name in names:
        robot.wait(
            lambda name=name: 'nothing publishes /clock' in (robot.said('last_error', name) or ''),
            f'{name} says so',
        )
        assert robot.status(name).level == DiagnosticStatus.ERROR
        assert 'set use_sim_time to false' in robot.status(name).message
    clock = graph.node.create_publisher(Clock, '/clock', 10)
    wrong = Clock()
    wrong.clock.sec = -5
    robot.wait(lambda: clock.get_subscription_count() == 3, 'all hear /clock')
    for node in nodes:

        def ignored(node=node):
            clock.publish(wrong)
            return 'time on /clock ignored: -5.000000000 s' in node.log.read_text()

        robot.wait(ignored, 'it is ignored')
    # The clock of the reports: they come as before.
    right = Clock()

    def recovered():
        right.clock.sec += 1
        clock.publish(right)
        return all(robot.said('last_error', name) == '' for name in names)

    robot.wait(recovered, 'all are well')
    assert [node.status() for node in nodes] == [None] * 3
