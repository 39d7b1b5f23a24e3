"""The blendshape head: which point mirrors which, symmetry by construction, and resume."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'scipy'):
    pytest.importorskip(module, reason=f'training needs {module} (requirements/training.in)')

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator_training.models.blendshape_head import (
    HeadSettings,
    fit_head,
    mirror_partners,
)
from emotion_estimator_training.models.training_loop import read_history

RNG = np.random.default_rng(1)
#: Points 0 and 1 mirror each other, and so on.
PARTNERS = np.arange(146) ^ 1
INPUTS = RNG.normal(0, 0.3, (70, 438)).astype(np.float32)
TARGETS = (1 / (1 + np.exp(-INPUTS[:, :52] - INPUTS[:, 60:112]))).astype(np.float32)
SETTINGS = HeadSettings(hidden=(8,), epochs=3, batch=16, noise=0.05)


def test_mirror_partners_of_a_symmetric_cloud() -> None:
    rng = np.random.default_rng(2)
    half = rng.uniform(0.2, 1, (20, 3))
    cloud = np.concatenate([half, half * (-1, 1, 1), [[0, 0, 0], [0, 1, 0]]])
    faces = cloud + rng.normal(scale=0.01, size=(200, *cloud.shape))
    partners = mirror_partners(faces.astype(np.float32))
    assert partners.tolist() == [*range(20, 40), *range(20), 40, 41]


def train(folder, stop_at=None):
    """Train a head; ``stop_at`` breaks off while this epoch is measured."""
    calls = count(1)

    def validate(model):
        if next(calls) == stop_at:
            raise KeyboardInterrupt
        return float(-np.square(np.asarray(model(INPUTS)) - TARGETS).mean())

    return fit_head(INPUTS, TARGETS, PARTNERS, validate, SETTINGS, folder)


def test_an_interrupted_training_continues_to_the_same_end(tmp_path) -> None:
    complete = train(tmp_path / 'complete')
    cut = tmp_path / 'cut'
    with pytest.raises(KeyboardInterrupt):
        train(cut, stop_at=3)
    assert [line['epoch'] for line in read_history(cut)] == [1, 2]
    continued = train(cut)
    assert [line['epoch'] for line in read_history(cut)] == [1, 2, 3]
    for one, other in zip(complete.get_weights(), continued.get_weights()):
        np.testing.assert_allclose(one, other, atol=1e-5)
    # A finished training is read and not continued.
    again = train(cut, stop_at=1)
    for one, other in zip(continued.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_without_a_folder_the_best_epoch_is_kept_too() -> None:
    seen, scores = [], iter([1.0, 3.0, 2.0])

    def validate(model):
        seen.append(model.get_weights())
        return next(scores)

    model = fit_head(INPUTS, TARGETS, PARTNERS, validate, SETTINGS)
    for one, other in zip(model.get_weights(), seen[1]):
        np.testing.assert_array_equal(one, other)


def test_a_mirrored_face_has_mirrored_scores() -> None:
    model = fit_head(INPUTS, TARGETS, PARTNERS, lambda _: 0.0, SETTINGS)
    mirrored = INPUTS.reshape(-1, 146, 3)[:, PARTNERS] * np.float32([-1, 1, 1])
    np.testing.assert_allclose(
        np.asarray(model(mirrored.reshape(-1, 438))),
        np.asarray(model(INPUTS))[:, list(MIRROR)],
        atol=1e-5,
    )
