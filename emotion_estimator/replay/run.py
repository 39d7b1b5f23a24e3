"""A recording through the same pipeline as the live node, as fast as it can be read."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from emotion_estimator.bags.messages import Header
from emotion_estimator.bags.reader import StampedImage
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import primary
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import Frame, FrameResult, RgbImage
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.timing import RateLimit

#: Images decoded ahead of the one that is worked on; a VGA image takes 0.9 MB.
_AHEAD = 8


@dataclass(frozen=True, eq=False)
class ReplayedFrame:
    """What the live nodes would have published for one image.

    :param header: the image's.
    :param log_time: when the image was recorded, in nanoseconds.
    :param action: what the dialogue manager decided, mostly nothing.
    """

    result: FrameResult
    header: Header
    log_time: int
    action: DialogueAction | None


def replay(
    images: Iterable[StampedImage],
    estimator: EmotionEstimator,
    policy: DialogueManager | None = None,
    *,
    max_rate_hz: float = 0.0,
    refused: Callable[[StampedImage, str], None] = lambda image, problem: None,
) -> Iterator[ReplayedFrame]:
    """Yield what the nodes would have made of each image, none dropped for want of time.

    The estimator's and the policy's states go on from call to call, so that a recording gives the
    same in pieces as at once. Images are decoded ahead in a thread of their own.

    :param max_rate_hz: as the estimator's parameter; 0 takes every image.
    :param refused: told of each image that the estimator cannot work on, with one line. Those that
        cannot be decoded are counted by the bag.
    """
    limit = RateLimit()
    wanted = (image for image in images if limit(image.stamp, max_rate_hz))
    for image, pixels in _decoded(wanted):
        if isinstance(pixels, InputError):
            continue
        try:
            faces = estimator(Frame(pixels, image.stamp))
        except InputError as error:
            refused(image, str(error))
            continue
        except Exception as error:
            # As the live node does: a fresh landmark source may do better on the next image.
            refused(image, f'landmark source failed, started anew: {first_line(error)}')
            estimator.reset()
            continue
        action = policy(primary(faces), image.stamp) if policy is not None else None
        result = FrameResult(image.stamp, faces)
        yield ReplayedFrame(result, image.header, image.message.log_time, action)


def _decoded(
    images: Iterable[StampedImage],
) -> Iterator[tuple[StampedImage, RgbImage | InputError]]:
    """Yield each image with its pixels, or with why there are none, reading ahead."""
    ready: queue.Queue[tuple[StampedImage, RgbImage | InputError] | BaseException | None]
    ready = queue.Queue(_AHEAD)
    stop = threading.Event()

    def put(item: tuple[StampedImage, RgbImage | InputError] | BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for image in images:
                if stop.is_set():
                    return
                try:
                    put((image, image.decode()))
                except InputError as error:
                    put((image, error))
        except BaseException as error:
            # Raised where the frames are read.
            put(error)
        else:
            put(None)

    reader = threading.Thread(target=read, name='decode', daemon=True)
    reader.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        reader.join(5.0)
