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


CALIBRATED = """\
image_width: 512
image_height: 512
camera_matrix: {data: [600, 0, 256, 0, 600, 256, 0, 0, 1]}
distortion_coefficients: {data: [-0.3, 0.1, 0, 0, 0]}
"""


def test_the_camera_publishes_its_calibration_beside_each_image(tmp_path):
    picture = next(iter(Portrait(15.0).frames())).image
    height, width = picture.shape[:2]
    (tmp_path / 'eye.yaml').write_text(
        CALIBRATED.replace('image_width: 512', f'image_width: {width}').replace(
            'image_height: 512', f'image_height: {height}'
        )
    )
    with RosGraph(tmp_path) as graph:
        images = graph.hear(Image, 'image_raw', qos_profile_sensor_data)
        infos = graph.hear(CameraInfo, 'camera_info', qos_profile_sensor_data)
        graph.start('camera', source='portrait', camera_info_url=f'file://{tmp_path}/eye.yaml')
        graph.wait_until(lambda: len(images) > 10 and len(infos) > 10, TIMEOUT, 'images')
        stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in images]
        assert {(m.header.stamp.sec, m.header.stamp.nanosec) for m in infos} & set(stamps[5:])
        last = infos[-1]
        assert last.header.frame_id == images[-1].header.frame_id
        assert (last.width, last.height, last.distortion_model) == (width, height, 'plumb_bob')
        assert list(last.k) == [600, 0, 256, 0, 600, 256, 0, 0, 1]
        assert list(last.d) == [-0.3, 0.1, 0, 0, 0]
        assert list(last.p) == [600, 0, 256, 0, 0, 600, 256, 0, 0, 0, 1, 0]


@pytest.mark.parametrize('text', [None, CALIBRATED.replace('512', '7')])
def test_without_a_calibration_that_fits_the_camera_says_so(tmp_path, text):
    given = {}
    if text:
        (tmp_path / 'eye.yaml').write_text(text)
        given = {'camera_info_url': str(tmp_path / 'eye.yaml')}
    with RosGraph(tmp_path) as graph:
        infos = graph.hear(CameraInfo, 'camera_info', qos_profile_sensor_data)
        graph.hear(Image, 'image_raw', qos_profile_sensor_data)
        camera = graph.start('camera', source='portrait', **given)
        graph.wait_until(lambda: len(infos) > 3, TIMEOUT, 'camera_info')
        assert infos[-1].width > 100
        assert not any(infos[-1].k)
        assert ('published as not calibrated' in camera.log.read_text()) == bool(text)
