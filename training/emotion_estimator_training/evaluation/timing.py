"""The stopwatch: how long named calls take, measured in turns in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

import numpy as np

Name = TypeVar('Name', bound=Hashable)

#: Nanoseconds in a millisecond and in a microsecond.
MILLISECONDS, MICROSECONDS = 1e6, 1e3


class Stopwatch:
    """Collects the duration of calls, by name.

    Compare calls by letting them take turns (:meth:`shuffled`): whatever else the machine does then
    slows all of them alike.
    """

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        """Start without measurements.

        :param clock: returns nanoseconds; ``time.process_time_ns`` counts processor time alone.
        """
        self._clock = clock
        self._rng = np.random.default_rng(0)
        self._taken: dict[Any, list[int]] = {}

    def shuffled(self, names: Iterable[Name]) -> list[Name]:
        """Return the names in another random order each time."""
        ordered = list(names)
        return [ordered[index] for index in self._rng.permutation(len(ordered))]

    def run(
        self, name: Hashable, call: Callable[[], object], repeats: int = 1, keep: bool = True
    ) -> None:
        """Call ``repeats`` times and record how long each call takes.

        :param keep: False runs the calls to warm up and records nothing.
        """
        taken = self._taken.setdefault(name, []) if keep else []
        for _ in range(repeats):
            begin = self._clock()
            call()
            taken.append(self._clock() - begin)

    @property
    def names(self) -> list[Any]:
        """Return the names with measurements, in the order of their first one."""
        return list(self._taken)

    def median(self, name: Hashable, unit: float) -> float:
        """Return the median duration of a name's calls.

        :param unit: nanoseconds in the unit wanted, such as ``MILLISECONDS``.
        """
        return self.percentile(name, 50, unit)

    def percentile(self, name: Hashable, percent: float, unit: float) -> float:
        """Return a percentile (0 to 100) of the duration of a name's calls, in ``unit``."""
        return float(np.percentile(self._taken[name], percent)) / unit
