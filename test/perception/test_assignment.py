from __future__ import annotations

import math
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.perception.tracker import assign

COST = st.one_of(st.just(math.inf), st.floats(0, 3), st.integers(0, 2).map(float))


@st.composite
def tables(draw, most=4):
    columns = draw(st.integers(0, most))
    return draw(st.lists(st.lists(COST, min_size=columns, max_size=columns), max_size=most))


def total(costs, found, alone):
    return sum(alone if c is None else row[c] for row, c in zip(costs, found))


@given(costs=tables(), alone=st.floats(0, 2))
def test_no_other_assignment_costs_less(costs, alone):
    found = assign(costs, alone)
    given_away = [c for c in found if c is not None]
    assert len(found) == len(costs)
    assert len(set(given_away)) == len(given_away)
    columns = len(costs[0]) if costs else 0
    choices = set(permutations([*range(columns), *[None] * len(costs)], len(costs)))
    least = min(total(costs, choice, alone) for choice in choices)
    assert math.isclose(total(costs, found, alone), least, abs_tol=1e-9)


def test_the_best_pair_is_given_up_where_all_together_cost_less():
    # Best first would take 0.4, and leave the other row alone.
    assert assign([[0.6, 9.0], [0.4, 0.6]], alone=1.0) == [0, 1]


def test_sixteen_rows_that_all_want_the_same_columns():
    costs = [[1.0 + abs(row - column) / 100 for column in range(16)] for row in range(16)]
    assert assign(costs, alone=2.0) == list(range(16))
