"""Metrics of known cases."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator_training.evaluation.scores import (
    calibration_error,
    classification,
    correlations,
    cross_entropy,
    macro_f1,
    reliability,
)
from emotion_estimator_training.report.papers import PAPER, PAPER_CONFUSION


def answers_of(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sure answers and the truth that give a confusion matrix."""
    truth, said = np.indices(matrix.shape).reshape(2, -1).repeat(matrix.ravel(), axis=1)
    return np.eye(len(matrix), dtype=np.float32)[said], truth


def test_the_papers_matrix_gives_the_papers_metrics() -> None:
    metrics = classification(*answers_of(PAPER_CONFUSION))
    assert metrics['accuracy'] == PAPER['accuracy']
    # The paper's F1 was reported by Keras during evaluation; its matrix gives nearly the same.
    assert metrics['macro_f1'] == pytest.approx(PAPER['macro_f1'], abs=0.01)
    assert metrics['recall']['sad'] == pytest.approx(0.3429, abs=1e-4)
    assert metrics['precision']['sad'] == pytest.approx(84 / 239, abs=1e-4)


def test_precision_and_recall_are_not_mixed_up() -> None:
    metrics = classification(*answers_of(np.array([[3, 1], [0, 4]])), ('a', 'b'))
    assert metrics['precision'] == {'a': 1.0, 'b': 0.8}
    assert metrics['recall'] == {'a': 0.75, 'b': 1.0}
    assert metrics['f1'] == {'a': round(6 / 7, 4), 'b': round(8 / 9, 4)}


def test_cross_entropy_of_known_probabilities() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75]], np.float32)
    assert cross_entropy(probabilities, np.array([0, 1])) == pytest.approx(
        -(np.log(0.5) + np.log(0.75)) / 2
    )
    assert np.isfinite(cross_entropy(np.array([[1.0, 0.0]], np.float32), np.array([1])))


def test_reliability_adds_up_to_the_calibration_error() -> None:
    rng = np.random.default_rng(2)
    probabilities = rng.dirichlet(np.ones(3), 500).astype(np.float32)
    truth = rng.integers(0, 3, 500)
    rows = reliability(probabilities, truth)
    assert sum(row['n'] for row in rows) == 500
    by_hand = sum(abs(r['accuracy'] - r['confidence']) * r['n'] for r in rows) / 500
    assert calibration_error(probabilities, truth) == pytest.approx(by_hand)
    assert by_hand > 0.1


def test_an_empty_split_is_no_error() -> None:
    metrics = classification(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))
    assert (metrics['n'], metrics['accuracy'], metrics['ece']) == (0, 0.0, 0.0)


def test_metrics_of_a_known_case() -> None:
    truth = np.array([0, 0, 1, 1, 2, 2])
    answers = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 1, 2]]
    metrics = classification(answers, truth)
    assert metrics['accuracy'] == pytest.approx(5 / 6, abs=1e-4)
    assert metrics['recall'] == {'happy': 1.0, 'unknown': 1.0, 'sad': 0.5}
    assert metrics['macro_f1'] == pytest.approx((1 + 0.8 + 2 / 3) / 3, abs=1e-4)
    assert metrics['confusion_matrix'] == [[2, 0, 0], [0, 2, 0], [0, 1, 1]]
    assert metrics['ece'] == pytest.approx(1 / 6, abs=1e-4)


def test_calibrated_answers_have_no_calibration_error() -> None:
    answers = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (10, 1))
    assert calibration_error(answers, np.array([0] * 8 + [1, 2])) == pytest.approx(0, abs=1e-6)


def test_macro_f1_counts_an_absent_class_as_zero() -> None:
    assert macro_f1(np.array([[4, 0], [0, 0]])) == 0.5


def test_correlation_of_known_columns() -> None:
    x = np.random.default_rng(0).normal(size=(500, 3))
    y = np.stack([2 * x[:, 0] + 1, -x[:, 1], np.full(500, 3.0)], axis=1)
    np.testing.assert_allclose(correlations(x, y), [1, -1, 0], atol=1e-9)
