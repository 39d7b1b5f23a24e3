"""Keys as they are pressed, from a terminal that is always left as it was found."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def pressed() -> Iterator[Callable[[float], str | None]]:
    """Give a function that waits for a key for some seconds, unechoed and without Enter.

    It returns an empty text where none was pressed, and None where standard input ended.
    """
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def key(seconds: float) -> str | None:
        if not select.select([descriptor], [], [], seconds)[0]:
            return ''
        read = os.read(descriptor, 1)
        # Ctrl-D is no end of a terminal whose lines are not waited for.
        return None if read in (b'', b'\x04') else read.decode('ascii', 'replace')

    try:
        # Ctrl-C still interrupts.
        tty.setcbreak(descriptor)
        yield key
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def ticks(
    key: Callable[[float], str | None], period: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[int, str]]:
    """Yield each period's number and the keys pressed in it, until the keys end.

    :param key: as :func:`pressed` gives it.
    :param period: seconds.
    """
    begun, count = clock(), 0
    while True:
        keys = ''
        while got := key(max(0.0, begun + count * period - clock())):
            keys += got
        if got is None:
            return
        yield count, keys
        count += 1
