"""Camera and estimator in one process: images are passed by a call instead of a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emotion_estimator.nodes.camera import CameraNode
from emotion_estimator.nodes.estimator import EstimatorNode
from emotion_estimator.nodes.lifecycle import ManagedNode
from emotion_estimator.nodes.running import run


def make_nodes() -> Sequence[ManagedNode[Any]]:
    """Return the connected nodes; the estimator is started first and so misses no frame."""
    estimator = EstimatorNode(subscribe=False)
    camera = CameraNode()
    camera.reader = estimator.read
    camera.reader_wants = lambda: not estimator.idle
    return estimator, camera


def main() -> int:
    """Run both nodes until they are stopped, or the source ends if ``exit_at_end`` is set."""
    return run(make_nodes)
