"""The streaming network: a step is the sequence model, and training goes on where it ended."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (requirements/training.in)')

from emotion_estimator.errors import ModelError
from emotion_estimator.training.dataset import FER_CLASSES
from emotion_estimator.training.grouping import load_grouping
from emotion_estimator.training.sequences import SequenceMaker, Sequences, SequenceSettings
from emotion_estimator.training.streaming_fit import FitSettings, fit, pretrain, steady_frames
from emotion_estimator.training.streaming_network import (
    StreamingSettings,
    build_network,
    step_function,
)
from emotion_estimator.training.streaming_store import (
    FittedStreaming,
    load_streaming,
    save_streaming,
    streaming_folder,
)

RNG = np.random.default_rng(7)
POOL = RNG.beta(0.4, 2, (140, 52)).astype(np.float32)
EMOTION = np.arange(140) % len(FER_CLASSES)
TARGETS = np.eye(7, dtype=np.float32)[EMOTION]
# Without dropout, so that nothing but the batches' numbers decides.
SMALL = StreamingSettings(front=(12, 8), units=6, dropout=0.0)
SHAPE = SequenceSettings(steps=12)
TRAINING = FitSettings(epochs=1, steps=6, batch=8, report_every=2)
BIAS = np.array([0, 0, 0, 0.2, 0.5, 0, 0], np.float32)


def network():
    from emotion_estimator.training.legacy_keras import keras

    keras.utils.set_random_seed(3)
    return build_network(POOL, SMALL)


def fitted() -> FittedStreaming:
    made = network()
    settings = {
        'front': list(SMALL.front), 'units': [SMALL.units], 'floor': SMALL.floor,
        'dropout': 0.0, 'settling': vars(SMALL.settling), 'sources': ['face_mesh'],
    }
    return FittedStreaming(made, load_grouping(), BIAS, 1.3, settings)


#: Scores that rise, so that the last weights are the best.
RISING = count(1.0)


def train(folder, stop_at=None):
    """Train a new network; ``stop_at`` breaks off at this report."""
    made, reports = network(), count(1)

    def validate(_):
        if next(reports) == stop_at:
            raise KeyboardInterrupt
        return next(RISING)

    history = fit(made, SequenceMaker(POOL, EMOTION, SHAPE), TARGETS, load_grouping().matrix,
                  validate, TRAINING, folder)
    return made.model.get_weights(), history


def test_a_step_is_the_sequence_model() -> None:
    one = fitted()
    batch = SequenceMaker(POOL, EMOTION, SequenceSettings(steps=30))(3, 5)
    wanted = one.probabilities(batch.blendshapes, batch.dt)
    step = step_function(one.network, one.grouping.matrix, one.bias, one.temperature)
    for scores, intervals, course in zip(batch.blendshapes, batch.dt, wanted):
        state = np.zeros((1, one.state_size), np.float32)
        for row, dt, expected in zip(scores, intervals, course):
            answer, state = (np.asarray(part) for part in step(row[None], dt[None], state))
            np.testing.assert_allclose(answer[0], expected, atol=2e-5)


def test_bias_and_temperature_do_what_they_say() -> None:
    one = fitted()
    logits = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    sadder = replace(one, bias=BIAS + np.eye(7, dtype=np.float32)[FER_CLASSES.index('sad')])
    sad = one.grouping.labels.index('sad')
    assert (sadder.of_logits(logits)[:, sad] > one.of_logits(logits)[:, sad]).all()
    unsure = replace(one, temperature=2.0)
    assert (unsure.of_logits(logits).max(axis=1) < one.of_logits(logits).max(axis=1)).all()


def test_a_network_is_what_it_was_once_it_is_read_back(tmp_path) -> None:
    one = fitted()
    folder = streaming_folder(tmp_path)
    folder.mkdir(parents=True)
    save_streaming(one, folder)
    again = load_streaming(tmp_path)
    np.testing.assert_allclose(again.stills(POOL), one.stills(POOL), atol=1e-6)
    (folder / 'streaming.json').write_text(json.dumps({'arrays': 3}))
    with pytest.raises(ModelError, match='fit streaming'):
        load_streaming(tmp_path)


def test_an_interrupted_fit_continues_to_the_same_end(tmp_path) -> None:
    whole, history = train(tmp_path / 'whole')
    cut = tmp_path / 'cut'
    with pytest.raises(KeyboardInterrupt):
        train(cut, stop_at=3)
    assert [line['step'] for line in json.loads((cut / 'history.json').read_text())] == [2, 4]
    weights, continued = train(cut)
    assert [line['step'] for line in continued] == [2, 4, 6]
    assert continued[2]['loss'] == pytest.approx(history[2]['loss'], abs=2e-4)
    start = network().model.get_weights()
    for one, other in zip(whole, weights):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert max(np.abs(one - other).max() for one, other in zip(whole, start)) > 1e-3
    # What is finished is read and not trained again.
    again, same = train(cut)
    assert same == continued
    for one, other in zip(weights, again):
        np.testing.assert_array_equal(one, other)


def test_the_weights_that_validated_best_are_kept() -> None:
    made, scores = network(), iter([1.0, 3.0, 2.0])
    seen = []

    def validate(trained):
        seen.append(trained.model.get_weights())
        return next(scores)

    fit(made, SequenceMaker(POOL, EMOTION, SHAPE), TARGETS, load_grouping().matrix, validate,
        TRAINING)
    for one, other in zip(made.model.get_weights(), seen[1]):
        np.testing.assert_array_equal(one, other)
    assert any((one != other).any() for one, other in zip(seen[1], seen[2]))


def test_pretraining_learns_what_single_frames_show() -> None:
    pool = POOL * 0.2
    pool[np.arange(len(pool)), EMOTION] = 0.9
    made = build_network(pool, SMALL)
    pretrain(made, pool, TARGETS, replace(TRAINING, epochs=150))
    assert (made.frame_logits(pool).argmax(axis=1) == EMOTION).mean() > 0.8


def test_steady_frames_follow_changes_after_a_while() -> None:
    steps = 40
    row = np.repeat([[1, 2]], [15, 25], axis=1)
    weight = np.ones((1, steps), np.float32)
    weight[0, 13:17] = 0.1
    dt = np.full((1, steps, 1), 0.1, np.float32)
    steady = steady_frames(
        Sequences(np.zeros((1, steps, 52), np.float32), dt, row, weight), 0.75
    )
    assert steady.shape == (1, steps - 1)
    assert set(np.unique(steady)) == {0.0, 1.0}
    # The first frame and the change, each and 0.75 s after it, are not.
    assert np.flatnonzero(steady[0]).tolist() == [*range(7, 12), *range(23, 39)]
