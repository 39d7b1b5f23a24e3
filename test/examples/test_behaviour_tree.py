"""The behaviour tree example beside the real dialogue manager, which sees emotions."""

from __future__ import annotations

import json
import math
import sys
from array import array
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')
pytest.importorskip('py_trees', reason='py_trees is not installed')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from ros_graph import RosGraph, value_of
from std_msgs.msg import Bool, Header, String
from std_srvs.srv import Trigger

from emotion_estimator.emotion import LABELS
from emotion_estimator.msg import DialogueAction, Emotion

EXAMPLE = Path(__file__).parents[2] / 'examples' / 'behaviour_tree.py'
NODE = 'dialogue_manager'
START_TIMEOUT = 40.0
RATE = 8.0


class Scene:
    """A person before the dialogue manager, and the tree beside it."""

    def __init__(self, graph: RosGraph, drive_time: float = 0.5) -> None:
        self.graph = graph
        self.now = 100.0
        self.actions = graph.hear(DialogueAction, 'dialogue/action')
        self.lights = graph.hear(String, 'light')
        self.contexts = graph.hear(String, 'dialogue/context', 1000)
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        self.emotions = graph.node.create_publisher(Emotion, 'emotion', 100)
        self.speech = graph.node.create_publisher(Bool, 'dialogue/user_speaking', 10)
        self.errands = graph.node.create_publisher(String, 'errand', 10)
        graph.start(NODE)
        self.tree = graph.run(
            'tree', sys.executable, str(EXAMPLE), '--ros-args', '-p', f'drive_time:={drive_time}'
        )

    def wait(self, done, what: str) -> None:
        self.graph.wait_until(done, START_TIMEOUT, f'{what}; the tree: {self.log}')

    def ready(self) -> Scene:
        """Wait until all hear each other, and the conversation runs."""
        self.wait(lambda: value_of(self.diagnostics, NODE, 'state') == 'active', 'it is active')
        count = self.graph.node.count_subscribers
        for publisher in (self.emotions, self.speech, self.errands):
            self.wait(publisher.get_subscription_count, publisher.topic)
        self.wait(lambda: count('dialogue/action') == 2, 'the tree hears actions')
        self.wait(lambda: count('dialogue/context') == 2, 'the tree hears contexts')
        self.show('unknown', 2.0)
        # Refused where it runs already, which is as good.
        self.graph.call(Trigger, 'dialogue/start', Trigger.Request())
        return self

    def show(self, label: str, seconds: float) -> None:
        """Show a face for seconds of its stamps, never much further ahead than the node."""
        for number in range(round(seconds * RATE)):
            self.now += 1 / RATE
            whole = math.floor(self.now)
            stamp = Time(sec=whole, nanosec=round((self.now - whole) * 1e9))
            message = Emotion(header=Header(stamp=stamp), label=label, labels=list(LABELS))
            message.face_id, message.confidence = 'face_1', 0.9
            message.probabilities = array('f', [0.9 if n == label else 0.05 for n in LABELS])
            self.emotions.publish(message)
            if number % RATE == RATE - 1:
                self.wait(
                    lambda: any(json.loads(c.data)['stamp'] > self.now - 1 for c in self.contexts),
                    f'a context near {self.now}',
                )

    def speak(self, speaking: bool) -> None:
        """Let the person begin or end, and have everybody know."""
        self.speech.publish(Bool(data=speaking))

        def known() -> bool:
            self.show('unknown', 1.0)
            return json.loads(self.contexts[-1].data)['presence']['speaking'] == speaking

        self.wait(known, f'speaking is {speaking}')

    @property
    def log(self) -> str:
        return self.tree.log.read_text()

    @property
    def asked(self) -> list[str]:
        """What the tree had the dialogue manager do, in its order."""
        rules = [action.rule for action in self.actions]
        return [rule for rule in rules if rule in ('service pause', 'service resume')]


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


def test_an_errand_waits_for_the_turn_and_pauses_the_conversation(graph):
    scene = Scene(graph).ready()
    scene.speak(True)
    scene.errands.publish(String(data='fetch the tea'))
    scene.wait(lambda: 'now: let them finish' in scene.log, 'the errand waits')
    scene.show('unknown', 3.0)
    assert scene.asked == [] and 'driving' not in scene.log
    scene.speak(False)
    scene.wait(lambda: scene.asked == ['service pause'], 'the conversation pauses')
    scene.wait(lambda: 'driving: fetch the tea' in scene.log, 'the robot drives')
    scene.wait(lambda: scene.asked == ['service pause', 'service resume'], 'it goes on')
    scene.wait(lambda: 'now: nothing to do' in scene.log.partition('driving')[2], 'it is done')
    assert scene.log.count('driving') == 1


def test_the_light_follows_the_conversations_mood(graph):
    scene = Scene(graph).ready()
    scene.show('unknown', 5.0)
    scene.lights.clear()
    for _ in range(60):
        if any(light.data == 'warm' for light in scene.lights):
            break
        scene.show('sad', 2.0)
    scene.wait(lambda: any(light.data == 'warm' for light in scene.lights), 'a warm light')
    # The tree's log and the actions may come a little later than its light.
    scene.wait(
        lambda: any(
            f'{action}: light warm' in scene.log
            for action in {each.action for each in scene.actions} & {'acknowledge', 'check_in'}
        ),
        'the action that it follows',
    )


def test_where_the_conversation_does_not_pause_the_errand_is_done_all_the_same(graph):
    scene = Scene(graph).ready()
    assert graph.call(Trigger, 'dialogue/end', Trigger.Request()).success
    scene.errands.publish(String(data='fetch the tea'))
    scene.errands.publish(String(data='fetch the cake'))
    scene.wait(lambda: 'driving: fetch the cake' in scene.log, 'both are done')
    assert 'driving: fetch the tea' in scene.log
    # Nobody wakes a conversation that had ended.
    assert scene.asked == []
    scene.wait(lambda: [light.data for light in scene.lights][-1:] == ['off'], 'the light')


def test_a_dialogue_manager_that_is_away_does_not_stop_an_errand(graph):
    tree = graph.run('tree', sys.executable, str(EXAMPLE), '--ros-args', '-p', 'drive_time:=0.1')
    errands = graph.node.create_publisher(String, 'errand', 10)
    graph.wait_until(errands.get_subscription_count, START_TIMEOUT, 'the tree')
    for _ in range(10):
        # Once it knows the publisher too.
        errands.publish(String(data='fetch the tea'))
        graph.heard_anything(1.0)
        if 'now: dialogue/pause' in tree.log.read_text():
            break
    graph.wait_until(lambda: 'driving: fetch the tea' in tree.log.read_text(), 40, 'it drives')
    assert 'dialogue/pause: no answer within 5 s' in tree.log.read_text()
