"""The layers that join the branches: shipped as trained, and blind to what is not known."""

from __future__ import annotations

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from emotion_estimator_training.features.feature_set import PRESENT
from emotion_estimator_training.models.branches import (
    FRONT,
    BranchSettings,
    front,
    front_step,
    normalized,
    spread,
)
from emotion_estimator_training.models.legacy_keras import keras

SMALL = BranchSettings(embedding=5, blendshapes=9, joined=6, dropout=0.4)
RNG = np.random.default_rng(9)
EMBEDDING = RNG.normal(size=(8, 64)).astype(np.float32)
SHAPES = RNG.normal(size=(8, 104)).astype(np.float32)


@pytest.fixture(scope='module')
def network():
    keras.utils.set_random_seed(5)
    inputs = [keras.Input((width,)) for width in (64, 104, 2)]
    made = keras.Model(inputs, front(*inputs, SMALL))
    # Biases start at zero, which would hide a branch that leaks through them.
    made.set_weights(
        [one + RNG.normal(size=one.shape).astype(np.float32) * 0.3 for one in made.get_weights()]
    )
    return made


def present(branch: str) -> np.ndarray:
    return np.tile(np.float32(PRESENT[branch]), (8, 1))


@pytest.mark.parametrize('branch', PRESENT)
def test_the_step_computes_what_was_trained(network, branch: str) -> None:
    weights = {name: network.get_layer(name).get_weights() for name in FRONT}
    given = EMBEDDING, SHAPES, present(branch)
    found = np.asarray(front_step(*given, weights))
    assert found.shape == (8, 6)
    np.testing.assert_allclose(found, np.asarray(network(given)), atol=1e-5)


@pytest.mark.parametrize(
    ('branch', 'deaf', 'hears'),
    [
        ('appearance', SHAPES, EMBEDDING),
        ('blendshapes', EMBEDDING, SHAPES),
    ],
)
def test_an_unknown_branch_has_no_influence_whatever_its_numbers(
    network, branch: str, deaf, hears
) -> None:
    def answer(embedding, shapes):
        return np.asarray(network([embedding, shapes, present(branch)]))

    usual = answer(EMBEDDING, SHAPES)
    noise = (1e4 * RNG.normal(size=deaf.shape)).astype(np.float32)
    changed = [noise if one is deaf else one for one in (EMBEDDING, SHAPES)]
    np.testing.assert_array_equal(answer(*changed), usual)
    changed = [one[::-1] if one is hears else one for one in (EMBEDDING, SHAPES)]
    assert np.abs(answer(*changed) - usual).max() > 0.01


def test_a_known_zero_is_not_an_unknown(network) -> None:
    nothing = np.zeros_like(EMBEDDING)
    known, unknown = (
        np.asarray(network([nothing, SHAPES, present(branch)]))
        for branch in ('fused', 'blendshapes')
    )
    assert np.abs(known - unknown).max() > 0.01


def test_small_scores_are_distinguished_by_their_size() -> None:
    small = np.asarray(spread(np.array([[1e-3, 1e-2, -0.1]], np.float32), 1e-3))
    assert small.shape == (1, 6)
    np.testing.assert_allclose(small[0, 3:], [1e-3, 1e-2, 0], atol=1e-7)
    np.testing.assert_allclose(small[0, :3], np.log([2e-3, 1.1e-2, 1e-3]), rtol=1e-5)


def test_one_odd_value_is_clipped() -> None:
    found = np.asarray(
        normalized(
            np.array([[0.5, 1e6, -1e6]], np.float32), np.float32([0.0, 0.5, 0.5]), np.float32(0.25)
        )
    )
    np.testing.assert_allclose(found, [[2, 4, -4]])
