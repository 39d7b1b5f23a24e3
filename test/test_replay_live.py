"""A bag played into the live nodes over DDS gives what the replay without ROS gives."""

from __future__ import annotations

import os
import signal
import sys

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')
pytest.importorskip('rosbags', reason='rosbags is not installed')

from available import LANDMARK_SOURCE
from diagnostic_msgs.msg import DiagnosticArray
from made_bag import make_bag
from ros_graph import RosGraph, value_of

from emotion_estimator.demo.launching import find_prefix
from emotion_estimator.dialogue.policy import DialoguePolicy
from emotion_estimator.msg import DialogueAction, EmotionArray
from emotion_estimator.nodes.conversion import (
    action_from_message,
    face_from_message,
    seconds,
)
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.replay.bag_reader import open_bag
from emotion_estimator.replay.compare import compare
from emotion_estimator.replay.result import FrameResult
from emotion_estimator.replay.run import replay
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import EstimatorSettings

START_TIMEOUT = 40.0
PLAY_TIMEOUT = 60.0
#: Two changes of the face, and two actions, are in it.
DURATION = 8.0
#: Much faster than real time: in lockstep the estimator's answers set the pace.
FAST = '100'


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    return make_bag(tmp_path_factory.mktemp('live') / 'bag', fps=10.0, duration=DURATION)


def offline(bag, times):
    """Replay the bag several times in a row; return each time's frames and actions."""
    estimator = EmotionEstimator.load(EstimatorSettings(landmark_source=LANDMARK_SOURCE))
    policy = DialoguePolicy.load(resource_dir('config') / 'dialogue.yaml')
    found = []
    for _ in range(times):
        with open_bag(bag) as opened:
            frames = list(replay(opened.images(), estimator, policy))
        found.append(([f.result for f in frames], [f.action for f in frames if f.action]))
    estimator.close()
    return found


class Live:
    """Estimator and dialogue manager in the bag's time, and what they say."""

    def __init__(self, graph):
        self.graph = graph
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics', 100)
        self._arrays = graph.hear(EmotionArray, 'emotions', 1000)
        self._actions = graph.hear(DialogueAction, 'dialogue/action', 100)
        graph.start('estimator', landmark_source=LANDMARK_SOURCE, use_sim_time=True,
                    image_transport='compressed')  # fmt: skip
        graph.start('dialogue_manager', use_sim_time=True)
        for node in ('estimator', 'dialogue_manager'):
            graph.wait_until(lambda n=node: self.said(n, 'state') == 'active', START_TIMEOUT, node)

    def said(self, node, key):
        return value_of(self.diagnostics, node, key)

    def play(self, bag, *options):
        prefix = find_prefix(os.environ)
        program = prefix / 'lib' / 'emotion_estimator' / 'bag_player_node'
        return self.graph.run('bag_player', sys.executable, str(program), str(bag), *options)

    def wait_for_end(self, player):
        self.graph.wait_until(lambda: player.status() is not None, PLAY_TIMEOUT, 'the bag ends')
        assert player.status() == 0, player.last_lines()

    def wait_for_frames(self, count):
        self.graph.wait_until(lambda: len(self._arrays) >= count, PLAY_TIMEOUT, f'{count} frames')

    def take(self):
        """Return the frames that were answered since the last time, and the actions."""
        # Who publishes last is not known; nothing for a while says that all has come.
        while self.graph.heard_anything(0.3):
            pass
        frames = [
            FrameResult(seconds(m.header.stamp), tuple(map(face_from_message, m.emotions)))
            for m in self._arrays
        ]
        actions = [action_from_message(m) for m in self._actions]
        self._arrays.clear()
        self._actions.clear()
        return frames, actions


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


def differing(expected, actual):
    """Return the frames whose labels differ, outside 0.2 s of a change of the expected label."""
    return [pair for pair in compare(expected, actual).settled(0.2) if not pair.agrees]


def assert_same(expected, actual):
    frames, actions = expected
    found = compare(frames, actual[0])
    assert not found.extra
    # Best effort: the network may lose an image, the estimator none that waits for its answer.
    assert len(found.missing) <= 0.02 * len(frames)
    assert differing(frames, actual[0]) == []
    assert [(a.action, a.rule) for a in actual[1]] == [(a.action, a.rule) for a in actions]
    assert [a.stamp for a in actual[1]] == pytest.approx([a.stamp for a in actions], abs=0.2)


def test_twice_and_in_a_loop_live_nodes_say_what_the_replay_says(graph, bag):
    expected = offline(bag, 4)
    count = len(expected[0][0])
    assert len({frame.label for frame in expected[0][0]}) > 1
    assert expected[0][1]
    live = Live(graph)
    for each in expected[:2]:
        live.wait_for_end(live.play(bag, '--lockstep', '--rate', FAST))
        assert_same(each, live.take())

    player = live.play(bag, '--lockstep', '--rate', FAST, '--loop')
    live.wait_for_frames(2 * count + 5)
    player.send(signal.SIGINT)
    live.wait_for_end(player)
    frames, actions = live.take()
    both = [frame for each in expected[2:] for frame in each[0]]
    decided = [action for each in expected[2:] for action in each[1]]
    assert_same((both, decided), (frames[: 2 * count], actions[: len(decided)]))
    # Time went back before the second play, the third, and twice within it.
    before = len(live.diagnostics)
    graph.wait_until(lambda: len(live.diagnostics) > before + 3, 10, 'a new report')
    assert int(live.said('estimator', 'state_resets')) == 4
    assert live.said('estimator', 'last_error') == ''
    assert live.said('dialogue_manager', 'last_error') == ''
    # By the bag's clock; by the computer's it would be decades.
    assert float(live.said('estimator', 'latency_p95_ms')) < 1000

    # A model that says something else would be seen.
    wrong = [FrameResult(frame.stamp, ()) for frame in both]
    assert differing(wrong, frames[: 2 * count])
