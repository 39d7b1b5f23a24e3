"""Head poses and gazes as TF frames: ``face_<id>`` in the camera's, ``gaze_<id>`` in the face's."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.nodes.ros4hri_faces import SeenImage, quiet_publisher
from emotion_estimator.perception.head_pose import Intrinsics
from emotion_estimator.perception.humans.face_frame import face_frame, usual_camera
from emotion_estimator.perception.humans.turned_back import frame_turned_back

#: As tf2_ros has it.
_TF = QoSProfile(depth=100)


def open_face_frames(node: Node) -> FaceFrames | None:
    """Return the publisher of frames; None, with one log line, if tf2_msgs is missing."""
    try:
        kind = importlib.import_module('tf2_msgs.msg').TFMessage
    except (ImportError, AttributeError):
        node.get_logger().info('tf2_msgs is not installed; no frames of faces on /tf (REP-155)')
        return None
    return FaceFrames(node, kind)


class FaceFrames:
    """Publishes the frames of each face on ``/tf`` while anybody listens there."""

    def __init__(self, node: Node, kind: Any) -> None:
        """Create the publisher.

        :param kind: ``tf2_msgs.msg.TFMessage``.
        """
        self._node = node
        self._kind = kind
        # Kept from image to image: making them takes as long as all else here.
        self._messages: dict[str, tuple[TransformStamped, TransformStamped]] = {}
        self._publisher = quiet_publisher(node, kind, '/tf', _TF)

    def publish(
        self, image: SeenImage, faces: Mapping[str, FaceEmotion], camera: Intrinsics | None
    ) -> None:
        """Publish the frames of the faces in one image, with its stamp.

        :param faces: by the ids that name their frames.
        :param camera: None takes one with a usual field of view.
        """
        width, height = image.size
        if not (faces and width and height and self._publisher.get_subscription_count()):
            return
        parent = image.header.frame_id
        if not parent:
            self._node.get_logger().warning(
                'no frames of faces on /tf: the images have no frame_id; set it in the camera',
                once=True,
            )
            return
        camera = camera or usual_camera(width, height)
        transforms: list[TransformStamped] = []
        messages, self._messages = self._messages, {}
        for face_id, face in faces.items():
            frame = face_frame(face, camera, width, height) if _is_readable(face) else None
            if frame is None:
                continue
            frame = frame_turned_back(frame, image.turn)
            head, gaze = messages.get(face_id) or _messages(face_id)
            self._messages[face_id] = head, gaze
            head.header = image.header
            gaze.header.stamp = image.header.stamp
            place, turn = head.transform.translation, head.transform.rotation
            place.x, place.y, place.z = frame.position
            turn.x, turn.y, turn.z, turn.w = frame.rotation
            turn = gaze.transform.rotation
            turn.x, turn.y, turn.z, turn.w = frame.gaze
            transforms += (head, gaze)
        if transforms:
            self._publisher.publish(self._kind(transforms=transforms))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)


def _is_readable(face: FaceEmotion) -> bool:
    """Return whether the head's angles are known: of an upside-down mesh all are exactly 0."""
    return any((face.head_yaw, face.head_pitch, face.head_roll))


def _messages(face_id: str) -> tuple[TransformStamped, TransformStamped]:
    """Return the messages of a face's frames, to be filled with each image."""
    name = f'face_{face_id}'
    gaze = TransformStamped(header=Header(frame_id=name), child_frame_id=f'gaze_{face_id}')
    return TransformStamped(child_frame_id=name), gaze
