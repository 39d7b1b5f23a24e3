"""Figures of merit of known cases, and the paper's own."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator.emotion import LABELS
from emotion_estimator_training.evaluation.scores import (
    calibration_error,
    classification,
    cross_entropy,
    reliability,
)
from emotion_estimator_training.report.papers import (
    HEADER,
    PAPER,
    PAPER_CONFUSION,
    comparison,
    comparison_markdown,
    targets,
)


def answers_of(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sure answers and the truth that give a confusion matrix."""
    truth, said = np.indices(matrix.shape).reshape(2, -1).repeat(matrix.ravel(), axis=1)
    return np.eye(len(matrix), dtype=np.float32)[said], truth


def test_the_papers_matrix_gives_the_papers_figures() -> None:
    figures = classification(*answers_of(PAPER_CONFUSION))
    assert figures['accuracy'] == PAPER['accuracy']
    # The paper's F1 was reported by Keras during evaluation; its matrix gives nearly the same.
    assert figures['macro_f1'] == pytest.approx(PAPER['macro_f1'], abs=0.01)
    assert figures['recall']['sad'] == pytest.approx(0.3429, abs=1e-4)
    assert figures['precision']['sad'] == pytest.approx(84 / 239, abs=1e-4)


def test_precision_and_recall_are_not_mixed_up() -> None:
    figures = classification(*answers_of(np.array([[3, 1], [0, 4]])), ('a', 'b'))
    assert figures['precision'] == {'a': 1.0, 'b': 0.8}
    assert figures['recall'] == {'a': 0.75, 'b': 1.0}
    assert figures['f1'] == {'a': round(6 / 7, 4), 'b': round(8 / 9, 4)}


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
    figures = classification(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))
    assert (figures['n'], figures['accuracy'], figures['ece']) == (0, 0.0, 0.0)


def stills(accuracy: float, mesh: float, ece: float = 0.02) -> dict:
    figures = {
        'n': 3461,
        'loss': 0.6,
        'cross_entropy': 0.6,
        'macro_f1': 0.7,
        'ece': ece,
        'recall': dict.fromkeys(LABELS, 0.5),
    }
    return {
        'streaming': {
            'face_landmarker': {'private_test': {**figures, 'accuracy': accuracy}},
            'face_mesh': {'private_test': {**figures, 'accuracy': mesh}},
        }
    }


def test_the_table_begins_with_the_paper() -> None:
    rows = comparison(stills(0.77, 0.768), 'private_test')
    assert [row[:2] for row in rows] == [
        ['paper, as published', 'face_landmarker'],
        ['streaming', 'face_landmarker'],
        ['streaming', 'face_mesh'],
    ]
    assert rows[0][HEADER.index('accuracy')] == '0.720'
    assert '| streaming | face_mesh | 3,461 |' in comparison_markdown(
        {'stills': stills(0.77, 0.768)}
    )


def test_targets_say_what_is_reached() -> None:
    def flips(ratio: float) -> dict:
        return {'face_mesh': {'models': {'streaming': {'30_fps': {'flips_to_dense': ratio}}}}}

    def reached(rows: list) -> list:
        return [row['what'] for row in rows if row['reached']]

    measured = stills(0.83, 0.825)
    for splits in measured['streaming'].values():
        figures = splits['private_test']
        figures.update(macro_f1=0.79, recall={**figures['recall'], 'sad': 0.63})
        splits['private_test_without_duplicates'] = {**figures, 'accuracy': 0.815}
    seven = {'model': 'fused', 'vocabulary': 'seven', 'duplicates': True, 'source': 'face_mesh'}
    trust = {
        'side_by_side': [{**seven, 'accuracy': 0.71}, {**seven, 'model': 'appearance'}],
        'bytes': 600_000,
        'pace': {'fused': {'median_ms': 0.9}},
    }
    files = {'streaming': {'share_of_paper': 0.01}}
    good = targets(measured, flips(0.1), files, 'streaming', 'private_test', trust)
    missed = [row['what'] for row in good if not row['reached']]
    assert missed == [
        'accuracy, face_landmarker, without duplicates',
        'accuracy, face_mesh, without duplicates',
    ]
    assert {
        'accuracy of seven, face_mesh',
        'bytes of all shipped weights',
        'milliseconds that a face adds, median',
    } <= set(reached(good))
    poor = targets(
        stills(0.75, 0.73, ece=0.04),
        flips(0.11),
        {},
        'streaming',
        'private_test',
        {
            'side_by_side': [{**seven, 'accuracy': 0.69}],
            'bytes': 600_001,
            'pace': {'fused': {'median_ms': 1.01}},
        },
    )
    assert reached(poor) == ['macro-F1 lost with face_mesh']
    assert targets({}, {}, {}, 'streaming', 'private_test') == []
