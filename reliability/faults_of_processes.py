"""Faults of processes: killed, stopped, interrupted, starved, doubled; requests at wrong times."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fault_scene import Outcome, Scene, fault, last_line
from robot import NODES
from sensor_msgs.msg import Image

_ENDED = 'processes that end'
_STAND = 'stopped processes'
_OTHERS = 'others in the graph'
_LIFECYCLE = 'lifecycle requests'

#: A process of several participants, each with a subscriber.
_READER = """
import sys
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
readers = []
for number in range(int(sys.argv[1])):
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('reader', context=context)
    heard = lambda _, number=number: print('read', number, flush=True)
    node.create_subscription(Image, 'image_raw', heard, 5)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    readers.append(executor)
while True:
    for executor in readers:
        executor.spin_once(timeout_sec=0.02)
"""


def _killed(name: str, number: signal.Signals) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        robot = scene.robot
        node = robot.nodes[name]
        starts, begin = node.starts, time.monotonic()
        old = node.process
        old.send(number)
        robot.wait(lambda: old.status() is not None, 30.0, f'{name} ends')
        if number != signal.SIGKILL:
            assert old.status() == 0, f'status {old.status()}'
            # An orderly end takes its time.
            begin = time.monotonic()
        robot.wait(lambda: node.starts > starts, 30.0, f'{name} is started again')
        if name == 'dialogue_manager':
            robot.wait(lambda: robot.heard_since(name, begin), 60.0, f'{name} is active')
        scene.all_well()
        return Outcome(robot.well_at(name) - begin)

    return inflict


for _name in NODES:
    for _number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        _how = {'SIGKILL': 'dies at once', 'SIGTERM': 'ends with status 0'}.get(
            _number.name, 'ends with status 0'
        )
        fault(
            f'{_number.name} {_name}', _ENDED, f'{_number.name} to {_name}',
            f'It {_how}; the launch file starts it again after 2 s, and it is active again.',
        )(_killed(_name, _number))  # fmt: skip


@fault(
    'SIGKILL all', _ENDED, 'SIGKILL to the three nodes at once',
    'All are started again after 2 s, in whatever order, and find each other.', within=8.0,
)  # fmt: skip
def _kill_all(scene: Scene) -> Outcome:
    begin = time.monotonic()
    for node in scene.robot.nodes.values():
        node.process.send(signal.SIGKILL)
    scene.robot.wait(lambda: len(scene.robot.ended()) == 0, 30.0, 'all are started again')
    scene.all_well()
    return Outcome(time.monotonic() - begin)


@fault(
    'shared memory left over', _ENDED, 'segments of killed nodes in /dev/shm',
    'They stay there until a node of this package starts or stops, or `fastdds shm clean` is '
    'run; images pass all the same.',
)  # fmt: skip
def _left_over(scene: Scene) -> Outcome:
    scene.all_well()
    before = set(Path('/dev/shm').glob('*fastdds*'))
    scene.robot.nodes['camera'].process.send(signal.SIGKILL)
    scene.robot.wait(lambda: scene.robot.ended(), 10.0, 'the camera ends')
    left = len(before & set(Path('/dev/shm').glob('*fastdds*')))
    begin = time.monotonic()
    scene.all_well()
    return Outcome(time.monotonic() - begin, f'{left} files were there after the kill')


def _stood(name: str) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        node = scene.robot.nodes[name]
        os.kill(node.pid, signal.SIGSTOP)
        try:
            scene.robot.spin(5.0)
        finally:
            os.kill(node.pid, signal.SIGCONT)
        starts = node.starts
        taken = scene.all_well()
        assert node.starts == starts, f'{name} ended'
        return Outcome(taken)

    return inflict


for _name in NODES:
    fault(
        f'SIGSTOP {_name}', _STAND, f'{_name} stopped for 5 s (SIGSTOP, SIGCONT)',
        'Nothing is queued: it continues with the newest image or emotion.',
    )(_stood(_name))  # fmt: skip


@fault(
    'slow processor', _STAND, 'estimator gets a fifth of the processor for 6 s, in bursts',
    'It drops images and counts them in frames_dropped; the newest is read.',
)  # fmt: skip
def _slow(scene: Scene) -> Outcome:
    pid = scene.robot.nodes['estimator'].pid
    end = time.monotonic() + 6.0
    while time.monotonic() < end:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)
        scene.robot.spin(0.05)
    return Outcome(scene.all_well())


@fault(
    'low priority', _STAND, 'all nodes at nice 19 while others use every core for 5 s',
    'Latency grows, images are dropped and counted.',
)  # fmt: skip
def _busy(scene: Scene) -> Outcome:
    for node in scene.robot.nodes.values():
        os.setpriority(os.PRIO_PROCESS, node.pid, 19)
    code = 'import time\nend = time.time() + 5\nwhile time.time() < end: pass'
    busy = [scene.graph.run(f'busy_{k}', sys.executable, '-c', code) for k in range(2)]
    scene.robot.wait(lambda: all(b.status() is not None for b in busy), 60.0, 'the load ends')
    return Outcome(scene.all_well())


@fault(
    'readers killed', _OTHERS, '20 subscribers of image_raw killed, four at a time',
    'The camera forgets them after 20 s and publishes to the others meanwhile.',
)  # fmt: skip
def _readers(scene: Scene) -> Outcome:
    for turn in range(5):
        reader = scene.graph.run(f'reader_{turn}', sys.executable, '-c', _READER, '4')
        scene.robot.wait(
            lambda log=reader.log: all(f'read {k}' in log.read_text() for k in range(4)), 90.0,
            'four readers read',
        )  # fmt: skip
        reader.send(signal.SIGKILL)
    images = scene.graph.hear(Image, 'image_raw', 5)
    begin = time.monotonic()
    scene.robot.wait(lambda: len(images) > 5, 30.0, 'a new subscriber gets images')
    scene.all_well()
    return Outcome(time.monotonic() - begin)


@fault(
    'reader hangs', _OTHERS, 'a subscriber of image_raw stopped for 8 s',
    'Camera and estimator do not wait for it.',
)  # fmt: skip
def _hanging_reader(scene: Scene) -> Outcome:
    reader = scene.graph.run('hanging_reader', sys.executable, '-c', _READER, '1')
    scene.robot.wait(lambda: 'read' in reader.log.read_text(), 60.0, 'the reader reads')
    os.kill(reader.pid, signal.SIGSTOP)
    try:
        before = scene.robot.emotions
        scene.robot.spin(8.0)
        rate = (scene.robot.emotions - before) / 8.0
        assert rate > 2.0, f'{rate:.1f} emotions a second meanwhile'
    finally:
        os.kill(reader.pid, signal.SIGCONT)
        reader.send(signal.SIGKILL)
    return Outcome(scene.all_well(), f'{rate:.0f} emotions a second meanwhile')


@fault(
    'two estimators', _OTHERS, 'a second estimator of the same name in the same namespace',
    'Both answer; diagnostics and results come twice. When one ends, the other continues.',
)  # fmt: skip
def _clash(scene: Scene) -> Outcome:
    again = scene.graph.start(
        'estimator', '-r', 'emotion:=emotion_of_the_second', landmark_source=scene.landmarks
    )
    scene.robot.spin(6.0)
    assert again.status() is None, last_line(again.log.read_text())
    again.collect()
    return Outcome(scene.all_well())


def _wrong(node: str, transition: str, what: str) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        scene.all_well()
        assert not scene.graph.transition(node, transition), f'{transition} was accepted'
        return Outcome(scene.all_well(), '')

    del what
    return inflict


for _node, _transition in (
    ('camera', 'configure'), ('estimator', 'activate'), ('dialogue_manager', 'cleanup'),
    ('estimator', 'no_such_transition'),
):  # fmt: skip
    fault(
        f'{_transition} {_node}', _LIFECYCLE, f'{_transition} asked of {_node} while active',
        'Refused; it continues.',
    )(_wrong(_node, _transition, ''))  # fmt: skip


@fault(
    'lifecycle round', _LIFECYCLE, 'estimator deactivated, cleaned up, configured, activated',
    'No emotions meanwhile; the others wait and say so. Faces are new afterwards.',
)  # fmt: skip
def _round(scene: Scene) -> Outcome:
    for name in ('deactivate', 'cleanup', 'configure'):
        assert scene.graph.transition('estimator', name), name
    begin = time.monotonic()
    assert scene.graph.transition('estimator', 'activate')
    scene.all_well()
    return Outcome(time.monotonic() - begin)


@fault(
    'deactivated camera', _LIFECYCLE, 'camera deactivated for 4 s',
    'The estimator says that no image comes; the dialogue manager, that nobody is seen.',
)  # fmt: skip
def _no_camera(scene: Scene) -> Outcome:
    assert scene.graph.transition('camera', 'deactivate')
    scene.robot.spin(4.0)
    said = scene.robot.message('estimator')
    assert scene.graph.transition('camera', 'activate')
    assert 'no image' in said, said
    return Outcome(scene.all_well(), said)
