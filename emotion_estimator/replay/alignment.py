"""Align results of one recording by their stamps, and match their label changes."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from statistics import median
from typing import Generic, NamedTuple, Protocol, TypeVar

from emotion_estimator.bags.stamp_order import WINDOW
from emotion_estimator.frame import FrameResult
from emotion_estimator.timeline import GAP

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


class HasStamp(Protocol):
    """Anything with a stamp in seconds."""

    @property
    def stamp(self) -> float:
        """Return the stamp."""


Item = TypeVar('Item', bound=HasStamp)


class LapReader(Generic[Item]):
    """Splits results where their stamps jump back, as in a looped bag, while they are read.

    Stamps that go back by no more than ``WINDOW`` belong to late frames, which are sorted in, as a
    bag's images are. No more frames than those of that time are held.
    """

    def __init__(self, results: Iterable[Item]) -> None:
        self._results = iter(results)
        self._next = next(self._results, None)

    @property
    def ended(self) -> bool:
        """Whether there is no further lap."""
        return self._next is None

    def lap(self) -> Iterator[Item]:
        """Yield the frames of the next lap, stamps ascending; none after the last lap.

        It must be read to its end before the next lap is.
        """
        waiting: deque[Item] = deque()
        newest = -math.inf
        while (frame := self._next) is not None:
            stamp = frame.stamp
            if stamp < newest - WINDOW * 1e-9:
                break
            if stamp >= newest:
                newest = stamp
                waiting.append(frame)
            else:
                later = sum(each.stamp > stamp for each in waiting)
                waiting.insert(len(waiting) - later, frame)
            self._next = next(self._results, None)
            # Whatever follows in this lap is later, or as late and sorted after it.
            while waiting[0].stamp <= newest - WINDOW * 1e-9:
                yield waiting.popleft()
        yield from waiting


def split_laps(results: Iterable[Item]) -> list[tuple[Item, ...]]:
    """Split results as :class:`LapReader` does.

    :return: the laps, stamps ascending within each; empty without results.
    """
    reader = LapReader(results)
    laps = []
    while not reader.ended:
        laps.append(tuple(reader.lap()))
    return laps


def longest_step(laps: Laps) -> float:
    """Return the seconds between two frames above which they are a gap.

    A recording at one image per second has no gaps.
    """
    steps = [after.stamp - before.stamp for lap in laps for before, after in pairwise(lap)]
    return max(GAP, 1.5 * median(steps)) if steps else GAP


class _Numbered(NamedTuple):
    stamp: float
    number: int


def align(
    expected: Iterable[float], actual: Iterable[float], tolerance: float
) -> list[tuple[int, int]]:
    """Pair stamps that are the same within the tolerance, see :func:`side_by_side`.

    :param expected: stamps in seconds, ascending; equal ones are paired in their order.
    :param actual: the other's stamps, likewise.
    :param tolerance: largest difference within a pair, in seconds.
    :return: indices into ``expected`` and ``actual``, ascending.
    """
    these, those = (map(_Numbered, stamps, count()) for stamps in (expected, actual))
    return [
        (one.number, other.number)
        for one, other in side_by_side(these, those, tolerance)
        if one is not None and other is not None
    ]


def side_by_side(
    expected: Iterator[Item], actual: Iterator[Item], tolerance: float
) -> Iterator[tuple[Item | None, Item | None]]:
    """Yield what has the same stamp within the tolerance together, and the others alone.

    Each item is in at most one pair, and pairs do not cross. Of several candidates the nearest are
    paired, so a tolerance above half a frame's distance still pairs each frame with itself.
    Swapping the two arguments swaps the items and changes nothing else. Of each argument one item
    is read ahead.

    :param expected: in ascending order of their stamps; equal ones are paired in their order.
    :param actual: the others, likewise.
    :param tolerance: largest difference within a pair, in seconds.
    :return: pairs with None in place of an item without a counterpart; the items of either
        argument in their order.
    """
    largest = tolerance + ROUNDING
    one, other = next(expected, None), next(actual, None)
    next_one, next_other = next(expected, None), next(actual, None)
    while one is not None and other is not None:
        difference = abs(one.stamp - other.stamp)
        if difference > largest:
            first = one.stamp < other.stamp
            second = not first
        else:
            first = _is_nearer(next_one, other, next_other, difference)
            second = not first and _is_nearer(next_other, one, next_one, difference)
        if second:
            yield None, other
        else:
            yield one, None if first else other
            one, next_one = next_one, next(expected, None)
        if not first:
            other, next_other = next_other, next(actual, None)
    while one is not None:
        yield one, None
        one, next_one = next_one, next(expected, None)
    while other is not None:
        yield None, other
        other, next_other = next_other, next(actual, None)


def _is_nearer(
    following: HasStamp | None, other: HasStamp, next_other: HasStamp | None, difference: float
) -> bool:
    """Whether ``other`` pairs better with the following item, which no later one suits better."""
    if following is None:
        return False
    later = abs(following.stamp - other.stamp)
    if later >= difference:
        return False
    return next_other is None or later <= abs(following.stamp - next_other.stamp)


class ChangeFinder:
    """Finds the changes of the label in a lap."""

    def __init__(self, lap: int) -> None:
        """:param lap: its number, from 0."""
        self.changes: list[Change] = []
        self._lap = lap
        self._label: str | None = None

    def see(self, stamp: float, label: str) -> None:
        """Take the next frame's label; the first frame is no change."""
        if label != self._label:
            if self._label is not None:
                self.changes.append(Change(self._lap, stamp, label))
            self._label = label


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
