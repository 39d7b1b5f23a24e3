"""Speaking by action over real DDS; run by test_say_action.py where the interfaces are there."""

from __future__ import annotations

import importlib
import signal
import sys
from pathlib import Path

import pytest
from action_msgs.srv import CancelGoal
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node

from emotion_estimator.nodes import say_action
from emotion_estimator.nodes.say_action import INTERFACES, SayAction

sys.path.insert(0, str(Path(__file__).parent.parent))

from ros_graph import RosGraph

TTS = 'tts_msgs/action/TTS'
NAME = '/tts_engine/tts'


def kind_of(interface: str):
    package, _, name = interface.split('/')
    return getattr(importlib.import_module(f'{package}.action'), name)


class Speaker:
    """An action server that keeps each goal until the test ends it."""

    def __init__(self, graph: RosGraph, interface: str = TTS) -> None:
        self.graph = graph
        self.kind = kind_of(interface)
        self.answer = GoalResponse.ACCEPT
        self.requests: list = []
        self.goals: list = []
        self.cancelled = 0
        self.end = ('succeed', '')
        self.node = Node('speaker', context=graph.node.context)
        graph.node.executor.add_node(self.node)
        self.server = ActionServer(
            self.node, self.kind, NAME, self._execute, goal_callback=self._asked,
            handle_accepted_callback=self.goals.append, cancel_callback=self._cancel,
        )  # fmt: skip

    def close(self) -> None:
        if self.server is not None:
            self.server.destroy()
            self.server = None
            self.graph.node.executor.remove_node(self.node)
            self.node.destroy_node()

    def _asked(self, request):
        self.requests.append(request)
        return self.answer

    def _cancel(self, _):
        self.cancelled += 1
        return CancelResponse.ACCEPT

    def _execute(self, goal):
        outcome, error = self.end
        getattr(goal, outcome)()
        result = self.kind.Result()
        if hasattr(result, 'error_msg'):
            result.error_msg = error
        elif hasattr(result, 'result'):
            result.result.error_msg = error
        return result

    def wait(self, goals: int) -> None:
        self.graph.wait_until(lambda: len(self.requests) == goals, 20, f'goal {goals}')
        if self.answer == GoalResponse.ACCEPT:
            self.graph.wait_until(lambda: self.goals, 20, f'goal {goals} is accepted')

    def finish(self, outcome: str = 'succeed', error: str = '') -> None:
        """End the goal that is being said."""
        self.end = outcome, error
        self.goals.pop(0).execute()


class Robot:
    """A client in the listening node, and what it reports."""

    def __init__(self, graph: RosGraph, interface: str = TTS) -> None:
        self.graph = graph
        self.reports: list[bool] = []
        self.action = SayAction(graph.node, NAME, interface, self.reports.append)

    def expect(self, *reports: bool, within: float = 20.0) -> None:
        wanted = list(reports)
        self.graph.wait_until(
            lambda: len(self.reports) >= len(wanted), within, f'{wanted} of {self.reports}'
        )
        self.graph.heard_anything(0.05)
        assert self.reports == wanted
        self.reports.clear()

    def values(self) -> dict:
        return self.action.values()


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


@pytest.fixture
def speaker(graph):
    speaker = Speaker(graph)
    yield speaker
    speaker.close()


@pytest.fixture
def robot(graph):
    robot = Robot(graph)
    yield robot
    robot.action.close()


def test_speaking_lasts_from_the_accepted_goal_to_the_result(robot, speaker):
    robot.action.say('Hello\n there. ', 'en-gb')
    speaker.wait(1)
    robot.expect(True)
    assert (speaker.requests[0].input, speaker.requests[0].locale) == ('Hello there.', 'en_GB')
    speaker.finish()
    robot.expect(False)
    assert robot.values() == {
        'say_action': NAME, 'say_sentences': 1, 'say_stopped': 0, 'say_failed': 0,
        'say_left_out': 0, 'say_waiting': 0,
    }  # fmt: skip
    robot.action.say('   ')
    assert robot.reports == []


def test_sentences_come_one_after_the_other_and_are_one_speech(robot, speaker):
    for text in ('One.', 'Two.', 'Three.'):
        robot.action.say(text)
    for count in (1, 2, 3):
        speaker.wait(count)
        assert robot.values()['say_waiting'] == 3 - count
        speaker.finish()
    robot.expect(True, False)
    assert [request.input for request in speaker.requests] == ['One.', 'Two.', 'Three.']


@pytest.mark.parametrize('interface', INTERFACES)
@pytest.mark.parametrize('language', ['', 'de', 'de_AT'])
def test_every_known_interface_is_filled_and_says_what_failed(graph, capfd, interface, language):
    speaker, robot = Speaker(graph, interface), Robot(graph, interface)
    robot.action.say('Guten Tag.', language)
    speaker.wait(1)
    goal = speaker.requests[0]
    assert getattr(goal, 'input', None) or goal.text == 'Guten Tag.'
    if hasattr(goal, 'locale'):
        assert goal.locale == ('de_AT' if language == 'de_AT' else '')
    elif hasattr(goal, 'language'):
        assert goal.language == {'': 'en', 'de': 'de', 'de_AT': 'de-at'}[language]
    else:
        assert (goal.meta.caller, goal.meta.priority) == ('listener', 128)
    speaker.finish('abort', 'the loudspeaker\nis off')
    robot.expect(True, False)
    reason = 'the goal was aborted' if 'audio_common' in interface else 'the loudspeaker is off'
    assert robot.action.problem() == f'{NAME}: {reason}'
    assert f"{NAME}: {reason}; 'Guten Tag.' not said" in capfd.readouterr().err
    assert robot.values()['say_failed'] == 1
    robot.action.say('Noch einmal.')
    speaker.wait(2)
    speaker.finish()
    robot.expect(True, False)
    assert robot.action.problem() == ''
    robot.action.close()
    speaker.close()


def test_a_rejected_sentence_is_left_out_and_the_next_is_said(robot, speaker, capfd):
    speaker.answer = GoalResponse.REJECT
    robot.action.say('One.')
    robot.expect(False)
    assert robot.action.problem() == f'{NAME}: the goal was rejected'
    assert capfd.readouterr().err.count('the goal was rejected') == 1
    robot.action.say('Two.')
    robot.action.say('Three.')
    speaker.wait(2)
    speaker.answer = GoalResponse.ACCEPT
    speaker.wait(3)
    speaker.finish()
    robot.expect(True, False)
    assert robot.values()['say_failed'] == 2


def test_stop_cancels_what_is_said_and_forgets_what_waits(robot, speaker):
    robot.action.stop()
    robot.action.say('One.')
    robot.action.say('Two.')
    speaker.wait(1)
    robot.expect(True)
    robot.action.stop()
    robot.action.stop()
    robot.graph.wait_until(lambda: speaker.cancelled, 20, 'the goal is cancelled')
    speaker.finish('canceled')
    robot.expect(False)
    assert speaker.cancelled == 1 and len(speaker.requests) == 1
    assert (robot.values()['say_stopped'], robot.values()['say_failed']) == (1, 0)
    assert robot.action.problem() == ''
    robot.action.say('Three.')
    speaker.wait(2)
    robot.expect(True)


def test_a_sentence_after_stop_waits_for_the_end_of_the_last(robot, speaker):
    robot.action.say('One.')
    speaker.wait(1)
    robot.action.stop()
    robot.action.say('Two.')
    robot.graph.wait_until(lambda: speaker.cancelled, 20, 'the goal is cancelled')
    assert len(speaker.requests) == 1
    speaker.finish('canceled')
    speaker.wait(2)
    robot.graph.wait_until(lambda: robot.reports[-1:] == [True], 20, 'the second is said')
    speaker.finish()
    robot.graph.wait_until(lambda: robot.reports[-1:] == [False], 20, 'the end')


def test_stop_before_the_server_has_answered(robot, speaker):
    robot.graph.wait_until(robot.action._client.server_is_ready, 20, 'the server')
    robot.action.say('One.')
    robot.action.stop()
    robot.graph.wait_until(lambda: speaker.cancelled, 20, 'the goal is cancelled')
    robot.expect(False)


def test_a_cancelled_goal_that_never_ends_counts_as_ended(robot, speaker):
    robot.action.say('One.')
    speaker.wait(1)
    robot.expect(True)
    robot.action.stop()
    robot.expect(False, within=4.0)


def test_somebody_else_who_silences_the_robot_silences_what_waits(robot, speaker):
    robot.action.say('One.')
    robot.action.say('Two.')
    speaker.wait(1)
    other = Node('other', context=robot.graph.node.context)
    cancel = other.create_client(CancelGoal, f'{NAME}/_action/cancel_goal')
    robot.graph.wait_until(cancel.service_is_ready, 20, 'the other one finds the server')
    # All zero: every goal.
    cancel.call_async(CancelGoal.Request())
    robot.graph.wait_until(lambda: speaker.cancelled, 20, 'cancelled')
    speaker.finish('canceled')
    robot.expect(True, False)
    assert len(speaker.requests) == 1
    assert robot.action.problem() == ''
    other.destroy_node()


def test_a_missing_server_costs_one_line_and_two_seconds(robot, capfd):
    for text in ('One.', 'Two.', 'Three.'):
        robot.action.say(text)
    robot.expect(False, within=5.0)
    assert 'no server is there' in robot.action.problem()
    log = capfd.readouterr().err
    assert log.count('no server is there') == 1
    assert "'One.' not said, nor 2 more" in log
    assert robot.values()['say_failed'] == 1 and robot.values()['say_waiting'] == 0
    robot.action.say('Four.')
    robot.action.stop()
    robot.expect(False)


def test_a_server_that_comes_in_time_is_waited_for(robot, monkeypatch):
    monkeypatch.setattr(say_action, '_FIND', 20.0)
    robot.action.say('One.')
    robot.graph.heard_anything(0.3)
    speaker = Speaker(robot.graph)
    speaker.wait(1)
    speaker.finish()
    robot.expect(True, False)
    speaker.close()


def test_a_server_that_leaves_ends_the_speech(robot, speaker, capfd):
    robot.action.say('One.')
    robot.action.say('Two.')
    speaker.wait(1)
    robot.expect(True)
    speaker.close()
    robot.expect(False)
    assert robot.action.problem() == f'{NAME}: the server has gone'
    assert 'nor 1 more' in capfd.readouterr().err


def test_a_result_that_never_comes_is_bounded_by_the_words(robot, speaker, monkeypatch):
    monkeypatch.setattr(say_action, '_LATE', 0.2)
    robot.action.say('One two three.')
    speaker.wait(1)
    robot.expect(True)
    # Three words at 90 a minute, and what is allowed beyond.
    with pytest.raises(AssertionError, match='not within'):
        robot.graph.wait_until(lambda: robot.reports, 1.5, 'too early')
    robot.expect(False, within=3.0)
    assert 'no result' in robot.action.problem()
    robot.graph.wait_until(lambda: speaker.cancelled, 20, 'the goal is cancelled')
    speaker.finish()
    robot.action.say('Two.')
    speaker.wait(2)
    robot.expect(True)


def test_a_server_that_hangs_is_given_up_and_its_late_answer_cancelled(graph, monkeypatch):
    monkeypatch.setattr(say_action, '_ACCEPT', 1.0)
    child = graph.run('server', sys.executable, str(Path(__file__).parent / 'tts_server.py'), NAME)
    robot = Robot(graph)
    graph.wait_until(robot.action._client.server_is_ready, 40, 'the server')
    child.send(signal.SIGSTOP)
    robot.action.say('One.')
    robot.expect(False)
    assert 'no answer to a goal for 1 s' in robot.action.problem()
    child.send(signal.SIGCONT)
    graph.wait_until(lambda: 'cancelled: One.' in child.log.read_text(), 20, 'it is cancelled')
    robot.action.say('Two.')
    robot.expect(True)
    # Killed, DDS misses it late; the words' time is over before.
    monkeypatch.setattr(say_action, '_LATE', 0.5)
    robot.action.say('Three.')
    child.send(signal.SIGKILL)
    robot.expect(False)
    robot.action.close()


def test_more_than_anybody_listens_to_is_left_out(robot, speaker, capfd):
    robot.action.say('word ' * 20_000)
    speaker.wait(1)
    assert 3990 < len(speaker.requests[0].input) <= 4000
    assert speaker.requests[0].input.endswith(' word')
    for number in range(30):
        robot.action.say(f'{number}.')
    assert robot.values()['say_waiting'] == 20
    assert robot.values()['say_left_out'] == 1 + 10
    assert capfd.readouterr().err.count('the rest is dropped') == 1


def test_closing_ends_the_speech_and_nothing_is_said_after(robot, speaker):
    robot.action.say('One.')
    speaker.wait(1)
    robot.expect(True)
    robot.action.close()
    assert robot.reports == [False]
    robot.graph.wait_until(lambda: speaker.cancelled, 20, 'the goal is cancelled')
    robot.action.close()
    robot.action.say('Two.')
    robot.action.stop()
    robot.graph.heard_anything(0.2)
    assert len(speaker.requests) == 1 and robot.reports == [False]
