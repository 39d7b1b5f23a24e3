"""Expressions for the faces of another ROS4HRI face detector, under its ids.

As ``hri_emotion_recognizer`` does, but without its pictures of faces: our own faces are matched
with the detector's regions by place and time. What the detector publishes itself is left to it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.conversion import seconds
from emotion_estimator.nodes.ros4hri_faces import (
    FACES,
    MAX_FACES,
    VALID_ID,
    FaceTopics,
    SeenImage,
)
from emotion_estimator.nodes.ros4hri_graph import other_publishers
from emotion_estimator.perception.humans.region_match import Region, RegionMatcher
from emotion_estimator.untrusted import quote_some

#: What is added to the detector's faces, the last two only where nobody else publishes them.
_OPTIONAL = ('landmarks', 'facs')


class AttachedFaces:
    """Follows another detector's list and regions, and adds topics to its faces.

    Never publishes ``tracked``, ``roi``, pictures, or frames.
    """

    def __init__(self, node: Node, messages: Any) -> None:
        """Start listening to the detector.

        :param messages: ``hri_msgs.msg``.
        """
        self._node = node
        self._messages = messages
        # Called by the executor's thread, and by the worker's, which publishes.
        self._lock = threading.Lock()
        self._matcher = RegionMatcher()
        self._regions: dict[str, Subscription[Any]] = {}
        self._topics: dict[str, FaceTopics] = {}
        self._image: tuple[float, str] = (0.0, '')
        self._rivals: set[str] = set()
        # Best effort, compatible with every publisher.
        self._tracked = node.create_subscription(
            messages.IdsList, f'{FACES}/tracked', self._on_tracked, qos.images('best_effort')
        )

    @property
    def count(self) -> int:
        """Return the number of the detector's faces that are also ours."""
        return len(self._topics)

    def publish(self, image: SeenImage, faces: Mapping[str, FaceEmotion]) -> dict[str, FaceEmotion]:
        """Publish what one image shows of the detector's faces, and return it by their ids.

        :param faces: our faces by our ids.
        """
        with self._lock:
            if not all(image.size):
                return {}
            self._image = image.stamp, image.header.frame_id
            ours = {name: image.region(face.roi) for name, face in faces.items()}
            pairs = self._matcher(ours, image.stamp)
            matched = {theirs: faces[our_id] for our_id, theirs in pairs.items()}
            for their_id, face in matched.items():
                if their_id not in self._topics:
                    self._topics[their_id] = self._open(their_id)
                self._topics[their_id].publish(image, face)
            return matched

    def look(self) -> None:
        """Leave topics to others who have begun to publish them; to call now and then."""
        with self._lock:
            self._rivals.clear()
            for face_id, topics in self._topics.items():
                for name in topics.names:
                    others = other_publishers(self._node, f'{FACES}/{face_id}/{name}')
                    if others and name in _OPTIONAL:
                        topics.drop(name)
                    elif others:
                        self._rivals.update(others)

    @property
    def warning(self) -> str:
        """Return who else publishes expressions of the same faces, or an empty text."""
        rivals = quote_some(sorted(self._rivals))
        return (
            f'{rivals} also publishes {FACES}/<id>/expression; stop one, or set ros4hri to false'
            if rivals
            else ''
        )

    def clear(self) -> None:
        """Destroy the faces' publishers, until they are matched again."""
        with self._lock:
            self._keep(())

    def close(self) -> None:
        """Stop listening, and destroy all publishers."""
        with self._lock:
            self._node.destroy_subscription(self._tracked)
            for subscription in self._regions.values():
                self._node.destroy_subscription(subscription)
            self._regions.clear()
            self._keep(())

    def _open(self, face_id: str) -> FaceTopics:
        free = [n for n in _OPTIONAL if not other_publishers(self._node, f'{FACES}/{face_id}/{n}')]
        return FaceTopics(self._node, self._messages, face_id, 'expression', *free)

    def _on_tracked(self, message: Any) -> None:
        with self._lock:
            ids = [name for name in message.ids if VALID_ID.fullmatch(name)][:MAX_FACES]
            for gone in self._regions.keys() - set(ids):
                self._node.destroy_subscription(self._regions.pop(gone))
            for new in ids:
                if new not in self._regions:
                    self._regions[new] = self._node.create_subscription(
                        self._messages.NormalizedRegionOfInterest2D,
                        f'{FACES}/{new}/roi',
                        partial(self._on_region, new),
                        qos.images('best_effort'),
                    )
            self._keep(ids)

    def _keep(self, ids: tuple[str, ...] | list[str]) -> None:
        self._matcher.keep(ids)
        for gone in self._topics.keys() - set(ids):
            self._topics.pop(gone).close()

    def _on_region(self, face_id: str, message: Any) -> None:
        with self._lock:
            last, frame = self._image
            theirs = message.header.frame_id
            # Of another camera: the same place in its image is somebody else.
            if face_id not in self._regions or (frame and theirs and frame != theirs):
                return
            # Without a stamp it can only be of now.
            stamp = seconds(message.header.stamp) or last
            region = Region(message.xmin, message.ymin, message.xmax, message.ymax)
            self._matcher.add(face_id, stamp, region)
