"""The parameter ``cpu_budget`` on a running node: the rate falls, and says so."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from diagnostic_msgs.msg import DiagnosticArray
from ros_graph import RosGraph, value_of

from emotion_estimator.msg import Emotion

TIMEOUT = 60.0


def test_a_small_budget_lowers_the_rate_and_is_taken_back(tmp_path):
    with RosGraph(tmp_path) as graph:
        diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        graph.hear(Emotion, 'emotion')

        def says(key):
            return float(value_of(diagnostics, 'estimator', key) or 0)

        graph.start('estimator', landmark_source=LANDMARK_SOURCE)
        graph.start('camera', source='portrait', loop=True, fps=30.0)
        graph.wait_until(lambda: says('cpu_share') > 0.06, TIMEOUT, 'the share is measured')
        assert says('cpu_rate_limit_hz') == 0
        assert graph.set_parameters('estimator', cpu_budget=0.05) == ''
        graph.wait_until(lambda: 0 < says('cpu_rate_limit_hz') < 10, TIMEOUT, 'the rate falls')
        graph.wait_until(lambda: says('crops_reused') > 0, TIMEOUT, 'crops are read less')
        # Images are left out by the limit.
        graph.wait_until(lambda: says('frames_skipped') > 0, TIMEOUT, 'images are left out')
        assert graph.set_parameters('estimator', cpu_budget=0.0) == ''
        graph.wait_until(lambda: says('cpu_rate_limit_hz') == 0, TIMEOUT, 'the limit is gone')
