"""The shipped models in every TFLite runtime that is installed: `make test` installs both."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator.runtimes import runtimes
from emotion_estimator_training.features.feature_set import face_vectors
from emotion_estimator_training.shipping.step_time import (
    Files,
    StepTimes,
    against_paper,
    measure,
    measured_apart,
    time_table,
)

RNG = np.random.default_rng(5)
BLENDSHAPES = RNG.random((40, 52)).astype(np.float32) ** 3
CROPS = RNG.integers(0, 256, (10, 48, 48), np.uint8)
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
    networks = [AppearanceNetwork.load(runtime=runtime) for runtime in (first, second)]
    for crop in CROPS:
        one, other = (network(crop) for network in networks)
        # Kernels round differently; what is read of it must be alike.
        assert np.linalg.norm(one - other) < 0.1 * np.linalg.norm(one)


def files(tmp_path, **changed):
    """Return what is measured: the shipped classifier as baseline, and a file nobody can read."""
    card = models_dir() / 'emotion_lstm.json'
    raw = json.loads(card.read_text())
    (tmp_path / raw['file']).write_bytes(b'nothing')
    broken = tmp_path / card.name
    broken.write_text(json.dumps({**raw, 'sha256': hashlib.sha256(b'nothing').hexdigest()}))
    reference = np.stack([course(runtimes()[0])])
    return Files(
        **{
            'cards': {'shipped': card, 'broken': broken},
            'baseline': 'shipped',
            'papers': {},
            'vectors': face_vectors(BLENDSHAPES)[None],
            'dt': np.full((1, 40), 1 / 30, np.float32),
            'reference': reference,
            'rounds': 2,
            **changed,
        }
    )


@pytest.mark.skipif(not runtimes(), reason='no TFLite runtime installed')
def test_steps_are_timed_and_compared_in_every_runtime(tmp_path):
    found = measured_apart(files(tmp_path))
    assert set(found.parity['shipped']) == set(found.times['shipped']) == set(runtimes())
    assert set(found.failures['broken']) == set(runtimes())
    assert 'broken' not in found.times
    for runtime in runtimes():
        assert found.parity['shipped'][runtime].frames == 40
        assert found.parity['shipped'][runtime].greatest < 0.01
        row = found.times['shipped'][runtime]
        assert 0 < row['invoke_median'] < row['step_median'] <= row['step_p95']
        assert not any(str(tmp_path) in why for why in found.failures['broken'].values())


@pytest.mark.skipif(not runtimes(), reason='no TFLite runtime installed')
def test_without_a_runtime_that_runs_the_baseline_nothing_is_measured(tmp_path):
    with pytest.raises(ModelError, match='no TFLite runtime works here') as caught:
        measure(files(tmp_path, baseline='broken'))
    assert '\n' not in str(caught.value)


def test_shares_are_of_the_runtime_and_the_form_that_suit_the_paper_best():
    row = dict.fromkeys(('step_p95', 'invoke_median', 'invoke_p95'), 1.0)
    times = {
        'ours': {'a': {**row, 'step_median': 10.0}, 'b': {**row, 'step_median': 30.0}},
        'loops': {'a': {**row, 'step_median': 1000.0}, 'b': {**row, 'step_median': 1500.0}},
        'unrolled': {'a': {**row, 'step_median': 500.0}, 'b': {**row, 'step_median': 2000.0}},
    }
    shares = against_paper(StepTimes(times=times), 'ours', ('loops', 'unrolled'))
    assert shares == {'loops': 0.02, 'unrolled': 0.02, 'fastest form': 0.02}
    times['ours']['a']['step_median'] = 20.0
    shares = against_paper(StepTimes(times=times), 'ours', ('loops', 'unrolled'))
    assert shares == {'loops': 0.02, 'unrolled': 0.04, 'fastest form': 0.04}
    assert against_paper(StepTimes(times=times), 'ours', ()) == {}
    head, rows = time_table({'networks': times})
    assert len(rows) == 6
    assert rows[0] == ['ours', 'a', 20.0, 1.0, 1.0, 1.0]
    assert len(head) == 6
