"""Read rosbag2 recordings without ROS: images in the order of their stamps, results, speech."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotion_estimator.account import Account
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
from emotion_estimator.bags.speech import SpeechMessage, SpeechTopics
from emotion_estimator.bags.stamp_order import Disorder, in_stamp_order
from emotion_estimator.bags.storage import Bag, BagMessage
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult, RgbImage
from emotion_estimator.untrusted import MAX_PIXELS, quote, quote_some

#: Type of each topic; number of messages on each topic.
Types = Mapping[str, str]
Counts = Mapping[str, int]

#: Suffix of image_transport for the topic of JPEG images.
_COMPRESSED = '/compressed'


def image_topic(bag: Path, types: Types, counts: Counts, wanted: str | None) -> str:
    """Return the topic of the images.

    :param wanted: the topic's name, with or without its leading slash and ``/compressed``; None
        finds the only topic with images.
    :raises InputError: the topic is missing or has no images, or there are several; lists them.
    """
    images = _of_type(types, IMAGE, COMPRESSED_IMAGE)
    with_any = [topic for topic in images if counts[topic]]
    if wanted is not None:
        topic = _named(bag, types, wanted, images, (IMAGE, COMPRESSED_IMAGE))
        if not counts[topic]:
            raise InputError(
                f'bag {quote(bag)} has no message on its topic {quote(topic)}; {_advice(with_any)}'
            )
        return topic
    if not any(counts.values()):
        raise InputError(f'bag {quote(bag)} is empty: it has no messages')
    raw = {topic for topic in with_any if types[topic] == IMAGE}
    separate = [topic for topic in with_any if topic.removesuffix(_COMPRESSED) not in raw - {topic}]
    if len(separate) == 1:
        return separate[0]
    if separate:
        raise InputError(
            f'bag {quote(bag)} has images on several topics, name one: {_in_words(separate)}'
        )
    empty = f'; {_in_words(images)} without a message' if images else ''
    raise InputError(
        f'bag {quote(bag)} has no images (sensor_msgs/Image or CompressedImage); it has '
        f'{_in_words(f"{topic} ({types[topic]})" for topic in sorted(types))}{empty}'
    )


def emotions_topic(bag: Path, types: Types, counts: Counts, wanted: str | None) -> str:
    """Return the topic of the estimator's results.

    :param wanted: the topic's name; None finds ``emotions``, else ``emotion``, else the only topic
        of their types other than the ground truth.
    :raises InputError: the topic is missing, or there are several; lists them.
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
                f'bag {quote(bag)} has emotions on several topics, name one: {_in_words(called)}'
            )
    raise InputError(
        f'bag {quote(bag)} has no emotions; `emotion-estimator replay --write-bag` writes a bag '
        'with them'
    )


def actions_topic(bag: Path, types: Types, counts: Counts, wanted: str | None) -> str | None:
    """Return the topic of the dialogue manager's decisions; None if there is none.

    :raises InputError: the wanted topic is missing, or there are several.
    """
    found = _of_type(types, DIALOGUE_ACTION)
    if wanted is not None:
        return _named(bag, types, wanted, found, (DIALOGUE_ACTION,))
    filled = [topic for topic in found if counts[topic]]
    if len(filled) > 1:
        raise InputError(
            f'bag {quote(bag)} has actions on several topics, name one: {_in_words(filled)}'
        )
    return filled[0] if filled else None


def _in_words(topics: Iterable[str]) -> str:
    return quote_some(list(topics), 20) or 'no topics'


def _of_type(types: Types, *kinds: str) -> list[str]:
    return sorted(topic for topic, kind in types.items() if kind in kinds)


def _advice(topics: list[str]) -> str:
    return f'choose {_in_words(topics)}' if topics else 'no topic of this type has messages'


def _named(bag: Path, types: Types, wanted: str, choice: list[str], kinds: tuple[str, ...]) -> str:
    slashed = f'/{wanted.lstrip("/")}'
    for topic in (wanted, slashed, f'{slashed}{_COMPRESSED}'):
        if topic in choice:
            return topic
    for topic in (wanted, slashed):
        if topic in types:
            raise InputError(
                f'topic {quote(topic)} of bag {quote(bag)} is of type {quote(types[topic])}, not '
                f'{" or ".join(kinds)}; {_advice(choice)}'
            )
    raise InputError(f'bag {quote(bag)} has no topic {quote(slashed)}; {_advice(choice)}')


@dataclass
class _Undecodable:
    """Number of images that do not decode, and the stamp and reason of the earliest."""

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

    :param header: its stamp (the log time if the stamp is 0) and frame of reference.
    :param message: the message in the bag.
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

    def decode(self, max_pixels: int = MAX_PIXELS) -> RgbImage:
        """Return the pixels, uint8 (H, W, 3) RGB, decoded by the estimator node's code.

        :param max_pixels: largest product of width and height.
        :raises InputError: they do not decode; the bag counts it among its problems.
        """
        try:
            return decode_image(self.data, self.message.connection.msgtype, max_pixels)
        except InputError as error:
            self._undecodable.add(self.stamp, str(error))
            raise


class ImageBag(Bag):
    """A bag with images.

    :ivar topic: topic of the images.
    :ivar account: what was declared, read and left out.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        """Open the bag and find its images; see :func:`open_bag`."""
        super().__init__(path)
        try:
            self.topic = image_topic(path, self.topics, self.counts, topic)
        except InputError:
            self.close()
            raise
        self._begin()
        self._speech: SpeechTopics | None = None

    @property
    def account(self) -> Account:
        """Return the account of the last reading of the images, final when it has ended.

        Of a reading that did not go to the end it is not known how many images it should have had.
        """
        account = Account('images')
        repeated, undecodable = self._disorder.repeated, self._undecodable.count
        account.leave_out('recorded twice', repeated)
        account.leave_out('do not decode', undecodable)
        account.read = self._yielded - undecodable
        declared = self.declared(self.topic) if self._ended else None
        if declared is not None:
            account.declared = declared - self._unasked
            account.leave_out(
                'missing or damaged', max(0, account.declared - self._yielded - repeated)
            )
        elif self.damaged:
            account.leave_out('or more, in what is damaged', 1)
        return account

    def _begin(self) -> None:
        """Begin to read: what is counted begins at 0."""
        self._disorder, self._undecodable = Disorder(), _Undecodable()
        #: Images given out, and those outside of the time asked for.
        self._yielded = self._unasked = 0
        self._ended = False

    @property
    def count(self) -> int:
        """Number of images on the topic, according to the bag."""
        return self.counts[self.topic]

    @property
    def problems(self) -> list[str]:
        """One line for each defect or kind of skipped image found so far."""
        more = (str(self._disorder), str(self._undecodable))
        images = (f'topic {quote(self.topic)}: {line}' for line in more if line)
        return [*(self._speech.problems if self._speech else ()), *super().problems, *images]

    def images(
        self, begin: float | None = None, end: float | None = None
    ) -> Iterator[StampedImage]:
        """Yield the images in the order of :func:`.stamp_order.in_stamp_order`.

        Each call resets the counts in ``problems``.

        :param begin: skip images before this stamp, in seconds.
        :param end: skip images at or after this stamp.
        """
        self._begin()
        found = (self._image(message) for message in self.messages(self.topic))
        for image in in_stamp_order(found, self._disorder):
            if (begin is None or image.stamp >= begin) and (end is None or image.stamp < end):
                self._yielded += 1
                yield image
            else:
                self._unasked += 1
        self._ended = True

    def images_and_speech(
        self, namespace: str | None = None
    ) -> Iterator[StampedImage | SpeechMessage]:
        """Yield all images, as :meth:`images`, and what the dialogue manager hears of speech.

        Speech comes before the first image that was recorded after it. Its topics are found, see
        :class:`.speech.SpeechTopics`; a bag may have none.

        :param namespace: namespace of the speech topics; None finds it.
        :raises InputError: the bag has no speech in this namespace.
        """
        self._begin()
        self._speech = SpeechTopics(self, self.topic, namespace)
        return self._counted(in_stamp_order(self._found(self._speech), self._disorder))

    def _counted(
        self, items: Iterator[StampedImage | SpeechMessage]
    ) -> Iterator[StampedImage | SpeechMessage]:
        for item in items:
            self._yielded += isinstance(item, StampedImage)
            yield item
        self._ended = True

    def _found(self, speech: SpeechTopics) -> Iterator[StampedImage | SpeechMessage]:
        for message in self.messages(self.topic, *speech.topics):
            if message.topic == self.topic:
                yield self._image(message)
            elif (heard := speech.read(message)) is not None:
                yield heard

    def _image(self, message: BagMessage) -> StampedImage:
        try:
            header = read_header(message.data)
        except InputError:
            # It will not decode either, and is counted then.
            header = Header(message.log_time)
        if header.nanoseconds == 0:
            header = Header(message.log_time, header.frame_id)
        return StampedImage(header, message, self._undecodable)

    def __enter__(self) -> ImageBag:
        """Return the open bag."""
        return self


def open_bag(path: Path, topic: str | None = None) -> ImageBag:
    """Open a rosbag2 with images.

    :param path: a bag's folder, or a single ``.mcap`` or ``.db3`` file, compressed or not.
    :param topic: topic of ``sensor_msgs/Image`` or ``CompressedImage``; None finds it if there is
        only one. A raw topic is preferred over its ``/compressed``.
    :raises InputError: the bag cannot be read or has no such images; says why in one line.
    """
    return ImageBag(path, topic)


class EmotionBag(Bag):
    """A bag with the estimator's results.

    :ivar topic: topic of the results.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        """Open the bag and find its results; see :func:`read_emotions`."""
        super().__init__(path)
        try:
            self.topic = emotions_topic(path, self.topics, self.counts, topic)
        except InputError:
            self.close()
            raise
        self._speech: SpeechTopics | None = None

    @property
    def all_faces(self) -> bool:
        """Whether the results have all faces in view, rather than the primary one."""
        return self.topics[self.topic] == EMOTION_ARRAY

    @property
    def problems(self) -> list[str]:
        """One line for each defect found so far."""
        return [*super().problems, *(self._speech.problems if self._speech else ())]

    def results(self) -> Iterator[FrameResult]:
        """Yield the result for each image, in the order of recording.

        :raises InputError: the messages have another definition.
        """
        for message in self.messages(self.topic):
            yield self._result(message)

    def results_and_speech(self) -> Iterator[FrameResult | SpeechMessage]:
        """Yield the results and what the dialogue manager hears of speech, as recorded.

        The topics of speech are found, see :class:`.speech.SpeechTopics`; a bag may have none.

        :raises InputError: the results have another definition.
        """
        self._speech = SpeechTopics(self, self.topic)
        for message in self.messages(self.topic, *self._speech.topics):
            if message.topic == self.topic:
                yield self._result(message)
            elif (heard := self._speech.read(message)) is not None:
                yield heard

    def _result(self, message: BagMessage) -> FrameResult:
        try:
            return read_result(message.data, self.topics[self.topic])
        except InputError as error:
            raise _unreadable(self.path, self.topic, error) from error

    def __enter__(self) -> EmotionBag:
        """Return the open bag."""
        return self


def read_emotions(path: Path, topic: str | None = None) -> Iterator[FrameResult]:
    """Yield a bag's results for each image, in the order of recording.

    :param topic: topic of ``EmotionArray`` or ``Emotion``; None finds ``emotions``, else
        ``emotion``, in any namespace.
    :raises InputError: there is no such topic, or its messages have another definition.
    """
    with EmotionBag(path, topic) as bag:
        yield from bag.results()


def read_actions(path: Path, topic: str | None = None) -> Iterator[DialogueAction]:
    """Yield the dialogue manager's decisions in the order of recording; none without a topic.

    :param topic: topic of ``DialogueAction``; None finds it.
    :raises InputError: the topic is missing, or its messages have another definition.
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
        f'bag {quote(path)}, topic {quote(topic)}: {error}; if another version of this package '
        'recorded it, recompute its results from its images with `emotion-estimator replay`'
    )
