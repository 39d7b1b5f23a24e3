"""How much each person attends to the robot, where a person manager knows whose faces we see.

In REP-155 engagement belongs to persons, who outlive their faces, and persons are another node's
work. Its matches are followed: ``/humans/persons/<id>/face_id`` names a person's face.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription
from std_msgs.msg import String

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.ros4hri_faces import VALID_ID, SeenImage, quiet_publisher
from emotion_estimator.nodes.ros4hri_graph import other_publishers
from emotion_estimator.perception.humans.engagement_level import EngagementMeter

_PERSONS = '/humans/persons'
#: Maximum number of persons followed.
_MAX_PERSONS = 32
#: As libhri subscribes to it.
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass
class _Person:
    """One person: the face that is theirs, and what is published of them."""

    face_ids: Subscription[Any]
    face_id: str = ''
    publisher: Publisher[Any] | None = None
    meter: EngagementMeter = field(default_factory=EngagementMeter)


class PersonEngagement:
    """Publishes ``/humans/persons/<id>/engagement_status`` unless another node does."""

    def __init__(self, node: Node, messages: Any) -> None:
        """Follow the list of persons.

        :param messages: ``hri_msgs.msg``.
        """
        self._node = node
        self._messages = messages
        self._persons: dict[str, _Person] = {}
        self._lock = threading.Lock()
        self._tracked = node.create_subscription(
            messages.IdsList, f'{_PERSONS}/tracked', self._on_tracked, qos.images('best_effort')
        )

    def publish(self, image: SeenImage, faces: Mapping[str, FaceEmotion]) -> None:
        """Publish the engagement of the persons whose faces are in an image.

        :param faces: by their ids on ``/humans/faces``.
        """
        with self._lock:
            for person in self._persons.values():
                face = faces.get(person.face_id)
                if face is not None and person.publisher is not None:
                    level = person.meter(face.looks_at_camera, image.stamp)
                    message = self._messages.EngagementLevel(header=image.header, level=int(level))
                    person.publisher.publish(message)

    def look(self) -> None:
        """Publish of those persons of whom nobody else does; to call now and then."""
        with self._lock:
            for person_id, person in self._persons.items():
                topic = f'{_PERSONS}/{person_id}/engagement_status'
                wanted = bool(person.face_id) and not other_publishers(self._node, topic)
                if wanted and person.publisher is None:
                    kind = self._messages.EngagementLevel
                    person.publisher = quiet_publisher(self._node, kind, topic)
                elif not wanted:
                    self._silence(person)

    def close(self) -> None:
        """Follow nobody any more."""
        with self._lock:
            self._node.destroy_subscription(self._tracked)
            for person_id in list(self._persons):
                self._drop(person_id)

    def _on_tracked(self, message: Any) -> None:
        with self._lock:
            ids = [name for name in message.ids if VALID_ID.fullmatch(name)][:_MAX_PERSONS]
            for gone in self._persons.keys() - set(ids):
                self._drop(gone)
            for new in ids:
                if new not in self._persons:
                    topic = f'{_PERSONS}/{new}/face_id'
                    heard = partial(self._on_face, new)
                    self._persons[new] = _Person(
                        self._node.create_subscription(String, topic, heard, _LATCHED)
                    )

    def _on_face(self, person_id: str, message: String) -> None:
        with self._lock:
            person = self._persons.get(person_id)
            if person is not None:
                valid = VALID_ID.fullmatch(message.data)
                person.face_id = message.data if valid else ''

    def _drop(self, person_id: str) -> None:
        person = self._persons.pop(person_id)
        self._node.destroy_subscription(person.face_ids)
        self._silence(person)

    def _silence(self, person: _Person) -> None:
        if person.publisher is not None:
            self._node.destroy_publisher(person.publisher)
            person.publisher = None
