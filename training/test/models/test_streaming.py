"""The streaming network: a step is the sequence model, and an interrupted training continues."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import count

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.errors import ModelError
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.data.truth import Truth
from emotion_estimator_training.features.feature_set import PRESENT, face_vectors, only_branch
from emotion_estimator_training.models.branches import BranchSettings
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.models.streaming_fit import (
    StreamingFitSettings,
    fit,
    pretrain,
    steady_frames,
)
from emotion_estimator_training.models.streaming_network import (
    StreamingSettings,
    build_network,
    state_size,
    step_function,
)
from emotion_estimator_training.models.streaming_store import (
    SEVEN,
    THREE,
    FittedStreaming,
    load_streaming,
    save_streaming,
    streaming_folder,
)
from emotion_estimator_training.models.training_loop import read_history
from emotion_estimator_training.sequences.sequences import (
    SequenceMaker,
    Sequences,
    SequenceSettings,
)

RNG = np.random.default_rng(7)
SCORES = RNG.beta(0.4, 2, (140, 52)).astype(np.float32)
POOL = face_vectors(SCORES, RNG.gamma(0.5, 2, (140, 64)).astype(np.float32))
# Some faces have no crop.
POOL[::9, 52:-1] = 0
EMOTION = np.arange(140) % len(FER_CLASSES)
TRUTH = Truth(np.eye(7, dtype=np.float32)[EMOTION], np.ones(140, np.float32))
# Without dropout, so that nothing but the batches' numbers decides.
SMALL = StreamingSettings(
    BranchSettings(embedding=7, blendshapes=12, joined=8, dropout=0.0), units=6
)
WIDER = replace(SMALL.branches, embedding=16, blendshapes=16, joined=16)
SHAPE = SequenceSettings(steps=12)
TRAINING = StreamingFitSettings(epochs=1, steps=6, batch=8, report_every=2)
BIAS = np.array([0, 0, 0, 0.2, 0.5, 0, 0], np.float32)


def network():
    keras.utils.set_random_seed(3)
    return build_network(POOL, SMALL)


def fitted() -> FittedStreaming:
    return FittedStreaming(
        network(),
        load_grouping(),
        {THREE: BIAS, SEVEN: -BIAS},
        {THREE: 1.3, SEVEN: 0.8},
        {**asdict(SMALL), 'sources': ['face_mesh']},
    )


#: Scores that rise, so that the last weights are the best.
RISING = count(1.0)


def train(folder, stop_at=None):
    """Train a new network; ``stop_at`` breaks off at this report."""
    made, reports = network(), count(1)

    def validate(_):
        if next(reports) == stop_at:
            raise KeyboardInterrupt
        return next(RISING)

    history = fit(
        made,
        SequenceMaker(POOL, EMOTION, SHAPE),
        TRUTH,
        load_grouping().matrix,
        validate,
        TRAINING,
        folder,
    )
    return made.model.get_weights(), history


@pytest.mark.parametrize('branch', PRESENT)
def test_a_step_is_the_sequence_model(branch: str) -> None:
    one = fitted()
    batch = SequenceMaker(POOL, EMOTION, SequenceSettings(steps=30))(3, 5)
    vectors = only_branch(batch.vectors, branch)
    wanted = [one.probabilities(vectors, batch.dt, name) for name in (THREE, SEVEN)]
    step = step_function(one.network, one.vocabularies)
    for face, (rows, intervals) in enumerate(zip(vectors, batch.dt)):
        state = np.zeros((1, one.state_size), np.float32)
        for frame, (row, dt) in enumerate(zip(rows, intervals)):
            # As the robot gives it, which has no numbers for what it does not know.
            given = (row[:52] * row[-1], row[52:-2] * row[-2], row[-2:])
            *answers, state = (
                np.asarray(part) for part in step(*(part[None] for part in given), dt[None], state)
            )
            assert [each.shape for each in (*answers, state)] == [
                (1, 3),
                (1, 7),
                (1, one.state_size),
            ]
            for answer, courses in zip(answers, wanted):
                np.testing.assert_allclose(answer[0], courses[face, frame], atol=2e-5)


def test_a_state_differs_from_every_other_input_in_length() -> None:
    # The robot knows tensors by their shapes.
    assert fitted().state_size == 2 * 6 + (3 + 1) + (7 + 1)
    units = StreamingSettings().units
    assert state_size(units, (3, 7)) == 2 * units + 12
    assert state_size(units, (3, 7)) not in (52, 64, 7, 3, 2, 1)


@pytest.mark.parametrize('branch', PRESENT)
def test_what_is_not_known_has_no_influence_whatever_its_numbers(branch: str) -> None:
    one, faces = fitted(), only_branch(POOL[1:9], branch)
    others = faces.copy()
    noise = np.random.default_rng(1).uniform(0, 1e3, faces.shape)
    others[:, :52] = np.where(faces[:, -1:] > 0, faces[:, :52], noise[:, :52])
    others[:, 52:-2] = np.where(faces[:, -2:-1] > 0, faces[:, 52:-2], noise[:, 52:-2])
    assert (others != faces).any() == (branch != 'fused')
    np.testing.assert_allclose(one.stills(others), one.stills(faces), atol=1e-6)
    # What is known has.
    assert np.abs(one.stills(faces)[1:] - one.stills(faces)[:-1]).max(axis=1).min() > 1e-4


def test_blendshapes_alone_are_a_face_without_a_crop() -> None:
    one = fitted()
    np.testing.assert_allclose(
        one.stills(SCORES[:5]), one.stills(only_branch(POOL[:5], 'blendshapes'))
    )


def test_inputs_are_normalized_by_the_faces_that_have_them() -> None:
    made, known = network(), POOL[POOL[:, -2] > 0]
    np.testing.assert_allclose(made.mean[:64], known[:, 52:-2].mean(axis=0), rtol=1e-5)
    without = build_network(only_branch(POOL, 'blendshapes'), SMALL)
    np.testing.assert_array_equal(without.mean[:64], 0)
    assert np.isfinite(without.still_logits(POOL[:3], 2, 1 / 30)).all()


@pytest.mark.parametrize('vocabulary', [THREE, SEVEN])
def test_bias_and_temperature_do_what_they_say(vocabulary: str) -> None:
    one = fitted()
    logits = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    names = one.grouping.labels if vocabulary == THREE else FER_CLASSES
    sad = names.index('sad')
    more = one.operating_points[vocabulary] + np.eye(7, dtype=np.float32)[FER_CLASSES.index('sad')]
    usual = one.of_logits(logits, vocabulary)
    assert usual.shape == (50, len(names))
    sadder = replace(one, operating_points={**one.operating_points, vocabulary: more})
    assert (sadder.of_logits(logits, vocabulary)[:, sad] > usual[:, sad]).all()
    unsure = replace(one, temperatures={**one.temperatures, vocabulary: 2.0})
    assert (unsure.of_logits(logits, vocabulary).max(axis=1) < usual.max(axis=1)).all()


def test_a_network_is_what_it_was_once_it_is_read_back(tmp_path) -> None:
    one = fitted()
    folder = streaming_folder(tmp_path)
    folder.mkdir(parents=True)
    save_streaming(one, folder)
    again = load_streaming(tmp_path)
    for vocabulary in (THREE, SEVEN):
        np.testing.assert_allclose(
            again.stills(POOL, vocabulary), one.stills(POOL, vocabulary), atol=1e-6
        )
    (folder / 'streaming.json').write_text(json.dumps({'arrays': 3}))
    with pytest.raises(ModelError, match='fit streaming'):
        load_streaming(tmp_path)


@pytest.mark.usefixtures('eager')
def test_an_interrupted_fit_continues_to_the_same_end(tmp_path) -> None:
    complete, history = train(tmp_path / 'complete')
    cut = tmp_path / 'cut'
    with pytest.raises(KeyboardInterrupt):
        train(cut, stop_at=3)
    assert [line['step'] for line in read_history(cut)] == [2, 4]
    weights, continued = train(cut)
    assert [line['step'] for line in continued] == [2, 4, 6]
    assert continued[2]['loss'] == pytest.approx(history[2]['loss'], abs=2e-4)
    start = network().model.get_weights()
    for one, other in zip(complete, weights):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert max(np.abs(one - other).max() for one, other in zip(complete, start)) > 1e-3
    # A finished training is read and not repeated.
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

    fit(
        made,
        SequenceMaker(POOL, EMOTION, SHAPE),
        TRUTH,
        load_grouping().matrix,
        validate,
        TRAINING,
    )
    for one, other in zip(made.model.get_weights(), seen[1]):
        np.testing.assert_array_equal(one, other)
    assert any((one != other).any() for one, other in zip(seen[1], seen[2]))


def test_pretraining_learns_what_either_branch_shows() -> None:
    pool = POOL * 0.2
    pool[:, -2:] = 1
    # Scores that a mirrored face shares, or two classes would be one.
    alike = np.flatnonzero(np.arange(52) == np.array(MIRROR))
    pool[np.arange(len(pool)), alike[EMOTION]] = 0.9
    pool[np.arange(len(pool)), 52 + EMOTION] = 5
    keras.utils.set_random_seed(2)
    made = build_network(pool, replace(SMALL, branches=WIDER))
    pretrain(made, pool, TRUTH, replace(TRAINING, epochs=100))
    for branch in PRESENT:
        answers = made.frame_logits(only_branch(pool, branch)).argmax(axis=1)
        assert (answers == EMOTION).mean() > 0.8, branch


def test_steady_frames_follow_changes_after_a_while() -> None:
    steps = 40
    row = np.repeat([[1, 2]], [15, 25], axis=1)
    weight = np.ones((1, steps), np.float32)
    weight[0, 13:17] = 0.1
    dt = np.full((1, steps, 1), 0.1, np.float32)
    steady = steady_frames(Sequences(np.zeros((1, steps, 118), np.float32), dt, row, weight), 0.75)
    assert steady.shape == (1, steps - 1)
    assert set(np.unique(steady)) == {0.0, 1.0}
    # The first frame and the change, each and 0.75 s after it, are not.
    assert np.flatnonzero(steady[0]).tolist() == [*range(7, 12), *range(23, 39)]
