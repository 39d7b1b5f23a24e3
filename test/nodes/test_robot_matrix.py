"""Drivers that know nothing of us, in all combinations that matter: what arrives, what is said.

A few run with every test; ``make test-robot`` runs the rest and writes ``out/robot/matrix.md``.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from diagnostic_msgs.msg import DiagnosticStatus
from foreign_robot import Robot
from ros_graph import RosGraph
from sensor_msgs.msg import Image

from emotion_estimator.msg import Emotion
from emotion_estimator.sources.portrait import Portrait

TABLE = Path(__file__).parents[2] / 'out' / 'robot' / 'matrix.md'

ENCODINGS = (
    'rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', 'mono16', '16UC1', 'yuv422', 'yuv422_yuy2',
    'bayer_rggb8', 'nv12', 'i420',
)  # fmt: skip
CHOICES = (
    ('reliable', 'best_effort'),
    ENCODINGS,
    (5.0, 15.0, 30.0),
    ((320, 240), (640, 480), (1280, 720), (1920, 1080)),
    ('now', 'zero', 'stuck', 'late'),
)
#: Megabytes a second that a driver in Python and two cores can move.
MOST = 40.0
SECONDS = 4.0


def all_pairs():
    """Return cases in which every pair of two columns' choices occurs (greedily, reproducibly)."""
    columns = range(len(CHOICES))
    every = [case for case in itertools.product(*CHOICES) if possible(case)]
    open_pairs = {pair for case in every for pair in pairs(case, columns)}
    chosen = []
    while open_pairs:
        best = max(every, key=lambda case: len(open_pairs & pairs(case, columns)))
        open_pairs -= pairs(best, columns)
        chosen.append(best)
    return chosen


def pairs(case, columns):
    return {(a, case[a], b, case[b]) for a in columns for b in columns if a < b}


def possible(case):
    _, encoding, rate, (width, height), _ = case
    samples = {'mono8': 1, 'bayer_rggb8': 1, 'nv12': 1.5, 'i420': 1.5, 'rgba8': 4, 'bgra8': 4}
    bytes_each = samples.get(encoding, 3 if encoding.endswith('gb8') or encoding == 'bgr8' else 2)
    return 1e-6 * bytes_each * width * height * rate <= MOST


def case_id(case):
    reliability, encoding, rate, (width, height), stamps = case
    return f'{reliability}-{encoding}-{rate:g}Hz-{width}x{height}-{stamps}'


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as made:
        yield made


def what_was_said(robot):
    """Return every warning and error since the start, but that the driver had ended."""
    every = [s for m in robot.diagnostics for s in m.status if s.name == 'estimator']
    problems = dict.fromkeys(s.message for s in every if s.level != DiagnosticStatus.OK)
    numbers = re.compile(r'\d+ s\b|\d+%')
    lines = dict.fromkeys(numbers.sub('...', line) for line in problems)
    return '; '.join(line for line in lines if not re.fullmatch('no image from .* for ...', line))


def check(graph, case):
    reliability, encoding, rate, (width, height), stamps = case
    portrait = next(iter(Portrait(15.0).frames())).image
    side = min(width, height)
    room = np.full((height, width, 3), 90, np.uint8)
    left, top = (width - side) // 2, (height - side) // 2
    room[top : top + side, left : left + side] = cv2.resize(portrait, (side, side))
    picture = graph.folder / 'picture.npy'
    np.save(picture, room)
    robot = Robot(graph)
    count = round(rate * SECONDS)
    arguments = ['--picture', str(picture), '--encoding', encoding]
    arguments += ['--rate', str(rate), '--count', str(count)]
    arguments += ['--stamps', 'now' if stamps == 'late' else stamps]
    arguments += ['--best-effort'] if reliability == 'best_effort' else []
    arguments += ['--jitter', str(2.0 / rate)] if stamps == 'late' else []
    robot.drive_to_the_end(*arguments)
    received = robot.count('frames_processed', 'frames_dropped', 'frames_late', 'frames_bad')
    faces = sum(message.label != 'none' for message in robot.emotions)
    said = what_was_said(robot)
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    with TABLE.open('a', encoding='utf-8') as table:
        table.write(
            f'| {reliability} | {encoding} | {rate:g} | {width}x{height} | {stamps} | '
            f'{received} of {count} | {robot.count("frames_late")} | {faces} | {said} |\n'
        )
    assert faces == len(robot.emotions) or faces > 5, f'no face found; said: {said}'
    assert robot.count('frames_bad') == 0
    assert robot.said('image_reliability') == reliability
    if reliability == 'reliable':
        assert received >= 0.95 * count
        assert robot.count('frames_processed') > 5
        assert faces > 5
    # What is lost on the way to a reader that must be best effort is said.
    elif received < (0.8 * count if stamps in ('now', 'late') else 1):
        assert 'have the driver publish reliably' in said
    if stamps in ('zero', 'stuck') and received > 8:
        assert 'their time of arrival is used' in said
    if stamps == 'late':
        assert robot.count('state_resets') == 0


QUICK = (
    ('reliable', 'nv12', 15.0, (640, 480), 'now'),
    ('best_effort', 'yuv422_yuy2', 15.0, (320, 240), 'now'),
    ('reliable', '16UC1', 15.0, (640, 480), 'late'),
)


@pytest.mark.parametrize('case', QUICK, ids=case_id)
def test_a_foreign_driver_is_read(graph, case):
    check(graph, case)


@pytest.fixture(scope='module')
def table():
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text(
        '| driver | encoding | Hz | size | stamps | received | late | faces | said |\n'
        '|---|---|---|---|---|---|---|---|---|\n'
    )


@pytest.mark.robot
@pytest.mark.parametrize('case', all_pairs(), ids=case_id)
def test_every_pair_of_properties(graph, case, table):
    check(graph, case)


def test_every_pair_is_among_the_cases():
    columns = range(len(CHOICES))
    covered = set().union(*(pairs(case, columns) for case in all_pairs()))
    for case in itertools.product(*CHOICES):
        assert not possible(case) or pairs(case, columns) <= covered


def started(graph, **camera):
    """Return the three nodes' processes once emotions are published, and the emotions."""
    emotions = graph.hear(Emotion, 'emotion', 1000)
    nodes = {
        'camera': graph.start('camera', source='portrait', loop=True, **camera),
        'estimator': graph.start('estimator', max_faces=1),
        'dialogue_manager': graph.start('dialogue_manager'),
    }
    graph.wait_until(lambda: emotions, 60, 'emotions')
    return nodes, emotions


@pytest.mark.robot
@pytest.mark.parametrize('name', ['camera', 'estimator', 'dialogue_manager'])
def test_a_node_that_was_stopped_for_a_while_works_again(graph, name):
    nodes, emotions = started(graph)
    os.kill(nodes[name].pid, signal.SIGSTOP)
    time.sleep(20.0)
    os.kill(nodes[name].pid, signal.SIGCONT)
    time.sleep(1.0)
    emotions.clear()
    graph.wait_until(lambda: len(emotions) > 30, 30, 'emotions again')
    assert all(node.status() is None for node in nodes.values())


READER = """
import rclpy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node('reader')
node.create_subscription(Image, 'image_raw', lambda message: print('read', flush=True), 5)
rclpy.spin(node)
"""


@pytest.mark.robot
def test_a_camera_survives_the_death_of_many_readers(graph):
    nodes, emotions = started(graph)
    for round_ in range(5):
        readers = [
            graph.run(f'reader_{round_}_{k}', sys.executable, '-c', READER) for k in range(4)
        ]
        graph.wait_until(
            lambda readers=readers: all('read' in r.log.read_text() for r in readers), 30, 'readers'
        )
        for reader in readers:
            os.kill(reader.pid, signal.SIGKILL)
    images = graph.hear(Image, 'image_raw', 5)
    emotions.clear()
    graph.wait_until(lambda: len(images) > 30 and len(emotions) > 30, 30, 'images and emotions')
    assert nodes['camera'].status() is None
