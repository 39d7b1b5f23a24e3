"""Saying nothing when unsure: what remains, and how wrong it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator_training.evaluation.trust import area, at_thresholds, curve


def certain(sure, right):
    """Return probabilities (N, 2) of the first label, which is ``right`` or not, and the truth."""
    sure = np.asarray(sure, np.float32)
    return np.column_stack([sure, 1 - sure]), np.where(right, 0, 1)


def test_a_threshold_withholds_the_unsure() -> None:
    told, truth = certain([0.95, 0.85, 0.7, 0.6], [True, True, False, False])
    rows = {row['abstain_below']: row for row in at_thresholds(told, truth)}
    assert (rows[0.0]['answered'], rows[0.0]['accuracy']) == (1.0, 0.5)
    assert (rows[0.8]['answered'], rows[0.8]['accuracy']) == (0.5, 1.0)
    assert (rows[0.9]['answered'], rows[0.9]['accuracy']) == (0.25, 1.0)


def test_where_nothing_is_answered_nothing_is_claimed() -> None:
    told, truth = certain([0.6], [True])
    (row,) = at_thresholds(told, truth, (0.9,))
    assert row == {'abstain_below': 0.9, 'answered': 0.0, 'accuracy': None, 'macro_f1': None}


def test_risk_grows_where_the_unsure_are_wrong() -> None:
    coverage, risk = curve(*certain([0.6, 0.95, 0.7, 0.85], [False, True, False, True]))
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 0, 1 / 3, 0.5], atol=1e-6)
    assert area(*certain([0.9, 0.8], [True, True])) == 0.0


def test_no_threshold_parts_what_is_equally_sure() -> None:
    _, risk = curve(*certain([0.8, 0.8, 0.8, 0.8], [True, True, False, False]))
    np.testing.assert_allclose(risk, 0.5)


@given(st.lists(st.tuples(st.floats(0.5, 1, width=32), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_curve_ends_at_the_error_of_all(faces) -> None:
    told, truth = certain(*zip(*faces))
    # Exact halves are either label's.
    wrong = float((told.argmax(axis=1) != truth).mean())
    coverage, risk = curve(told, truth)
    assert coverage[-1] == 1.0
    assert risk[-1] == pytest.approx(wrong, abs=1e-6)
    assert ((risk >= 0) & (risk <= 1)).all()
    assert (np.diff(coverage) > 0).all()
