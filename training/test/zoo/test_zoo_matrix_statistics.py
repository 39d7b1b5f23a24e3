"""Covariance, eigenvectors and Gaussian of frames, against NumPy's decompositions."""

from __future__ import annotations

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'sklearn'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from hypothesis import given, settings
from hypothesis import strategies as st
from zoo_models import tiny_context, tiny_model, tiny_split
from zoo_tracks import CLASSES, made_tracks

from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.zoo.data.windows import query_windows
from emotion_estimator_training.zoo.models.matrix_statistics import (
    DIRECTIONS,
    SHRINKAGE,
    covariance,
    eigenvector,
    gaussian,
    symmetric_eigen,
)


def frames(length: int, size: int, seed: int = 1) -> np.ndarray:
    """Return encodings (3, length, size): any, without a value that varies, and of a still face."""
    values = np.random.default_rng(seed).normal(size=(3, length, size))
    values[1, :, 0] = 0
    values[2] = values[2, :1]
    return values


def logarithm(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.log(values)) @ vectors.T


def triangle(matrix: np.ndarray) -> np.ndarray:
    return matrix[np.triu_indices(len(matrix))]


def found(statistic, values: np.ndarray) -> np.ndarray:
    return statistic(tf.constant(values, tf.float32)).numpy()


@given(st.integers(1, 9), st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_eigenvalues_and_vectors_are_those_of_numpy(half, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(4, 2 * half, rng.integers(1, 12))) * rng.uniform(0.01, 3)
    matrix = rows @ rows.transpose(0, 2, 1)
    values, vectors = (one.numpy() for one in symmetric_eigen(tf.constant(matrix, tf.float32)))
    near = 1e-4 * max(matrix.max(), 1e-3)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(matrix), atol=near)
    again = vectors * values[:, None] @ vectors.transpose(0, 2, 1)
    np.testing.assert_allclose(again, matrix, atol=near)


@pytest.mark.parametrize('length, size', [(4, 3), (5, 8), (16, 20)])
def test_covariance_is_its_logarithm(length, size):
    values = frames(length, size)
    unit = np.eye(size)
    wanted = [
        triangle(logarithm(np.cov(one.T) + SHRINKAGE * unit) - np.log(SHRINKAGE) * unit)
        for one in values
    ]
    np.testing.assert_allclose(found(covariance, values), wanted, atol=2e-3)
    np.testing.assert_allclose(found(covariance, values)[2], 0, atol=1e-6)


@pytest.mark.parametrize('length, size', [(4, 6), (5, 8), (16, 20)])
def test_eigenvectors_are_a_projection(length, size):
    values = frames(length, size)
    wanted = []
    for one in values:
        _, strengths, directions = np.linalg.svd(one, full_matrices=False)
        kept = directions[:DIRECTIONS][strengths[:DIRECTIONS] > 1e-5]
        wanted.append(triangle(kept.T @ kept))
    answer = found(eigenvector, values)
    np.testing.assert_allclose(answer, wanted, atol=1e-3)
    # Frames in another order, and mirrored ones, span the same.
    np.testing.assert_allclose(found(eigenvector, -values[:, ::-1]), answer, atol=1e-3)


@pytest.mark.parametrize('length, size', [(4, 3), (5, 8), (16, 20)])
def test_gaussian_is_the_logarithm_of_mean_and_covariance(length, size):
    wanted = []
    for one in frames(length, size):
        mean = one.mean(axis=0)[:, None]
        matrix = np.block([[np.cov(one.T) + mean @ mean.T, mean], [mean.T, np.ones((1, 1))]])
        log = logarithm(matrix + SHRINKAGE * np.eye(size + 1))
        wanted.append(triangle(log - np.trace(log) / (size + 1) * np.eye(size + 1)))
    np.testing.assert_allclose(found(gaussian, frames(length, size)), wanted, atol=2e-3)


@pytest.mark.parametrize('name', ['covariance', 'eigenvector', 'gaussian'])
def test_encodings_are_standardized_first_and_the_weights_are_read_back(tmp_path, name):
    context, split = tiny_context(tmp_path), tiny_split()
    model = tiny_model(name, context)
    model.fit(split)
    train = model.windows_of(split.train)
    [read] = model.reader()(train)
    mean, scale = model.network.get_layer('standardize_frames').get_weights()
    np.testing.assert_allclose(mean, read.mean(axis=(0, 1)), atol=1e-5)
    spread = read.std(axis=(0, 1))
    np.testing.assert_allclose(scale[spread > 1e-4], spread[spread > 1e-4], rtol=1e-3)
    asked = query_windows(made_tracks(1, first=9), CLASSES, model.window, 3)
    answer = model.predict(asked)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)
    again = tiny_model(name, context)
    again.load()
    np.testing.assert_allclose(again.predict(asked), answer, atol=1e-5)
