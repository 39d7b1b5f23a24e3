"""The launch files, run by the real launch and launch_ros (not in the wheels; see README)."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip('launch', reason='launch is not importable: no ROS distribution is sourced')
pytest.importorskip('launch_ros', reason='launch_ros is not importable')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from chat_server import ChatServer, answering
from launch.actions import DeclareLaunchArgument
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_run import FOLDER, NODES, face_image, launched
from made_bag import make_bag
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String

from emotion_estimator.msg import DialogueAction, Emotion
from emotion_estimator.nodes.conversion import image_message, seconds
from launch import LaunchContext

#: A model of the zoo, to run in place of the shipped networks.
MODEL = Path(__file__).parents[1] / 'helpers' / 'window_model' / 'portrait.json'
ESTIMATOR = {
    'namespace', 'image_topic', 'image_transport', 'emotion_topic', 'landmark_source',
    'debug_image', 'model', 'params_file', 'autostart', 'respawn', 'use_sim_time',
    'log_level', 'fastdds_profile', 'localhost_only',
}  # fmt: skip
DIALOGUE = {'policy_file', 'conversation_file'}
MODEL_SERVER = {'language_model', 'llm_base_url', 'llm_api_key_env'}
ARGUMENTS = {
    'emotion.launch.py': {
        *ESTIMATOR,
        *DIALOGUE,
        *MODEL_SERVER,
        'source',
        'page',
        'exit_at_end',
        'loop',
        'intra_process',
    },
    'estimator.launch.py': ESTIMATOR,
    # The bag decides upon the time.
    'replay.launch.py': {*ESTIMATOR, *DIALOGUE, 'bag', 'rate', 'loop', 'lockstep', 'page'}
    - {'use_sim_time'},
}


@pytest.mark.parametrize('file', ARGUMENTS)
def test_every_argument_is_described(file):
    description = PythonLaunchDescriptionSource(str(FOLDER / file)).get_launch_description(
        LaunchContext()
    )
    declared = {e.name: e for e in description.entities if isinstance(e, DeclareLaunchArgument)}
    assert set(declared) == ARGUMENTS[file]
    assert all(len(argument.description) > 10 for argument in declared.values())


def test_all_three_nodes_run_in_a_namespace_and_end_with_the_source(graph, still, tmp_path):
    overlay = tmp_path / 'mine.yaml'
    overlay.write_text(
        '/**/estimator: {ros__parameters: {publish_blendshapes: false}}\n'
        '/**/camera: {ros__parameters: {frame_id: left_eye, wait_for_subscribers: 30.0}}\n'
    )
    emotions = graph.hear(Emotion, '/robot1/emotion', 1000)
    truth = graph.hear(Emotion, '/robot1/ground_truth', 1000)
    actions = graph.hear(DialogueAction, '/robot1/dialogue/action')
    pictures = graph.hear(Image, '/robot1/debug_image', qos_profile_sensor_data)
    with launched(
        graph,
        'emotion.launch.py',
        source=still,
        landmark_source=LANDMARK_SOURCE,
        namespace='robot1',
        params_file=str(overlay),
        debug_image='true',
        exit_at_end='true',
    ) as launch:
        launch.wait(launch.ended, 'the launch ends', 90)
    assert emotions, launch.text
    assert emotions[-1].label != 'none'
    assert emotions[-1].header.frame_id == 'left_eye'
    assert list(emotions[-1].blendshapes) == []
    assert pictures
    assert truth == []
    assert graph.node.count_publishers('/emotion') == 0
    assert all(a.header.frame_id == 'left_eye' for a in actions)


def test_launch_brings_the_nodes_up_and_they_do_not_do_it_themselves(graph, still):
    with launched(
        graph, 'emotion.launch.py', source=still, landmark_source=LANDMARK_SOURCE, namespace='r'
    ) as launch:
        launch.wait_for_states('active', *(f'r/{node}' for node in NODES))
        # A node that was deactivated by hand is not brought up again.
        assert graph.transition('/r/estimator', 'deactivate')
        assert graph.transition('/r/estimator', 'cleanup')
        assert graph.transition('/r/estimator', 'configure')
        assert graph.transition('/r/estimator', 'cleanup')
        assert graph.state('/r/estimator') == 'unconfigured'
    assert 'Failed to make transition' not in launch.text


def test_without_autostart_the_nodes_wait_for_their_manager(graph, still):
    emotions = graph.hear(Emotion, '/emotion')
    with launched(
        graph, 'emotion.launch.py', source=still, landmark_source=LANDMARK_SOURCE,
        autostart='false', model=str(MODEL),
    ) as launch:  # fmt: skip
        launch.wait_for_states('unconfigured', *NODES)
        for node in reversed(NODES):
            assert graph.transition(node, 'configure')
            assert graph.transition(node, 'activate')
        launch.wait(lambda: emotions, 'an emotion')
    assert emotions[0].model == 'zoo_portrait-1.0.0'
    assert list(emotions[0].labels) == ['happy', 'pensive', 'sad']


def test_a_source_that_cannot_be_read_ends_what_should_end_with_it(graph, tmp_path):
    # 1 if launch_ros still waits for another node when it shuts down, which makes it fail.
    with launched(
        graph, 'emotion.launch.py', statuses=(0, 1), source=str(tmp_path / 'none.mp4'),
        exit_at_end='true', landmark_source=LANDMARK_SOURCE,
    ) as launch:  # fmt: skip
        launch.wait(launch.ended, 'the launch ends')
    assert [line for line in launch.text.splitlines() if 'none.mp4' in line and 'ERROR' in line]
    assert 'capturing' not in launch.text


def test_camera_and_estimator_in_one_process(graph):
    emotions = graph.hear(Emotion, '/one/emotion')
    with launched(
        graph,
        'emotion.launch.py',
        source='portrait',
        landmark_source=LANDMARK_SOURCE,
        namespace='one',
        intra_process='true',
        exit_at_end='true',
        log_level='estimator:=debug',
    ) as launch:
        launch.wait_for_states('active', *(f'one/{node}' for node in NODES))
        launch.wait(lambda: emotions, 'an emotion')
        processes = {line.split(']')[0] for line in launch.text.splitlines() if '_node-' in line}
    started = [line for line in launch.text.splitlines() if 'process started with pid' in line]
    assert len(started) == 2, processes
    assert 'camera_estimator_node-' in started[0]


def test_a_language_model_speaks_for_the_dialogue_manager(graph, still):
    said = graph.hear(String, '/m/dialogue/say')
    prompts = graph.node.create_publisher(String, '/m/dialogue/prompt', 10)
    with ChatServer(answering('Hello there.')) as server, launched(
        graph, 'emotion.launch.py', source=still, landmark_source=LANDMARK_SOURCE, namespace='m',
        language_model='7', llm_base_url=server.url,
    ) as launch:  # fmt: skip
        launch.wait_for_states('active', *(f'm/{node}' for node in (*NODES, 'llm_dialogue')))
        launch.wait(prompts.get_subscription_count, 'the node listens')
        prompts.publish(String(data='{"instruction": "Greet."}'))
        launch.wait(lambda: said, 'a sentence')
        assert server.requests[0]['model'] == '7'
    assert said[0].data == 'Hello there.'


def test_a_page_is_served_beside_the_nodes_and_ends_with_them(graph, still):
    pytest.importorskip('nicegui', reason='the page needs NiceGUI')
    with launched(
        graph, 'emotion.launch.py', source=still, landmark_source=LANDMARK_SOURCE, namespace='p',
        page='true',
    ) as launch:  # fmt: skip
        launch.wait_for_states('active', *(f'p/{node}' for node in (*NODES, 'live')))
        launch.wait(lambda: re.search(r'http://127\.0\.0\.1:\d+/\?key=\S+', launch.text), 'address')
        address = re.search(r'http://127\.0\.0\.1:\d+/\?key=\S+', launch.text)[0]
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.status == 200
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=2)


def test_two_cameras_side_by_side_included_by_another_launch_file(graph, still, tmp_path):
    """Each in its namespace, distinguished by the frame; the right one renamed from outside."""
    both = tmp_path / 'both.launch.py'
    both.write_text(
        f"""
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import SetParameter, SetRemap

def side(namespace, *actions):
    return GroupAction([*actions, IncludeLaunchDescription(
        PythonLaunchDescriptionSource({str(FOLDER / 'emotion.launch.py')!r}),
        launch_arguments={{
            'namespace': namespace, 'source': {still!r}, 'log_level': 'warn',
            'landmark_source': {LANDMARK_SOURCE!r}, 'params_file': namespace + '.yaml',
        }}.items())])

def generate_launch_description():
    return LaunchDescription([
        side('left'),
        side('right', SetRemap('emotion', 'mood'), SetRemap('image_raw', '/rgb')),
    ])
"""
    )
    for side in ('left', 'right'):
        (tmp_path / f'{side}.yaml').write_text(
            f'/**/camera: {{ros__parameters: {{frame_id: {side}_eye, loop: true, fps: 5.0}}}}\n'
        )
    left = graph.hear(Emotion, '/left/emotion')
    right = graph.hear(Emotion, '/right/mood')
    with launched(graph, both) as launch:
        launch.wait(lambda: len(left) > 3 and len(right) > 3, 'emotions of both')
        assert graph.node.count_publishers('/rgb') == 1
        assert graph.node.count_publishers('/right/image_raw') == 0
    assert {m.header.frame_id for m in left} == {'left_eye'}
    assert {m.header.frame_id for m in right} == {'right_eye'}
    # log_level:=warn
    assert 'landmark source' not in launch.text


def test_the_estimator_alone_reads_and_writes_the_topics_it_is_given(graph):
    emotions = graph.hear(Emotion, '/mood')
    images = graph.node.create_publisher(Image, '/front/rgb', qos_profile_sensor_data)
    message = image_message(face_image(), Emotion().header)

    def ask():
        message.header.stamp = graph.node.get_clock().now().to_msg()
        images.publish(message)
        return emotions

    with launched(
        graph, 'estimator.launch.py', image_topic='/front/rgb', landmark_source=LANDMARK_SOURCE,
        emotion_topic='/mood',
    ) as launch:  # fmt: skip
        launch.wait(ask, 'an emotion')
    assert emotions[0].label != 'none'


#: An estimator that breaks down at its first image, once.
FRAGILE = """#!/usr/bin/env python3
import sys
from emotion_estimator.nodes import estimator

class Fragile(estimator.EstimatorNode):
    def _offer(self, *image):
        self._offer = super()._offer
        self.break_down('made to break down')

estimator.EstimatorNode = Fragile
sys.exit(estimator.main())
"""


def install(folder: Path, program: str, text: str) -> str:
    """Install a program of our package's where ROS looks first; return the prefix."""
    index = folder / 'share' / 'ament_index' / 'resource_index' / 'packages'
    programs = folder / 'lib' / 'emotion_estimator'
    for made in (index, programs):
        made.mkdir(parents=True)
    (index / 'emotion_estimator').touch()
    (programs / program).write_text(text)
    (programs / program).chmod(0o755)
    return str(folder)


def test_an_estimator_that_broke_down_is_brought_up_again(graph, tmp_path):
    prefix = install(tmp_path / 'overlay', 'estimator_node', FRAGILE)
    graph.environment['AMENT_PREFIX_PATH'] = f'{prefix}:{graph.environment["AMENT_PREFIX_PATH"]}'
    emotions = graph.hear(Emotion, '/emotion')
    images = graph.node.create_publisher(Image, '/image_raw', qos_profile_sensor_data)
    message = image_message(face_image(), Emotion().header)

    def ask():
        message.header.stamp = graph.node.get_clock().now().to_msg()
        images.publish(message)
        return emotions

    with launched(graph, 'estimator.launch.py', landmark_source=LANDMARK_SOURCE) as launch:
        launch.wait(ask, 'an emotion in spite of the break-down')
    assert 'made to break down' in launch.text


#: Stands for `ros2 bag play` (rosbag2 is C++, without wheels): ten images, a day in the past.
PLAYER = """#!/usr/bin/env python3
import sys, time
import cv2
import rclpy
from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String
from emotion_estimator.nodes.conversion import image_message

print('PLAYER', *sys.argv[1:], flush=True)
bag = sys.argv[sys.argv.index('play') + 1]
rclpy.init(args=[])
node = rclpy.create_node('player')
clock = node.create_publisher(Clock, '/clock', 10)
images = node.create_publisher(Image, '/front', qos_profile_sensor_data)
face = cv2.cvtColor(cv2.imread(bag + '/face.png'), cv2.COLOR_BGR2RGB)
until = time.monotonic() + 20
while not (clock.get_subscription_count() > 1 and images.get_subscription_count()):
    assert time.monotonic() < until, 'no subscriber'
    time.sleep(0.02)
for i in range(10):
    clock.publish(Clock(clock=Time(sec=86400, nanosec=100_000_000 * i)))
    time.sleep(0.05)
    message = image_message(face, Image().header)
    message.header.stamp = Time(sec=86400, nanosec=100_000_000 * i)
    images.publish(message)
    time.sleep(0.05)
"""


def test_a_bag_is_replayed_in_its_own_time_and_ends_the_launch(graph, still, tmp_path):
    (tmp_path / 'metadata.yaml').write_text(
        'rosbag2_bagfile_information: {topics_with_message_count: [{message_count: 10, '
        'topic_metadata: {name: /front, type: sensor_msgs/msg/Image}}]}'
    )
    commands = tmp_path / 'commands'
    commands.mkdir()
    (commands / 'ros2').write_text(PLAYER)
    (commands / 'ros2').chmod(0o755)
    # The nodes find the interpreter of this environment behind it.
    graph.environment['PATH'] = f'{commands}{os.pathsep}{graph.environment["PATH"]}'
    emotions = graph.hear(Emotion, '/robot/emotion')
    with launched(
        graph, 'replay.launch.py', bag=str(tmp_path), image_topic='/front', namespace='robot',
        rate='2.0', landmark_source=LANDMARK_SOURCE,
    ) as launch:  # fmt: skip
        launch.wait(launch.ended, 'the launch ends with the bag', 90)
    command = next(line for line in launch.text.splitlines() if 'PLAYER bag play' in line)
    assert command.endswith('--rate 2.0 --topics /front /front/compressed')
    assert '--clock' in command
    assert '--loop' not in command
    assert len(emotions) >= 8, launch.text
    assert all(86400 <= seconds(m.header.stamp) < 86401 for m in emotions)
    # By the bag's clock; by the computer's it would be decades.
    assert all(m.latency < 1 for m in emotions)


def test_in_lockstep_each_image_of_a_bag_is_answered(graph, tmp_path):
    pytest.importorskip('rosbags', reason='rosbags is not installed')
    bag = make_bag(tmp_path / 'bag', fps=10.0, duration=2.0)
    emotions = graph.hear(Emotion, '/robot/mood', 100)
    with launched(
        graph, 'replay.launch.py', bag=str(bag), namespace='robot', emotion_topic='mood',
        image_transport='compressed', lockstep='true', rate='20.0',
        landmark_source=LANDMARK_SOURCE,
    ) as launch:  # fmt: skip
        launch.wait(launch.ended, 'the launch ends with the bag', 90)
    assert '20 images of /image_raw/compressed' in launch.text
    assert ', 0 not answered' in launch.text
    # The player does not wait for us, who may have been found late.
    stamps = [round(seconds(m.header.stamp), 6) for m in emotions]
    assert stamps == [round(1.0 + k / 10, 6) for k in range(20)][-len(stamps) :] != []
    assert all(m.latency < 1 for m in emotions)


def test_a_missing_bag_is_one_line(graph, tmp_path):
    bag = str(tmp_path / 'nowhere')
    with launched(graph, 'replay.launch.py', statuses=(1,), bag=bag) as launch:
        launch.wait(launch.ended, 'the launch ends')
    assert [line for line in launch.text.splitlines() if 'ERROR' in line] == [
        '[ERROR] [launch]: Caught exception in launch (see debug for traceback): '
        f'bag {bag} does not exist'
    ]


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_a_bag_without_the_images_that_the_estimator_reads_is_one_line(graph, tmp_path, transport):
    other = {'raw': '/compressed', 'compressed': ''}
    kind = {'raw': 'CompressedImage', 'compressed': 'Image'}[transport]
    (tmp_path / 'metadata.yaml').write_text(
        'rosbag2_bagfile_information: {topics_with_message_count: [{message_count: 10, '
        f'topic_metadata: {{name: /front{other[transport]}, type: sensor_msgs/msg/{kind}}}}}]}}'
    )
    with launched(
        graph, 'replay.launch.py', statuses=(1,), bag=str(tmp_path), image_topic='/front',
        image_transport=transport,
    ) as launch:  # fmt: skip
        launch.wait(launch.ended, 'the launch ends')
    (line,) = [line for line in launch.text.splitlines() if 'ERROR' in line]
    assert line.endswith(f'; its images are on /front{other[transport]}')


@pytest.mark.parametrize('lockstep', ['true', 'false'])
def test_a_player_that_fails_is_no_end_of_the_bag(graph, tmp_path, lockstep):
    pytest.importorskip('rosbags', reason='rosbags is not installed')
    bag = make_bag(tmp_path / 'bag', fps=10.0, duration=1.0)
    if lockstep == 'true':
        # Without it, only the player can tell that the topic is not there.
        (bag / 'metadata.yaml').unlink()
    commands = tmp_path / 'commands'
    commands.mkdir()
    (commands / 'ros2').write_text('#!/bin/sh\nexit 2\n')
    (commands / 'ros2').chmod(0o755)
    graph.environment['PATH'] = f'{commands}{os.pathsep}{graph.environment["PATH"]}'
    topic = '/other' if lockstep == 'true' else '/image_raw'
    with launched(
        graph, 'replay.launch.py', statuses=(1,), bag=str(bag), image_topic=topic,
        lockstep=lockstep, landmark_source=LANDMARK_SOURCE,
    ) as launch:  # fmt: skip
        launch.wait(launch.ended, 'the launch ends', 90)
    assert 'the bag player exited with status 2; see its log above' in launch.text
    assert 'the bag ended' not in launch.text
    if lockstep == 'true':
        assert 'has no topic /other; choose /image_raw/compressed' in launch.text
