"""What the doctor says of privacy."""

from __future__ import annotations

import pytest

from emotion_estimator.cli.privacy import SeenTopic, describe, privacy, reach

IMAGES = SeenTopic('/image_raw', 'sensor_msgs/msg/Image', ['camera'], ['estimator', 'rviz2'])


def told(nodes=(), topics=()) -> dict[str, str]:
    return dict(describe(nodes, topics))


def test_nothing_is_published_while_nothing_runs():
    assert told() == {
        'published': 'no image, emotion or word in this ROS domain now',
        'recorded': 'by no recorder of ROS',
    }


def test_who_hears_what_is_said():
    assert told(topics=[IMAGES])['published'] == '/image_raw (Image) by camera, to estimator, rviz2'
    alone = IMAGES._replace(subscribers=[])
    assert told(topics=[alone])['published'] == '/image_raw (Image) by camera, to nobody'
    unpublished = IMAGES._replace(publishers=[])
    assert 'no image' in told(topics=[unpublished])['published']


def test_a_recorder_is_told():
    recorder = IMAGES._replace(subscribers=['rosbag2_recorder_1'])
    assert told(topics=[recorder])['recorded'] == 'by rosbag2: /image_raw'


@pytest.mark.parametrize('node', ['llm_dialogue', 'live'])
def test_what_leaves_the_robot_is_told(node):
    assert len(told([node])) == len(told()) + 1


@pytest.mark.parametrize(
    ('variables', 'words'),
    [
        ({}, 'every machine of the network'),
        ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}, 'every machine of the network'),
        ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, 'this machine alone'),
        ({'ROS_LOCALHOST_ONLY': '1'}, 'this machine alone'),
        (
            {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'ROS_DISTRO': 'humble'},
            'ROS_LOCALHOST_ONLY=1',
        ),
        ({'ROS_SECURITY_ENABLE': 'true'}, 'every machine of the network'),
        ({'ROS_SECURITY_ENABLE': 'true', 'ROS_SECURITY_STRATEGY': 'Enforce'}, 'keystore'),
    ],
)
def test_how_far_topics_reach(variables, words):
    assert words in reach(variables)


def test_where_ros_cannot_be_used_that_is_said(monkeypatch):
    monkeypatch.setattr('emotion_estimator.cli.privacy._LOOK', 'raise ImportError("no rclpy")')
    lines = dict(privacy())
    assert lines.keys() == {'kept on disk', 'published'}
    assert lines['published'] == 'not looked at: ROS 2 cannot be used here; source it'


def test_running_nodes_are_looked_at(tmp_path):
    pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
    pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')
    from ros_graph import RosGraph
    from sensor_msgs.msg import Image

    with RosGraph(tmp_path) as graph:
        publisher = graph.node.create_publisher(Image, 'front/image', 1)
        lines = [text for subject, text in privacy(graph.environment) if subject == 'published']
        name = graph.node.get_name()
        graph.node.destroy_publisher(publisher)
    assert f'/front/image (Image) by {name}, to nobody' in lines
