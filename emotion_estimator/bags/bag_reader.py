"""Recordings of ROS 2 read without ROS: images in the order of their stamps, and results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emotion_estimator.bags.bag import Bag
from emotion_estimator.bags.messages import (
    Header,
    decode_image,
    read_action,
    read_header,
    read_result,
)
from emotion_estimator.bags.stamp_order import Disorder, in_stamp_order
from emotion_estimator.bags.storage import BagMessage
from emotion_estimator.bags.topics import actions_topic, emotions_topic, image_topic
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.result import FrameResult


@dataclass
class _Undecodable:
    """Images that are none: how many, and of the earliest, when and why."""

    count: int = 0
    first: float = 0.0
    reason: str = ''

    def add(self, stamp: float, reason: str) -> None:
        if not self.count or stamp < self.first:
            self.first, self.reason = stamp, reason
        self.count += 1

    def __str__(self) -> str:
        if not self.count:
            return ''
        return f'{self.count} images do not decode, first at {self.first:.6f} s: {self.reason}'


@dataclass(frozen=True, eq=False)
class StampedImage:
    """An image of a bag, not decoded yet.

    :param header: its stamp (the time of recording where the stamp is 0) and frame.
    :param message: as it lies in the bag.
    """

    header: Header
    message: BagMessage
    _undecodable: _Undecodable = field(repr=False)

    @property
    def stamp(self) -> float:
        """Return the stamp in seconds."""
        return self.header.stamp

    @property
    def frame_id(self) -> str:
        """Return the frame of reference."""
        return self.header.frame_id

    @property
    def nanoseconds(self) -> int:
        """Return the stamp in nanoseconds."""
        return self.header.nanoseconds

    @property
    def data(self) -> bytes:
        """Return the message's bytes."""
        return self.message.data

    def decode(self) -> RgbImage:
        """Return the pixels, uint8 (H, W, 3) RGB, by the same code as the estimator node.

        :raises InputError: they cannot be decoded; the bag counts it among its problems.
        """
        try:
            return decode_image(self.data, self.message.connection.msgtype)
        except InputError as error:
            self._undecodable.add(self.stamp, str(error))
            raise


class ImageBag(Bag):
    """A bag that holds images.

    :ivar topic: of the images that are read.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        """Open it, and find its images; arguments and errors as of :func:`open_bag`."""
        super().__init__(path)
        try:
            self.topic = image_topic(path, self.topics, self.counts, topic)
        except InputError:
            self.close()
            raise
        self._disorder = Disorder()
        self._undecodable = _Undecodable()

    @property
    def count(self) -> int:
        """Images on the topic, as the bag says."""
        return self.counts[self.topic]

    @property
    def problems(self) -> list[str]:
        """Lines on what is wrong or was left out, as far as it has been read."""
        more = (str(self._disorder), str(self._undecodable))
        return [*super().problems, *(f'topic {self.topic}: {line}' for line in more if line)]

    def images(
        self, begin: float | None = None, end: float | None = None
    ) -> Iterator[StampedImage]:
        """Yield the images by their stamps, as :func:`.stamp_order.in_stamp_order` has it.

        Read again, they are counted anew in ``problems``.

        :param begin: stamp in seconds from which on images are wanted; the others are left out.
        :param end: stamp before which they are wanted.
        """
        self._disorder, self._undecodable = Disorder(), _Undecodable()
        found = (self._image(message) for message in self.messages(self.topic))
        for image in in_stamp_order(found, self._disorder):
            if (begin is None or image.stamp >= begin) and (end is None or image.stamp < end):
                yield image

    def _image(self, message: BagMessage) -> StampedImage:
        try:
            header = read_header(message.data)
        except InputError:
            # It will not decode either, which is told then.
            header = Header(message.log_time)
        if header.nanoseconds == 0:
            header = Header(message.log_time, header.frame_id)
        return StampedImage(header, message, self._undecodable)

    def __enter__(self) -> ImageBag:
        """Return the open bag."""
        return self


def open_bag(path: Path, topic: str | None = None) -> ImageBag:
    """Open a recording of ROS 2 that holds images.

    :param path: a folder with rosbag2's files, or a single ``.mcap`` or ``.db3`` file, compressed
        or not.
    :param topic: of ``sensor_msgs/Image`` or ``CompressedImage``; None finds it where there is but
        one, or one and its ``/compressed``, of which the raw one is read.
    :raises InputError: nothing in it can be read, or there are no such images; one line says why.
    """
    return ImageBag(path, topic)


def read_emotions(path: Path, topic: str | None = None) -> Iterator[FrameResult]:
    """Yield what a bag says of each image, in the order of recording.

    :param topic: of ``EmotionArray`` or ``Emotion``; None finds ``emotions``, else ``emotion``, in
        whichever namespace.
    :raises InputError: there is no such topic, or its messages are of another definition.
    """
    with Bag(path) as bag:
        topic = emotions_topic(path, bag.topics, bag.counts, topic)
        for message in bag.messages(topic):
            try:
                yield read_result(message.data, bag.topics[topic])
            except InputError as error:
                raise _unreadable(path, topic, error) from error


def read_actions(path: Path, topic: str | None = None) -> Iterator[DialogueAction]:
    """Yield what the dialogue manager decided, in the order of recording; nothing where no topic.

    :param topic: of ``DialogueAction``; None finds it.
    :raises InputError: the topic is not there, or its messages are of another definition.
    """
    with Bag(path) as bag:
        topic = actions_topic(path, bag.topics, bag.counts, topic)
        for message in bag.messages(topic) if topic else ():
            try:
                yield read_action(message.data)
            except InputError as error:
                raise _unreadable(path, topic, error) from error


def _unreadable(path: Path, topic: str | None, error: InputError) -> InputError:
    return InputError(
        f'bag {path}, topic {topic}: {error}; if another version of this package recorded it, '
        'make its results anew from its images with `emotion-estimator replay`'
    )
