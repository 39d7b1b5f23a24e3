"""The launch files, run by the real launch and launch_ros (not in the wheels; see README)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import pytest

pytest.importorskip('launch', reason='launch is not importable: no ROS distribution is sourced')
pytest.importorskip('launch_ros', reason='launch_ros is not importable')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from ament_index_python.packages import get_package_share_directory
from available import LANDMARK_SOURCE
from launch.actions import DeclareLaunchArgument
from launch.launch_description_sources import PythonLaunchDescriptionSource
from rclpy.qos import qos_profile_sensor_data
from ros_graph import RosGraph
from sensor_msgs.msg import Image

from emotion_estimator.msg import DialogueAction, Emotion
from emotion_estimator.nodes.conversion import image_message
from emotion_estimator.sources.portrait import Portrait
from launch import LaunchContext

FOLDER = Path(get_package_share_directory('emotion_estimator')) / 'launch'
ARGUMENTS = {
    'emotion.launch.py': {
        'source', 'landmark_source', 'namespace', 'params_file', 'debug_image', 'exit_at_end',
        'fastdds_profile',
    },
    'estimator.launch.py': {
        'namespace', 'image_topic', 'landmark_source', 'debug_image', 'params_file',
    },
}  # fmt: skip

#: What `ros2 launch` does, less its command line.
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
file, *arguments = sys.argv[1:]
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(file),
    launch_arguments=[tuple(a.split(':=', 1)) for a in arguments])]))
sys.exit(service.run())
"""


@contextmanager
def launched(graph: RosGraph, file: str, **arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, '-c', RUN, str(FOLDER / file)]
    command += [f'{name}:={value}' for name, value in arguments.items()]
    # The nodes' `#!/usr/bin/env python3` must find this environment.
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    with (graph.folder / 'launch.log').open('w') as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, text=True,
            cwd=graph.folder,
            env={**graph.environment, 'PATH': path, 'ROS_LOG_DIR': str(graph.folder / 'log')},
        )
        try:
            yield process
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize('file', ARGUMENTS)
def test_every_argument_is_described(file):
    description = PythonLaunchDescriptionSource(str(FOLDER / file)).get_launch_description(
        LaunchContext()
    )
    declared = {e.name: e for e in description.entities if isinstance(e, DeclareLaunchArgument)}
    assert set(declared) == ARGUMENTS[file]
    assert all(len(argument.description) > 10 for argument in declared.values())


def test_all_three_nodes_run_in_a_namespace_and_end_with_the_source(tmp_path):
    still = tmp_path / 'face.png'
    frame = next(iter(Portrait(30.0).frames()))
    cv2.imwrite(str(still), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    overlay = tmp_path / 'mine.yaml'
    overlay.write_text(
        '/**/estimator: {ros__parameters: {publish_blendshapes: false}}\n'
        '/**/camera: {ros__parameters: {frame_id: left_eye}}\n'
    )
    with RosGraph(tmp_path) as graph:
        emotions = graph.hear(Emotion, '/robot1/emotion', 1000)
        actions = graph.hear(DialogueAction, '/robot1/dialogue/action')
        pictures = graph.hear(Image, '/robot1/debug_image', qos_profile_sensor_data)
        with launched(
            graph, 'emotion.launch.py', source=str(still), landmark_source=LANDMARK_SOURCE,
            namespace='robot1', params_file=str(overlay), debug_image='true', exit_at_end='true',
        ) as process:
            graph.wait_until(lambda: process.poll() is not None, 90, 'the launch ends')
        log = (tmp_path / 'launch.log').read_text()
        assert process.returncode == 0, log
        assert emotions, log
        assert emotions[-1].label != 'none'
        assert emotions[-1].header.frame_id == 'left_eye'
        assert list(emotions[-1].blendshapes) == []
        assert pictures
        assert graph.node.count_publishers('/emotion') == 0
        assert all(a.header.frame_id == 'left_eye' for a in actions)


def test_the_estimator_alone_reads_the_topic_it_is_given(tmp_path):
    with RosGraph(tmp_path) as graph:
        emotions = graph.hear(Emotion, '/emotion')
        images = graph.node.create_publisher(Image, '/front/rgb', qos_profile_sensor_data)
        frame = next(iter(Portrait(30.0).frames()))
        with launched(
            graph, 'estimator.launch.py', image_topic='/front/rgb', landmark_source=LANDMARK_SOURCE
        ) as process:

            def ask():
                header = graph.node.get_clock().now().to_msg()
                message = image_message(frame.image, Emotion().header)
                message.header.stamp = header
                images.publish(message)
                return emotions

            graph.wait_until(ask, 60, 'an emotion')
        assert process.returncode == 0, (tmp_path / 'launch.log').read_text()
        assert emotions[0].label != 'none'
