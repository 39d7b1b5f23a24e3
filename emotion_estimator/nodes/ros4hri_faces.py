"""The faces that we track as ROS4HRI's topics: the list of them, and what is known of each."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_estimator.emotion import FaceEmotion, Roi
from emotion_estimator.frame import RgbImage
from emotion_estimator.nodes.conversion import seconds
from emotion_estimator.nodes.qos import RESULTS
from emotion_estimator.perception.humans.action_units import action_units
from emotion_estimator.perception.humans.face_picture import aligned_picture, cropped_picture
from emotion_estimator.perception.humans.facial_points import facial_points
from emotion_estimator.perception.humans.region_match import Region
from emotion_estimator.perception.humans.turned_back import (
    places_turned_back,
    region_turned_back,
)

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks

if TYPE_CHECKING:
    from rclpy.type_support import MsgT

FACES = '/humans/faces'
#: Maximum number of faces with topics, however fast they come and go.
MAX_FACES = 32
#: Ids that can be part of a topic's name, which has 247 characters at most.
VALID_ID = re.compile(r'[A-Za-z][A-Za-z0-9_]{0,127}')
#: Seconds for which a face that is not detected stays in the list of tracked faces. Subscribers
#: follow that list, so a single missed frame must not change it.
_GRACE = 0.5

#: Topics of each face, beside which a newer or older hri_msgs may have others.
_TYPES = {
    'expression': 'Expression',
    'roi': 'NormalizedRegionOfInterest2D',
    'landmarks': 'FacialLandmarks',
    'facs': 'FacialActionUnits',
}
_PICTURES = ('cropped', 'aligned')


@dataclass(frozen=True, eq=False)
class SeenImage:
    """The image in which faces were found.

    :param header: of its message.
    :param pixels: uint8 (H, W, 3), RGB, upright.
    :param turn: degrees clockwise by which they were turned. What is published is of the image
        before: other nodes know only that.
    """

    header: Header
    pixels: RgbImage
    turn: int = 0

    @property
    def stamp(self) -> float:
        """Return when it was taken, in seconds."""
        return seconds(self.header.stamp)

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of ``pixels``."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def region(self, roi: Roi) -> Region:
        """Return where a box of ``pixels`` lies in the image before it was turned."""
        width, height = self.size
        region = Region(
            roi.x / width,
            roi.y / height,
            (roi.x + roi.width) / width,
            (roi.y + roi.height) / height,
        )
        return region_turned_back(region, self.turn)


def quiet_publisher(
    node: Node, kind: type[MsgT], topic: str, qos: Any = RESULTS
) -> Publisher[MsgT]:
    """Return a publisher that may be destroyed from any thread.

    It has no event callbacks: the executor, in another thread, would wait for its events.
    """
    quiet = PublisherEventCallbacks(use_default_callbacks=False)
    return node.create_publisher(kind, topic, qos, event_callbacks=quiet)


class FaceTopics:
    """Publishes what is known of one face, each on the topic that REP-155 gives it.

    Only the expression and the region are made for nobody; the others wait for a subscriber.
    """

    def __init__(self, node: Node, messages: Any, face_id: str, *names: str) -> None:
        """Create the publishers; those without a message in ``messages`` are left out.

        :param messages: ``hri_msgs.msg``, or a module with some of its messages.
        :param names: of the topics, such as ``expression``.
        """
        self._node = node
        self._messages = messages
        self._publishers: dict[str, Publisher[Any]] = {}
        for name in names:
            kind = Image if name in _PICTURES else getattr(messages, _TYPES[name], None)
            if kind is not None:
                self._publishers[name] = quiet_publisher(node, kind, f'{FACES}/{face_id}/{name}')

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the topics."""
        return tuple(self._publishers)

    def publish(self, image: SeenImage, face: FaceEmotion) -> None:
        """Publish what one image shows of the face."""
        for name, publisher in self._publishers.items():
            if name in ('expression', 'roi') or publisher.get_subscription_count():
                message = _MAKERS[name](self._messages, image, face)
                if message is not None:
                    publisher.publish(message)

    def drop(self, name: str) -> None:
        """Stop publishing on one of the topics."""
        self._node.destroy_publisher(self._publishers.pop(name))

    def close(self) -> None:
        """Destroy the publishers."""
        for name in self.names:
            self.drop(name)


class TrackedFaces:
    """Publishes ``tracked`` and the topics of each face: we are the robot's face detector."""

    def __init__(self, node: Node, messages: Any, *, pictures: bool = False) -> None:
        """Create the publisher of ``tracked``.

        :param messages: ``hri_msgs.msg``.
        :param pictures: publish ``cropped`` and ``aligned``, too.
        """
        self._node = node
        self._messages = messages
        self._names = (*_TYPES, *(_PICTURES if pictures else ()))
        self._topics: dict[str, FaceTopics] = {}
        self._last_seen: dict[str, float] = {}
        self._published_ids: list[str] | None = None
        self._tracked = quiet_publisher(node, messages.IdsList, f'{FACES}/tracked')

    @property
    def count(self) -> int:
        """Return the number of faces in the list."""
        return len(self._topics)

    def publish(self, image: SeenImage, faces: Mapping[str, FaceEmotion]) -> dict[str, FaceEmotion]:
        """Publish the faces of one image, by their ids, and return those that were.

        ``tracked`` is published with every image that has faces, and once, empty, after the last
        face has gone. Ids that are not valid in a topic's name are left out.
        """
        valid = ((name, face) for name, face in faces.items() if VALID_ID.fullmatch(name))
        here = dict(islice(valid, MAX_FACES))
        stamp = image.stamp
        self._forget(stamp, here)
        for face_id in here:
            self._last_seen[face_id] = stamp
            if face_id not in self._topics:
                self._topics[face_id] = FaceTopics(
                    self._node, self._messages, face_id, *self._names
                )
        ids = list(self._topics)
        if ids or self._published_ids != ids:
            self._tracked.publish(self._messages.IdsList(header=image.header, ids=ids))
            self._published_ids = ids
        for face_id, face in here.items():
            self._topics[face_id].publish(image, face)
        return here

    def clear(self) -> None:
        """Publish that no face is tracked, and destroy the faces' publishers."""
        try:
            header = Header(stamp=self._node.get_clock().now().to_msg())
            self._tracked.publish(self._messages.IdsList(header=header))
            # Once destroyed, it could not resend a lost message.
            self._tracked.wait_for_all_acked(Duration(seconds=0.1))
        finally:
            self._drop_all()

    def close(self) -> None:
        """Destroy all publishers, without another list."""
        self._drop_all()
        self._node.destroy_publisher(self._tracked)

    def _drop_all(self) -> None:
        self._published_ids = []
        for face_id in list(self._topics):
            self._drop(face_id)

    def _forget(self, stamp: float, here: Mapping[str, FaceEmotion]) -> None:
        # Oldest first: these are dropped first when there are too many.
        absent = sorted(self._topics.keys() - here.keys(), key=self._last_seen.__getitem__)
        surplus = len(absent) + len(here) - MAX_FACES
        for i, face_id in enumerate(absent):
            # Going back in time restarts the stream, and with it every face.
            if i < surplus or not 0.0 <= stamp - self._last_seen[face_id] <= _GRACE:
                self._drop(face_id)

    def _drop(self, face_id: str) -> None:
        del self._last_seen[face_id]
        self._topics.pop(face_id).close()


def _expression(messages: Any, image: SeenImage, face: FaceEmotion) -> Any:
    kind = messages.Expression
    # The field must be one of the message's constants: libhri warns about others with every
    # message. There is none for "unknown"; neither happy nor sad is closest to neutral.
    known = {
        'angry': kind.ANGRY,
        'disgust': kind.DISGUSTED,
        'fear': kind.SCARED,
        'happy': kind.HAPPY,
        'sad': kind.SAD,
        'surprise': kind.SURPRISED,
    }
    return kind(
        header=image.header,
        expression=known.get(face.label, kind.NEUTRAL),
        valence=_within(face.valence, -1.0, 1.0),
        arousal=_within(face.arousal, -1.0, 1.0),
        confidence=_share(face.confidence),
    )


def _roi(messages: Any, image: SeenImage, face: FaceEmotion) -> Any:
    if not all(image.size):
        return None
    region = image.region(face.roi)
    return messages.NormalizedRegionOfInterest2D(
        header=image.header,
        xmin=_share(region.left),
        ymin=_share(region.top),
        xmax=_share(region.right),
        ymax=_share(region.bottom),
        # The landmark sources give no confidence.
        c=1.0,
    )


def _landmarks(messages: Any, image: SeenImage, face: FaceEmotion) -> Any:
    width, height = image.size
    if not (width and height and len(face.landmarks)):
        return None
    places, inside = facial_points(face.landmarks, width, height)
    places = places_turned_back(places, image.turn)
    if image.turn in (90, 270):
        width, height = height, width
    message = messages.FacialLandmarks(header=image.header, width=width, height=height)
    kind = messages.NormalizedPointOfInterest2D
    message.landmarks = [kind(x=x, y=y, c=c) for (x, y), c in zip(places.tolist(), inside.tolist())]
    return message


def _facs(messages: Any, image: SeenImage, face: FaceEmotion) -> Any:
    intensity, confidence = action_units(face.blendshapes)
    if not confidence.any():
        return None
    return messages.FacialActionUnits(
        header=image.header, intensity=intensity, confidence=confidence
    )


def _cropped(messages: Any, image: SeenImage, face: FaceEmotion) -> Image | None:
    return _picture(image.header, cropped_picture(image.pixels, face.roi))


def _aligned(messages: Any, image: SeenImage, face: FaceEmotion) -> Image | None:
    return _picture(image.header, aligned_picture(image.pixels, face.landmarks))


def _picture(header: Header, picture: RgbImage | None) -> Image | None:
    """Return a message in ``bgr8``: libhri hands the channels on as they come, to OpenCV."""
    if picture is None:
        return None
    height, width = picture.shape[:2]
    message = Image(header=header, height=height, width=width, encoding='bgr8', step=3 * width)
    pixels = array('B')
    pixels.frombytes(np.ascontiguousarray(picture[..., ::-1]).data.cast('B'))
    message.data = pixels
    return message


_MAKERS: dict[str, Callable[[Any, SeenImage, FaceEmotion], Any]] = {
    'expression': _expression,
    'roi': _roi,
    'landmarks': _landmarks,
    'facs': _facs,
    'cropped': _cropped,
    'aligned': _aligned,
}


def _share(value: float) -> float:
    """Return the nearest number from 0 to 1; 0 for NaN."""
    return _within(value, 0.0, 1.0)


def _within(value: float, least: float, most: float) -> float:
    return 0.0 if math.isnan(value) else min(max(float(value), least), most)
