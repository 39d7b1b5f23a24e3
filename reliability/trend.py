"""Slopes of what was sampled while nodes ran, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_HOUR = 3600.0
#: Two-sided 95 % of the normal distribution.
_Z = 1.96
#: Fewest samples of a stretch between two resets.
_LEAST = 5


@dataclass(frozen=True)
class Slope:
    """A least-squares slope and its 95 % interval.

    :param value: change in an hour.
    :param margin: half the interval's width; infinite with too few samples.
    """

    value: float
    margin: float

    def exceeds(self, limit: float) -> bool:
        """Return whether it is above a limit beyond doubt."""
        return self.value - self.margin > limit

    def keeps(self, limit: float) -> bool:
        """Return whether it is below a limit beyond doubt."""
        return self.value + self.margin < limit

    def __str__(self) -> str:
        return f'{self.value:+.2f} ± {self.margin:.2f}'


def slope(times: ArrayLike, values: ArrayLike, stretches: ArrayLike | None = None) -> Slope:
    """Return the common slope within stretches, each with a level of its own.

    Samples that follow each other are alike; the interval is widened by the residuals'
    correlation from one to the next.

    :param times: seconds, (N,).
    :param values: (N,).
    :param stretches: number of each sample's stretch, (N,); None is a single one.
    """
    t, y = np.asarray(times, float), np.asarray(values, float)
    s = np.zeros(len(t), int) if stretches is None else np.asarray(stretches, int)
    parts = [np.flatnonzero(s == number) for number in np.unique(s)]
    parts = [part for part in parts if len(part) >= _LEAST]
    if not parts:
        return Slope(0.0, float('inf'))
    x = np.concatenate([t[part] - t[part].mean() for part in parts]) / _HOUR
    d = np.concatenate([y[part] - y[part].mean() for part in parts])
    spread = float(x @ x)
    freedom = len(x) - len(parts) - 1
    if spread == 0.0 or freedom < 1:
        return Slope(0.0, float('inf'))
    value = float(x @ d) / spread
    rest = d - value * x
    power = float(rest @ rest)
    alike = float(rest[1:] @ rest[:-1]) / power if power else 0.0
    alike = min(max(alike, 0.0), 0.98)
    error = (power / freedom / spread * (1 + alike) / (1 - alike)) ** 0.5
    return Slope(value, _Z * error)


def quarters(values: ArrayLike) -> tuple[float, float]:
    """Return the medians of the first and of the last quarter."""
    y = np.asarray(values, float)
    part = max(len(y) // 4, 1)
    return float(np.median(y[:part])), float(np.median(y[-part:]))
