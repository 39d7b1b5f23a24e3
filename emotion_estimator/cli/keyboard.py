"""Keys that stand for emotions, read from a terminal that is always left as it was found."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from emotion_estimator.dialogue.script import shown
from emotion_estimator.dialogue.simulator import SimulatedInput
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError

#: What the face shows from this key on.
EMOTIONS = {
    'h': 'happy',
    'u': 'unknown',
    's': 'sad',
    'n': NONE,
    'a': 'angry',
    'd': 'disgust',
    'f': 'fear',
    'w': 'surprise',
    'l': 'neutral',
}

#: What is asked of the dialogue manager, as its services do.
SERVICES = {'B': 'start', 'P': 'pause', 'R': 'resume', 'E': 'end'}

#: The person begins or ceases to speak.
SPEAK = ' '

QUIT = 'q'

HELP = (
    'keys: h happy, u unknown, s sad, n nobody (a angry, d disgust, f fear, w surprise, '
    'l neutral); space: the person speaks or falls silent; '
    'P pause, R resume, E end, B begin again; q quit'
)


@dataclass
class Held:
    """What the keys pressed so far stand for."""

    label: str = 'unknown'
    speaking: bool = False

    def press(self, key: str) -> str:
        """Take a key; return the service it asks for, mostly none.

        :raises InputError: the key stands for nothing; names those that do.
        """
        if key in EMOTIONS:
            self.label = EMOTIONS[key]
        elif key == SPEAK:
            self.speaking = not self.speaking
        elif key not in SERVICES:
            raise InputError(f'{key!r} stands for nothing; {HELP}')
        return SERVICES.get(key, '')

    def moment(self, stamp: float) -> SimulatedInput:
        """Return the message of this time."""
        return SimulatedInput(stamp, shown(self.label), speaking=self.speaking)


def typed(keys: Iterable[str], hold: float, rate: float) -> Generator[SimulatedInput, None, None]:
    """Yield the moments of keys that each hold for a while, without a clock.

    Spaces, services and the ends of lines take no time.

    :param keys: characters; those after ``q`` are not read.
    :param hold: seconds for which an emotion's key holds.
    :param rate: messages per second.
    :raises InputError: a key stands for nothing, and which it is in the order of keys; or there is
        none.
    """
    held, end, count, number = Held(), 0.0, 0, 0
    for number, key in enumerate(keys, start=1):
        if key in '\r\n':
            continue
        if key == QUIT:
            return
        try:
            asked = held.press(key)
        except InputError as error:
            raise InputError(f'key {number}: {error}') from error
        if asked:
            yield SimulatedInput(end, heard=False, asked=asked)
        if key in EMOTIONS:
            end += hold
            while (stamp := count / rate) < end - 1e-9:
                count += 1
                yield held.moment(stamp)
    if number == 0:
        raise InputError(f'standard input has no keys; {HELP}')


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
