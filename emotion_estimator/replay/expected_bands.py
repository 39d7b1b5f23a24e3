"""Where expectations lie on the time axis, and in which rows they do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from emotion_estimator.replay.alignment import Laps
from emotion_estimator.replay.expectations import ExpectationFinding, ExpectedDecision
from emotion_estimator.replay.time_axis import TimeAxis

#: By how much of the recording's length a picture may be longer than it, to show what was expected
#: after its end.
_BEYOND = 0.5


class ExpectedBand(NamedTuple):
    """An expectation in a lap, from ``begin`` to ``end`` in seconds since the first frame."""

    begin: float
    end: float
    finding: ExpectationFinding

    @property
    def is_action(self) -> bool:
        """Whether an action was expected, not a label."""
        return isinstance(self.finding.expected, ExpectedDecision)


def expected_bands(
    findings: Sequence[ExpectationFinding], axis: TimeAxis, laps: Laps
) -> list[ExpectedBand]:
    """Return the bands of findings, labels before actions, a looped recording's in each lap."""
    bands = [
        ExpectedBand(begin, end, each)
        for each in findings
        for begin, end in axis.of_span(each.expected.begin, each.expected.end, laps)
    ]
    return sorted(bands, key=lambda band: band.is_action)


def end_with_bands(end: float, bands: Sequence[ExpectedBand]) -> float:
    """Return where a picture should end that shows a recording of ``end`` seconds and its bands.

    What was expected long after the recording is left to words.
    """
    latest = max((band.end for band in bands), default=end)
    return min(max(end, latest), (1 + _BEYOND) * end)


def rows_of(extents: Sequence[tuple[float, float]]) -> list[int]:
    """Return a row for each extent, from 0, such that no two in a row overlap."""
    rows = [0] * len(extents)
    ends: list[float] = []
    for begin, end, index in sorted((*extent, index) for index, extent in enumerate(extents)):
        row = next((row for row, last in enumerate(ends) if last < begin), len(ends))
        ends[row:] = [end, *ends[row + 1 :]]
        rows[index] = row
    return rows
