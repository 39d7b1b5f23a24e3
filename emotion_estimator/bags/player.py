"""A recording's images in their own time, shown to somebody who may have to answer each.

Two ways. At a rate, as `ros2 bag play` does: an estimator that cannot follow drops images, as it
does at a camera, and which ones depends on the machine's load. In lockstep: the recording's time
stands still until an image is answered, so that live nodes give the same each time on any machine.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from emotion_estimator.bags.messages import deserialize, read_header
from emotion_estimator.bags.reader import ImageBag, StampedImage
from emotion_estimator.errors import InputError

#: Seconds between two tellings of the time.
TICK = 0.02


class PlaybackTarget(Protocol):
    """Where a recording is played."""

    def now(self) -> float:
        """Return seconds of a clock that nobody sets."""

    def wait(self, until: float, done: Callable[[], bool]) -> None:
        """Let things happen until that time of :meth:`now`, or until ``done()``."""

    def tell_time(self, nanoseconds: int) -> None:
        """Say which time of the recording it is."""

    def show(self, image: StampedImage, message: bytes) -> None:
        """Show an image."""

    def answered(self, nanoseconds: int) -> bool:
        """Whether the image with this stamp was answered."""

    def give_up(self, image: StampedImage) -> None:
        """Take note of an image that was not answered in time."""

    def leave_out(self, image: StampedImage, problem: str) -> None:
        """Take note of an image that nobody could read, and that is not shown."""


@dataclass
class Played:
    """What became of the images.

    :param shown: all that were shown.
    :param unanswered: of these, in lockstep, those that time went on without.
    """

    shown: int = 0
    unanswered: int = 0


class _Time:
    """The recording's time, which runs with the stage's but can be held."""

    def __init__(self, stage: PlaybackTarget, rate: float) -> None:
        self._stage = stage
        self._rate = rate
        self._since = 0.0
        self._from: int | None = None
        self._last = 0

    def go_on(self, at: int) -> None:
        """Run on from ``at``."""
        self._since, self._from = self._stage.now(), at
        self._tell(at)

    def run_to(self, at: int) -> None:
        """Let time pass; a recording that goes back is followed at once."""
        if self._from is None or at < self._last:
            self.go_on(at)
            return
        due = self._since + (at - self._from) * 1e-9 / self._rate
        while (now := self._stage.now()) < due:
            passed = self._from + int((now - self._since) * self._rate * 1e9)
            # Floats round, and a nanosecond back would be a jump.
            self._tell(min(max(passed, self._last), at))
            self._stage.wait(min(due, now + TICK), lambda: False)
        self._tell(at)

    def _tell(self, at: int) -> None:
        self._last = at
        self._stage.tell_time(at)


def play(
    images: Iterable[StampedImage],
    stage: PlaybackTarget,
    *,
    rate: float = 1.0,
    lockstep: bool = False,
    answer_timeout: float = 5.0,
) -> Played:
    """Show images at the times their stamps say; return what became of them.

    :param rate: speed against real time, above 0.
    :param lockstep: hold the recording's time after each image until it was answered.
    :param answer_timeout: seconds after which it goes on all the same: the image was lost on the
        way, or the estimator refused it.
    """
    played = Played()
    time = _Time(stage, rate)
    for image in images:
        try:
            message = message_bytes(image)
        except InputError as error:
            stage.leave_out(image, str(error))
            continue
        time.run_to(image.nanoseconds)
        stage.show(image, message)
        played.shown += 1
        if lockstep:
            answered = partial(stage.answered, image.nanoseconds)
            stage.wait(stage.now() + answer_timeout, answered)
            if not answered():
                played.unanswered += 1
                stage.give_up(image)
            time.go_on(image.nanoseconds)
    return played


def rounds(bag: ImageBag, loop: bool) -> Iterator[StampedImage]:
    """Yield a bag's images, again and again where ``loop`` is set."""
    while True:
        anything = False
        for image in bag.images():
            anything = True
            yield image
        if not loop or not anything:
            return


def message_bytes(image: StampedImage) -> bytes:
    """Return an image's CDR with the stamp by which it is known, if it came without one.

    :raises InputError: it is no such message; a node that took it would stumble.
    """
    data = image.data
    deserialize(data, image.message.connection.msgtype)
    if read_header(data).nanoseconds == image.nanoseconds:
        return data
    order = '<' if data[1] == 1 else '>'
    stamp = struct.pack(f'{order}iI', *divmod(image.nanoseconds, 10**9))
    return data[:4] + stamp + data[12:]
