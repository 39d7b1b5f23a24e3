"""A model of the zoo at work in the real estimator node, over real DDS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from diagnostic_msgs.msg import DiagnosticArray
from ros_graph import RosGraph, value_of

from emotion_estimator.msg import DialogueAction, Emotion
from emotion_estimator.nodes.conversion import seconds
from emotion_estimator.replay.comparison import agreement
from emotion_estimator.sources.portrait import Portrait

START_TIMEOUT = 40.0
#: Made by make_window_model.py: a MicroX that knows the portrait by heart.
CARD = Path(__file__).parents[1] / 'helpers' / 'window_model' / 'portrait.json'
LABELS = ('happy', 'pensive', 'sad')
POLICY = """
labels: [pensive]
rules:
  - name: thinks
    emotion: pensive
    held_for: 0.5
    action: check_in
"""


def test_it_drives_the_emotions_and_the_dialogue(tmp_path):
    policy = tmp_path / 'policy.yaml'
    policy.write_text(POLICY)
    with RosGraph(tmp_path) as graph:
        emotions = graph.hear(Emotion, 'emotion', 1000)
        truth = graph.hear(Emotion, 'ground_truth', 1000)
        actions = graph.hear(DialogueAction, 'dialogue/action')
        diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        graph.start('estimator', landmark_source=LANDMARK_SOURCE, model=str(CARD))
        graph.start('dialogue_manager', policy_file=str(policy))
        for node in ('estimator', 'dialogue_manager'):
            graph.wait_until(
                lambda node=node: value_of(diagnostics, node, 'state') == 'active',
                START_TIMEOUT,
                f'{node} is active',
            )
        camera = graph.start(
            'camera', source='portrait', fps=15.0, exit_at_end=True, wait_for_subscribers=20.0
        )
        graph.wait_until(
            lambda: camera.status() is not None,
            Portrait(15.0).duration + START_TIMEOUT,
            'the camera ends',
        )
        graph.wait_until(
            lambda: emotions and emotions[-1].header == truth[-1].header, 10, 'the last emotion'
        )
        graph.wait_until(
            lambda: value_of(diagnostics, 'estimator', 'model') == 'zoo_portrait-1.0.0',
            10,
            'the model in diagnostics',
        )
        assert value_of(diagnostics, 'estimator', 'branches') == 'window'
        sha256 = json.loads(CARD.read_text())['sha256']
        stated = value_of(diagnostics, 'estimator', 'weights_window_classifier')
        assert stated == f'{sha256[:12]} not released'
        for name in ('speaking', 'upright'):
            assert value_of(diagnostics, 'estimator', f'weights_{name}').endswith(' released')
        log = (tmp_path / 'estimator.log').read_text()
        assert log.count(f'is not released with this version (sha256 {sha256[:12]}...)') == 1
        assert value_of(diagnostics, 'estimator', 'vocabulary') == ''
    assert {message.label for message in emotions} == {*LABELS, 'none'}
    for message in emotions:
        assert message.model == 'zoo_portrait-1.0.0'
        if message.label != 'none':
            assert tuple(message.labels) == LABELS
            assert sum(message.probabilities) == pytest.approx(1, abs=1e-5)
    found = agreement(
        [(seconds(m.header.stamp), {'unknown': 'pensive'}.get(m.label, m.label)) for m in truth],
        [(seconds(m.header.stamp), m.label) for m in emotions],
    )
    assert found.settled.share >= 0.85, found.per_label
    assert {(action.rule, action.emotion) for action in actions} == {('thinks', 'pensive')}
