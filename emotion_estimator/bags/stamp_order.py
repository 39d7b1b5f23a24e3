"""Put images into the order of their stamps, without holding a recording in memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

#: Nanoseconds by which an image may come late and still be put where it belongs. Transport mixes
#: images up by less; what lies further back is another beginning.
WINDOW = 250_000_000


class Stamped(Protocol):
    """Something with a time and bytes."""

    @property
    def nanoseconds(self) -> int:
        """Return its stamp."""

    @property
    def data(self) -> bytes:
        """Return its bytes."""


Item = TypeVar('Item', bound=Stamped)


@dataclass
class Disorder:
    """What was not in order.

    :param late: images put in front of others that came before them.
    :param repeated: images left out: the same bytes with the same stamp came before.
    :param shared: images that have the stamp of one before, and are others.
    :param jumps: times at which the stamps went back for good, as when a loop was recorded.
    :param first_jump: from and to, in nanoseconds.
    """

    late: int = 0
    repeated: int = 0
    shared: int = 0
    jumps: int = 0
    first_jump: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        """Return one line, empty when all was in order."""
        parts = []
        if self.late:
            parts.append(f'{self.late} late, put in order')
        if self.repeated:
            parts.append(f'{self.repeated} recorded twice, read once')
        if self.shared:
            parts.append(f'{self.shared} with the stamp of another image, all read')
        if self.jumps:
            since, to = (f'{time / 1e9:.3f}' for time in self.first_jump)
            parts.append(f'time jumps back {self.jumps} x, first from {since} to {to} s')
        return f'stamps do not increase: {"; ".join(parts)}' if parts else ''


def in_stamp_order(items: Iterable[Item], disorder: Disorder) -> Iterator[Item]:
    """Yield items by stamp, those of one stamp as they came.

    What comes more than ``WINDOW`` later than it should begins a new course, which is yielded
    after the one before: time jumps back there, and whoever follows begins anew.

    :param disorder: counts what was found while reading.
    """
    last: Item | None = None
    for item in _ordered(items, disorder):
        if last and last.nanoseconds == item.nanoseconds:
            if last.data == item.data:
                disorder.repeated += 1
                continue
            disorder.shared += 1
        last = item
        yield item


def _ordered(items: Iterable[Item], disorder: Disorder) -> Iterator[Item]:
    held: list[tuple[int, int, Item]] = []
    newest: int | None = None
    for number, item in enumerate(items):
        stamp = item.nanoseconds
        if newest is None:
            newest = stamp
        elif stamp < newest - WINDOW:
            disorder.first_jump = disorder.first_jump if disorder.jumps else (newest, stamp)
            disorder.jumps += 1
            while held:
                yield heapq.heappop(held)[2]
            newest = stamp
        disorder.late += stamp < newest
        newest = max(newest, stamp)
        heapq.heappush(held, (stamp, number, item))
        while held[0][0] < newest - WINDOW:
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]
