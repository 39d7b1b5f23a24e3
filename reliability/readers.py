"""Every reader of bytes from outside, each as a function of bytes that the fuzzer calls.

A reader accepts an input, or refuses it by the package's own errors; anything else is a fault.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import corpus
import mutators

#: Reads an input; returning is accepting.
Read = Callable[[bytes], object]

#: Frames of a video, messages of a bag that are read.
_MOST_FRAMES = 20
_MOST_MESSAGES = 200


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    :param what: which bytes it reads, in words.
    :param open: returns the function, given a folder for a file; imports what it needs.
    :param seeds: returns the inputs to start from.
    :param mutation: of :mod:`mutators`.
    :param bombs: returns seeds that take seconds or gigabytes where they are not refused.
    :param large: whether large seeds are mutated, too.
    :param forks: whether its libraries survive a fork once they are imported.
    """

    what: str
    open: Callable[[Path], Read]
    seeds: Callable[[], list[bytes]]
    mutation: mutators.Mutation = mutators.mutate_bytes
    bombs: Callable[[], list[bytes]] = list
    forks: bool = True
    large: bool = False


def _by_path(name: str, load: Callable[[Path], object]) -> Callable[[Path], Read]:
    """Return an opener for a reader that takes the path of a file."""

    def opener(folder: Path) -> Read:
        path = folder / name

        def read(data: bytes) -> object:
            path.write_bytes(data)
            return load(path)

        return read

    return opener


def _later(module: str, name: str) -> Callable[..., Any]:
    """Return a function of the package that is imported when it is first called."""

    def call(*arguments: object) -> Any:
        return getattr(__import__(module, fromlist=[name]), name)(*arguments)

    return call


def _video(path: Path) -> None:
    from emotion_estimator.sources.video import VideoFile

    source = VideoFile(path)
    for number, _ in enumerate(source.frames()):
        if number >= _MOST_FRAMES:
            source.close()


def _compressed_message(folder: Path) -> Read:
    from emotion_estimator.perception.image import rgb_from_compressed

    formats = ('jpeg', 'rgb8; png compressed bgr8', 'bgr8; jpeg compressed rgb8', '', 'x' * 500)

    def read(data: bytes) -> object:
        return rgb_from_compressed(SimpleNamespace(format=formats[len(data) % 5], data=data))

    return read


def _raw_image(folder: Path) -> Read:
    from emotion_estimator.perception.encodings import rgb_from_buffer
    from emotion_estimator.perception.image import check_rgb

    def read(data: bytes) -> object:
        encoding, _, rest = data.partition(b'\0')
        width, height, step, order = struct.unpack_from('<IIIB', rest.ljust(13, b'\0'))
        return check_rgb(
            rgb_from_buffer(
                rest[13:], encoding=encoding.decode('utf-8', 'replace'), width=width,
                height=height, step=step, big_endian=bool(order & 1),
            )
        )  # fmt: skip

    return read


def _message(folder: Path) -> Read:
    from emotion_estimator.bags import messages

    readers: dict[bytes, Read] = {
        b'i': lambda data: messages.decode_image(data, messages.IMAGE),
        b'c': lambda data: messages.decode_image(data, messages.COMPRESSED_IMAGE),
        b'e': lambda data: messages.read_result(data, messages.EMOTION),
        b'a': lambda data: messages.read_result(data, messages.EMOTION_ARRAY),
        b'd': messages.read_action,
        b's': lambda data: messages.deserialize(data, 'std_msgs/msg/String'),
    }

    def read(data: bytes) -> object:
        messages.read_header(data[1:])
        return readers.get(data[:1], readers[b'c'])(data[1:])

    return read


def _bag(path: Path) -> None:
    from emotion_estimator.bags.messages import COMPRESSED_IMAGE, IMAGE, decode_image
    from emotion_estimator.bags.reader import ImageBag
    from emotion_estimator.bags.storage import Bag
    from emotion_estimator.errors import InputError

    with Bag(path) as bag:
        for number, message in enumerate(bag.messages()):
            if number >= _MOST_MESSAGES:
                break
            if message.connection.msgtype in (IMAGE, COMPRESSED_IMAGE):
                try:
                    decode_image(message.data, message.connection.msgtype)
                except InputError:
                    continue
        _ = bag.problems, bag.duration
    with ImageBag(path) as images:
        for number, _ in enumerate(images.images_and_speech()):
            if number >= _MOST_MESSAGES:
                break
        _ = images.problems


def _zstd(folder: Path) -> Read:
    from emotion_estimator.bags.border import Allowance, unpack_message
    from emotion_estimator.errors import InputError

    read_file = _by_path('bag_0.mcap.zstd', _bag)(folder)

    def read(data: bytes) -> object:
        with suppress(ValueError, InputError):
            # What a bag's reader does with a message.
            unpack_message(data, Allowance(len(data)))
        return read_file(data)

    return read


def _metadata(folder: Path) -> Read:
    from emotion_estimator.bags.files import check_bag, storage_files

    (folder / 'bag_0.mcap').write_bytes(b'\x89MCAP0\r\n')

    def read(data: bytes) -> object:
        (folder / 'metadata.yaml').write_bytes(data)
        storage_files(folder)
        return check_bag(folder, ('/image_raw',))

    return read


def _qos(folder: Path) -> Read:
    """Read QoS profiles as they lie, as YAML, in a bag's MCAP channels."""
    head = struct.pack('<BQ', 1, 14) + struct.pack('<I', 4) + b'ros2' + struct.pack('<I', 2) + b'xx'
    read_bag = _by_path('bag_0.mcap', _bag)(folder)

    def string(value: bytes) -> bytes:
        return struct.pack('<I', len(value)) + value

    def record(code: int, body: bytes) -> bytes:
        return struct.pack('<BQ', code, len(body)) + body

    schema = struct.pack('<H', 1) + string(b'std_msgs/msg/String') + string(b'ros2msg')
    schema = record(3, schema + string(b'string data\n'))
    message = record(5, struct.pack('<HIQQ', 1, 0, 1, 1) + b'\0\1\0\0\2\0\0\0a\0')
    end = record(15, bytes(4)) + record(2, bytes(20)) + b'\x89MCAP0\r\n'

    def read(data: bytes) -> object:
        pair = string(b'offered_qos_profiles') + string(data)
        channel = struct.pack('<HH', 1, 1) + string(b'/a') + string(b'cdr') + string(pair)
        return read_bag(b'\x89MCAP0\r\n' + head + schema + record(4, channel) + message + end)

    return read


def _parameters(path: Path) -> object:
    from emotion_estimator.settings import EstimatorSettings, load_parameters

    return load_parameters(path, 'estimator', EstimatorSettings)


def _expectations(path: Path) -> object:
    from emotion_estimator.errors import InputError
    from emotion_estimator.replay.expectations import load_expectations
    from emotion_estimator.replay.limits import load_limits

    try:
        return load_expectations(path)
    except InputError:
        return load_limits(path)


def _results(path: Path) -> object:
    from emotion_estimator.frame import read_results

    return [result.as_json() for result in read_results(path)]


def _context(folder: Path) -> Read:
    from emotion_estimator.language_model.tools import AgentToolbox

    async def choose(topic: str) -> tuple[bool, str]:
        return True, topic

    def read(data: bytes) -> object:
        toolbox = AgentToolbox(choose)
        toolbox.hear_context(data.decode('utf-8', 'surrogateescape'))
        answer = asyncio.run(toolbox.call('get_context', {}))
        # It is written to the agent as JSON in UTF-8.
        return json.dumps(answer.data, ensure_ascii=False, allow_nan=False).encode()

    return read


def _tool_call(folder: Path) -> Read:
    from emotion_estimator.errors import InputError
    from emotion_estimator.language_model.tools import AgentToolbox

    async def choose(topic: str) -> tuple[bool, str]:
        return True, topic

    toolbox = AgentToolbox(choose)

    def read(data: bytes) -> object:
        try:
            # The protocol's library reads it; what it passes on is an object.
            arguments = json.loads(data)
        except (ValueError, RecursionError):
            raise InputError('not JSON') from None
        if not isinstance(arguments, dict):
            raise InputError('not an object')
        return asyncio.run(toolbox.call('choose_topic', arguments)).text.encode()

    return read


def _prompt(folder: Path) -> Read:
    from emotion_estimator.dialogue.prompt import parse_prompt

    return lambda data: parse_prompt(data.decode('utf-8', 'replace'))


def _answer(folder: Path) -> Read:
    from emotion_estimator.language_model.client import ChatClient, require_openai

    require_openai()
    # The package's version 3 brings another one.
    httpx: Any = sys.modules.get('httpx') or sys.modules['httpx2']

    loop = asyncio.new_event_loop()
    kinds = ('text/event-stream', 'application/json', 'text/html', '')
    body = b''

    def answered(_: object) -> object:
        kind = {'content-type': kinds[(len(body) % 7) // 2]}
        return httpx.Response(200 if len(body) % 11 else 500, headers=kind, content=body)

    client = ChatClient('http://localhost:1/v1', 'model')
    # In place of a connection: a server would take most of the time.
    client._client._client._transport = httpx.MockTransport(answered)

    async def ask() -> int:
        count = 0
        async for piece in client.stream([{'role': 'user', 'content': 'hello'}]):
            count += len(piece.text)
        return count

    def read(data: bytes) -> object:
        nonlocal body
        body = data
        return loop.run_until_complete(ask())

    return read


def _spoken(folder: Path) -> Read:
    from emotion_estimator.language_model.sentences import SentenceSplitter
    from emotion_estimator.language_model.speakable import HiddenText, speakable

    def read(data: bytes) -> object:
        text = data.decode('utf-8', 'replace')
        hidden, splitter, said = HiddenText(), SentenceSplitter(), []
        for at in range(0, len(text), 7):
            said += splitter.feed(hidden.feed(text[at : at + 7]))
        said += [*splitter.feed(hidden.flush()), splitter.flush()]
        return [speakable(sentence).encode() for sentence in said]

    return read


def _card(path: Path) -> object:
    from emotion_estimator.errors import ModelError
    from emotion_estimator.model_card import ModelCard, models_dir
    from emotion_estimator.perception.window_classifier import read_settings

    weights = path.parent / 'emotion_lstm.tflite'
    if not weights.exists():
        weights.write_bytes((models_dir() / weights.name).read_bytes())
    try:
        return ModelCard.load(path, 'emotion_lstm')
    except ModelError:
        return read_settings(ModelCard.load(path, 'window'))


def _with_card(folder: Path, name: str) -> tuple[Path, Path, dict[str, Any]]:
    """Return paths of a card and its weights in ``folder``, and the shipped card's content."""
    from emotion_estimator.model_card import models_dir

    raw = json.loads((models_dir() / f'{name}.json').read_text())
    raw['metrics'] = {}
    return folder / f'{name}.json', folder / raw['file'], raw


def _weights(folder: Path) -> Read:
    from emotion_estimator.perception.classifier import EmotionClassifier

    card, file, raw = _with_card(folder, 'emotion_lstm')

    def read(data: bytes) -> object:
        # A card that fits the damaged file, as whoever exchanges both would write it.
        file.write_bytes(data)
        card.write_text(json.dumps({**raw, 'sha256': hashlib.sha256(data).hexdigest()}))
        return EmotionClassifier.load(card)

    return read


def _arrays(folder: Path) -> Read:
    from emotion_estimator.errors import ModelError
    from emotion_estimator.perception.speaking import SpeechModel
    from emotion_estimator.perception.upright import UprightNetwork

    card, file, raw = _with_card(folder, 'speaking')
    other = folder / 'upright.npz'

    def read(data: bytes) -> object:
        file.write_bytes(data)
        card.write_text(json.dumps({**raw, 'sha256': hashlib.sha256(data).hexdigest()}))
        try:
            return SpeechModel.load(card)
        except ModelError:
            other.write_bytes(data)
            return UprightNetwork.load(other)

    return read


def _task(path: Path) -> object:
    from emotion_estimator.perception.landmarks.face_landmarker import FaceLandmarker

    return FaceLandmarker(path).close()


def _task_seeds() -> list[bytes]:
    from emotion_estimator.perception.landmarks.face_landmarker import shipped_face_landmarker

    whole = shipped_face_landmarker().read_bytes()
    return [whole, corpus.arrays('upright.npz')[0], b'PK\3\4' + bytes(100)]


def _driver(folder: Path) -> Read:
    """Read a driver's answer as the list of cameras does; the system call is replaced."""
    from emotion_estimator.sources import v4l2

    def read(data: bytes) -> object:
        answer = data[:104].ljust(104, b'\0')
        before, v4l2.fcntl = v4l2.fcntl, SimpleNamespace(ioctl=lambda *_: answer)
        try:
            return v4l2.node_capabilities(Path(os.devnull))
        finally:
            v4l2.fcntl = before

    return read


def _address(folder: Path) -> Read:
    from emotion_estimator.sources.calibration import calibration_path
    from emotion_estimator.sources.network import is_network, without_credentials

    def read(data: bytes) -> object:
        text = data.decode('utf-8', 'surrogateescape')
        is_network(text)
        without_credentials(text)
        return calibration_path(text)

    return read


def _addresses() -> list[bytes]:
    return [
        b'rtsp://admin:p@ss@10.0.0.7:554/live?token=1', b'http://[::1]:8080/video', b'portrait',
        b'package://emotion_estimator/config/camera.yaml', b'file:///etc/${ROS_HOME}/x.yaml',
        b'https://a:b@c/' + b'a' * 3000, b'/dev/zero', b'http://' + b'@' * 500,
    ]  # fmt: skip


def _extra_body(folder: Path) -> Read:
    from emotion_estimator.settings import LanguageModelSettings, make_settings

    def read(data: bytes) -> object:
        values = {'model': 'm', 'extra_body': data.decode('utf-8', 'replace')}
        return make_settings(LanguageModelSettings, values)

    return read


READERS: dict[str, Reader] = {
    'pictures': Reader(
        'still image files',
        _by_path('picture.png', _later('emotion_estimator.sources.images', 'read_image')),
        corpus.pictures, mutators.mutate_picture, corpus.large_pictures,
    ),
    'compressed': Reader(
        'CompressedImage messages', _compressed_message, corpus.pictures,
        mutators.mutate_picture, corpus.large_pictures,
    ),
    'raw_images': Reader(
        'Image messages: encoding, size, step, data', _raw_image, corpus.raw_images,
    ),
    'messages': Reader(
        'serialized messages in bags (CDR)', _message, corpus.messages, mutators.mutate_cdr,
    ),
    'videos': Reader(
        'films: MP4, MKV, WebM, AVI, TS, MJPEG, GIF, APNG, WebP',
        _by_path('film.mp4', _video), corpus.videos,
        mutators.mutate_boxes,
    ),
    'mcap': Reader(
        'MCAP bags', _by_path('bag_0.mcap', _bag), corpus.mcap_bags, mutators.mutate_mcap,
        lambda: corpus.mcap_bags(bomb=True),
    ),
    'sqlite': Reader(
        'SQLite bags', _by_path('bag_0.db3', _bag), corpus.sqlite_bags, mutators.mutate_sqlite,
        corpus.sqlite_bombs,
    ),
    'zstd': Reader(
        'zstd: bag files and messages', _zstd, corpus.packed, bombs=corpus.zstd_bomb
    ),
    'metadata': Reader(
        "a bag's metadata.yaml", _metadata, lambda: [corpus.METADATA, *corpus.HOSTILE_YAML],
        mutators.mutate_yaml,
    ),
    'qos': Reader(
        'QoS profiles in MCAP channels', _qos,
        lambda: [b'- history: 1\n  depth: 10\n  reliability: 1\n', *corpus.HOSTILE_YAML],
        mutators.mutate_yaml,
    ),
    'policy': Reader(
        'policy files',
        _by_path('a.yaml', _later('emotion_estimator.dialogue.policy_file', 'load_policy')),
        lambda: corpus.yaml_files(*corpus.config('dialogue.yaml')), mutators.mutate_yaml,
    ),
    'conversation': Reader(
        'conversation files',
        _by_path(
            'a.yaml', _later('emotion_estimator.dialogue.conversation_file', 'load_conversation')
        ),
        lambda: corpus.yaml_files(*corpus.config('conversation_en.yaml')), mutators.mutate_yaml,
    ),
    'parameters': Reader(
        'ROS parameter files', _by_path('a.yaml', _parameters),
        lambda: corpus.yaml_files(*corpus.config('estimator.yaml')), mutators.mutate_yaml,
    ),
    'calibration': Reader(
        'camera calibrations',
        _by_path('a.yaml', _later('emotion_estimator.sources.calibration', 'read_calibration')),
        lambda: [corpus.CALIBRATION, *corpus.HOSTILE_YAML], mutators.mutate_yaml,
    ),
    'expectations': Reader(
        'expectations and limits of replays', _by_path('a.yaml', _expectations),
        lambda: [corpus.EXPECTATIONS, *corpus.yaml_files(*corpus.config('replay_limits.yaml'))],
        mutators.mutate_yaml,
    ),
    'scripts': Reader(
        'scripts of conversations',
        _by_path('a.yaml', _later('emotion_estimator.simulation.script', 'load_script')),
        lambda: corpus.yaml_files(*corpus.scripts()), mutators.mutate_yaml,
    ),
    'json_lines': Reader(
        'results as JSON lines', _by_path('a.jsonl', _results), corpus.json_lines,
        mutators.mutate_json,
    ),
    'tables': Reader(
        'CSV tables of blendshapes',
        _by_path('a.csv', _later('emotion_estimator.cli.evaluate', 'read_blendshape_table')),
        corpus.tables, mutators.mutate_json,
    ),
    'context': Reader(
        'JSON on dialogue/context, for agents', _context,
        lambda: [corpus.CONTEXT, *corpus.HOSTILE_JSON], mutators.mutate_json,
    ),
    'prompt': Reader(
        'JSON on dialogue/prompt', _prompt,
        lambda: [corpus.PROMPT, *corpus.HOSTILE_JSON], mutators.mutate_json,
    ),
    'tool_calls': Reader(
        "arguments of an agent's calls", _tool_call,
        lambda: [b'{"topic": "music"}', b'{"topic": ""}', b'{}'], mutators.mutate_json,
    ),
    'answers': Reader(
        "a language model server's answers", _answer, corpus.answers, mutators.mutate_json
    ),
    'spoken': Reader(
        "a language model's words, cut into sentences", _spoken, lambda: list(corpus.SPOKEN),
        mutators.mutate_bytes,
    ),
    'extra_body': Reader(
        'the parameter extra_body', _extra_body,
        lambda: [b'{"reasoning": {"effort": "none"}}', *corpus.HOSTILE_JSON],
        mutators.mutate_json,
    ),
    'cards': Reader(
        'model cards', _by_path('card.json', _card), lambda: corpus.cards('emotion_lstm.json'),
        mutators.mutate_json,
    ),
    'weights': Reader(
        '.tflite files with a card that fits', _weights,
        lambda: corpus.weights('emotion_lstm.tflite'),
    ),
    'arrays': Reader(
        '.npz files with a card that fits', _arrays,
        lambda: corpus.arrays('speaking.npz', 'upright.npz'), mutators.mutate_zip,
        corpus.array_bomb,
    ),
    'task': Reader(
        "MediaPipe's .task files", _by_path('face.task', _task), _task_seeds,
        mutators.mutate_zip, forks=False, large=True,
    ),
    'drivers': Reader(
        "camera drivers' answers (V4L2)", _driver, lambda: list(corpus.capabilities())
    ),
    'addresses': Reader(
        'addresses of cameras and calibrations', _address, _addresses, mutators.mutate_json
    ),
}  # fmt: skip
