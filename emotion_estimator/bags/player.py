"""Play a recording's images in its own time, at a rate or in lockstep with the estimator.

At a rate, as `ros2 bag play` does, an estimator that is too slow drops images as with a camera, and
which ones depends on the machine's load. In lockstep the recording's time stands still until an
image is answered, so that live nodes give the same results on any machine.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from emotion_estimator.account import Account
from emotion_estimator.bags.messages import deserialize, read_header
from emotion_estimator.bags.reader import ImageBag, StampedImage
from emotion_estimator.errors import InputError

#: Seconds between two published times.
TICK = 0.02


class PlaybackTarget(Protocol):
    """What a recording is played to."""

    def now(self) -> float:
        """Return the seconds of a monotonic clock."""

    def wait(self, until: float, done: Callable[[], bool]) -> None:
        """Process events until that time of :meth:`now`, or until ``done()``."""

    def publish_time(self, nanoseconds: int) -> None:
        """Publish the recording's time."""

    def show(self, image: StampedImage, message: bytes) -> None:
        """Publish an image."""

    def answered(self, nanoseconds: int) -> bool:
        """Whether there is a result for the image with this stamp."""

    def give_up(self, image: StampedImage) -> None:
        """Handle an image that was not answered in time."""

    def leave_out(self, image: StampedImage, problem: str) -> None:
        """Handle an unreadable image, which is not shown."""


@dataclass
class Played:
    """Counts of the images.

    :param shown: all images shown.
    :param unanswered: in lockstep, those that were not answered in time.
    :param unreadable: those that are no image messages, and were not shown.
    """

    shown: int = 0
    unanswered: int = 0
    unreadable: int = 0

    def account(self, bag: ImageBag) -> Account:
        """Return the account of the bag's images, once all of them were played."""
        account = bag.account
        account.leave_out('are no image messages', self.unreadable)
        account.read -= self.unreadable
        return account


class _RecordingTime:
    """The recording's time, which runs with the target's clock but can be stopped."""

    def __init__(self, target: PlaybackTarget, rate: float) -> None:
        self._target = target
        self._rate = rate
        self._since = 0.0
        self._from: int | None = None
        self._last = 0

    def resume(self, at: int) -> None:
        """Continue from ``at``."""
        self._since, self._from = self._target.now(), at
        self._publish(at)

    def run_to(self, at: int) -> None:
        """Let time pass until ``at``; jump back at once if that lies in the past."""
        if self._from is None or at < self._last:
            self.resume(at)
            return
        due = self._since + (at - self._from) * 1e-9 / self._rate
        while (now := self._target.now()) < due:
            passed = self._from + int((now - self._since) * self._rate * 1e9)
            # Floats round, and one nanosecond back would be a jump.
            self._publish(min(max(passed, self._last), at))
            self._target.wait(min(due, now + TICK), lambda: False)
        self._publish(at)

    def _publish(self, at: int) -> None:
        self._last = at
        self._target.publish_time(at)


def play(
    images: Iterable[StampedImage],
    target: PlaybackTarget,
    *,
    rate: float = 1.0,
    lockstep: bool = False,
    answer_timeout: float = 5.0,
) -> Played:
    """Show images at the times of their stamps.

    :param rate: speed relative to real time, above 0.
    :param lockstep: stop the recording's time after each image until there is a result for it.
    :param answer_timeout: seconds after which time continues without a result: the image was lost
        on the way, or the estimator rejected it.
    """
    played = Played()
    time = _RecordingTime(target, rate)
    for image in images:
        try:
            message = message_bytes(image)
        except InputError as error:
            target.leave_out(image, str(error))
            played.unreadable += 1
            continue
        time.run_to(image.nanoseconds)
        target.show(image, message)
        played.shown += 1
        if lockstep:
            answered = partial(target.answered, image.nanoseconds)
            target.wait(target.now() + answer_timeout, answered)
            if not answered():
                played.unanswered += 1
                target.give_up(image)
            time.resume(image.nanoseconds)
    return played


def rounds(bag: ImageBag, loop: bool) -> Iterator[StampedImage]:
    """Yield a bag's images once, or over and over if ``loop`` is set."""
    while True:
        empty = True
        for image in bag.images():
            empty = False
            yield image
        if empty or not loop:
            return


def message_bytes(image: StampedImage) -> bytes:
    """Return an image's CDR bytes, with its log time as the stamp if it has none.

    :raises InputError: the bytes are not an image message, which would break a subscriber.
    """
    data = image.data
    deserialize(data, image.message.connection.msgtype)
    if read_header(data).nanoseconds == image.nanoseconds:
        return data
    order = '<' if data[1] == 1 else '>'
    stamp = struct.pack(f'{order}iI', *divmod(image.nanoseconds, 10**9))
    return data[:4] + stamp + data[12:]
