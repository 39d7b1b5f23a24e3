"""Calibration files as ``camera_calibration`` writes them, and wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from emotion_estimator.errors import InputError
from emotion_estimator.sources.calibration import calibration_path, read_calibration

#: As `ros2 run camera_calibration cameracalibrator` saves it.
SAVED = """\
image_width: 640
image_height: 480
camera_name: head_camera
camera_matrix:
  rows: 3
  cols: 3
  data: [438.783367, 0.000000, 305.593336, 0.000000, 437.302876, 243.738352, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.361976, 0.110510, 0.001014, 0.000505, 0.000000]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: [393.653800, 0.0, 322.797939, 0.0, 0.0, 393.986, 241.09, 0.0, 0.0, 0.0, 1.0, 0.0]
"""


@pytest.fixture
def write(tmp_path):
    def save(**changes):
        document = yaml.safe_load(SAVED)
        for name, value in changes.items():
            document.pop(name) if value is None else document.update({name: value})
        path = tmp_path / 'camera.yaml'
        path.write_text(yaml.safe_dump(document))
        return path

    return save


@pytest.mark.parametrize(
    'changes', [{'distortion_model': []}, {'distortion_model': {}}, {'image_width': -(10**60)}]
)
def test_values_of_the_wrong_kind_are_one_line(write, changes):
    with pytest.raises(InputError, match='calibrate again'):
        read_calibration(write(**changes))


def test_a_saved_calibration_is_read(tmp_path):
    path = tmp_path / 'camera.yaml'
    path.write_text(SAVED)
    read = read_calibration(path)
    assert (read.width, read.height, read.distortion_model) == (640, 480, 'plumb_bob')
    assert read.camera[0] == 438.783367
    assert read.distortion == (-0.361976, 0.110510, 0.001014, 0.000505, 0.0)
    assert read.rectification[::4] == (1.0, 1.0, 1.0)
    assert (len(read.projection), read.projection[2]) == (12, 322.797939)


def test_of_a_single_camera_the_other_matrices_may_be_missing(write):
    read = read_calibration(write(rectification_matrix=None, projection_matrix=None))
    assert read.rectification == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert read.projection[:3] == read.camera[:3]


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'image_width': None}, 'image_width must be an integer, not nothing'),
        ({'image_width': 0}, 'must be positive: 0x480'),
        ({'distortion_model': 'fisheye'}, "not 'fisheye'"),
        ({'camera_matrix': {'data': [1, 2]}}, 'camera_matrix must have 9 numbers'),
        ({'camera_matrix': {'data': [0] * 9}}, 'positive focal lengths'),
        ({'camera_matrix': 7}, 'camera_matrix must have 9 numbers'),
        ({'distortion_coefficients': {'data': [float('nan')] * 5}}, 'have 4 or 5 numbers'),
        ({'projection_matrix': {'data': ['x'] * 12}}, 'must have 12 numbers'),
    ],
)
def test_a_wrong_field_is_named_with_its_file(write, changes, says):
    with pytest.raises(InputError) as caught:
        read_calibration(write(**changes))
    assert says in str(caught.value)
    assert 'camera.yaml' in str(caught.value)


def test_urls_as_camera_info_manager_reads_them(monkeypatch, tmp_path):
    (tmp_path / 'share' / 'my_robot').mkdir(parents=True)
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/opt/none:{tmp_path}')
    inside = tmp_path / 'share' / 'my_robot' / 'config' / 'eye.yaml'
    assert calibration_path('package://my_robot/config/eye.yaml') == inside
    monkeypatch.setenv('ROS_HOME', '/home/robot/.ros')
    assert calibration_path('file:///etc/eye.yaml') == Path('/etc/eye.yaml')
    assert calibration_path('eye.yaml') == Path('eye.yaml')
    home = Path('/home/robot/.ros/camera_info/eye.yaml')
    assert calibration_path('file://${ROS_HOME}/camera_info/eye.yaml') == home
    for wrong in ('http://eye/eye.yaml', 'file://eye.yaml', 'package://no_such_package/eye.yaml'):
        with pytest.raises(InputError, match='camera_info_url'):
            calibration_path(wrong)
