"""Faces and their expressions as ROS4HRI topics (REP-155), as the detector or beside another one.

The topics are global ("all topics are grouped under the global namespace /humans/"). The node's
namespace therefore becomes a prefix of the face ids, which must be unique. The quality of service
is not prescribed; reliable and volatile is compatible with libhri's subscribers.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Sequence
from typing import Any

from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.node import Node
from std_msgs.msg import Header

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.frame import RgbImage
from emotion_estimator.nodes.lifecycle import until_shutdown
from emotion_estimator.nodes.ros4hri_attach import AttachedFaces
from emotion_estimator.nodes.ros4hri_faces import FACES, SeenImage, TrackedFaces
from emotion_estimator.nodes.ros4hri_frames import open_face_frames
from emotion_estimator.nodes.ros4hri_graph import Others, RoleChoice, other_detectors
from emotion_estimator.nodes.ros4hri_persons import PersonEngagement
from emotion_estimator.perception.head_pose import Intrinsics
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.untrusted import quote_some

_NEEDED = ('Expression', 'IdsList', 'NormalizedRegionOfInterest2D')
_TRACKED = f'{FACES}/tracked'
#: Seconds between two looks at the graph.
_LOOK = 0.5


def open_ros4hri(node: Node, settings: EstimatorSettings | None = None) -> Ros4hri | None:
    """Return the publisher for ROS4HRI; None, with one log line, if hri_msgs is missing.

    :param settings: those that begin with ``ros4hri`` are used; None is the defaults.
    """
    try:
        messages = importlib.import_module('hri_msgs.msg')
        for name in _NEEDED:
            getattr(messages, name)
    except (ImportError, AttributeError):
        node.get_logger().info(
            f'hri_msgs is not installed; nothing is published on {FACES} (ROS4HRI, REP-155)'
        )
        return None
    return Ros4hri(node, messages, settings or EstimatorSettings())


def id_prefix(node: Node) -> str:
    """Return what comes before the ids of a node's faces, which must be unique on the robot."""
    return ''.join(f'{part}_' for part in node.get_namespace().split('/') if part)


class Ros4hri:
    """Publishes faces under /humans/faces, frames on /tf, and engagement under /humans/persons.

    As the detector: ``tracked``, all topics of each face, and its frames. Attached to another
    detector: ``expression`` of its faces, and what it does not publish itself.
    """

    def __init__(self, node: Node, messages: Any, settings: EstimatorSettings) -> None:
        """Look at who else detects faces, and create what is published.

        :param messages: ``hri_msgs.msg``, or a module with at least the messages that are needed.
        """
        self._node = node
        self._messages = messages
        self._settings = settings
        self._prefix = id_prefix(node)
        # The worker's thread may publish while a transition closes this.
        self._lock = threading.Lock()
        self._choice = RoleChoice(settings.ros4hri_mode)
        self._others = Others()
        self._frames = open_face_frames(node)
        has_persons = hasattr(messages, 'EngagementLevel')
        self._persons = PersonEngagement(node, messages) if has_persons else None
        self._faces: TrackedFaces | AttachedFaces | None = None
        self._look_around()
        self._take_role()
        self._timer = node.create_timer(
            _LOOK, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    @property
    def role(self) -> str:
        """Return ``detector`` or ``attach``."""
        return self._choice.role

    @property
    def count(self) -> int:
        """Return the number of faces with topics of ours."""
        faces = self._faces
        return faces.count if faces is not None else 0

    @property
    def warning(self) -> str:
        """Return what is wrong with who publishes what, and the cure; otherwise an empty text."""
        faces, others = self._faces, self._others
        if isinstance(faces, AttachedFaces):
            if not others.names and self._settings.ros4hri_mode == 'attach':
                return (
                    f'nobody publishes {_TRACKED}, to which ros4hri_mode attach adds; start a face '
                    'detector, or set auto'
                )
            return faces.warning
        if not others.names:
            return ''
        cure = 'ros4hri_mode to attach' if others.detectors else 'ros4hri to false in one of them'
        return (
            f'{quote_some(others.names)} also publishes {_TRACKED}, so readers see two lists in '
            f'turn; set {cure}'
        )

    def publish(
        self,
        header: Header,
        faces: Sequence[FaceEmotion],
        image: RgbImage,
        camera: Intrinsics | None = None,
        turn: int = 0,
    ) -> None:
        """Publish the faces of one image; does nothing once closed.

        Numbers that are NaN or out of range are clipped to the range of the messages.

        :param header: the image's.
        :param image: uint8 (H, W, 3), RGB.
        :param camera: the one that took it, turned as the image is, or None if it is not known.
        :param turn: degrees clockwise by which the image was turned upright.
        """
        with self._lock:
            if self._faces is None:
                return
            seen = SeenImage(header, image, turn)
            is_detector = isinstance(self._faces, TrackedFaces)
            prefix = self._prefix if is_detector else ''
            published = self._faces.publish(
                seen, {prefix + face.face_id: face for face in faces if face.face_id}
            )
            if self._frames is not None and is_detector:
                self._frames.publish(seen, published, camera)
            if self._persons is not None:
                self._persons.publish(seen, published)

    def clear(self) -> None:
        """Publish that no face is tracked, and destroy the faces' publishers."""
        with self._lock, until_shutdown(self._node):
            if self._faces is not None:
                self._faces.clear()

    def close(self) -> None:
        """Clear, destroy ``tracked`` too, and publish nothing from then on."""
        with self._lock, until_shutdown(self._node):
            faces, self._faces = self._faces, None
            if faces is None:
                return
            self._node.destroy_timer(self._timer)
            try:
                faces.clear()
            finally:
                faces.close()
                for part in (self._frames, self._persons):
                    if part is not None:
                        part.close()

    def _look(self) -> None:
        with self._lock, until_shutdown(self._node):
            if self._faces is None:
                return
            before = self._choice.role
            self._look_around()
            if self._choice.role != before:
                self._change_role()
            if isinstance(self._faces, AttachedFaces):
                self._faces.look()
            if self._persons is not None:
                self._persons.look()

    def _look_around(self) -> None:
        others = other_detectors(self._node, _TRACKED)
        if others is not None:
            self._others = others
            self._choice(bool(others.detectors), time.monotonic())

    def _change_role(self) -> None:
        # Without an empty list: the other detector's would be wiped out by it.
        if self._faces is not None:
            self._faces.close()
        self._take_role()
        if self._choice.role == 'attach':
            line = (
                f'{quote_some(self._others.detectors)} detects faces: expressions are added to it'
            )
        else:
            line = f'no other face detector any more: our own faces are on {_TRACKED}'
        self._node.get_logger().info(line)

    def _take_role(self) -> None:
        if self._choice.role == 'attach':
            self._faces = AttachedFaces(self._node, self._messages)
        else:
            self._faces = TrackedFaces(
                self._node, self._messages, pictures=self._settings.ros4hri_cropped
            )
