"""Pair rows with columns at the least total cost, where a row may also stay alone."""

from __future__ import annotations

import math
from collections.abc import Sequence


def assign(costs: Sequence[Sequence[float]], alone: float) -> list[int | None]:
    """Return each row's column, None for a row that stays alone.

    The least sum over all assignments, not the pairwise best first: when a camera pans, a face's
    old place can be nearer to its neighbour's new one than to its own. Shortest augmenting paths
    (Jonker and Volgenant, Computing 38, 1987); of 16 rows the worst case takes a few milliseconds,
    rows that do not contend for a column take one pass each.

    :param costs: one row of equal length for each row; infinite where a pair is impossible.
    :param alone: what a row costs that gets no column, finite.
    """
    rows = len(costs)
    # A column more for each row, so that all of them may stay alone.
    table = [[*row, *[alone] * rows] for row in costs]
    columns = len(table[0]) if table else 0
    owner: list[int | None] = [None] * columns
    row_price, column_price = [0.0] * rows, [0.0] * columns
    for start in range(rows):
        _augment(table, owner, row_price, column_price, start)
    found: list[int | None] = [None] * rows
    for column, row in enumerate(owner[: columns - rows]):
        if row is not None:
            found[row] = column
    return found


def _augment(
    table: list[list[float]],
    owner: list[int | None],
    row_price: list[float],
    column_price: list[float],
    start: int,
) -> None:
    """Give the row ``start`` a column, along the cheapest chain of rows that move over."""
    distance = [math.inf] * len(owner)
    before: list[int | None] = [None] * len(owner)
    left = list(range(len(owner)))
    passed: list[int] = []
    row, via, reached = start, None, 0.0
    while True:
        base, costs = reached - row_price[row], table[row]
        for column in left:
            length = base + costs[column] - column_price[column]
            if length < distance[column]:
                distance[column], before[column] = length, via
        nearest = min(left, key=distance.__getitem__)
        reached = distance[nearest]
        holder = owner[nearest]
        if holder is None:
            break
        left.remove(nearest)
        passed.append(nearest)
        row, via = holder, nearest
    row_price[start] += reached
    for column in passed:
        slack = reached - distance[column]
        column_price[column] -= slack
        holder = owner[column]
        assert holder is not None
        row_price[holder] += slack
    free: int | None = nearest
    while free is not None:
        giver = before[free]
        owner[free] = start if giver is None else owner[giver]
        free = giver
