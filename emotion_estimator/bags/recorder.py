"""Record a source's frames into a bag, as the camera node would publish them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from emotion_estimator.account import Account
from emotion_estimator.bags.messages import COMPRESSED_IMAGE, IMAGE, Header
from emotion_estimator.bags.storage import Bag
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.errors import InputError
from emotion_estimator.sources.base import Source
from emotion_estimator.timing import RateLimit

#: Stamp in nanoseconds at which a file or the portrait begins. Fixed, so that recording it twice
#: gives the same bag; not 0, which in ROS means an unset stamp.
BEGIN = 10**9


@dataclass(frozen=True)
class Recorded:
    """The outcome of a recording.

    :param images: number of images written.
    :param seconds: from the first image to the last.
    :param skipped: number of frames that the source could not decode.
    :param account: what the source declared, gave and left out; it declares nothing where recording
        ended before it.
    """

    images: int
    seconds: float
    skipped: int
    account: Account


def record(
    source: Source,
    writer: BagWriter,
    *,
    topic: str,
    quality: int | None,
    frame_id: str,
    duration: float | None = None,
    fps: float | None = None,
    written: Callable[[], object] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
) -> Recorded:
    """Write a source's frames until its end, with their ground truth if it is known.

    A device's frames keep their stamps; others begin at ``BEGIN``.

    :param topic: image topic; JPEG images go to its ``/compressed``, as in image_transport.
    :param quality: JPEG quality, 1 to 100; None writes raw pixels.
    :param duration: stop after this many seconds.
    :param fps: largest number of frames per second; surplus frames are skipped.
    :param written: called after each image.
    :param stop: called before each image; True ends the recording.
    :raises InputError: the source failed, or the bag cannot be written.
    """
    topic = f'/{topic.strip("/")}{"" if quality is None else "/compressed"}'
    limit = RateLimit()
    first: int | None = None
    header = Header(0)
    images = 0
    ended = True
    for frame in source.frames():
        nanoseconds = round(frame.stamp * 1e9) + (0 if source.live else BEGIN)
        first = nanoseconds if first is None else first
        if stop() or (duration is not None and nanoseconds - first >= round(duration * 1e9)):
            ended = False
            break
        if not limit(frame.stamp, fps or 0.0):
            continue
        header = Header(nanoseconds, frame_id)
        writer.image(topic, frame.image, header, quality)
        if frame.truth is not None:
            writer.truth(frame.truth, header)
        images += 1
        written()
    seconds = (header.nanoseconds - first) * 1e-9 if first is not None and images else 0.0
    account = source.account
    if not ended:
        # The source gave frames that nobody asked for.
        account = replace(account, declared=None, read=images)
    return Recorded(images, seconds, getattr(source, 'skipped', 0), account)


def readable_images(folder: Path) -> str:
    """Return how many images of a bag that was not completed can be read, in words."""
    if not folder.exists():
        return 'nothing was recorded'
    try:
        with Bag(folder) as bag:
            images = [
                topic for topic, kind in bag.topics.items() if kind in (IMAGE, COMPRESSED_IMAGE)
            ]
            count = sum(1 for _ in bag.messages(*images)) if images else 0
    except InputError:
        count = 0
    if not count:
        return f'no image in {folder} can be read'
    return f'{count} images in {folder} can be read, as by `emotion-estimator replay`'


@contextmanager
def until_interrupted() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns True after Ctrl-C or SIGTERM, so that no write is torn.

    A second signal interrupts as usual, for a device that hangs. Works in the main thread only.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
