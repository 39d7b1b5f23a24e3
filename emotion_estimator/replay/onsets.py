"""When a label began in one course, and when in another."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

#: Stamp in seconds and label, in order of time.
Labels = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Change:
    """A label that began.

    :param lap: of the course, from 0; a new one begins where stamps jump back.
    :param stamp: of the first frame with the label, in seconds.
    """

    lap: int
    stamp: float
    label: str


@dataclass(frozen=True)
class Onset:
    """A change of the expected label, and the actual one's to the same label.

    :param shift: seconds by which the actual is later, negative where it is earlier; None where
        it has no such change.
    """

    change: Change
    shift: float | None


def changes(labels: Labels, lap: int = 0) -> list[Change]:
    """Return the changes of a label; the first frame is none."""
    return [
        Change(lap, stamp, label)
        for (_, before), (stamp, label) in pairwise(labels)
        if label != before
    ]


def follow(
    expected: Sequence[Change], actual: Sequence[Change]
) -> tuple[list[Onset], list[Change]]:
    """Find each expected change in the actual ones, all of one lap.

    It is the nearest to the same label, not before the expected label's previous change and not
    after its next: what comes later answers no longer. Each actual change is found once.

    :return: an onset for each expected change, and the actual changes that answer none.
    """
    found: list[Onset] = []
    free: dict[str, list[float]] = {}
    for change in sorted(actual, key=lambda each: each.stamp):
        free.setdefault(change.label, []).append(change.stamp)
    taken: set[tuple[str, int]] = set()
    for i, change in enumerate(expected):
        since = expected[i - 1].stamp if i else -math.inf
        until = expected[i + 1].stamp if i + 1 < len(expected) else math.inf
        stamps = free.get(change.label, [])
        candidates = [
            (abs(stamps[k] - change.stamp), k)
            for k in range(bisect_left(stamps, since), bisect_right(stamps, until))
            if (change.label, k) not in taken
        ]
        if candidates:
            _, k = min(candidates)
            taken.add((change.label, k))
            found.append(Onset(change, stamps[k] - change.stamp))
        else:
            found.append(Onset(change, None))
    lap = actual[0].lap if actual else 0
    left = [
        Change(lap, stamp, label)
        for label, stamps in free.items()
        for k, stamp in enumerate(stamps)
        if (label, k) not in taken
    ]
    return found, sorted(left, key=lambda change: change.stamp)
