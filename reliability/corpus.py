"""Inputs that the fuzzer starts from: sound ones made by the package, and hostile ones by hand."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms, features

from emotion_estimator.bags.messages import (
    COMPRESSED_IMAGE,
    Header,
    action_message,
    emotion_message,
    emotions_message,
    image_message,
    serialize,
)
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import FaceEmotion, Roi
from emotion_estimator.frame import FrameResult
from emotion_estimator.model_card import models_dir
from emotion_estimator.resources import resource_dir
from emotion_estimator.sources.base import silence_opencv

_SECOND = 10**9
_EXAMPLES = Path(__file__).parents[1] / 'examples' / 'dialogue'


def smooth(height: int = 24, width: int = 32) -> np.ndarray:
    """Return an RGB picture, uint8 (height, width, 3), that compresses like a photograph."""
    noise = np.random.default_rng(1).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def _encode(suffix: str, image: np.ndarray, *options: int) -> bytes:
    done, data = cv2.imencode(suffix, image, options)
    if not done:
        raise OSError(f'OpenCV has no encoder for {suffix}')
    return data.tobytes()


def png_of(width: int, height: int, depth: int = 8, kind: int = 0) -> bytes:
    """Return a PNG of any size, all black, which compresses to a thousandth.

    :param depth: bits of a sample.
    :param kind: colour type: 0 grey, 6 colours with transparency.
    """

    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = struct.pack('>I', zlib.crc32(name + body))
        return struct.pack('>I', len(body)) + name + body + checksum

    row = bytes(1 + width * depth // 8 * (4 if kind == 6 else 1))
    # A block of rows, repeated: packing gigabytes of zeros would take seconds.
    many = 64
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(row * many) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    rest = last.compress(row * (height % many)) + last.flush()
    # Adler-32 of zeros (RFC 1950).
    checksum = (len(row) * height % 65521) << 16 | 1
    rows = b'\x78\xda' + block * (height // many) + rest + struct.pack('>I', checksum)
    head = struct.pack('>IIBBBBB', width, height, depth, kind, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


def with_orientation(png: bytes, number: int) -> bytes:
    """Return a PNG with an EXIF orientation."""
    exif = b'II*\0\x08\0\0\0\x01\0' + struct.pack('<HHII', 0x0112, 3, 1, number) + bytes(4)
    body = b'eXIf' + exif
    chunk = struct.pack('>I', len(exif)) + body + struct.pack('>I', zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def jpeg() -> bytes:
    """Return a small JPEG."""
    return _encode('.jpg', smooth())


def pictures() -> list[bytes]:
    """Return pictures in each accepted format and depth, and refused or too large ones."""
    silence_opencv()
    colour = smooth()
    grey = colour[..., 0]
    clear = np.dstack([colour, grey])
    deep = colour.astype(np.uint16) * 257
    found = [
        jpeg(),
        _encode('.jpg', grey),
        _encode('.jpg', colour, cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        _encode('.png', colour),
        _encode('.png', grey),
        _encode('.png', clear),
        _encode('.png', deep),
        _encode('.png', grey, cv2.IMWRITE_PNG_BILEVEL, 1),
        with_orientation(_encode('.png', clear), 6),
        _encode('.webp', colour),
        _encode('.webp', clear, cv2.IMWRITE_WEBP_QUALITY, 101),
        _encode('.bmp', colour),
        _encode('.tiff', colour),
        _encode('.tiff', deep),
        _encode('.tiff', clear.astype(np.float32) / 255),
        _encode('.ppm', colour),
        _encode('.pgm', grey),
        b'P3\n# plain\n2 2\n255\n' + b'1 2 3 ' * 4,
        b'P1\n4 4\n' + b'1 0 ' * 8,
        b'GIF89a' + bytes(40),
        b'\x76\x2f\x31\x01' + bytes(60),
        b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 4\n' + bytes(64),
    ]
    found += _by_pillow(colour)
    try:
        found.append(_encode('.jp2', colour))
    except (cv2.error, OSError):
        found.append(b'\0\0\0\x0cjP  \r\n\x87\n' + bytes(200))
    return found


def _by_pillow(colour: np.ndarray) -> list[bytes]:
    """Return pictures of what Pillow decodes: inks, palettes, profiles, packed TIFF, AVIF, GIF."""
    image = Image.fromarray(colour)
    clear = Image.fromarray(np.dstack([colour, colour[..., 0]]))
    inks, palette = image.convert('CMYK'), image.quantize(16)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    wanted: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (inks, 'JPEG', {}),
        (image, 'JPEG', {'icc_profile': profile, 'exif': exif}),
        (image, 'PNG', {'icc_profile': profile, 'exif': exif}),
        (clear, 'WEBP', {'icc_profile': profile, 'exif': exif, 'lossless': True}),
        (image, 'WEBP', {'save_all': True, 'append_images': [image.rotate(180)]}),
        (palette, 'PNG', {'transparency': 3}),
        (palette, 'GIF', {'transparency': 3}),
        (inks, 'TIFF', {'compression': 'tiff_lzw'}),
        (image, 'TIFF', {'compression': 'jpeg', 'tiffinfo': {274: 6}}),
        (palette, 'TIFF', {'compression': 'tiff_adobe_deflate', 'icc_profile': profile}),
        (image.convert('1'), 'TIFF', {'compression': 'group4'}),
        (clear, 'TIFF', {}),
    ]
    if features.check('avif'):
        wanted += [(image, 'AVIF', {'exif': exif}), (clear, 'AVIF', {'icc_profile': profile})]
    found = []
    for picture, form, options in wanted:
        file = io.BytesIO()
        picture.save(file, form, **options)
        found.append(file.getvalue())
    return found


def large_pictures() -> list[bytes]:
    """Return pictures that are too large, and as large as is accepted."""
    return [
        png_of(30000, 30000), png_of(7680, 4320), png_of(7680, 4320, 16, 6), chunk_of_2_gb(),
    ]  # fmt: skip


def chunk_of_2_gb() -> bytes:
    """Return a PNG of 64 bytes, the second chunk of which claims 2 GB."""
    png = png_of(32, 24)
    return png[:33] + struct.pack('>I', 0x7428C299) + png[37:64]


def raw_images() -> list[bytes]:
    """Return images: encoding, zero byte, width, height, step, byte order (``<IIIB``), data."""
    from emotion_estimator.perception.encodings import ENCODINGS

    found = []
    for encoding in (*ENCODINGS, 'jpeg', 'x' * 1000, ''):
        deep = 2 if '16' in encoding else 1
        for width, height, step in ((8, 6, 8 * 4 * deep), (8, 6, 8 * deep), (0, 6, 24)):
            head = struct.pack('<IIIB', width, height, step, 0)
            found.append(encoding.encode() + b'\0' + head + bytes(range(192)) * 2)
    found.append(b'rgb8\0' + struct.pack('<IIIB', 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 1))
    return found


def face() -> FaceEmotion:
    """Return an ordinary face."""
    return FaceEmotion(
        'face_1', 'happy', 0.9, ('happy', 'unknown', 'sad'),
        np.array([0.9, 0.05, 0.05], np.float32), Roi(1, 2, 30, 40),
        blendshapes=np.zeros(52, np.float32),
    )  # fmt: skip


def _action() -> DialogueAction:
    return DialogueAction(
        action='comfort', topic='music', approach='gentle', utterance='I am here.', stamp=1.0,
        reason='sad for 2 s', emotion='sad', confidence=0.8, rule='sad', face_id='face_1',
        suppressed=('a', 'b'),
    )  # fmt: skip


def messages() -> list[bytes]:
    """Return serialized messages of every type that is read from bags, each with a first byte."""
    image, header = smooth(12, 16), Header(3 * _SECOND, 'eye')
    return [
        b'i' + serialize(image_message(image, header, None)),
        b'c' + serialize(image_message(image, header, 80)),
        b'e' + serialize(emotion_message(face(), header, 'model')),
        b'a' + serialize(emotions_message([face(), face()], header, 'model')),
        b'd' + serialize(action_message(_action(), header)),
        b's' + b'\0\1\0\0\6\0\0\0hello\0',
    ]


def videos() -> list[bytes]:
    """Return short films in several containers and codecs."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix, code in (('.mp4', 'mp4v'), ('.avi', 'MJPG'), ('.mkv', 'MJPG'), ('.avi', 'XVID'),
                             ('.mov', 'mp4v')):  # fmt: skip
            path = Path(folder) / f'film_{code}{suffix}'
            writer = cv2.VideoWriter(
                str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), 10.0, (64, 48)
            )
            for number in range(4):
                writer.write(np.roll(smooth(48, 64), number * 3, axis=1))
            writer.release()
            if path.is_file() and path.stat().st_size:
                found.append(path.read_bytes())
    found.append(_encode('.jpg', smooth(48, 64)) * 3)
    found.append(b'GIF89a\x04\0\x04\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x04\0\x04\0\0\x02\x04'
                 b'\x84\x8f\x09\x05\0;')  # fmt: skip
    found.append(b'\0\0\x01\xba' + bytes(200))
    return found


def bags(storage: str, compression: str = 'none') -> list[bytes]:
    """Return storage files of bags with images, results and decisions.

    :param storage: ``mcap`` or ``sqlite3``.
    :param compression: ``none`` or ``zstd``.
    """
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / 'bag'
        with BagWriter(bag, storage, compression) as writer:
            for number in range(3):
                header = Header((number + 1) * _SECOND, 'eye')
                writer.image('/image_raw', smooth(12, 16), header, 80)
                writer.result(FrameResult(header.stamp, (face(),)), header, 'model')
            writer.action(_action(), header)
        return [p.read_bytes() for p in bag.iterdir() if p.suffix in ('.mcap', '.db3')]


def _mcap(*records: tuple[int, bytes]) -> bytes:
    magic = b'\x89MCAP0\r\n'
    body = b''.join(struct.pack('<BQ', code, len(data)) + data for code, data in records)
    return magic + body + magic


def _text(value: str) -> bytes:
    return struct.pack('<I', len(value)) + value.encode()


def mcap_bags(bomb: bool = False) -> list[bytes]:
    """Return MCAP files with and without chunks and index, and one that claims an exabyte."""
    schema = struct.pack('<H', 1) + _text(COMPRESSED_IMAGE) + _text('ros2msg') + _text('')
    channel = struct.pack('<HH', 1, 1) + _text('/image_raw') + _text('cdr') + struct.pack('<I', 0)
    data = serialize(image_message(smooth(12, 16), Header(_SECOND, 'eye'), 80))
    message = struct.pack('<HIQQ', 1, 0, _SECOND, _SECOND) + data
    inner = b''.join(
        struct.pack('<BQ', code, len(body)) + body
        for code, body in ((3, schema), (4, channel), (5, message))
    )

    def chunk(method: str, packed: bytes, size: int) -> bytes:
        head = struct.pack('<QQQI', _SECOND, _SECOND, size, 0)
        return head + _text(method) + struct.pack('<Q', len(packed)) + packed

    from backports import zstd

    head = _text('ros2') + _text('test')
    if bomb:
        packed = zstd.compress(bytes(300 << 20), 3)
        return [_mcap((1, head), (6, chunk('zstd', packed, 300 << 20)), (2, bytes(20)))]
    return [
        *bags('mcap'),
        *bags('mcap', 'zstd'),
        _mcap((1, head), (3, schema), (4, channel), (5, message), (15, bytes(4)), (2, bytes(20))),
        _mcap((1, head), (6, chunk('', inner, len(inner))), (2, bytes(20))),
        _mcap((1, head), (6, chunk('zstd', zstd.compress(inner), len(inner))), (2, bytes(20))),
        b'\x89MCAP0\r\n' + struct.pack('<BQ', 6, 1 << 60),
    ]


def sqlite_bags() -> list[bytes]:
    """Return SQLite files of bags."""
    return [*bags('sqlite3'), *bags('sqlite3', 'zstd')]


def sqlite_bombs() -> list[bytes]:
    """Return one with an endless view, and one with a message that decompresses to 1 GB."""
    from backports import zstd

    found = []
    metadata = 'CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, ' \
        'serialization_format TEXT, offered_qos_profiles TEXT);' \
        'CREATE TABLE schema(schema_version INTEGER, ros_distro TEXT);' \
        "INSERT INTO schema VALUES(3, 'jazzy');"  # fmt: skip
    topic = f"INSERT INTO topics VALUES(1, '/image_raw', '{COMPRESSED_IMAGE}', 'cdr', '');"
    table = 'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, ' \
        'data BLOB);'  # fmt: skip
    endless = (
        'CREATE VIEW messages AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) '
        'SELECT x AS id, 1 AS topic_id, x AS timestamp, x AS data FROM c;'
    )
    for script, blob in (
        (metadata + topic + endless, None),
        (metadata + topic + table, zstd.compress(bytes(1 << 30), 3)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'bag.db3'
            database = sqlite3.connect(path)
            database.executescript(script)
            if blob is not None:
                database.execute('INSERT INTO messages VALUES(1, 1, 1000, ?)', (blob,))
            database.commit()
            database.close()
            found.append(path.read_bytes())
    return found


def packed() -> list[bytes]:
    """Return zstd streams: a bag, a message, skippable, empty and damaged frames."""
    from backports import zstd

    message = serialize(image_message(smooth(12, 16), Header(_SECOND, 'eye'), 80))
    return [
        *(zstd.compress(bag) for bag in bags('mcap')),
        zstd.compress(message),
        zstd.compress(b''),
        b'\x50\x2a\x4d\x18' + struct.pack('<I', 8) + bytes(8) + zstd.compress(b'a' * 1000),
        b'\x28\xb5\x2f\xfd' + bytes((0xE0,)) + b'\xff' * 8 + bytes(20),
    ]


def zstd_bomb() -> list[bytes]:
    """Return 32 kB that decompress to 1 GB."""
    from backports import zstd

    return [zstd.compress(bytes(1 << 30), 3)]


#: YAML that has hung, filled or broken readers.
HOSTILE_YAML = (
    # Nested merge keys: each level twice as long.
    b'a0: &a0 {x: 1}\n'
    + b''.join(b'a%d: &a%d {<<: [*a%d, *a%d]}\n' % (n, n, n - 1, n - 1) for n in range(1, 26)),
    b'a: &a [x, x, x]\n'
    + b''.join(b'a%d: &a%d [%s]\n' % (n, n, b'*a%d,' % (n - 1) * 9 if n > 1 else b'*a,' * 9)
               for n in range(1, 12)),
    b'!!timestamp "x"\n',
    b'date: 2024-02-31\n',
    b'when: 2001-99-99T99:99:99Z\n',
    b'&a [*a]\n',
    b'&a {a: *a}\n',
    b'[' * 300,
    b'{a: ' * 300,
    b'- ' * 300,
    # As much as is accepted; not mutated.
    b'[' * 250000,
    b'- ' * 125000,
    b'{a: ' * 60000,
    b'a: &a [' + b'*a, ' * 50000,
    b'x: "' + b'y' * 250000 + b'"',
    b'a\n' * 100000,
    b'? a\n' * 60000,
    b'n: ' + b'9' * 5000 + b'\n',
    b'n: ' + b'1:' * 2000 + b'1\n',
    b'n: 1e99999\n',
    b's: "\\ud800"\n',
    b's: "\\UFFFFFFFF"\n',
    b'!!python/object/apply:os.system ["true"]\n',
    b'\xff\xfe\x00\x00',
    b'? ' * 300,
    b'a: 1\na: 2\n',
    b'--- 1\n--- 2\n',
)  # fmt: skip

#: JSON of that kind.
HOSTILE_JSON = (
    b'[' * 100000,
    b'{"a":' * 50000,
    b'{"stamp": 1' + b'0' * 400 + b', "faces": []}',
    b'{"stamp": ' + b'1' * 5000 + b', "faces": []}',
    b'{"stamp": NaN, "faces": []}',
    b'{"stamp": 1e999, "faces": []}',
    b'{"stamp": 1, "faces": "\\ud800"}',
    b'"\\ud800"',
    b'null',
    b'',
    b'\xef\xbb\xbf{}',
    b'{"a": "' + b'x' * 300000 + b'"}',
)


def yaml_files(*paths: Path) -> list[bytes]:
    """Return these files, shortened copies of long ones, and hostile ones."""
    texts = [path.read_bytes() for path in paths]
    short = [b'\n'.join(text.split(b'\n')[:60]) for text in texts if len(text) > 4000]
    return [*texts, *short, *HOSTILE_YAML]


def config(*names: str) -> list[Path]:
    """Return shipped files of ``config/``."""
    return [resource_dir('config') / name for name in names]


def scripts() -> list[Path]:
    """Return the scripts of the examples."""
    return sorted(_EXAMPLES.glob('*.yaml'))


CALIBRATION = b"""image_width: 640
image_height: 480
camera_name: eye
distortion_model: plumb_bob
camera_matrix: {rows: 3, cols: 3, data: [500, 0, 320, 0, 500, 240, 0, 0, 1]}
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0, 0, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [500, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1, 0]}
"""

EXPECTATIONS = b"""labels:
  - {from: 0, to: 2.5, label: happy, share: 0.8}
  - {from: 3, to: 4, label: none}
actions:
  - {from: 1, to: 9, action: comfort}
  - {from: 9, to: 12, action: change_topic, count: 2}
"""

METADATA = b"""rosbag2_bagfile_information:
  version: 9
  storage_identifier: mcap
  duration: {nanoseconds: 3000000000}
  starting_time: {nanoseconds_since_epoch: 1000000000}
  message_count: 3
  topics_with_message_count:
    - topic_metadata:
        name: /image_raw
        type: sensor_msgs/msg/CompressedImage
        serialization_format: cdr
        offered_qos_profiles:
          - history: keep_last
            depth: 10
            reliability: reliable
            durability: volatile
            deadline: {sec: 9223372036, nsec: 854775807}
        type_description_hash: RIHS01_00
      message_count: 3
  compression_format: ""
  compression_mode: ""
  relative_file_paths: [bag_0.mcap, bag_1.mcap]
  files:
    - path: bag_0.mcap
      starting_time: {nanoseconds_since_epoch: 1000000000}
      duration: {nanoseconds: 3000000000}
      message_count: 3
  custom_data: ~
  ros_distro: jazzy
"""


def json_lines() -> list[bytes]:
    """Return files of results."""
    lines = [FrameResult(n / 10, (face(),) * (n % 3)).as_json() for n in range(4)]
    return ['\n'.join(lines).encode(), lines[1].encode(), lines[0].encode(), *HOSTILE_JSON]


def tables() -> list[bytes]:
    """Return tables of blendshapes."""
    head = ','.join(BLENDSHAPE_NAMES) + ',label\n'
    row = ','.join(['0.25'] * 52)
    return [
        f'{head}{row},0\n{row},2\n'.encode(),
        f'{row},1\n'.encode(),
        b'\xef\xbb\xbf' + f'{row},1,more\n'.encode(),
        b'"' + b'x' * 200000,
        b'1' * 5000 + b',' + row.encode(),
        ('1_0,' * 53).encode(),
        ('\u0661,' * 53).encode(),
        b'nan,' * 53,
        b'\0' * 100,
        b'0,' * 52 + b'1' + b'0' * 400,
    ]


CONTEXT = json.dumps({
    'version': 2, 'stamp': 12.0, 'emotion': {'label': 'happy', 'seconds': 3.0},
    'windows': [{'seconds': 10, 'shares': {'happy': 0.5}}], 'actions': [{'action': 'comfort'}],
}).encode()  # fmt: skip

PROMPT = json.dumps({
    'version': 1, 'id': 'a', 'instruction': 'Say hello.', 'fallback': 'Hello!', 'language': 'en',
    'topic': 'music', 'note': 'The person looks happy.', 'messages': [],
}).encode()  # fmt: skip


def answers() -> list[bytes]:
    """Return bodies of a language model's server: events, an error, a page."""

    def event(value: object) -> bytes:
        return b'data: ' + json.dumps(value).encode() + b'\n\n'

    def delta(text: str, finish: str | None = None) -> bytes:
        choice = {'index': 0, 'delta': {'content': text}, 'finish_reason': finish}
        return event({'id': '1', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm',
                      'choices': [choice]})  # fmt: skip

    return [
        delta('Hello') + delta(' there.', 'stop') + b'data: [DONE]\n\n',
        event({'error': {'message': 'no', 'code': 500}}),
        b'{"choices": [{"message": {"content": "Hello."}}]}',
        b'<html><body>Sign in</body></html>',
        b'data: ' + b'[' * 5000 + b'\n\n',
        b'data: {"choices": [{"delta": {"content": 1' + b'0' * 5000 + b'}}]}\n\n',
        b'data: ' + b'x' * 100000,
        b'event: ping\nretry: 99999999999999999999\nid: \0\ndata: {}\n\n',
        *HOSTILE_JSON[:8],
    ]


SPOKEN = (
    b'Hello there. How are you, Dr. Smith? "Fine!" he said... I am 3.5 years old.',
    b'<think>hidden</think>**Bold** text, `code`, [link](http://a.b) and 1. a list',
    b'Robot: hi\nHuman: what?\n' + b'a' * 300,
    b'?!' * 200,
    b'<think>' * 50,
    # Read once.
    b'?!' * 10000,
    b'<think>' * 3000,
    b'a' * 30000,
    b'[x](' * 8000,
    b'**a ' * 8000,
    ('\U0001f600 \u0645\u0631\u062d\u0628\u0627 \u3002\u4f60\u597d\u3002' * 20).encode(),
)


def cards(*names: str) -> list[bytes]:
    """Return shipped model cards, and copies with few settings, which are read faster."""
    found = []
    for name in names:
        text = (models_dir() / name).read_bytes()
        raw = json.loads(text)
        raw['metrics'] = {}
        found += [text, json.dumps(raw, indent=1).encode()]
    return [*found, *HOSTILE_JSON]


def weights(*names: str) -> list[bytes]:
    """Return files of ``models/``."""
    return [(models_dir() / name).read_bytes() for name in names]


def arrays(*names: str) -> list[bytes]:
    """Return files of arrays."""
    return weights(*names)


def array_bomb() -> list[bytes]:
    """Return an archive whose array claims 800 MB, and has 16."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (200000000,), }"
        head = head.ljust(117) + b'\n'
        archive.writestr(
            'w1.npy', b'\x93NUMPY\1\0' + struct.pack('<H', len(head)) + head + bytes(1 << 24)
        )
    return [out.getvalue()]


def capabilities() -> Iterator[bytes]:
    """Yield what a camera's driver answers to VIDIOC_QUERYCAP."""
    yield b'uvcvideo'.ljust(16, b'\0') + b'Camera'.ljust(32, b'\0') + bytes(32) + bytes(24)
    yield b'\xff' * 104
