"""A C++ program built with the package's exported targets reads what Python wrote, every field."""

from __future__ import annotations

import importlib
import json
import math
import random
import shutil
import signal
import struct
import subprocess
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

import cmake_build
from rclpy.serialization import serialize_message
from ros_graph import RosGraph
from std_msgs.msg import Header

from emotion_estimator.msg import DialogueAction, Emotion, EmotionArray

SOURCE = Path(__file__).parents[2] / 'examples' / 'cpp'
KINDS = (Emotion, EmotionArray, DialogueAction)

TEXTS = (
    '', 'happy', 'Zoë 😀', 'she said "so"', 'a\\b', 'two\nlines\ttab', '\x01\x1f\x7f', 'x' * 300,
)  # fmt: skip
FLOATS = (
    0.0, 1.0, -1.0, 0.1, 1 / 3, 1e-45, 1.17549435e-38, 3.4028234e38, math.nan, math.inf, -math.inf,
)  # fmt: skip
WHOLE = {'uint32': (0, 1, 640, 2**32 - 1), 'int32': (-(2**31), -1, 0, 2**31 - 1)}


class Program:
    """The example, built once."""

    def __init__(self, folder: Path) -> None:
        cmake_build.build(SOURCE, folder)
        cache = (folder / 'CMakeCache.txt').read_text()
        self.has_rclcpp = 'rclcpp_DIR:PATH=rclcpp_DIR-NOTFOUND' not in cache
        self.environment = cmake_build.environment()
        self.path = folder / 'emotion_listener'

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.path), *map(str, arguments)],
            env=self.environment, capture_output=True, encoding='utf-8', timeout=60,
        )  # fmt: skip


@pytest.fixture(scope='module')
def program(tmp_path_factory):
    if not any(map(shutil.which, ('c++', 'g++', 'clang++'))):
        pytest.skip('no C++ compiler is installed')
    return Program(tmp_path_factory.mktemp('cpp'))


def value_of_type(kind: str, rng: random.Random) -> object:
    """Draw a value of a message field's type, as get_fields_and_field_types() names it."""
    if kind.startswith('sequence<'):
        return [value_of_type(kind[9:-1], rng) for _ in range(rng.choice((0, 1, 3, 52)))]
    if kind == 'string':
        return rng.choice(TEXTS)
    if kind == 'float':
        return rng.choice((*FLOATS, rng.uniform(-1, 1)))
    if kind == 'boolean':
        return rng.random() < 0.5
    if kind in WHOLE:
        return rng.choice((*WHOLE[kind], rng.randrange(2**31)))
    package, name = kind.split('/')
    return drawn(getattr(importlib.import_module(f'{package}.msg'), name), rng)


def drawn(kind: type, rng: random.Random) -> object:
    fields = kind.get_fields_and_field_types()
    return kind(**{name: value_of_type(its_type, rng) for name, its_type in fields.items()})


def same(ours: object, theirs: object) -> bool:
    """Compare a value put into a message with what the program printed of it."""
    if theirs is None:
        return False
    if hasattr(ours, 'get_fields_and_field_types'):
        names = list(ours.get_fields_and_field_types())
        return names == list(theirs) and all(same(getattr(ours, n), theirs[n]) for n in names)
    if isinstance(ours, float):
        (single,) = struct.unpack('f', struct.pack('f', ours))
        (printed,) = struct.unpack('f', struct.pack('f', theirs))
        return single == printed or (math.isnan(single) and math.isnan(printed))
    if isinstance(ours, (str, bool, int)):
        return type(ours) is type(theirs) and ours == theirs
    return len(ours) == len(theirs) and all(map(same, ours, theirs))


@pytest.mark.parametrize('kind', KINDS, ids=lambda kind: kind.__name__)
def test_every_field_arrives_as_it_was_put_in(program, tmp_path, kind):
    rng = random.Random(4)
    messages = [kind(), *(drawn(kind, rng) for _ in range(60))]
    files = [tmp_path / f'{i:03}.cdr' for i in range(len(messages))]
    for file, message in zip(files, messages):
        file.write_bytes(serialize_message(message))
    done = program.run('--read', kind.__name__, *files)
    assert done.returncode == 0, done.stderr
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(printed) == len(messages)
    for message, theirs in zip(messages, printed):
        assert same(message, theirs), (message, theirs)


def test_the_comparison_notices_each_changed_field(program, tmp_path):
    rng = random.Random(7)
    message = drawn(Emotion, rng)
    file = tmp_path / 'one.cdr'
    file.write_bytes(serialize_message(message))
    theirs = json.loads(program.run('--read', 'Emotion', file).stdout)
    assert same(message, theirs)
    for name in theirs:
        assert not same(message, {**theirs, name: None})
        assert not same(message, {key: value for key, value in theirs.items() if key != name})


def test_the_constants_are_pythons(program):
    names = [name for name in dir(type(Emotion)) if name.startswith('LABEL_')]
    ours = {name: getattr(Emotion, name) for name in names}
    assert len(ours) == 9
    assert json.loads(program.run('--constants').stdout) == ours


@pytest.mark.parametrize('kind', ['Emotion', 'EmotionArray'])
def test_bytes_that_are_no_such_message_get_one_line(program, tmp_path, kind):
    whole = serialize_message(Emotion(model='emotion_lstm-1.0.0', labels=['happy'] * 9))
    wrong = tmp_path / 'wrong.cdr'
    for content in (b'', whole[:3], whole[: len(whole) // 2], b'\xff' * 64):
        wrong.write_bytes(content)
        done = program.run('--read', kind, wrong)
        assert done.returncode == 2
        assert done.stdout == ''
        *before, line = done.stderr.splitlines()
        assert line.startswith(f'{wrong} ')
        # What rclcpp's layers print of themselves comes before.
        assert program.has_rclcpp or not before


def test_wrong_arguments_get_one_line(program, tmp_path):
    for arguments in (('--read', 'Image', 'x'), ('--read', 'Emotion', tmp_path / 'missing.cdr')):
        done = program.run(*arguments)
        assert done.returncode == 2
        assert done.stderr.count('\n') == 1


def test_without_rclcpp_it_says_what_it_can_do(program):
    if program.has_rclcpp:
        pytest.skip('rclcpp is installed')
    done = program.run()
    assert done.returncode == 2
    assert 'built without rclcpp' in done.stderr


def test_with_rclcpp_it_hears_the_live_topic(program, tmp_path):
    if not program.has_rclcpp:
        pytest.skip('rclcpp is not installed: the wheels have none')
    with RosGraph(tmp_path) as graph:
        publisher = graph.node.create_publisher(Emotion, 'emotion', 10)
        log = tmp_path / 'listener.log'

        def logged(message: Emotion, line: str) -> bool:
            publisher.publish(message)
            return line in log.read_text()

        with log.open('w') as file, subprocess.Popen(
            [str(program.path)],
            env={**graph.environment, 'LD_LIBRARY_PATH': program.environment['LD_LIBRARY_PATH']},
            stdout=file, stderr=file,
        ) as listener:  # fmt: skip
            try:
                header = Header(frame_id='camera')
                happy = Emotion(header=header, face_id='face_1', label='happy', confidence=0.75)
                for message, line in (
                    (happy, 'face_1 looks happy (0.75)'),
                    (Emotion(header=header, label='none'), 'nobody is there'),
                    (Emotion(face_id='face_2', label='unknown'), 'face_2 is hard to read'),
                ):
                    graph.wait_until(lambda m=message, t=line: logged(m, t), 20, line)
                assert log.read_text().count('looks happy') == 1
                listener.send_signal(signal.SIGINT)
                assert listener.wait(timeout=20) == 0
            finally:
                listener.kill()
