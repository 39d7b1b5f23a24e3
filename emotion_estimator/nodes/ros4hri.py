"""Faces and their expressions as ROS4HRI topics (REP-155).

The topics are global ("all topics are grouped under the global namespace /humans/"). The node's
namespace therefore becomes a prefix of the face ids, which must be unique. The quality of service
is not prescribed; reliable and volatile is compatible with libhri's subscribers.
"""

from __future__ import annotations

import importlib
import math
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.nodes.conversion import seconds
from emotion_estimator.nodes.lifecycle import until_shutdown
from emotion_estimator.nodes.qos import RESULTS

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks

if TYPE_CHECKING:
    from rclpy.type_support import MsgT

_FACES = '/humans/faces'
#: Seconds for which a face that is not detected stays in the list of tracked faces. Subscribers
#: follow that list, so a single missed frame must not change it.
_GRACE = 0.5
#: Maximum number of faces with topics, however fast they come and go.
_MAX_FACES = 32
_VALID_ID = re.compile(r'[A-Za-z][A-Za-z0-9_]*')


def open_ros4hri(node: Node) -> Ros4hri | None:
    """Return the publisher for ROS4HRI; None, with one log line, if hri_msgs is missing."""
    try:
        messages = importlib.import_module('hri_msgs.msg')
        for name in ('Expression', 'IdsList', 'NormalizedRegionOfInterest2D'):
            getattr(messages, name)
    except (ImportError, AttributeError):
        node.get_logger().info(
            f'hri_msgs is not installed; nothing is published on {_FACES} (ROS4HRI, REP-155)'
        )
        return None
    return Ros4hri(node, messages)


def id_prefix(node: Node) -> str:
    """Return what comes before the ids of a node's faces, which must be unique on the robot."""
    return ''.join(f'{part}_' for part in node.get_namespace().split('/') if part)


@dataclass
class _FaceTopics:
    expression: Publisher[Any]
    roi: Publisher[Any]
    last_seen: float


class Ros4hri:
    """Publishes ``tracked``, and ``expression`` and ``roi`` of each face, under /humans/faces.

    REP-155 requires ``roi`` and ``cropped`` of each face; ``cropped`` is not published, because
    images of faces leave this node only as the debug image.
    """

    def __init__(self, node: Node, messages: Any) -> None:
        """Create the publisher of ``tracked``.

        :param messages: ``hri_msgs.msg``, or a module with the same three messages.
        """
        self._node = node
        self._messages = messages
        self._prefix = id_prefix(node)
        self._topics: dict[str, _FaceTopics] = {}
        self._published_ids: list[str] | None = None
        # The worker's thread may publish while a transition closes this.
        self._lock = threading.Lock()
        self._tracked: Publisher[Any] | None = self._publisher(messages.IdsList, 'tracked')

    def publish(
        self, header: Header, faces: Sequence[FaceEmotion], width: int, height: int
    ) -> None:
        """Publish the faces of one image; does nothing once closed.

        ``tracked`` is published with every image that has faces, and once, empty, after the last
        face has gone. Faces whose id is not valid in a topic's name are left out. Numbers that are
        NaN or out of range are clipped to the range of the messages.

        :param header: the image's.
        :param width: the image's, in pixels, as is ``height``; 0 publishes no ``roi``.
        """
        with self._lock:
            if self._tracked is None:
                return
            stamp = seconds(header.stamp)
            valid = (face for face in faces if _VALID_ID.fullmatch(face.face_id))
            here = {self._prefix + face.face_id: face for face in islice(valid, _MAX_FACES)}
            self._forget(stamp, here)
            for face_id in here:
                self._meet(face_id, stamp)
            ids = list(self._topics)
            if ids or self._published_ids != ids:
                self._tracked.publish(self._messages.IdsList(header=header, ids=ids))
                self._published_ids = ids
            for face_id, face in here.items():
                topics = self._topics[face_id]
                topics.expression.publish(self._expression(header, face))
                if width > 0 and height > 0:
                    topics.roi.publish(self._roi(header, face, width, height))

    def clear(self) -> None:
        """Publish that no face is tracked, and destroy the faces' publishers."""
        with self._lock, until_shutdown(self._node):
            self._clear()

    def close(self) -> None:
        """Clear, destroy ``tracked`` too, and publish nothing from then on."""
        with self._lock, until_shutdown(self._node):
            tracked = self._tracked
            if tracked is None:
                return
            try:
                self._clear()
            finally:
                self._tracked = None
                self._node.destroy_publisher(tracked)

    def _clear(self) -> None:
        if self._tracked is None:
            return
        try:
            header = Header(stamp=self._node.get_clock().now().to_msg())
            self._tracked.publish(self._messages.IdsList(header=header))
            # Once destroyed, it could not resend a lost message.
            self._tracked.wait_for_all_acked(Duration(seconds=0.1))
        finally:
            self._published_ids = []
            for face_id in list(self._topics):
                self._drop(face_id)

    def _publisher(self, kind: type[MsgT], name: str) -> Publisher[MsgT]:
        # Without event callbacks: the executor, in another thread, must not wait for its events.
        quiet = PublisherEventCallbacks(use_default_callbacks=False)
        return self._node.create_publisher(kind, f'{_FACES}/{name}', RESULTS, event_callbacks=quiet)

    def _forget(self, stamp: float, here: dict[str, FaceEmotion]) -> None:
        # Oldest first: these are dropped first when there are too many.
        absent = sorted(self._topics.keys() - here.keys(), key=self._last_seen)
        surplus = len(absent) + len(here) - _MAX_FACES
        for i, face_id in enumerate(absent):
            # Going back in time restarts the stream, and with it every face.
            if i < surplus or not 0.0 <= stamp - self._last_seen(face_id) <= _GRACE:
                self._drop(face_id)

    def _last_seen(self, face_id: str) -> float:
        return self._topics[face_id].last_seen

    def _meet(self, face_id: str, stamp: float) -> None:
        if face_id in self._topics:
            self._topics[face_id].last_seen = stamp
            return
        self._topics[face_id] = _FaceTopics(
            self._publisher(self._messages.Expression, f'{face_id}/expression'),
            self._publisher(self._messages.NormalizedRegionOfInterest2D, f'{face_id}/roi'),
            stamp,
        )

    def _drop(self, face_id: str) -> None:
        topics = self._topics.pop(face_id)
        self._node.destroy_publisher(topics.expression)
        self._node.destroy_publisher(topics.roi)

    def _expression(self, header: Header, face: FaceEmotion) -> Any:
        kind = self._messages.Expression
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
            header=header,
            expression=known.get(face.label, kind.NEUTRAL),
            valence=_within(face.valence, -1.0, 1.0),
            arousal=_within(face.arousal, -1.0, 1.0),
            confidence=_share(face.confidence),
        )

    def _roi(self, header: Header, face: FaceEmotion, width: int, height: int) -> Any:
        roi = face.roi
        return self._messages.NormalizedRegionOfInterest2D(
            header=header,
            xmin=_share(roi.x / width),
            ymin=_share(roi.y / height),
            xmax=_share((roi.x + roi.width) / width),
            ymax=_share((roi.y + roi.height) / height),
            # The landmark sources give no confidence.
            c=1.0,
        )


def _share(value: float) -> float:
    """Return the nearest number from 0 to 1; 0 for NaN."""
    return _within(value, 0.0, 1.0)


def _within(value: float, least: float, most: float) -> float:
    return 0.0 if math.isnan(value) else min(max(float(value), least), most)
