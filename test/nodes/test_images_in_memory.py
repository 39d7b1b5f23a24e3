"""Where images lie while nodes run: in private shared memory, and in one process nowhere."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from available import LANDMARK_SOURCE
from ros_graph import RosGraph
from sensor_msgs.msg import Image

from emotion_estimator.msg import Emotion
from emotion_estimator.nodes.shared_memory import FOLDER, remove_dead

START_TIMEOUT = 40.0
#: A picture that cannot occur by chance, and parts of its rows: memory is used again in parts.
NOISE = np.random.default_rng(19).integers(0, 256, (240, 320, 3), np.uint8)
PARTS = [row.tobytes()[400:464] for row in NOISE[::4]]


@pytest.fixture(scope='module')
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp('picture') / 'noise.png'
    cv2.imwrite(str(path), NOISE[..., ::-1])
    return path


def segments_of(child):
    """Return the files in shared memory of whose locks a process holds the descriptors."""
    found = set()
    for link in (Path('/proc') / str(child.pid) / 'fd').iterdir():
        try:
            target = link.readlink()
        except OSError:
            continue
        if target.parent == FOLDER and target.name.endswith('_el') and 'port' not in target.name:
            found.add(target.with_name(target.name.removesuffix('_el')))
    return found


def holds_image(segments):
    memory = [segment.read_bytes() for segment in segments]
    return any(part in each for each in memory for part in PARTS)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_images_are_private_and_do_not_outlive_a_killed_camera(tmp_path, picture):
    with RosGraph(tmp_path) as graph:
        seen = graph.hear(Image, 'image_raw')
        camera = graph.start('camera', source=str(picture), fps=10.0, loop=True)
        graph.wait_until(lambda: len(seen) > 2, START_TIMEOUT, 'images')
        segments = segments_of(camera)
        assert holds_image(segments)
        assert {mode(segment) for segment in segments} == {0o600}
        assert 'fast_datasharing' not in Path(f'/proc/{camera.pid}/maps').read_text()
        camera.send(signal.SIGKILL)
        graph.wait_until(lambda: camera.status() is not None, START_TIMEOUT, 'the camera died')
    # What starts or stops next; a lock as young as this one is left alone by default.
    remove_dead(young=0.0)
    assert not any(segment.exists() for segment in segments)
    assert not any(segment.with_name(f'{segment.name}_el').exists() for segment in segments)


def test_with_camera_and_estimator_in_one_process_no_image_lies_in_shared_memory(tmp_path, picture):
    with RosGraph(tmp_path) as graph:
        emotions = graph.hear(Emotion, 'emotion')
        both = graph.start(
            'camera_estimator',
            source=str(picture),
            fps=10.0,
            loop=True,
            landmark_source=LANDMARK_SOURCE,
        )
        graph.wait_until(lambda: len(emotions) > 2, START_TIMEOUT, 'emotions')
        segments = segments_of(both)
        # It is the memory that messages go through, and images would be in it.
        assert any(b'emotion_lstm-' in segment.read_bytes() for segment in segments)
        assert not holds_image(segments)
        assert {mode(segment) for segment in segments} == {0o600}
