"""Camera and estimator in one process, where an image goes from one to the other by a call."""

from __future__ import annotations

from collections.abc import Sequence

from emotion_estimator.nodes.camera import CameraNode
from emotion_estimator.nodes.estimator import EstimatorNode
from emotion_estimator.nodes.lifecycle import ManagedNode
from emotion_estimator.nodes.running import run


def make_nodes() -> Sequence[ManagedNode]:
    """Return camera and estimator, joined; the estimator first, so that it misses no frame."""
    estimator = EstimatorNode(subscribe=False)
    camera = CameraNode()
    camera.reader = estimator.read
    return estimator, camera


def main() -> int:
    """Run both nodes until they are stopped, or the source ends where ``exit_at_end`` is set."""
    return run(make_nodes)
