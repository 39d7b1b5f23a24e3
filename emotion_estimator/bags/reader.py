"""Recordings of ROS 2 read without ROS: images in the order of their stamps, and results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotion_estimator.bags.messages import (
    COMPRESSED_IMAGE,
    DIALOGUE_ACTION,
    EMOTION,
    EMOTION_ARRAY,
    IMAGE,
    Header,
    decode_image,
    read_action,
    read_header,
    read_result,
)
from emotion_estimator.bags.stamp_order import Disorder, in_stamp_order
from emotion_estimator.bags.storage import Bag, BagMessage
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult, RgbImage

#: Topics by name with their types; how many messages each has.
Types = Mapping[str, str]
Counts = Mapping[str, int]

_PACKED = '/compressed'


def image_topic(bag: Path, types: Types, counts: Counts, wanted: str | None) -> str:
    """Return the topic of the images.

    :param wanted: a name, with or without its slash, of which ``/compressed`` is taken where that
        alone is there; None finds the one that holds images.
    :raises InputError: it is not there, holds no images, or several do; the line lists them.
    """
    images = _of_type(types, IMAGE, COMPRESSED_IMAGE)
    with_any = [topic for topic in images if counts[topic]]
    if wanted is not None:
        topic = _named(bag, types, wanted, images, (IMAGE, COMPRESSED_IMAGE))
        if not counts[topic]:
            raise InputError(f'bag {bag} has no message on its topic {topic}; {_those(with_any)}')
        return topic
    if not any(counts.values()):
        raise InputError(f'bag {bag} is empty: it has no messages')
    raw = {topic for topic in with_any if types[topic] == IMAGE}
    separate = [topic for topic in with_any if topic.removesuffix(_PACKED) not in raw - {topic}]
    if len(separate) == 1:
        return separate[0]
    if separate:
        raise InputError(f'bag {bag} has images on several topics, name one: {_in_words(separate)}')
    empty = f'; {_in_words(images)} without a message' if images else ''
    raise InputError(
        f'bag {bag} has no images (sensor_msgs/Image or CompressedImage); it has '
        f'{_in_words(f"{topic} ({types[topic]})" for topic in sorted(types))}{empty}'
    )


def emotions_topic(bag: Path, types: Types, counts: Counts, wanted: str | None) -> str:
    """Return the topic of the estimator's answers.

    :param wanted: its name; None finds the one called ``emotions``, else ``emotion``, else the only
        one of their types, ground truth aside.
    :raises InputError: it is not there, or there are several; the line lists them.
    """
    kinds = (EMOTION_ARRAY, EMOTION)
    if wanted is not None:
        return _named(bag, types, wanted, _of_type(types, *kinds), kinds)
    for kind, name in zip(kinds, ('emotions', 'emotion')):
        found = [topic for topic in _of_type(types, kind) if counts[topic]]
        found = [topic for topic in found if not topic.endswith('/ground_truth')]
        called = [topic for topic in found if topic.endswith(f'/{name}')] or found
        if len(called) == 1:
            return called[0]
        if called:
            raise InputError(
                f'bag {bag} has emotions on several topics, name one: {_in_words(called)}'
            )
    raise InputError(
        f'bag {bag} has no emotions; `emotion-estimator replay --write-bag` writes a bag with them'
    )


def actions_topic(bag: Path, types: Types, counts: Counts, wanted: str | None) -> str | None:
    """Return the topic of the dialogue manager's decisions, None where there is none.

    :raises InputError: the one that is wanted is not there, or there are several.
    """
    found = _of_type(types, DIALOGUE_ACTION)
    if wanted is not None:
        return _named(bag, types, wanted, found, (DIALOGUE_ACTION,))
    held = [topic for topic in found if counts[topic]]
    if len(held) > 1:
        raise InputError(f'bag {bag} has actions on several topics, name one: {_in_words(held)}')
    return held[0] if held else None


def _in_words(topics: Iterable[str]) -> str:
    # In a damaged bag a name may be anything.
    line = ', '.join(topics) or 'no topics'
    return ''.join(sign if sign.isprintable() else '?' for sign in line)


def _of_type(types: Types, *kinds: str) -> list[str]:
    return sorted(topic for topic, kind in types.items() if kind in kinds)


def _those(topics: list[str]) -> str:
    return f'choose {_in_words(topics)}' if topics else 'no topic of this kind has any'


def _named(bag: Path, types: Types, wanted: str, choice: list[str], kinds: tuple[str, ...]) -> str:
    slashed = f'/{wanted.lstrip("/")}'
    for topic in (wanted, slashed, f'{slashed}{_PACKED}'):
        if topic in choice:
            return topic
    for topic in (wanted, slashed):
        if topic in types:
            raise InputError(
                f'topic {topic} of bag {bag} is of type {types[topic]}, which is none of '
                f'{", ".join(kinds)}; {_those(choice)}'
            )
    raise InputError(f'bag {bag} has no topic {slashed}; {_those(choice)}')


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
