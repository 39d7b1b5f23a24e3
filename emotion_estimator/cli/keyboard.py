"""Keys that stand for emotions, read from a terminal whose settings are always restored."""

from __future__ import annotations

import codecs
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.simulation.script import simulated_face
from emotion_estimator.simulation.simulator import SimulatedInput

#: Keys that change the expression.
EMOTION_KEYS = {
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

#: Keys that call services of the dialogue manager.
SERVICE_KEYS = {'B': 'start', 'P': 'pause', 'R': 'resume', 'E': 'end'}

#: Key that starts or stops the person's speech.
SPEAK = ' '

#: Key before and after what the person says; Enter ends it as well.
QUOTE = '"'

QUIT = 'q'

#: Key that shows the keys.
HELP_KEY = '?'

HELP = (
    'keys: h happy, u unknown, s sad, n nobody (a angry, d disgust, f fear, w surprise, '
    'l neutral); space: the person speaks or falls silent; ": type what they say, and Enter; '
    'P pause, R resume, E end, B begin again; ? shows this; q quit'
)


@dataclass
class KeyState:
    """The expression and speech that the keys pressed so far stand for.

    :param label: what the face shows.
    :param speaking: whether the person speaks; they do while their words are typed.
    :param typing: whether keys are words.
    :param typed: the words so far.
    """

    label: str = 'unknown'
    speaking: bool = False
    typing: bool = False
    typed: str = ''

    def press(self, key: str, stamp: float = 0.0) -> SimulatedInput | None:
        """Take a key; return the service it calls or the words it completes, usually None.

        :param stamp: seconds.
        :raises InputError: the key is unknown; the message lists the keys.
        """
        if self.typing or key == QUOTE:
            return self._type(key, stamp)
        if key in EMOTION_KEYS:
            self.label = EMOTION_KEYS[key]
        elif key == SPEAK:
            self.speaking = not self.speaking
        elif key in SERVICE_KEYS:
            return SimulatedInput(stamp, has_frame=False, service=SERVICE_KEYS[key])
        elif key not in '\r\n':
            raise InputError(f'unknown key {key!r}; {HELP}')
        return None

    def _type(self, key: str, stamp: float) -> SimulatedInput | None:
        if not self.typing:
            self.typing = self.speaking = True
        elif key in '\b\x7f':
            self.typed = self.typed[:-1]
        elif key not in '"\r\n':
            self.typed += key
        else:
            said, self.typed = self.typed.strip(), ''
            self.typing = self.speaking = False
            return SimulatedInput(stamp, has_frame=False, speaking=True, said=said)
        return None

    def input(self, stamp: float) -> SimulatedInput:
        """Return the message for a stamp in seconds."""
        return SimulatedInput(stamp, simulated_face(self.label), speaking=self.speaking)


def keys_as_inputs(
    keys: Iterable[str], hold: float, rate: float
) -> Generator[SimulatedInput, None, None]:
    """Yield the messages for keys that each count for a while, without waiting.

    Spaces, services, words and line ends take no time.

    :param keys: characters; those after ``q`` are not read.
    :param hold: seconds for which a key with an emotion counts.
    :param rate: messages per second.
    :raises InputError: a key is unknown, in which case the message gives its position; or there
        are no keys.
    """
    state, end, count, number = KeyState(), 0.0, 0, 0
    for number, key in enumerate(keys, start=1):
        if key == QUIT and not state.typing:
            return
        if key == HELP_KEY and not state.typing:
            continue
        emotion = key in EMOTION_KEYS and not state.typing
        try:
            pressed_input = state.press(key, end)
        except InputError as error:
            raise InputError(f'key {number}: {error}') from error
        if pressed_input is not None:
            yield pressed_input
        if emotion:
            end += hold
            while (stamp := count / rate) < end - 1e-9:
                count += 1
                yield state.input(stamp)
    if number == 0:
        raise InputError(f'standard input has no keys; {HELP}')


@contextmanager
def pressed() -> Iterator[Callable[[float], str | None]]:
    """Provide a function that waits some seconds for a key, without echo and without Enter.

    It returns an empty string when no key was pressed, None at the end of standard input.
    """
    descriptor = sys.stdin.fileno()
    decoder = codecs.getincrementaldecoder('utf-8')('replace')
    before = termios.tcgetattr(descriptor)

    def key(seconds: float) -> str | None:
        if not select.select([descriptor], [], [], seconds)[0]:
            return ''
        read = os.read(descriptor, 1)
        # Without line buffering the terminal passes Ctrl-D on as a character.
        if read in (b'', b'\x04'):
            return None
        character = decoder.decode(read)
        # The rest of a character of several bytes is there already.
        while not character and (more := os.read(descriptor, 1)):
            character = decoder.decode(more)
        return character

    try:
        # cbreak mode, in which Ctrl-C still interrupts.
        tty.setcbreak(descriptor)
        yield key
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def ticks(
    key: Callable[[float], str | None], period: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[int, str]]:
    """Yield the number of each period and the keys pressed in it, until the keys end.

    :param key: function that :func:`pressed` provides.
    :param period: seconds.
    :param clock: returns the current time in seconds.
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
