"""Ends a process that hangs inside the middleware, so that whoever started it can start it again.

Fast DDS has been seen to wait for ever in its shared memory after many readers had died; no signal
but SIGKILL ended the node.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

#: Exit status of a process that hung.
HUNG = 3

#: Seconds that one publication may take.
_PUBLICATION = 10
#: Seconds that the interpreter may stand still: a call that hangs holds its lock, so that nothing
#: in Python can notice. Longer, since it counts a process that was stopped (SIGSTOP) as well.
_INTERPRETER = 60.0

#: Topic of each thread's publication at hand, and the seconds for which it was seen there.
_at_hand: dict[int, tuple[str, object]] = {}


def guard(publisher: Any) -> None:
    """Have a publisher's publications watched, while :func:`watching`."""
    publish, topic = publisher.publish, publisher.topic_name

    def watched(message: Any) -> None:
        thread = threading.get_ident()
        _at_hand[thread] = topic, object()
        try:
            publish(message)
        finally:
            _at_hand.pop(thread, None)

    publisher.publish = watched


@contextlib.contextmanager
def watching(publication: int = _PUBLICATION, interpreter: float = _INTERPRETER) -> Iterator[None]:
    """Watch this process; it ends with status 3, or 1 if the interpreter hung.

    Seconds are counted, not read from a clock: a process that was stopped is not one that hung.

    :param publication: seconds that one publication may take.
    :param interpreter: seconds that the interpreter may stand still.
    """
    stop = threading.Event()
    watch = threading.Thread(
        target=_watch, args=(stop, publication, interpreter), name='hang_watch', daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        stop.set()
        watch.join()
        faulthandler.cancel_dump_traceback_later()


def _watch(stop: threading.Event, publication: int, interpreter: float) -> None:
    seen: dict[object, int] = {}
    while True:
        # A thread of C, which needs no lock of Python's.
        faulthandler.dump_traceback_later(interpreter, exit=True)
        now = dict(_at_hand)
        seen = {mark: seen.get(mark, -1) + 1 for _, mark in now.values()}
        for topic, mark in now.values():
            if seen[mark] >= publication:
                _end(topic, publication)
        if stop.wait(1.0):
            return


def _end(topic: str, seconds: int) -> None:
    print(
        f'a publication on {topic} has hung for {seconds} s inside the middleware; this process '
        'ends, to be started again',
        file=sys.stderr,
        flush=True,
    )
    faulthandler.dump_traceback()
    os._exit(HUNG)
