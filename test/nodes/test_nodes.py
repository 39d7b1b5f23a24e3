"""The real nodes over real DDS, each group on a domain of its own."""

from __future__ import annotations

import re
import signal
import threading
import time
from array import array
from collections import Counter

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

import rclpy
from available import LANDMARK_SOURCE
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from ros_graph import RosGraph, value_of
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Header

from emotion_estimator.emotion import LABELS
from emotion_estimator.msg import DialogueAction, Emotion, EmotionArray
from emotion_estimator.nodes.camera import CameraNode
from emotion_estimator.nodes.conversion import image_message, seconds
from emotion_estimator.nodes.running import run
from emotion_estimator.replay.comparison import agreement
from emotion_estimator.sources.portrait import Portrait

START_TIMEOUT = 40.0


class Course:
    """What was heard while the portrait went through its course once."""

    def __init__(self, folder):
        with RosGraph(folder) as graph:
            self.emotions = graph.hear(Emotion, 'emotion', 1000)
            self.arrays = graph.hear(EmotionArray, 'emotions', 1000)
            self.actions = graph.hear(DialogueAction, 'dialogue/action')
            self.truth = graph.hear(Emotion, 'ground_truth', 1000)
            self.speaking = graph.hear(Bool, 'ground_truth/speaking', 1000)
            self.voices = graph.hear(Bool, 'dialogue/user_speaking')
            self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
            graph.start('estimator', landmark_source=LANDMARK_SOURCE)
            graph.start('dialogue_manager')
            for node in ('estimator', 'dialogue_manager'):
                graph.wait_until(
                    lambda node=node: (
                        value_of(self.diagnostics, node, 'no key') is None
                        and any(s.name == node for m in self.diagnostics for s in m.status)
                    ),
                    START_TIMEOUT,
                    f'{node} reports itself',
                )
            # Under test other work may hold the cores: a modest rate keeps the course complete.
            camera = graph.start(
                'camera', source='portrait', fps=15.0, exit_at_end=True, wait_for_subscribers=20.0
            )
            duration = Portrait(15.0).duration
            graph.wait_until(
                lambda: camera.status() is not None, duration + START_TIMEOUT, 'the camera ends'
            )
            self.camera_status = camera.status()
            graph.wait_until(
                lambda: self.emotions and self.emotions[-1].header == self.truth[-1].header,
                START_TIMEOUT,
                'the last image was estimated',
            )
            graph.wait_until(
                lambda: (
                    value_of(self.diagnostics, 'estimator', 'frames_processed')
                    == str(len(self.emotions))
                ),
                10,
                'diagnostics have counted every emotion',
            )


@pytest.fixture(scope='module')
def course(tmp_path_factory):
    return Course(tmp_path_factory.mktemp('course'))


def test_the_camera_ends_well_with_its_source(course):
    assert course.camera_status == 0


def test_emotions_come_at_the_cameras_rate(course):
    expected = Portrait(15.0).duration * 15.0
    assert len(course.truth) >= 0.9 * expected
    assert len(course.emotions) >= 0.9 * len(course.truth)


def test_stamp_and_frame_id_of_the_image_are_kept(course):
    sent = {(m.header.stamp.sec, m.header.stamp.nanosec) for m in course.truth}
    heard = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in course.emotions]
    assert heard == sorted(set(heard))
    # What was published before this listener was known to the camera has no truth here.
    known = [stamp for stamp in heard if stamp >= min(sent)]
    assert len(known) >= 0.9 * len(heard)
    assert set(known) <= sent
    assert {m.header.frame_id for m in course.emotions} == {'camera_optical_frame'}


def test_the_label_follows_the_portrait(course):
    found = agreement(
        [(seconds(m.header.stamp), m.label) for m in course.truth],
        [(seconds(m.header.stamp), m.label) for m in course.emotions],
    )
    assert set(found.per_label) == {*LABELS, 'none'}
    assert found.settled.share >= 0.9, found.per_label


def test_the_camera_knows_when_the_portrait_speaks_and_passes_it_on_to_nobody(course):
    spoken = [message.data for message in course.speaking]
    assert sum(spoken) == pytest.approx(4.0 * 15, abs=3)
    assert len(spoken) == pytest.approx(len(course.truth), abs=3)
    assert course.voices == []


def test_messages_are_complete(course):
    for message in course.emotions:
        assert message.model.startswith('emotion_lstm-')
        assert message.latency > 0
        if message.label == 'none':
            assert message.face_id == ''
            continue
        assert tuple(message.labels) == LABELS
        assert sum(message.probabilities) == pytest.approx(1.0, abs=1e-5)
        assert message.confidence == pytest.approx(max(message.probabilities))
        assert message.label == LABELS[int(np.argmax(message.probabilities))]
        assert len(message.blendshapes) == 52
        assert message.roi.width > 50
        assert message.roi.x_offset + message.roi.width <= 512


def test_the_array_holds_the_same_faces_and_is_empty_without(course):
    by_stamp = {seconds(m.header.stamp): m for m in course.emotions}
    for arrays in course.arrays:
        single = by_stamp[seconds(arrays.header.stamp)]
        assert list(arrays.emotions) == ([] if single.label == 'none' else [single])


def test_a_face_keeps_its_id_until_it_leaves(course):
    ids = [m.face_id for m in course.emotions if m.face_id]
    assert 2 <= len(set(ids)) <= 3, Counter(ids)
    assert ids == sorted(ids, key=lambda face_id: int(face_id.rpartition('_')[2]))


def test_the_conversation_follows(course):
    by_emotion = {m.emotion for m in course.actions}
    assert {'happy', 'sad', 'none'} <= by_emotion
    sent = {seconds(m.header.stamp) for m in course.truth}
    for message in course.actions:
        assert message.action
        assert message.rule
        assert message.reason
        # The nodes may have known the camera an image or two before this test did.
        stamp = seconds(message.header.stamp)
        assert stamp in sent or -1.0 < stamp - min(sent) < 0.0


def test_diagnostics_account_for_every_frame(course):
    processed = int(value_of(course.diagnostics, 'estimator', 'frames_processed'))
    dropped = int(value_of(course.diagnostics, 'estimator', 'frames_dropped'))
    published = int(value_of(course.diagnostics, 'camera', 'frames_published'))
    assert len(course.truth) <= published == round(Portrait(15.0).duration * 15.0)
    assert 0.9 * published <= processed + dropped <= published
    assert value_of(course.diagnostics, 'estimator', 'frames_bad') == '0'
    assert value_of(course.diagnostics, 'estimator', 'landmark_source') == LANDMARK_SOURCE


def warm_up(graph, images, emotions):
    """Publish until an answer comes: before both ends know each other, images are lost."""
    empty = np.zeros((64, 64, 3), np.uint8)

    def ask():
        images.publish(image_message(empty, Header(stamp=Time(sec=1))))
        return emotions

    graph.wait_until(ask, START_TIMEOUT, 'the estimator answers')
    # Answers that were on their way do not count below.
    graph.wait_until(lambda: not graph.heard_anything(0.5), 10, 'silence')
    emotions.clear()


def bad_images():
    """One image message for each way to be wrong."""
    fine = image_message(np.zeros((40, 60, 3), np.uint8), Header())
    for changes in (
        {'encoding': 'banana'},
        {'step': 3},
        {'data': array('B', bytes(10))},
        {'width': 0},
        {'height': 0},
        {'height': 1, 'width': 32767, 'step': 3 * 32767, 'data': array('B', bytes(3 * 32767))},
        {'encoding': '32FC1'},
    ):
        message = Image(
            height=fine.height, width=fine.width, encoding='rgb8', step=fine.step, data=fine.data
        )
        for name, value in changes.items():
            setattr(message, name, value)
        yield message


def varying_bad_images(number):
    """Yield bad images, each unlike all others; some try to write lines of their own."""
    for n in range(number):
        message = Image(height=40, width=60, encoding='rgb8', step=180)
        message.header.stamp.sec = 1 + n
        if n % 3 == 0:
            message.encoding = f'{n}\n[FATAL] forged \x1b[31m' + 'x' * 10_000
        elif n % 3 == 1:
            message.step = n % 180
        else:
            message.data = array('B', bytes(n))
        yield message


def flood(graph, images, number=400):
    """Publish bad images faster than they are logged."""
    for message in varying_bad_images(number):
        images.publish(message)
        graph.heard_anything(0.002)


def test_the_estimator_outlives_bad_images_and_counts_them(tmp_path):
    with RosGraph(tmp_path) as graph:
        diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        emotions = graph.hear(Emotion, 'emotion')
        images = graph.node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        estimator = graph.start('estimator', landmark_source=LANDMARK_SOURCE)
        warm_up(graph, images, emotions)

        def said(key):
            return int(value_of(diagnostics, 'estimator', key) or 0)

        for count, message in enumerate(bad_images(), start=1):
            images.publish(message)
            graph.wait_until(lambda n=count: said('frames_bad') == n, 10, f'{count} bad images')
        level = diagnostics[-1].status[0].level
        assert level == DiagnosticStatus.WARN
        assert "encoding '32FC1' is not supported" in value_of(
            diagnostics, 'estimator', 'last_error'
        )
        assert value_of(diagnostics, 'estimator', 'frames_bad_by_kind') == (
            'encoding 2, size 2, step 1, truncated 1, too_large 1'
        )
        lines = estimator.log.read_text().splitlines()
        named = [line for line in lines if 'image 0.000000000 on /image_raw dropped: ' in line]
        # About one a second was published, and at most one a second is logged.
        assert 1 <= len(named) <= count
        more = sum(int(n) for line in lines for n in re.findall(r'(\d+) more bad images', line))
        assert len(named) + more <= count

        before, begin = estimator.log.stat().st_size, time.monotonic()
        flood(graph, images)
        graph.wait_until(lambda: said('frames_bad') > count + 50, 10, 'the flood was seen')

        def written():
            return estimator.log.read_bytes()[before:]

        def complaints():
            # Other lines, such as that the machine is slow, may stand between.
            lines = written().decode().splitlines()
            return [line for line in lines if 'dropped: ' in line or 'more bad images' in line]

        # The last line of before may have been said less than a second ago.
        graph.wait_until(complaints, 10, 'a line about the flood')
        seconds_long = time.monotonic() - begin
        assert len(complaints()) <= seconds_long + 1
        assert all(line.startswith('[ERROR] [') for line in complaints())
        assert all(len(line) < 1200 for line in written().decode().splitlines())
        assert b'\x1b' not in written()
        messages = [status.message for m in diagnostics for status in m.status]
        assert max(map(len, messages)) <= 1000
        assert all(message.isprintable() for message in messages)

        noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
        resets = said('state_resets')
        for number, sec in enumerate((1, 0), start=1):
            header = Header(stamp=Time(sec=sec, nanosec=10), frame_id='eye')
            images.publish(image_message(noise, header))
            graph.wait_until(lambda n=number: len(emotions) == n, 10, f'an answer to stamp {sec}')
        assert [m.label for m in emotions] == ['none', 'none']
        assert [m.header.stamp.sec for m in emotions] == [1, 0]
        graph.wait_until(lambda: said('state_resets') == resets + 1, 10, 'the jump was counted')
        graph.wait_until(lambda: value_of(diagnostics, 'estimator', 'last_error') == '', 10, 'well')
        assert estimator.status() is None


@pytest.mark.parametrize('encoding', ['mono8', 'mono16', 'bayer_rggb8', 'bgr8'])
def test_other_encodings_find_the_same_face(shared_estimator, encoding):
    graph, images, emotions = shared_estimator
    rgb = next(iter(Portrait(15.0).frames())).image
    height, width = rgb.shape[:2]
    grey = rgb.mean(axis=2)
    data, step = {
        'mono8': (grey.astype(np.uint8), width),
        'mono16': ((grey * 256).astype('<u2'), 2 * width),
        'bayer_rggb8': (bayer(rgb), width),
        'bgr8': (np.ascontiguousarray(rgb[..., ::-1]), 3 * width),
    }[encoding]
    before = len(emotions)
    images.publish(
        Image(
            header=Header(stamp=Time(sec=before + 2)),
            height=height,
            width=width,
            encoding=encoding,
            step=step,
            data=array('B', data.tobytes()),
        )
    )
    graph.wait_until(lambda: len(emotions) > before, 10, f'an answer to {encoding}')
    assert emotions[-1].label in LABELS
    assert 100 < emotions[-1].roi.width < 400


def bayer(rgb):
    mosaic = rgb[..., 1].copy()
    mosaic[0::2, 0::2] = rgb[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = rgb[1::2, 1::2, 2]
    return mosaic


@pytest.fixture(scope='module')
def shared_estimator(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp('shared')) as graph:
        emotions = graph.hear(Emotion, 'emotion')
        images = graph.node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        graph.start('estimator', landmark_source=LANDMARK_SOURCE)
        warm_up(graph, images, emotions)
        yield graph, images, emotions


def test_a_camera_that_is_not_there_is_reported_and_tried_again(tmp_path):
    with RosGraph(tmp_path) as graph:
        diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        camera = graph.start('camera', source='99', retry_min=0.05, retry_max=0.1)
        graph.wait_until(
            lambda: (
                'camera 99 cannot be opened'
                in (value_of(diagnostics, 'camera', 'last_error') or '')
            ),
            START_TIMEOUT,
            'the missing camera in diagnostics',
        )
        assert diagnostics[-1].status[0].level == DiagnosticStatus.ERROR
        graph.wait_until(
            lambda: camera.log.read_text().count('retrying in 0.1 s') >= 2, 10, 'more attempts'
        )
        camera.send(signal.SIGINT)
        graph.wait_until(lambda: camera.status() is not None, 15, 'the camera stops')
        assert camera.status() == 0


@pytest.mark.parametrize(
    ('node', 'parameters', 'expected'),
    [
        ('camera', {'source': '/nowhere/film.mp4'}, "source '/nowhere/film.mp4' is not a file"),
        ('camera', {'source': __file__}, 'test_nodes.py cannot be decoded'),
        ('camera', {'source': 'portrait', 'fps': 1000.0}, 'fps'),
        ('estimator', {'landmark_source': 'dlib'}, 'landmark_source must be one of auto'),
        (
            'estimator',
            {'landmark_source': 'face_landmarker', 'face_landmarker_path': '/nowhere/f.task'},
            'face landmarker model /nowhere/f.task cannot be read',
        ),
        ('estimator', {'max_faces': 'many'}, 'max_faces'),
        ('estimator', {'model': '/nowhere/x.json'}, 'model card /nowhere/x.json cannot be read'),
        ('dialogue_manager', {'policy_file': '/nowhere/rules.yaml'}, '/nowhere/rules.yaml'),
    ],
)
def test_a_node_that_cannot_start_gives_the_reason_in_one_line(
    tmp_path, node, parameters, expected
):
    with RosGraph(tmp_path) as graph:
        child = graph.start(node, **parameters)
        graph.wait_until(lambda: child.status() is not None, START_TIMEOUT, f'{node} gives up')
        assert child.status() == 2
        log = child.log.read_text()
        assert expected in log
        assert 'Traceback' not in log
        assert len([line for line in log.splitlines() if expected in line]) == 1


class FlakyCapture:
    """Stands for cv2.VideoCapture: delivers three images, is gone, and comes back."""

    left = 3

    def __init__(self, *_):
        self.mine = FlakyCapture.left
        FlakyCapture.left = 1_000_000

    def isOpened(self):  # noqa: N802
        return True

    def grab(self):
        self.mine -= 1
        return self.mine >= 0

    def retrieve(self):
        return True, np.zeros((48, 64, 3), np.uint8)

    def get(self, _):
        return 30.0

    def set(self, *_):
        return True

    def release(self):
        pass


def test_a_camera_that_was_lost_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', FlakyCapture)
    with RosGraph(tmp_path) as graph:
        images = graph.hear(Image, 'image_raw', qos_profile_sensor_data)
        arguments = ['camera', '--ros-args', '-p', 'source:=0', '-p', 'retry_min:=0.05']
        rclpy.init(args=arguments, domain_id=graph.domain)
        try:
            camera = CameraNode()
            try:
                camera.bring_up()
                graph.wait_until(lambda: len(images) > 20, 20, 'images from the camera again')
                assert camera.health().values['times_lost'] == 1
                assert camera.health().problem == ''
            finally:
                camera.stop()
                camera.destroy_node()
        finally:
            rclpy.try_shutdown()


def test_a_source_slower_than_its_rate_works_and_can_be_stopped(tmp_path):
    with RosGraph(tmp_path) as graph:
        truth = graph.hear(Emotion, 'ground_truth')
        diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        camera = graph.start('camera', source='portrait', fps=240.0, width=1600, height=1200)
        graph.wait_until(lambda: len(truth) > 20, START_TIMEOUT, 'frames, however slow')
        graph.wait_until(
            lambda: float(value_of(diagnostics, 'camera', 'seconds_behind') or 0) > 0,
            10,
            'how far it fell behind',
        )
        camera.send(signal.SIGINT)
        graph.wait_until(lambda: camera.status() is not None, 10, 'the camera stops')
        assert camera.status() == 0


@pytest.mark.parametrize('node', ['camera', 'estimator', 'dialogue_manager'])
@pytest.mark.parametrize('delay', [0.4, 0.7, 1.0])
def test_a_node_stopped_while_it_starts_ends_quietly(tmp_path, node, delay):
    with RosGraph(tmp_path) as graph:
        child = graph.start(node)
        threading.Event().wait(delay)
        child.send(signal.SIGTERM)
        graph.wait_until(lambda: child.status() is not None, 20, f'{node} stops')
        # By the signal itself, where Python had not come as far as ROS.
        assert child.status() in (0, -signal.SIGTERM), child.log.read_text()
        assert 'Traceback' not in child.log.read_text()


def test_a_missing_parameter_file_is_named_in_one_line(tmp_path):
    with RosGraph(tmp_path) as graph:
        graph._config = tmp_path
        child = graph.start('dialogue_manager')
        graph.wait_until(lambda: child.status() is not None, START_TIMEOUT, 'the node gives up')
        assert child.status() == 2
        log = child.log.read_text()
        assert 'dialogue_manager.yaml' in log
        assert 'Traceback' not in log


class EndsBeforeItSpins(CameraNode):
    """SIGTERM arrives between the node's making and the executor's first wait."""

    def __init__(self):
        super().__init__()
        rclpy.shutdown()


def test_a_signal_just_before_the_first_wait_is_no_error(tmp_path, monkeypatch):
    with RosGraph(tmp_path):
        monkeypatch.setattr('sys.argv', ['camera', '--ros-args', '-p', 'source:=portrait'])
        assert run(lambda: [EndsBeforeItSpins()]) == 0
