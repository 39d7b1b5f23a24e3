"""The real dialogue manager node over DDS says what is wrong with speech, and what to do."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from diagnostic_msgs.msg import DiagnosticStatus
from ros_graph import RosGraph
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from test_dialogue_node_turns import WORDS, Conversation

# The node's program, with less patience for a person who speaks.
SHORT = """
import sys
from emotion_estimator.nodes import dialogue_manager, speech_watch
speech_watch._LONG_TURN = 3.0
sys.exit(dialogue_manager.main())
"""


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


@pytest.fixture
def talk(graph, tmp_path):
    return Conversation(graph, tmp_path)


def show_until(talk, done, what):
    talk.wait(lambda: talk.show('unknown', 0.3) or done(), what)


def warned(talk, words):
    return talk.status.level == DiagnosticStatus.WARN and words in talk.status.message


def test_a_problem_is_logged_and_a_warning(talk):
    talk.show('unknown', 1.0)
    show_until(talk, lambda: talk.status.level == DiagnosticStatus.OK, 'all is well')
    for _ in range(2):
        talk.user_said.publish(String(data='word ' * 20_000))
    talk.user_said.publish(String(data=' '))
    show_until(talk, lambda: talk.reported('speech_words_empty') == '1', 'all have come')
    show_until(talk, lambda: warned(talk, 'more than 2000 characters'), 'a warning')
    # One that expires, not by a message but by time.
    talk.user_speaking.publish(Bool(data=True))
    show_until(talk, lambda: warned(talk, 'repeat true while they speak'), 'another')
    assert '\n' not in talk.status.message
    log = talk.child.log.read_text()
    assert log.count('more than 2000 characters was cut') == 1
    assert log.count('repeat true while they speak') == 1
    assert 'text was empty' not in log and 'Traceback' not in log


def test_a_person_who_never_stops_is_a_warning(graph, tmp_path, monkeypatch):
    start, program = graph.run, tmp_path / 'impatient.py'
    program.write_text(SHORT)
    monkeypatch.setattr(
        graph,
        'run',
        lambda name, python, node, *rest: start(name, python, str(program), *rest),
    )
    talk = Conversation(graph, tmp_path)
    talk.show('unknown', 1.0)
    talk.tell(talk.user_speaking, Bool(data=True), lambda: talk.floor == 'person_speaks')

    def speak() -> bool:
        talk.user_speaking.publish(Bool(data=True))
        talk.show('unknown', 0.1)
        graph.heard_anything(0.2)
        return warned(talk, 'look for a television')

    talk.wait(speak, 'a warning')
    talk.tell(
        talk.user_speaking,
        Bool(data=False),
        lambda: graph.heard_anything(0.2) and talk.status.level == DiagnosticStatus.OK,
    )


def test_without_any_report_of_speech_it_is_a_warning(talk):
    for publisher in (talk.user_speaking, talk.user_said):
        assert talk.graph.node.destroy_publisher(publisher)
    show_until(
        talk,
        lambda: warned(talk, 'nobody publishes /dialogue/user_speaking or /dialogue/user_said'),
        'a warning',
    )
    assert 'start voice activity detection' in talk.status.message
    # Not once there is one; words alone do.
    talk.graph.node.create_publisher(String, 'dialogue/user_said', 10)
    show_until(talk, lambda: talk.status.level == DiagnosticStatus.OK, 'it hears')


def test_the_words_of_a_service_replace_those_being_said(graph, tmp_path, monkeypatch):
    monkeypatch.setitem(WORDS['lines'], 'end', {'neutral': ['Goodbye.']})
    talk = Conversation(graph, tmp_path)
    talk.show('unknown', 1.0)
    talk.wait(lambda: talk.said, 'the greeting')
    talk.wait(lambda: talk.floor == 'robot_speaks', 'it speaks')
    assert not talk.graph.call(Trigger, 'dialogue/resume', Trigger.Request()).success
    assert talk.graph.call(Trigger, 'dialogue/end', Trigger.Request()).success
    talk.wait(lambda: talk.actions[-1].rule == 'service end' and len(talk.said) == 2, 'its words')
    talk.wait(lambda: talk.stops, 'the stop')
    # None where nothing is being said.
    talk.show('unknown', 30.0)
    assert talk.graph.call(Trigger, 'dialogue/start', Trigger.Request()).success
    talk.wait(lambda: len(talk.said) == 3, 'the greeting')
    talk.graph.heard_anything(0.5)
    assert len(talk.stops) == 1
