"""Faults of what comes in: drivers, pictures, cameras on the network, clocks, parameters, bags."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import corpus
import network_camera
from fault_scene import Eye, Outcome, Scene, fault, last_line, said_since
from network_camera import NetworkCamera
from robot import START_TIMEOUT, noise
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo

_DRIVER = 'camera drivers'
_PICTURE = 'compressed pictures'
_CAMERA = 'cameras'
_CLOCK = 'clocks'
_PARAMETER = 'parameters set at run time'

_COUNTED = 'Dropped, counted in frames_bad, one line; the next good image is answered.'


def _raw(**fields: Any) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        eye = scene.eye()
        return eye.counted(lambda: eye.camera.raw(**fields))

    return inflict


for _name, _what, _fields in (
    ('unknown encoding', 'an image of encoding 32FC1', {'encoding': '32FC1'}),
    ('long encoding', 'an encoding of 100 kB', {'encoding': 'x' * 100_000}),
    ('wrong step', 'an image whose step is smaller than a row', {'step': 7}),
    ('cut off', 'an image whose data is cut off', {'data': bytes(1000)}),
    ('no pixels', 'an image of 0x0 pixels', {'height': 0, 'width': 0, 'data': b''}),
    (
        'giant claim', 'a header of 65535x65535 pixels',
        {'height': 65535, 'width': 65535, 'step': 65535 * 3},
    ),
):  # fmt: skip
    fault(_name, _DRIVER, _what, _COUNTED)(_raw(**_fields))


@fault(
    'giant image', _DRIVER, 'a real raw image of 16000x3000 pixels (144 MB)',
    'Larger than the shared memory, it hardly arrives; if it does, its size is refused.',
    within=10.0,
)  # fmt: skip
def _giant(scene: Scene) -> Outcome:
    eye = scene.eye()
    eye.camera.raw(height=3000, width=16000, step=48000, data=bytes(144_000_000))
    begin = time.monotonic()
    scene.robot.spin(3.0)
    eye.well()
    return Outcome(time.monotonic() - begin - 3.0)


def _stamped(seconds: float, stamp: Callable[[int], float]) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        eye = scene.eye()
        eye.feeding = False
        end, count, before = time.monotonic() + seconds, 0, eye.emotions
        while time.monotonic() < end:
            eye.camera.raw(stamp=stamp(count))
            count += 1
            scene.robot.spin(1 / 15)
        assert eye.emotions > before, 'no emotion meanwhile'
        said = scene.robot.message(f'{eye.name}/{eye.name}')
        eye.feeding = True
        return Outcome(eye.well(), said)

    return inflict


for _name, _what, _then, _stamp in (
    ('zero stamps', 'a driver that leaves stamps at 0, for 4 s',
     'The time of arrival is used, and said.', lambda n: 0.0),
    ('stuck stamps', 'a driver that gives all images the same stamp, for 4 s',
     'The time of arrival is used, and said.', lambda n: 1000.0),
    ('backward stamps', 'stamps that run backwards, for 4 s',
     'Late images are dropped and counted, or time begins again.',
     lambda n: time.time() - 0.1 * n),
    ('stamps of tomorrow', 'stamps a day ahead, for 4 s, and back',
     'Followed; each jump resets all faces, is counted in state_resets, and the clock is said.',
     lambda n: time.time() + 86400.0),
    ('two clocks', 'every other stamp an hour late, for 4 s',
     'The later clock is followed, the other images are dropped, and both are said.',
     lambda n: time.time() - n % 2 * 3600.0),
    ('negative stamps', 'stamps before 1970, for 4 s', 'Followed like any other time.',
     lambda n: -1000.0 + n / 15),
):  # fmt: skip
    fault(_name, _DRIVER, _what, _then)(_stamped(4.0, _stamp))


@fault(
    'burst', _DRIVER, '300 images at once',
    'The newest is read; the others are dropped and counted.',
)  # fmt: skip
def _burst(scene: Scene) -> Outcome:
    eye = scene.eye()
    for _ in range(300):
        eye.camera.raw()
    return Outcome(eye.well())


@fault(
    'driver stops', _DRIVER, 'a driver that falls silent for 4 s',
    'The estimator says for how long no image has come.',
)  # fmt: skip
def _silent(scene: Scene) -> Outcome:
    eye = scene.eye()
    eye.feeding = False
    scene.robot.spin(4.0)
    said = scene.robot.message(f'{eye.name}/{eye.name}')
    eye.feeding = True
    assert 'no image' in said, said
    return Outcome(eye.well(), said)


@fault(
    'two drivers', _DRIVER, 'a second driver on the same topic for 4 s',
    'Both are read, and the second is named.',
)  # fmt: skip
def _two(scene: Scene) -> Outcome:
    from sensor_msgs.msg import Image

    eye = scene.eye()
    node = scene.graph.node
    other = node.create_publisher(Image, f'/{eye.name}/image_raw', 5)
    scene.robot.spin(4.0)
    said = scene.robot.message(f'{eye.name}/{eye.name}')
    node.destroy_publisher(other)
    return Outcome(eye.well(), said)


@fault(
    'bad calibration', _DRIVER, 'a camera_info of NaN and wrong sizes',
    'The focal length is assumed; angles stay finite.',
)  # fmt: skip
def _calibration(scene: Scene) -> Outcome:
    eye = scene.eye()
    infos = scene.graph.node.create_publisher(CameraInfo, f'/{eye.name}/camera_info', 5)
    message = CameraInfo(height=3, width=0)
    message.k = [float('nan')] * 9
    for _ in range(20):
        infos.publish(message)
        scene.robot.spin(0.1)
    scene.graph.node.destroy_publisher(infos)
    return Outcome(eye.well())


def _damaged_jpeg2000() -> bytes:
    return b'\0\0\0\x0cjP  \r\n\x87\n' + bytes(554)


def _cut_jpeg() -> bytes:
    return corpus.jpeg()[:150]


def _bomb() -> bytes:
    return corpus.zstd_bomb()[0]


def _packed(make: Callable[[], bytes]) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        eye = scene.jpeg_eye()
        data = make()
        return eye.counted(lambda: eye.camera.compressed(data))

    return inflict


for _name, _what, _make in (
    ('JPEG 2000', '566 bytes that are a damaged JPEG 2000', _damaged_jpeg2000),
    ('PNG of 30000x30000', '876 kB that decompress to 900 MB',
     lambda: corpus.png_of(30000, 30000)),
    ('PNG chunk of 2 GB', 'a PNG of 64 bytes with a chunk that claims 2 GB', corpus.chunk_of_2_gb),
    ('zstd bomb', '32 kB of zstd that decompress to 1 GB', _bomb),
    ('cut JPEG', 'a JPEG that is cut off in its header', _cut_jpeg),
    ('no picture', 'a message without data', lambda: b''),
    ('not a picture', '100 kB of noise', lambda: noise(200, 170).tobytes()),
):  # fmt: skip
    fault(_name, _PICTURE, _what, _COUNTED)(_packed(_make))


class _Film:
    """A camera node of its own name, and the log of it."""

    def __init__(self, scene: Scene, name: str, **parameters: Any) -> None:
        from sensor_msgs.msg import Image

        self._scene = scene
        arguments = ('-r', f'__ns:=/{name}', '-r', f'__node:={name}')
        self.images = 0
        scene.graph.node.create_subscription(Image, f'/{name}/image_raw', self._on_image, 5)
        assert scene.robot
        self.child = scene.graph.start('camera', *arguments, **parameters)
        self.well(START_TIMEOUT)

    @property
    def log(self) -> str:
        return self.child.log.read_text(errors='replace')

    def well(self, timeout: float = 30.0) -> float:
        before = self.images
        taken = self._scene.robot.wait(
            lambda: self.images >= before + 5, timeout, 'the camera publishes'
        )
        assert self.child.status() is None, 'the camera ended'
        return taken

    def says(self, words: str, begin: int = 0) -> str:
        self._scene.robot.wait(lambda: words in self.log[begin:], 30.0, f'it says {words!r}')
        return said_since(self.log, begin, words)

    def close(self) -> None:
        self.child.collect()

    def _on_image(self, _: object) -> None:
        self.images += 1


def _network(act: Callable[[Scene, NetworkCamera, _Film], Outcome]) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        with NetworkCamera() as network:
            film = _Film(
                scene, f'film_{act.__name__.strip("_")}', source=network.url('/live'),
                network_timeout=1.0, retry_min=0.2, retry_max=0.5,
            )  # fmt: skip
            try:
                return act(scene, network, film)
            finally:
                film.close()

    return inflict


def _cut(scene: Scene, network: NetworkCamera, film: _Film) -> Outcome:
    begin = len(film.log)
    network.cut_after = 0
    film_said = film.says('retrying', begin)
    network.cut_after = None
    return Outcome(film.well(), film_said)


def _frozen(scene: Scene, network: NetworkCamera, film: _Film) -> Outcome:
    begin = len(film.log)
    network.frozen.set()
    said = film.says('retrying', begin)
    network.frozen.clear()
    return Outcome(film.well(), said)


def _damaged(scene: Scene, network: NetworkCamera, film: _Film) -> Outcome:
    sound = network_camera.jpeg
    network_camera.jpeg = lambda: sound()[:150] + b'\xff\xd9'
    try:
        network.cut_after = 0
        scene.robot.spin(0.5)
        network.cut_after = None
        scene.robot.spin(3.0)
    finally:
        network_camera.jpeg = sound
        # The connection that serves damaged pictures ends.
        network.cut_after = 0
        scene.robot.spin(0.3)
        network.cut_after = None
    return Outcome(film.well())


fault(
    'network camera cut', _CAMERA, 'an HTTP camera that closes the connection',
    'Said and counted in times_lost; opened again after retry_min, twice as late each time.',
)(_network(_cut))  # fmt: skip
fault(
    'network camera freezes', _CAMERA, 'an HTTP camera that keeps the connection and sends nothing',
    'After network_timeout (here 1 s) as if it had closed the connection.',
)(_network(_frozen))  # fmt: skip
fault(
    'network camera damaged', _CAMERA, 'an HTTP camera that sends damaged JPEGs for 3 s',
    'Pictures that cannot be decoded are left out; the connection is opened again.',
)(_network(_damaged))  # fmt: skip


@fault(
    'no camera', _CAMERA, 'a device that is not there (as when it is unplugged)',
    'Said, with what is there; tried again with growing pauses, for as long as it takes.',
)  # fmt: skip
def _absent(scene: Scene) -> Outcome:
    child = scene.graph.start(
        'camera', '-r', '__ns:=/absent', source='99', retry_min=0.05, retry_max=0.1
    )
    scene.robot.wait(
        lambda: child.log.read_text().count('retrying') >= 3, START_TIMEOUT, 'it is tried again'
    )
    said = said_since(child.log.read_text(), 0, 'cannot be opened')
    child.collect()
    return Outcome(None, said)


@fault(
    'film ends', _CAMERA, 'a video file at its end, without loop',
    'The camera deactivates itself and says so; activating it plays the film again.', within=10.0,
)  # fmt: skip
def _film_ends(scene: Scene) -> Outcome:
    path = scene.folder / 'film.mp4'
    path.write_bytes(corpus.videos()[0])
    child = scene.graph.start('camera', '-r', '__ns:=/ending', source=str(path))
    scene.robot.wait(
        lambda: 'end' in last_line(child.log.read_text()) or child.status() is not None,
        START_TIMEOUT, 'the film ends',
    )  # fmt: skip
    assert child.status() in (None, 0), f'status {child.status()}'
    said = last_line(child.log.read_text())
    child.collect()
    return Outcome(None, said)


def _clocked(*times: float, standing: float = 0.0) -> Callable[[Scene], Outcome]:
    """Publish times on /clock of an estimator with use_sim_time, which decides by stamps only."""

    def inflict(scene: Scene) -> Outcome:
        eye: Eye = scene.eye('sim_eye', use_sim_time=True)
        clock = scene.graph.node.create_publisher(Clock, '/clock', 10)
        for value in times:
            message = Clock()
            message.clock.sec = int(value)
            for _ in range(10):
                clock.publish(message)
                scene.robot.spin(0.1)
        scene.robot.spin(standing)
        said = scene.robot.message(f'{eye.name}/{eye.name}')
        scene.graph.node.destroy_publisher(clock)
        return Outcome(eye.well(), said)

    return inflict


fault(
    'no clock', _CLOCK, 'use_sim_time without anybody on /clock',
    'Said; images are answered by their stamps.',
)(_clocked(standing=3.0))  # fmt: skip
fault(
    'clock stands', _CLOCK, '/clock with the same time for 5 s',
    'Said; images are answered by their stamps.',
)(_clocked(100.0, 100.0, 100.0, 100.0, 100.0))  # fmt: skip
fault(
    'negative clock', _CLOCK, '/clock with a negative time', 'Ignored, logged and counted.',
)(_clocked(-5.0, 101.0, 102.0))  # fmt: skip
fault(
    'clock jumps', _CLOCK, '/clock that jumps an hour ahead and back',
    'Images are answered by their stamps.',
)(_clocked(103.0, 3703.0, 104.0, 105.0))  # fmt: skip


def _parameter(node: str, name: str, value: Callable[[Path], object]) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        made = value(scene.folder)
        begin = time.monotonic()
        reason = scene.graph.set_parameters(node, **{name: made})
        taken = time.monotonic() - begin
        assert reason, 'accepted'
        assert '\n' not in reason and len(reason) < 1000, reason
        assert taken < 5.0, f'answered after {taken:.1f} s'
        return Outcome(scene.all_well(), reason)

    return inflict


def _fifo(folder: Path) -> str:
    path = folder / 'fifo.yaml'
    if not path.exists():
        os.mkfifo(path)
    return str(path)


def _merges(folder: Path) -> str:
    path = folder / 'merges.yaml'
    path.write_bytes(corpus.HOSTILE_YAML[0])
    return str(path)


_REFUSED = 'Refused in one line within 5 s; what was there before stays.'
for _name, _node, _parameter_name, _value in (
    ('policy from a pipe', 'dialogue_manager', 'policy_file', _fifo),
    ('policy from /dev/zero', 'dialogue_manager', 'policy_file', lambda _: '/dev/zero'),
    ('policy that is not there', 'dialogue_manager', 'policy_file', lambda _: '/nowhere.yaml'),
    ('policy of merge keys', 'dialogue_manager', 'policy_file', _merges),
    ('conversation from /dev/zero', 'dialogue_manager', 'conversation_file',
     lambda _: '/dev/zero'),
    ('conversation from a pipe', 'dialogue_manager', 'conversation_file', _fifo),
    ('conversation from a folder', 'dialogue_manager', 'conversation_file', str),
    ('out of range', 'estimator', 'abstain_below', lambda _: 2.0),
    ('not a number', 'estimator', 'face_timeout', lambda _: float('nan')),
    ('wrong type', 'estimator', 'max_rate_hz', lambda _: 'fast'),
    ('unknown parameter', 'camera', 'no_such_parameter', lambda _: 1),
    ('model while active', 'estimator', 'model', lambda _: '/nowhere.json'),
):  # fmt: skip
    fault(_name, _PARAMETER, f'{_name}: {_parameter_name} of {_node}', _REFUSED)(
        _parameter(_node, _parameter_name, _value)
    )


def _model(path: str) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        graph, robot = scene.graph, scene.robot
        for name in ('deactivate', 'cleanup'):
            assert graph.transition('estimator', name), name
        begin = len(robot.nodes['estimator'].log)
        refused = graph.set_parameters('estimator', model=path)
        configured = not refused and graph.transition('estimator', 'configure')
        assert not configured, 'configured'
        said = refused or last_line(robot.nodes['estimator'].log[begin:])
        graph.set_parameters('estimator', model='')
        since = time.monotonic()
        if graph.state('estimator') == 'unconfigured':
            assert graph.transition('estimator', 'configure')
        assert graph.transition('estimator', 'activate')
        scene.all_well()
        return Outcome(time.monotonic() - since, said)

    return inflict


for _name, _path in (
    ('unknown model', '/nowhere.json'), ('model from /dev/zero', '/dev/zero'),
):  # fmt: skip
    fault(
        _name, _PARAMETER, f'configure with model:={_path}',
        'Configuring fails with one line; with the right model it works again.', within=10.0,
    )(_model(_path))  # fmt: skip
