"""Which frame of one course is which of another: by their stamps."""

from __future__ import annotations

import math
from collections.abc import Sequence

from emotion_estimator.bags.stamp_order import WINDOW
from emotion_estimator.result import FrameResult

#: Seconds by which rounding (six decimals in files, floats since 1970) may move a stamp.
ROUNDING = 1e-6


def laps(course: Sequence[FrameResult]) -> list[tuple[FrameResult, ...]]:
    """Split a course where its stamps jump back, as those of a looped bag do.

    Stamps that go back by no more than ``WINDOW`` are of frames that came late: they are put where
    they belong, as a bag's images are.

    :return: stamps ascend within each lap; none for an empty course.
    """
    split: list[list[FrameResult]] = []
    newest = math.inf
    for frame in course:
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

    Each stamp is in one pair at most, and pairs do not cross. Where several lie within the
    tolerance the nearest are paired; so a tolerance above half the distance between two frames
    still pairs each frame with itself. The order of the two makes no difference.

    :param expected: stamps in seconds, ascending; equal ones are paired in their order.
    :param actual: the same of the other.
    :param tolerance: greatest difference of a pair, in seconds.
    :return: indices into both, ascending.
    """
    pairs = []
    i = j = 0
    while i < len(expected) and j < len(actual):
        apart = abs(expected[i] - actual[j])
        if apart > tolerance + ROUNDING:
            ahead = expected[i] > actual[j]
            i, j = (i, j + 1) if ahead else (i + 1, j)
        elif _better(expected, i, actual, j):
            i += 1
        elif _better(actual, j, expected, i):
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def _better(these: Sequence[float], i: int, others: Sequence[float], j: int) -> bool:
    """Whether ``others[j]`` goes better with the one after ``these[i]``, and that with no later."""
    if i + 1 == len(these):
        return False
    apart = abs(these[i + 1] - others[j])
    if apart >= abs(these[i] - others[j]):
        return False
    return j + 1 == len(others) or apart <= abs(these[i + 1] - others[j + 1])
