"""The Python examples as processes: what they print for the dialogue manager's messages."""

from __future__ import annotations

import json
import math
import runpy
import signal
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node
from ros_graph import RosGraph
from std_msgs.msg import Header, String

from emotion_estimator.demo.nodes import choose_domain
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.context import ABOUT, EmotionHistory
from emotion_estimator.dialogue.prompt import make_prompt
from emotion_estimator.emotion import LABELS, FaceEmotion, Roi
from emotion_estimator.msg import DialogueAction as ActionMessage
from emotion_estimator.msg import Emotion

FOLDER = Path(__file__).parents[2] / 'examples'
START_TIMEOUT = 40.0


def header(at: float) -> Header:
    whole = math.floor(at)
    return Header(stamp=Time(sec=whole, nanosec=round((at - whole) * 1e9)))


def action(name: str, at: float = 100.0) -> DialogueAction:
    return DialogueAction(
        action=name, topic='garden', approach='careful', utterance='', reason='sad for 5.0 s',
        emotion='sad', confidence=0.7, rule='gloom', face_id='face_1', stamp=at,
    )  # fmt: skip


class Example:
    """One of the examples, running beside a listener that publishes."""

    def __init__(self, graph: RosGraph, name: str) -> None:
        self.graph = graph
        self.child = graph.run(name, sys.executable, str(FOLDER / f'{name}.py'))

    def publisher(self, kind: type, topic: str):
        publisher = self.graph.node.create_publisher(kind, topic, 100)
        self.graph.wait_until(
            publisher.get_subscription_count, START_TIMEOUT, f'somebody listens on {topic}'
        )
        # The example, too, has to find the publisher; nobody here can tell when.
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            self.graph.heard_anything(0.1)
        return publisher

    @property
    def lines(self) -> list[str]:
        return self.child.log.read_text().splitlines()

    def printed(self, count: int) -> list[str]:
        """Wait for a number of lines and return them, the example ended by Ctrl-C."""
        self.graph.wait_until(
            lambda: len(self.lines) >= count, START_TIMEOUT, f'{count} lines of {self.lines}'
        )
        self.child.send(signal.SIGINT)
        self.graph.wait_until(lambda: self.child.status() is not None, 20, 'it ends')
        assert self.child.status() == 0, self.lines
        return self.lines


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


def test_debounced_emotion_acts_only_on_changes(graph):
    example = Example(graph, 'debounced_emotion')
    emotions = example.publisher(Emotion, 'emotion')
    # A second apart, of which half counts. The topic is ten deep: never more before an answer.
    at = 100
    for lines, labels in enumerate((
        ['happy'] * 3, ['unknown', 'happy', 'happy', *['sad'] * 7], ['none'] * 5,
    ), 1):  # fmt: skip
        for label in labels:
            face = {} if label == 'none' else {'face_id': 'a', 'confidence': 0.9}
            emotions.publish(Emotion(header=header(at), label=label, **face))
            at += 1
        graph.wait_until(lambda n=lines: len(example.lines) == n, 20, f'{lines} changes')
    told = [line.split(']: ')[-1].partition(' (')[0] for line in example.printed(3)]
    assert told == ['none -> happy: greet', 'happy -> sad: ask how they are', 'sad -> none: wait']


def test_the_state_chart_follows_the_actions(graph):
    example = Example(graph, 'state_chart')
    actions = example.publisher(ActionMessage, 'dialogue/action')
    for name in (
        'continue', 'check_in', 'celebrate', 'continue', 'yield', 'acknowledge', 'pause',
        'continue', 'resume', 'celebrate', 'end',
    ):  # fmt: skip
        actions.publish(ActionMessage(action=name, topic='garden'))
    told = [line.split(']: ')[-1] for line in example.printed(8)]
    assert told == [
        f'{event} -> {state}, about garden'
        for event, state in (
            ('check_in', 'talking.comforting'), ('continue', 'talking.chatting'),
            ('yield', 'talking.listening'), ('acknowledge', 'talking.comforting'),
            ('pause', 'waiting'), ('resume', 'talking.chatting'),
            ('celebrate', 'talking.celebrating'), ('end', 'idle'),
        )
    ]  # fmt: skip


def test_a_prompt_becomes_the_messages_of_a_chat_model(graph):
    example = Example(graph, 'language_model_prompt')
    prompts = example.publisher(String, 'dialogue/prompt')
    robot = example.publisher(String, 'dialogue/say')
    person = example.publisher(String, 'dialogue/user_said')
    prompts.publish(String(data='no JSON'))
    graph.wait_until(lambda: example.lines, START_TIMEOUT, 'it says what is wrong')
    assert 'the prompt is not JSON' in example.lines[0]
    course = EmotionHistory()
    sad = FaceEmotion('face_1', 'sad', 0.8, LABELS, np.array([0.1, 0.1, 0.8]), Roi(0, 0, 9, 9))
    for index in range(50):
        course.see(sad, 100 + index / 10)
    context = course.describe(105.0, mode='running', topic='garden', approach='careful')
    prompt = make_prompt(action('check_in', 105.0), context, fallback='How are you?')

    def answered(*texts: str) -> bool:
        # They are several topics: again until all have arrived.
        prompts.publish(String(data=json.dumps(prompt)))
        graph.heard_anything(0.1)
        return all(text in example.lines[-1] for text in texts)

    robot.publish(String(data='Did you keep a garden?'))
    graph.wait_until(lambda: answered('Did you keep'), START_TIMEOUT, 'what the robot said')
    person.publish(String(data='My sister "Ada" had one.'))
    graph.wait_until(lambda: answered('Ada'), START_TIMEOUT, 'what the person said')
    system, _, asked, user = json.loads(example.printed(1)[-1])
    assert system['role'] == 'system' and ABOUT in system['content']
    assert asked == {'role': 'assistant', 'content': 'Did you keep a garden?'}
    assert user['content'].startswith('My sister "Ada" had one.\n\n[')
    assert context['summary'] in user['content']
    assert user['content'].endswith(f'Now: {prompt["instruction"]} For example: "How are you?"]')


@pytest.fixture
def spun(monkeypatch):
    """Return a way to run an example's ``main`` here, with a function in place of the spinning."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(choose_domain({})))
    nodes: list[Node] = []

    def run(name: str, spin) -> None:
        def spin_instead(node: Node) -> None:
            nodes.append(node)
            spin(node)

        monkeypatch.setattr(rclpy, 'spin', spin_instead)
        runpy.run_path(str(FOLDER / f'{name}.py'))['main']()

    yield run
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


EXAMPLES = sorted(path.stem for path in FOLDER.glob('*.py'))


@pytest.mark.parametrize('name', EXAMPLES)
def test_an_example_shadows_no_attribute_of_rclpy(name, spun):
    def compare(node: Node) -> None:
        plain = Node('plain')
        theirs = {key: type(value) for key, value in vars(plain).items()}
        plain.destroy_node()
        ours = {key: type(value) for key, value in vars(node).items()}
        assert {key: ours[key] for key in theirs} == theirs

    spun(name, compare)


@pytest.mark.parametrize('name', EXAMPLES)
def test_an_example_interrupted_while_it_takes_a_message_ends_cleanly(name, spun):
    def stopped(_: Node) -> None:
        rclpy.try_shutdown()
        raise RuntimeError('Unable to convert call argument to Python object')

    def failed(_: Node) -> None:
        raise RuntimeError('a fault')

    spun(name, stopped)
    with pytest.raises(RuntimeError, match='a fault'):
        spun(name, failed)
