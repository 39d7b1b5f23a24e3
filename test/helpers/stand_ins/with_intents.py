"""Intents over real DDS; run by test_ros4hri_intents.py where hri_actions_msgs can be imported."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from hri_actions_msgs.msg import Intent
from rclpy.node import Node

from emotion_estimator.dialogue.action import ACTIONS, DialogueAction
from emotion_estimator.nodes.ros4hri_intents import open_ros4hri_intents

sys.path.insert(0, str(Path(__file__).parent.parent))

from ros_graph import RosGraph


def action(name: str, **changes: object) -> DialogueAction:
    given = {
        'action': name, 'topic': 'garden', 'approach': 'careful', 'rule': 'a rule',
        'face_id': 'face_1', 'stamp': 100.0, 'confidence': 0.5, **changes,
    }  # fmt: skip
    needed = {f.name: '' for f in fields(DialogueAction) if f.default is MISSING}
    return DialogueAction(**{**needed, **given})


class Robot:
    """A publisher of intents, and a mission controller that hears them."""

    def __init__(self, graph: RosGraph, namespace: str = '') -> None:
        self.graph = graph
        self.heard = graph.hear(Intent, '/intents')
        self.node = Node('dialogue_manager', namespace=namespace, context=graph.node.context)
        self.intents = open_ros4hri_intents(self.node)
        graph.wait_until(
            lambda: self.intents.values()['intents_heard_by'] == 1, 20, 'a controller listens'
        )

    def next(self) -> Intent:
        self.graph.wait_until(lambda: self.heard, 10, 'an intent')
        return self.heard.pop(0)


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


@pytest.fixture
def robot(graph):
    robot = Robot(graph)
    yield robot
    robot.intents.close()
    robot.node.destroy_node()


def test_a_person_who_is_greeted_wants_to_engage(robot):
    assert robot.intents.act(action('resume'))
    heard = robot.next()
    assert heard.intent == Intent.ENGAGE_WITH
    assert json.loads(heard.data) == {
        'recipient': 'face_1',
        'other_data': {'action': 'resume', 'topic': 'garden', 'approach': 'careful'},
    }
    # A face is no person's id yet.
    assert heard.source == Intent.UNKNOWN_AGENT
    assert heard.modality == Intent.MODALITY_MOTION
    assert heard.priority == 128
    assert heard.confidence == pytest.approx(0.5)


def test_a_new_topic_may_be_shown(robot):
    robot.intents.act(action('change_topic', topic='café'))
    heard = robot.next()
    assert heard.intent == Intent.PRESENT_CONTENT
    assert json.loads(heard.data)['object'] == 'café'
    assert (heard.source, heard.modality) == (Intent.ROBOT_ITSELF, Intent.MODALITY_INTERNAL)


def test_the_end_stops_the_conversation_and_nothing_else(robot):
    robot.intents.act(action('end', face_id=''))
    heard = robot.next()
    assert heard.intent == Intent.STOP_ACTIVITY
    # Without an object, the robot's present activity would be stopped.
    assert json.loads(heard.data)['object'] == 'conversation'
    assert (heard.source, heard.modality) == (Intent.ROBOT_ITSELF, Intent.MODALITY_INTERNAL)


def test_talk_is_no_intent(robot):
    told = {name: robot.intents.act(action(name)) for name in ACTIONS}
    assert {name for name, is_intent in told.items() if is_intent} == {
        'resume', 'change_topic', 'end',
    }  # fmt: skip
    assert robot.intents.values()['intents_published'] == 3
    assert robot.intents.values()['actions_without_intent'] == len(ACTIONS) - 3


@pytest.mark.parametrize(
    'asked',
    [
        action('resume', rule='service start'),
        action('change_topic', rule='service choose_topic'),
        action('end', rule='service end'),
        action('resume', face_id=''),
        action('change_topic', topic=''),
    ],
)
def test_what_a_service_asked_for_or_concerns_nobody_is_not_repeated(robot, asked):
    assert not robot.intents.act(asked)


def test_what_a_person_said_is_raw_input(robot):
    robot.intents.said('  ')
    robot.intents.said('Möchten Sie "Tee"?', 'de_DE')
    heard = robot.next()
    assert heard.intent == Intent.RAW_USER_INPUT == '__raw_user_input__'
    assert json.loads(heard.data) == {'input': 'Möchten Sie "Tee"?', 'locale': 'de_DE'}
    assert (heard.source, heard.modality) == (Intent.UNKNOWN_AGENT, Intent.MODALITY_SPEECH)
    assert (heard.priority, heard.confidence) == (128, 1.0)


@pytest.mark.parametrize(
    ('text', 'kept'),
    [
        ('word ' * 20_000, 'word ' * 999 + 'word'),
        ('seven7 ' * 20_000, 'seven7 ' * 713 + 'seven7'),
        ('x' * 100_000, 'x' * 5000),
        ('x' * 5000, 'x' * 5000),
    ],
)
def test_a_long_text_is_cut_at_a_word(robot, text, kept):
    robot.intents.said(text)
    assert json.loads(robot.next().data) == {'input': kept}


@pytest.mark.parametrize(
    ('confidence', 'share'), [(math.nan, 0), (math.inf, 1), (-3.0, 0), (7.0, 1)]
)
def test_a_confidence_is_one(robot, confidence, share):
    robot.intents.act(action('end', confidence=confidence))
    assert robot.next().confidence == share


def test_a_recipient_has_the_id_that_the_estimator_publishes(graph):
    robot = Robot(graph, '/left/head')
    robot.intents.act(action('resume'))
    assert json.loads(robot.next().data)['recipient'] == 'left_head_face_1'
    robot.intents.close()
    robot.node.destroy_node()


def test_after_closing_nothing_is_published(robot):
    robot.intents.close()
    robot.intents.close()
    robot.intents.act(action('end'))
    robot.intents.said('Hello.')
    assert robot.intents.values() == {
        'intents_published': 0, 'intents_heard_by': 0, 'actions_without_intent': 0,
    }  # fmt: skip
