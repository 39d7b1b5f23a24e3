"""Run recorded images through the live nodes' pipeline, as fast as they can be read."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from emotion_estimator.bags.messages import Header
from emotion_estimator.bags.reader import StampedImage
from emotion_estimator.bags.speech import SpeechMessage
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import primary
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import Frame, FrameResult, RgbImage
from emotion_estimator.perception.mounting import Mounting, look_around, turned
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.timing import RateLimit
from emotion_estimator.untrusted import MAX_PIXELS

#: Images decoded ahead of the one being processed; a VGA image takes 0.9 MB.
_AHEAD = 8
#: Bytes of images decoded ahead, from which on there is only one.
_AHEAD_BYTES = 64 << 20

#: An image with its pixels, or speech between two images.
_Decoded = tuple[StampedImage, RgbImage] | SpeechMessage


@dataclass(frozen=True, eq=False)
class ReplayedFrame:
    """What the live nodes would have published for one image.

    :param header: the image's header.
    :param log_time: when the image was recorded, in nanoseconds.
    :param action: the dialogue manager's decision, usually None.
    :param image: the pixels, uint8 (H, W, 3) RGB, in which the faces are.
    """

    result: FrameResult
    header: Header
    log_time: int
    action: DialogueAction | None
    image: RgbImage


def replay(
    images: Iterable[StampedImage | SpeechMessage],
    estimator: EmotionEstimator,
    policy: DialogueManager | None = None,
    *,
    max_rate_hz: float = 0.0,
    mounting: Mounting | None = None,
    max_pixels: int = MAX_PIXELS,
    on_skip: Callable[[StampedImage, str], None] = lambda image, problem: None,
    on_surplus: Callable[[StampedImage], None] = lambda image: None,
) -> Iterator[ReplayedFrame]:
    """Yield what the nodes would have published for each image, never dropping one under load.

    Estimator and policy keep their state between calls, so a recording gives the same results in
    pieces as at once. A thread decodes images ahead.

    :param images: with the speech between them, if any, which the policy hears at the stamp of the
        last image with a result, as the live node does.
    :param max_rate_hz: as the estimator's parameter; 0 processes every image.
    :param mounting: by how much the images are turned, as by the estimator's parameter ``rotate``;
        None leaves them as they are, and looks for no other turn.
    :param max_pixels: largest product of width and height, as the parameter ``max_image_pixels``.
    :param on_skip: called with each image that the estimator cannot process, and the reason in one
        line. The bag itself counts those that do not decode.
    :param on_surplus: called with each image above ``max_rate_hz``, in the thread that decodes.
    """
    last = math.nan
    for item in _decoded(_limited(images, max_rate_hz, on_surplus), max_pixels):
        if isinstance(item, SpeechMessage):
            if policy is not None:
                item.report_to(policy, last)
            continue
        image, pixels = item
        try:
            if mounting is not None:
                pixels = turned(pixels, mounting.degrees)
            faces = estimator(Frame(pixels, image.stamp))
            if mounting is not None:
                look_around(mounting, pixels, image.stamp, estimator)
        except InputError as error:
            on_skip(image, str(error))
            continue
        except Exception as error:
            # As in the live node: a new landmark source may succeed on the next image.
            on_skip(image, f'landmark source failed and was restarted: {first_line(error)}')
            estimator.reset()
            continue
        last = image.stamp
        action = policy(primary(faces), image.stamp, faces[1:]) if policy is not None else None
        result = FrameResult(image.stamp, faces)
        yield ReplayedFrame(result, image.header, image.message.log_time, action, pixels)


def _limited(
    images: Iterable[StampedImage | SpeechMessage],
    max_rate_hz: float,
    on_surplus: Callable[[StampedImage], None],
) -> Iterator[StampedImage | SpeechMessage]:
    """Yield the images that the rate admits, and the speech."""
    limit = RateLimit()
    for item in images:
        if isinstance(item, SpeechMessage) or limit(item.stamp, max_rate_hz):
            yield item
        else:
            on_surplus(item)


def _decoded(images: Iterable[StampedImage | SpeechMessage], max_pixels: int) -> Iterator[_Decoded]:
    """Decode images ahead in a thread and yield them, and the speech, in their order."""
    ready: queue.Queue[_Decoded | BaseException | None] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def put(item: _Decoded | BaseException | None) -> None:
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
                if isinstance(image, SpeechMessage):
                    put(image)
                    continue
                try:
                    pixels = image.decode(max_pixels)
                except InputError:
                    # The bag counts it; many large ones would fill the queue.
                    continue
                while ready.qsize() * pixels.nbytes > _AHEAD_BYTES and not stop.is_set():
                    stop.wait(0.005)
                put((image, pixels))
        except BaseException as error:
            # Raised again in the consumer's thread.
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
