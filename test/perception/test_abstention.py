"""The label of a face: the most probable one, or unknown if it is not probable enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.emotion import EXPRESSIONS, LABELS
from emotion_estimator.perception.abstention import choose_label


def row(*values):
    return np.array(values, np.float32)


def test_without_a_threshold_the_most_probable_label_wins():
    assert choose_label(LABELS, row(0.3, 0.3, 0.4)) == ('sad', pytest.approx(0.4))


def test_below_the_threshold_it_abstains_and_keeps_the_confidence():
    assert choose_label(LABELS, row(0.3, 0.3, 0.4), 0.5) == ('unknown', pytest.approx(0.4))
    assert choose_label(LABELS, row(0.3, 0.1, 0.6), 0.5) == ('sad', pytest.approx(0.6))


def test_at_the_threshold_it_does_not_abstain():
    assert choose_label(LABELS, row(0.5, 0.25, 0.25), 0.5).label == 'happy'
    assert choose_label(LABELS, row(1.0, 0.0, 0.0), 1.0).label == 'happy'


def test_the_seven_expressions_have_an_unknown_too():
    values = row(0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
    assert choose_label(EXPRESSIONS, values).label == 'angry'
    assert choose_label(EXPRESSIONS, values, 0.5) == ('unknown', pytest.approx(0.4))


@given(st.lists(st.floats(0.01, 1), min_size=7, max_size=7), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_only_abstains_more(weights, one, other):
    probabilities = np.array(weights, np.float32) / np.float32(sum(weights))
    low, high = sorted((one, other))
    before = choose_label(EXPRESSIONS, probabilities, low)
    after = choose_label(EXPRESSIONS, probabilities, high)
    assert after.label in (before.label, 'unknown')
    assert before.confidence == after.confidence == float(probabilities.max())
    assert (after.label == 'unknown') == (after.confidence < high)
