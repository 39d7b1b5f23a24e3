"""The time axis of a recording: seconds since its first frame, its laps one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from emotion_estimator.bags.stamp_order import WINDOW
from emotion_estimator.emotion import primary
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.alignment import ROUNDING, Laps
from emotion_estimator.timeline import Labels, Probabilities

#: Seconds between two laps, enough to interrupt curves and bands.
_BREAK = 1.0


class TimeAxis:
    """Converts a stamp and its lap into seconds since the first frame.

    :ivar begins: where each lap begins, in those seconds.
    :ivar end: where the last lap ends, in those seconds.
    """

    def __init__(self, *results: Laps) -> None:
        """:param results: of one recording; laps of the same number share a place."""
        self._offsets: list[float] = []
        self.begins: list[float] = []
        end = -_BREAK
        for laps in zip_longest(*results, fillvalue=()):
            stamps = [stamp for lap in laps if lap for stamp in (lap[0].stamp, lap[-1].stamp)]
            self.begins.append(end + _BREAK)
            self._offsets.append(self.begins[-1] - min(stamps))
            end = self._offsets[-1] + max(stamps)
        self.end = max(end, 0.1)

    def __call__(self, lap: int, stamp: float) -> float:
        """Return the seconds since the first frame."""
        return self._offsets[lap] + stamp

    def of_stamps(self, stamps: Iterable[float], laps: Laps) -> list[float]:
        """Return the same for stamps whose laps are unknown: the first that contains each.

        :param stamps: in the order in which they came up, so that one that is smaller than the one
            before it is of a later lap.
        """
        times = []
        lap, before = 0, -math.inf
        for stamp in stamps:
            lap += stamp < before - WINDOW * 1e-9
            before = stamp
            lap = next((n for n in range(lap, len(laps)) if _contains(laps[n], stamp)), lap)
            times.append(self(min(lap, len(self.begins) - 1), stamp))
        return times

    def of_span(self, begin: float, end: float, laps: Laps) -> list[tuple[float, float]]:
        """Return where a span lies: in every lap that has a part of it, in the first if none has.

        :param begin: seconds since the stamp of the very first frame.
        :param end: likewise.
        """
        if not laps:
            return [(begin, end)]
        first = laps[0][0].stamp
        spans = [
            (self(n, first + begin), self(n, first + end))
            for n, lap in enumerate(laps)
            if first + begin <= lap[-1].stamp + ROUNDING and first + end >= lap[0].stamp - ROUNDING
        ]
        return spans or [(self(0, first + begin), self(0, first + end))]


def _contains(lap: Sequence[FrameResult], stamp: float) -> bool:
    return lap[0].stamp <= stamp <= lap[-1].stamp


def labels_over_time(laps: Laps, axis: TimeAxis) -> Labels:
    """Return the label at each frame's time."""
    return [(axis(n, frame.stamp), frame.label) for n, lap in enumerate(laps) for frame in lap]


def probabilities_over_time(laps: Laps, axis: TimeAxis) -> Probabilities:
    """Return the primary face's probabilities at each frame's time; empty without a face."""
    samples: list[tuple[float, Mapping[str, float]]] = []
    for n, lap in enumerate(laps):
        for frame in lap:
            face = primary(frame.faces)
            values = dict(zip(face.labels, map(float, face.probabilities))) if face else {}
            samples.append((axis(n, frame.stamp), values))
    return samples
