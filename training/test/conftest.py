"""What holds for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emotion_estimator.sources.base import silence_opencv

# FFmpeg reads its log level when it is first used, whichever test that is.
silence_opencv()


@pytest.fixture
def eager() -> Iterator[None]:
    """Run TensorFlow's functions step by step.

    Tracing a function takes as long as some twenty steps of a small network. For tests of fewer
    steps, in files whose other tests train in a graph.
    """
    from emotion_estimator_training.models.legacy_keras import tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
