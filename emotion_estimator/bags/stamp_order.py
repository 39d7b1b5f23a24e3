"""Sort images by their stamps while reading, without loading a recording into memory."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

#: Nanoseconds by which an image may come late and still be sorted in. Transport reorders images by
#: less; a larger step back begins a new lap.
WINDOW = 250_000_000

#: Items without a stamp that wait for the image after them; with more, no image is waited for.
MAX_WAITING = 1000

#: Bytes of images held to sort them; with more, the earliest is not waited for.
MAX_HELD = 64 << 20


class Stamped(Protocol):
    """Something with a stamp and bytes."""

    @property
    def nanoseconds(self) -> int:
        """Return the stamp."""

    @property
    def data(self) -> bytes:
        """Return the bytes."""


class Unstamped:
    """Something recorded between the images that has no stamp of its own."""


Item = TypeVar('Item', bound=Stamped)
Aside = TypeVar('Aside', bound=Unstamped)


@dataclass
class Disorder:
    """Counts of stamps out of order.

    :param late: images sorted in front of earlier read ones.
    :param repeated: images skipped because the previous one had the same stamp and bytes.
    :param shared: images with the previous one's stamp but other bytes.
    :param jumps: number of times the stamps jumped back, as in a recorded loop.
    :param first_jump: stamps before and after the first jump, in nanoseconds.
    """

    late: int = 0
    repeated: int = 0
    shared: int = 0
    jumps: int = 0
    first_jump: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        """Return one line, empty if all stamps were in order."""
        parts = []
        if self.late:
            parts.append(f'{self.late} late, sorted in')
        if self.repeated:
            parts.append(f'{self.repeated} recorded twice, read once')
        if self.shared:
            parts.append(f'{self.shared} with the stamp of another image, all read')
        if self.jumps:
            since, to = (f'{time / 1e9:.3f}' for time in self.first_jump)
            parts.append(f'time jumps back {self.jumps} x, first from {since} to {to} s')
        return f'stamps do not increase: {"; ".join(parts)}' if parts else ''


def in_stamp_order(items: Iterable[Item | Aside], disorder: Disorder) -> Iterator[Item | Aside]:
    """Yield items by stamp, equal stamps in their original order.

    An item more than ``WINDOW`` late begins a new lap, which follows the previous one: time jumps
    back there. What has no stamp keeps its own order, and comes before every item that it was
    before.

    :param disorder: updated while reading.
    """
    last: Item | None = None
    for item in _ordered(items, disorder):
        if isinstance(item, Unstamped):
            yield item
            continue
        if last and last.nanoseconds == item.nanoseconds:
            if last.data == item.data:
                disorder.repeated += 1
                continue
            disorder.shared += 1
        last = item
        yield item


def _ordered(items: Iterable[Item | Aside], disorder: Disorder) -> Iterator[Item | Aside]:
    buffer: list[tuple[int, int, Item]] = []
    waiting: deque[tuple[int, Aside]] = deque()
    newest: int | None = None
    held = 0

    def earliest() -> Iterator[Item | Aside]:
        nonlocal held
        _, number, item = heapq.heappop(buffer)
        held -= len(item.data)
        while waiting and waiting[0][0] < number:
            yield waiting.popleft()[1]
        yield item

    for number, item in enumerate(items):
        if isinstance(item, Unstamped):
            waiting.append((number, item))
            while buffer and len(waiting) > MAX_WAITING:
                yield from earliest()
            if not buffer:
                yield from (aside for _, aside in waiting)
                waiting.clear()
            continue
        stamp = item.nanoseconds
        if newest is None:
            newest = stamp
        elif stamp < newest - WINDOW:
            disorder.first_jump = disorder.first_jump if disorder.jumps else (newest, stamp)
            disorder.jumps += 1
            while buffer:
                yield from earliest()
            newest = stamp
        disorder.late += stamp < newest
        newest = max(newest, stamp)
        heapq.heappush(buffer, (stamp, number, item))
        held += len(item.data)
        while buffer and (buffer[0][0] < newest - WINDOW or held > MAX_HELD):
            yield from earliest()
    while buffer:
        yield from earliest()
    yield from (aside for _, aside in waiting)
