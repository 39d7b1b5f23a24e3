"""Align results of one recording by their stamps, and match their label changes."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from emotion_estimator.bags.stamp_order import WINDOW
from emotion_estimator.frame import FrameResult
from emotion_estimator.timeline import Labels

#: Seconds by which rounding (six decimals in files, floats since 1970) may move a stamp.
ROUNDING = 1e-6

#: Results in laps, see :func:`split_laps`.
Laps = Sequence[Sequence[FrameResult]]


@dataclass(frozen=True)
class Change:
    """A change of the label.

    :param lap: number of the lap, from 0; a lap begins where stamps jump back.
    :param stamp: stamp of the first frame with the new label, in seconds.
    :param label: the new label.
    """

    lap: int
    stamp: float
    label: str


@dataclass(frozen=True)
class Onset:
    """A change of the expected label, matched with the actual label's change to the same.

    :param shift: seconds by which the actual change is later, negative when it is earlier; None if
        there is none.
    """

    change: Change
    shift: float | None


def split_laps(results: Sequence[FrameResult]) -> list[tuple[FrameResult, ...]]:
    """Split results where their stamps jump back, as in a looped bag.

    Stamps that go back by no more than ``WINDOW`` belong to late frames, which are sorted in, as a
    bag's images are.

    :return: the laps, stamps ascending within each; empty without results.
    """
    split: list[list[FrameResult]] = []
    newest = math.inf
    for frame in results:
        if not split or frame.stamp < newest - WINDOW * 1e-9:
            split.append([])
            newest = frame.stamp
        newest = max(newest, frame.stamp)
        split[-1].append(frame)
    return [tuple(sorted(lap, key=lambda frame: frame.stamp)) for lap in split]


def align(
    expected: Sequence[float], actual: Sequence[float], tolerance: float
) -> list[tuple[int, int]]:
    """Pair stamps that are the same within the tolerance.

    Each stamp is in at most one pair, and pairs do not cross. Of several candidates the nearest are
    paired, so a tolerance above half a frame's distance still pairs each frame with itself.
    Swapping the two arguments swaps the indices and changes nothing else.

    :param expected: stamps in seconds, ascending; equal ones are paired in their order.
    :param actual: the other's stamps, likewise.
    :param tolerance: largest difference within a pair, in seconds.
    :return: indices into ``expected`` and ``actual``, ascending.
    """
    pairs = []
    i = j = 0
    while i < len(expected) and j < len(actual):
        difference = abs(expected[i] - actual[j])
        if difference > tolerance + ROUNDING:
            ahead = expected[i] > actual[j]
            i, j = (i, j + 1) if ahead else (i + 1, j)
        elif _next_is_nearer(expected, i, actual, j):
            i += 1
        elif _next_is_nearer(actual, j, expected, i):
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def _next_is_nearer(these: Sequence[float], i: int, others: Sequence[float], j: int) -> bool:
    """Whether ``others[j]`` pairs better with ``these[i + 1]``, which no later one suits better."""
    if i + 1 == len(these):
        return False
    difference = abs(these[i + 1] - others[j])
    if difference >= abs(these[i] - others[j]):
        return False
    return j + 1 == len(others) or difference <= abs(these[i + 1] - others[j + 1])


def changes(labels: Labels, lap: int = 0) -> list[Change]:
    """Return the changes of the label; the first frame is not one."""
    return [
        Change(lap, stamp, label)
        for (_, before), (stamp, label) in pairwise(labels)
        if label != before
    ]


def changes_in_laps(laps: Laps) -> list[Change]:
    """Return the changes of the primary face's label in all laps."""
    return [
        change
        for number, lap in enumerate(laps)
        for change in changes([(frame.stamp, frame.label) for frame in lap], number)
    ]


def match_changes(
    expected: Sequence[Change], actual: Sequence[Change]
) -> tuple[list[Onset], list[Change]]:
    """Match each expected change with an actual one of the same lap.

    The match is the nearest actual change to the same label, not before the expected label's
    previous change and not after its next. No actual change is matched twice.

    :return: an onset for each expected change, and the actual changes without a match.
    """
    onsets: list[Onset] = []
    stamps_of: dict[str, list[float]] = {}
    for change in sorted(actual, key=lambda each: each.stamp):
        stamps_of.setdefault(change.label, []).append(change.stamp)
    taken: set[tuple[str, int]] = set()
    for i, change in enumerate(expected):
        since = expected[i - 1].stamp if i else -math.inf
        until = expected[i + 1].stamp if i + 1 < len(expected) else math.inf
        stamps = stamps_of.get(change.label, [])
        candidates = [
            (abs(stamps[k] - change.stamp), k)
            for k in range(bisect_left(stamps, since), bisect_right(stamps, until))
            if (change.label, k) not in taken
        ]
        if candidates:
            _, k = min(candidates)
            taken.add((change.label, k))
            onsets.append(Onset(change, stamps[k] - change.stamp))
        else:
            onsets.append(Onset(change, None))
    lap = actual[0].lap if actual else 0
    unmatched = [
        Change(lap, stamp, label)
        for label, stamps in stamps_of.items()
        for k, stamp in enumerate(stamps)
        if (label, k) not in taken
    ]
    return onsets, sorted(unmatched, key=lambda change: change.stamp)
