"""A test too small to tell is said to be so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator_training.evaluation.small_test import small_test, wilson


def test_wilson_is_the_published_interval():
    # Wilson 1927; the values are R's prop.test(8, 10, correct = FALSE).
    assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(1.0, 10)[0] == pytest.approx(0.7225, abs=1e-4)


@given(st.integers(1, 500), st.data())
def test_the_interval_holds_the_share(count, data):
    share = data.draw(st.integers(0, count)) / count
    low, high = wilson(share, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


def test_few_rows_or_few_people_are_warned_of():
    said = small_test('the test', 0.75, 12)
    assert said is not None
    assert '12 rows' in said
    assert 'from 0.47 to 0.91' in said
    assert '\n' not in said
    assert small_test('the test', 0.75, 1000) is None
    people = small_test('the test', 0.75, 1000, 12)
    assert people is not None
    assert '1000 rows of 12 people' in people
    assert 'from 0.47 to 0.91' in people
    assert small_test('the test', 0.0, 0) is None
