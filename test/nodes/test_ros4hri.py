"""ROS4HRI with hri_msgs, real or the stand-in, in an environment of its own; and without."""

from __future__ import annotations

import sys
from itertools import pairwise
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.validate_full_topic_name import validate_full_topic_name
from stand_in_packages import NodeThatLogs, run_with_interfaces
from std_msgs.msg import String

from emotion_estimator.nodes.ros4hri import open_ros4hri
from emotion_estimator.nodes.ros4hri_attach import AttachedFaces
from emotion_estimator.nodes.ros4hri_frames import open_face_frames
from emotion_estimator.nodes.ros4hri_graph import RoleChoice
from emotion_estimator.nodes.ros4hri_persons import PersonEngagement


def test_without_hri_msgs_there_is_one_info_line_and_nothing_else(monkeypatch):
    for name in ('hri_msgs', 'hri_msgs.msg'):
        monkeypatch.setitem(sys.modules, name, None)
    node = NodeThatLogs()
    assert open_ros4hri(node) is None
    assert len(node.lines) == 1
    assert 'hri_msgs is not installed' in node.lines[0] and '\n' not in node.lines[0]


def test_without_tf2_msgs_there_is_one_info_line_and_no_frame(monkeypatch):
    for name in ('tf2_msgs', 'tf2_msgs.msg'):
        monkeypatch.setitem(sys.modules, name, None)
    node = NodeThatLogs()
    assert open_face_frames(node) is None
    assert len(node.lines) == 1
    assert 'tf2_msgs is not installed' in node.lines[0]


@given(st.sampled_from(['detector', 'attach']), st.lists(st.booleans()))
def test_a_mode_that_is_set_is_kept(mode, seen):
    choice = RoleChoice(mode)
    assert {choice(detectors, i) for i, detectors in enumerate(seen)} <= {mode}
    assert choice.role == mode


def test_we_attach_at_once_and_take_over_later():
    choice = RoleChoice('auto')
    assert choice(False, 100.0) == 'detector'
    assert choice(True, 100.5) == 'attach'
    assert [choice(False, 100.5 + t) for t in (1.0, 2.9, 3.0)] == ['attach', 'attach', 'detector']


def test_a_detector_that_dies_and_comes_back_changes_the_role_less_and_less_often():
    choice, roles = RoleChoice('auto'), []
    # Ten minutes of five seconds on, five seconds off, seen twice a second.
    for i in range(1200):
        roles.append(choice(i % 20 < 10, i / 2))
    assert sum(a != b for a, b in pairwise(roles)) == 2
    # It is gone for good.
    assert 'detector' in [choice(False, 600 + i / 2) for i in range(130)]


@given(st.lists(st.booleans(), min_size=1, max_size=400))
def test_whatever_the_graph_does_the_role_changes_seldom(seen):
    choice = RoleChoice('auto')
    roles = [choice(detectors, i / 2) for i, detectors in enumerate(seen)]
    takeovers = sum(a == 'attach' != b for a, b in pairwise(roles))
    # Of 200 seconds after 3, 6, 12, 24, 48 and so on.
    assert takeovers <= 6
    assert all(role == 'attach' for role, detectors in zip(roles, seen) if detectors)


def test_with_hri_msgs():
    run_with_interfaces('with_faces.py')


def test_beside_another_face_detector():
    run_with_interfaces('with_detector.py')


class Subscriptions:
    """A node that only counts what it subscribes to, and refuses names as rclpy does."""

    def __init__(self):
        self.topics = []

    def create_subscription(self, kind, topic, heard, qos):
        validate_full_topic_name(topic)
        self.topics.append(topic)
        return topic

    def destroy_subscription(self, topic):
        self.topics.remove(topic)


#: Ids that a faulty or hostile detector may list.
IDS = st.lists(
    st.one_of(
        st.text(max_size=5),
        st.from_regex('[a-z][a-z0-9_]{0,5}', fullmatch=True),
        st.integers(100, 100_000).map(lambda n: 'a' * n),
    ),
    max_size=100,
)
MESSAGES = SimpleNamespace(IdsList='IdsList', NormalizedRegionOfInterest2D='Region')


@pytest.mark.parametrize('follower', [AttachedFaces, PersonEngagement])
@given(lists=st.lists(IDS, max_size=4))
@settings(deadline=None)
def test_whatever_ids_are_listed_few_are_followed(follower, lists):
    node = Subscriptions()
    following = follower(node, MESSAGES)
    for ids in [[f'a{n}' for n in range(1000)], *lists]:
        following._on_tracked(SimpleNamespace(ids=ids))
        assert len(node.topics) <= 1 + 32


def test_of_a_persons_face_only_an_id_is_kept():
    persons = PersonEngagement(Subscriptions(), MESSAGES)
    persons._on_tracked(SimpleNamespace(ids=['anna']))
    for sent, kept in (('abcde', 'abcde'), ('x' * 100_000, ''), ('a/b', '')):
        persons._on_face('anna', String(data=sent))
        assert persons._persons['anna'].face_id == kept
