"""An estimator in a graph, and camera drivers that know nothing of it, each its own process."""

from __future__ import annotations

import sys
from pathlib import Path

from available import LANDMARK_SOURCE
from diagnostic_msgs.msg import DiagnosticArray
from ros_graph import value_of

from emotion_estimator.msg import Emotion
from emotion_estimator.resources import profile_variable

DRIVER = Path(__file__).parent / 'drivers' / 'camera_driver.py'
TIMEOUT = 60.0


class Robot:
    """A graph with an estimator, and what it says."""

    def __init__(self, graph, **parameters):
        self.graph = graph
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        self.emotions = graph.hear(Emotion, 'emotion', 1000)
        self.estimator = graph.start(
            'estimator', landmark_source=LANDMARK_SOURCE, max_faces=1, **parameters
        )
        self.wait(lambda: self.said('state') == 'active', 'the estimator is active')

    def said(self, key, node='estimator'):
        return value_of(self.diagnostics, node, key)

    def count(self, *keys):
        return sum(int(self.said(key) or 0) for key in keys)

    def status(self, node='estimator'):
        every = [s for m in self.diagnostics for s in m.status if s.name == node]
        return every[-1]

    def wait(self, done, what, timeout=TIMEOUT):
        self.graph.wait_until(done, timeout, what)

    def drive(self, *arguments, name='driver'):
        """Start a driver as another package would be started, and wait until it has published."""
        environment = {
            key: value
            for key, value in self.graph.environment.items()
            if key != profile_variable(self.graph.environment)
        }
        before, self.graph.environment = self.graph.environment, environment
        try:
            driver = self.graph.run(name, sys.executable, '-P', str(DRIVER), *arguments)
        finally:
            self.graph.environment = before
        return driver

    def drive_to_the_end(self, *arguments):
        driver = self.drive(*arguments)
        self.wait(lambda: driver.status() is not None, 'the driver ends')
        assert driver.status() == 0, driver.log.read_text()
        reports = len(self.diagnostics)
        self.wait(lambda: len(self.diagnostics) > reports + 1, 'a new report')
