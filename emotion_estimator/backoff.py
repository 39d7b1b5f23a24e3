"""How long to wait before a lost device is tried again."""

from __future__ import annotations


class Backoff:
    """Waits that double from ``minimum`` to ``maximum`` seconds until :meth:`reset`.

    >>> backoff = Backoff(0.5, 3.0)
    >>> [backoff.next() for _ in range(4)]
    [0.5, 1.0, 2.0, 3.0]
    """

    def __init__(self, minimum: float, maximum: float) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._next = minimum

    def next(self) -> float:
        """Return the seconds to wait this time."""
        wait = self._next
        self._next = min(2 * wait, self._maximum)
        return wait

    def reset(self) -> None:
        """Begin anew: the device worked."""
        self._next = self._minimum
