"""Curves of thresholds: the robot's rule on many faces, and what each value gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.emotion import EXPRESSIONS, LABELS
from emotion_estimator.errors import InputError
from emotion_estimator.perception.label_choice import choose_label
from emotion_estimator_training.evaluation.threshold_curve import (
    STEPS,
    best_within,
    chosen_labels,
    threshold_curve,
    threshold_curves,
)

#: Four sad faces, four neutral ones, one happy and one angry: happy, unknown, sad.
PROBABILITIES = np.array(
    [
        [0.05, 0.05, 0.9], [0.1, 0.25, 0.65], [0.1, 0.5, 0.4], [0.2, 0.7, 0.1],
        [0.1, 0.3, 0.6], [0.1, 0.55, 0.35], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1],
        [0.9, 0.05, 0.05], [0.1, 0.2, 0.7],
    ],
    np.float32,
)  # fmt: skip
TRUTH = np.array([2, 2, 2, 2, 1, 1, 1, 1, 0, 1])
NEUTRAL = np.arange(10) // 4 == 1


@st.composite
def faces(draw):
    labels = draw(st.sampled_from([LABELS, EXPRESSIONS, ('sad', 'calm')]))
    weights = draw(
        st.lists(
            st.lists(st.integers(0, 6), min_size=len(labels), max_size=len(labels)),
            min_size=1,
            max_size=8,
        )
    )
    values = np.array(weights, np.float32) + np.float32(0.01)
    return labels, values / values.sum(axis=1, keepdims=True)


@given(faces(), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None)
def test_many_faces_get_the_labels_that_the_robot_gives_each(made, sad, happy) -> None:
    labels, probabilities = made
    chosen = chosen_labels(probabilities, labels, sad, happy)
    for row, index in zip(probabilities, chosen):
        said = choose_label(labels, row, sad_threshold=sad, happy_threshold=happy)
        assert labels[index] == said.label


def test_a_curve_by_hand() -> None:
    own, low, high, never = threshold_curve(
        PROBABILITIES, LABELS, TRUTH, NEUTRAL, steps=(0.0, 0.35, 0.65, 1.0)
    )
    assert own == {
        'threshold': 0.0, 'recall': 0.5, 'precision': 0.5, 'neutral_told': 0.25,
        'accuracy': 0.5, 'macro_f1': pytest.approx((2 / 3 + 0.4444 + 0.5) / 3, abs=1e-3), 'n': 10,
        'n_label': 4, 'n_neutral': 4,
    }  # fmt: skip
    assert (low['recall'], low['precision'], low['neutral_told']) == (0.75, 0.5, 0.5)
    assert (high['recall'], high['precision'], high['neutral_told']) == (0.5, 0.6667, 0.0)
    assert (never['recall'], never['precision'], never['neutral_told']) == (0.0, None, 0.0)


def test_happy_has_a_curve_of_its_own() -> None:
    rows = threshold_curve(PROBABILITIES, LABELS, TRUTH, NEUTRAL, 'happy', steps=(0.0, 0.65))
    assert [(row['recall'], row['neutral_told']) for row in rows] == [(1.0, 0.25), (1.0, 0.0)]
    strict = threshold_curve(
        PROBABILITIES, LABELS, TRUTH, NEUTRAL, 'happy', other=1.0, steps=(0.65,)
    )
    assert strict[0]['accuracy'] == 0.6, 'no face is sad, and all that are not happy are unknown'


def test_curves_of_seven_labels() -> None:
    values = np.full((4, 7), 0.1, np.float32)
    values[:2, 6] = values[2:, 4] = 0.4
    truth = np.array([6, 4, 4, 6])
    curves = threshold_curves(values, EXPRESSIONS, truth, truth == 6)
    at = {row['threshold']: row for row in curves['sad']}
    assert (at[0.0]['recall'], at[0.0]['neutral_told']) == (0.5, 0.5)
    assert (at[0.45]['recall'], at[0.45]['neutral_told']) == (0.0, 0.0)
    assert [row['threshold'] for row in curves['happy']] == list(STEPS)


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3, st.integers(0, 2)), min_size=1, max_size=20))
@settings(deadline=None)
def test_a_higher_threshold_gives_less_of_everything(rows) -> None:
    values = np.array(rows, np.float32)[:, :3] + np.float32(0.1)
    truth = np.array(rows, np.int64)[:, 3]
    curve = threshold_curve(
        values / values.sum(axis=1, keepdims=True), LABELS, truth, truth == 1, 'sad'
    )[1:]
    for key in ('recall', 'neutral_told'):
        found = [row[key] for row in curve if row[key] is not None]
        assert found == sorted(found, reverse=True)


def test_the_best_row_that_leaves_neutral_faces_alone() -> None:
    rows = threshold_curve(PROBABILITIES, LABELS, TRUTH, NEUTRAL)
    found = best_within(rows)
    assert found is not None
    assert (found['threshold'], found['recall'], found['neutral_told']) == (0.65, 0.5, 0.0)
    some = best_within(rows, 0.3)
    assert some is not None and (some['threshold'], some['recall']) == (0.4, 0.75)
    nobody = threshold_curve(PROBABILITIES, LABELS, TRUTH, np.zeros(10, bool))
    assert nobody[0]['neutral_told'] is None
    assert best_within(nobody) is None
    assert best_within(rows[:1], 0.2) is None


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'label': 'angry'}, "no threshold for 'angry': the labels are happy, unknown, sad"),
        ({'labels': ('happy', 'unknown', 'calm')}, "no threshold for 'sad': the labels are happy,"),
        ({'truth': TRUTH[:0]}, 'needs faces, and there are none'),
        ({'truth': TRUTH[:9]}, r'must be of shapes \(9, 3\), \(9,\) and \(9,\), got \(10, 3\)'),
        ({'neutral': NEUTRAL[:9]}, r'got \(10, 3\), \(10,\), \(9,\)'),
        ({'truth': TRUTH + 1}, 'truth must be from 0 to 2'),
        ({'probabilities': PROBABILITIES * np.float32(np.nan)}, '10 of 10 faces have'),
    ],
)
def test_bad_data_are_named(changes, says) -> None:
    given_ = {
        'probabilities': PROBABILITIES, 'labels': LABELS, 'truth': TRUTH, 'neutral': NEUTRAL,
        'label': 'sad',
    }  # fmt: skip
    with pytest.raises(InputError, match=says):
        threshold_curve(**{**given_, **changes})


def test_a_model_without_other_labels_has_no_curve() -> None:
    with pytest.raises(InputError, match='one other than sad and happy is needed'):
        chosen_labels(np.ones((1, 2), np.float32), ('happy', 'sad'), 0.5)
