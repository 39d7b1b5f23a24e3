"""A calibration from a driver that knows nothing of us puts the angles in the camera's axes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from builtin_interfaces.msg import Time
from rclpy.qos import qos_profile_sensor_data
from ros_graph import RosGraph
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from emotion_estimator.msg import Emotion
from emotion_estimator.nodes.conversion import image_message
from emotion_estimator.sources.portrait import Portrait

TIMEOUT = 40.0
WIDTH, HEIGHT, FACE_WIDTH = 1072, 480, 512


@pytest.fixture(scope='module')
def at_the_border():
    """Return a frontal face at the left border of a wide image."""
    face = next(iter(Portrait(15.0).frames())).image
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    picture[:, :FACE_WIDTH] = face[:HEIGHT, :FACE_WIDTH]
    return picture


def calibration(focal_length):
    message = CameraInfo(width=WIDTH, height=HEIGHT)
    message.k[0] = message.k[4] = float(focal_length)
    message.k[2], message.k[5], message.k[8] = WIDTH / 2, HEIGHT / 2, 1.0
    return message


def test_angles_are_in_the_cameras_axes_once_it_is_known(tmp_path, at_the_border):
    with RosGraph(tmp_path) as graph:
        images = graph.node.create_publisher(Image, 'eye/image_raw', qos_profile_sensor_data)
        cameras = graph.node.create_publisher(CameraInfo, 'eye/camera_info', 1)
        heard = graph.hear(Emotion, 'emotion')
        graph.start('estimator', '-r', 'image_raw:=eye/image_raw',
                    landmark_source=LANDMARK_SOURCE, max_faces=1)  # fmt: skip
        count = 0

        def see(new, done):
            """Publish images and calibrations until an answer fits."""
            del heard[:]

            def publish():
                nonlocal count
                count += 1
                header = Header(stamp=Time(sec=1 + count // 10, nanosec=count % 10 * 100_000_000))
                if new is not None:
                    cameras.publish(new)
                images.publish(image_message(at_the_border, header))
                return any(done(one) for one in heard if one.face_id)

            graph.wait_until(publish, TIMEOUT, 'an answer that fits')
            return [one for one in heard if done(one)][-1]

        alone = see(None, lambda one: np.isfinite(one.head_yaw))
        # The face is 280 pixels left of the middle; at this focal length that is 35 degrees.
        expected = np.degrees(np.arctan2(WIDTH / 2 - FACE_WIDTH / 2, 400.0))
        known = see(calibration(400), lambda one: abs(one.head_yaw - alone.head_yaw) > 15)
        assert abs(known.head_yaw - alone.head_yaw) == pytest.approx(expected, abs=8)
        assert known.label == alone.label
        # A driver without a calibration publishes zeros: said, and the angles are as before.
        without = see(calibration(0), lambda one: abs(one.head_yaw - alone.head_yaw) < 3)
        assert np.isfinite(without.gaze_yaw)
