"""The newest frame wins: the slot that hands it over, and the counts of frames dropped."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar('T')


@dataclass
class FrameCounts:
    """What became of the images offered to a worker since it was made.

    :param processed: answered.
    :param dropped: replaced by a newer one before their turn.
    :param skipped: left out to keep to ``max_rate_hz``.
    :param late: older than one that came before them, by jitter or of another camera.
    :param bad: could not be decoded, or were refused by the estimator.
    """

    processed: int = 0
    dropped: int = 0
    skipped: int = 0
    late: int = 0
    bad: int = 0


class NewestSlot(Generic[T]):
    """Hand the newest item from one thread to another; older ones are dropped and counted."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._item: T | None = None
        self._closed = False
        #: Items replaced before they were taken.
        self.dropped = 0

    def put(self, item: T) -> None:
        """Offer ``item``; one still waiting is dropped."""
        with self._ready:
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._ready.notify()

    def take(self) -> T | None:
        """Wait for an item and return it; None once :meth:`close` was called."""
        with self._ready:
            self._ready.wait_for(lambda: self._closed or self._item is not None)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Wake the reader for good."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
