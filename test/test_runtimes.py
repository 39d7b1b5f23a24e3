"""The shipped models in every TFLite runtime that is installed: `make test` installs both."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator.perception.blendshape_head import BlendshapeHead
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.tflite import runtimes

RNG = np.random.default_rng(5)
BLENDSHAPES = RNG.random((40, 52)).astype(np.float32) ** 3
LANDMARKS = (RNG.random((10, 478, 3)) * 200 + 100).astype(np.float32)


def course(runtime):
    """Return the probabilities of a face over forty frames."""
    classifier = EmotionClassifier.load(runtime=runtime)
    state, found = classifier.initial_state(), []
    for scores in BLENDSHAPES:
        probabilities, state = classifier(scores, state, 1 / 30)
        found.append(probabilities)
    return np.array(found)


@pytest.mark.parametrize('runtime', runtimes())
def test_the_classifier_runs(runtime):
    found = course(runtime)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    # It has a memory: the same face is not judged the same at once and after others.
    fresh, _ = EmotionClassifier.load(runtime=runtime)(
        BLENDSHAPES[-1], EmotionClassifier.load(runtime=runtime).initial_state(), 1 / 30
    )
    assert np.abs(found[-1] - fresh).max() > 0.01


@pytest.mark.skipif(len(runtimes()) < 2, reason='only one TFLite runtime is installed')
def test_both_runtimes_give_the_same():
    first, second = runtimes()[:2]
    assert np.abs(course(first) - course(second)).max() < 0.01
    heads = [BlendshapeHead.load(runtime=runtime) for runtime in (first, second)]
    for landmarks in LANDMARKS:
        scores = [head(landmarks) for head in heads]
        assert np.abs(scores[0] - scores[1]).max() < 0.02
