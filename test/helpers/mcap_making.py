"""MCAP files put together record by record, right or wrong, and zstd frames that grow."""

from __future__ import annotations

import struct
from pathlib import Path

MAGIC = b'\x89MCAP0\r\n'
ALWAYS = (0, 2**60)


def record(code: int, body: bytes) -> bytes:
    return struct.pack('<BQ', code, len(body)) + body


def text(content: str | bytes) -> bytes:
    data = content if isinstance(content, bytes) else content.encode()
    return struct.pack('<I', len(data)) + data


def schema(name: str = 'sensor_msgs/msg/Image', number: int = 1) -> bytes:
    return record(3, struct.pack('<H', number) + text(name) + text('ros2msg') + text(''))


def channel(topic: str = '/image_raw', number: int = 1, qos: str | None = None) -> bytes:
    more = b'' if qos is None else text('offered_qos_profiles') + text(qos)
    return record(4, struct.pack('<HH', number, 1) + text(topic) + text('cdr') + text(more))


def message(data: bytes, time: int, number: int = 1) -> bytes:
    return record(5, struct.pack('<HIQQ', number, 0, time, time) + data)


def chunk(packed: bytes, plain: int, method: str = '') -> bytes:
    head = struct.pack('<QQQI', *ALWAYS, plain, 0) + text(method)
    return record(6, head + struct.pack('<Q', len(packed)) + packed)


def entry(at: int, length: int, plain: int, method: str = '', times=ALWAYS) -> bytes:
    """Return the index record of a chunk."""
    channels = struct.pack('<HQ', 1, 0)
    return record(
        8,
        struct.pack('<QQQQ', *times, at, length)
        + text(channels)
        + struct.pack('<Q', 0)
        + text(method)
        + struct.pack('<QQ', 0, plain),
    )


def statistics(count: int, times=(10**9, 2 * 10**9)) -> bytes:
    counts = struct.pack('<HQ', 1, count)
    return record(11, struct.pack('<QHIIIIQQ', count, 1, 1, 0, 0, 1, *times) + text(counts))


HEAD = MAGIC + record(1, text('ros2') + text('test'))
TOPIC = schema() + channel()


def write_mcap(path: Path, data: bytes, summary: bytes | None = None) -> Path:
    at = len(HEAD) + len(data) if summary is not None else 0
    end = record(2, struct.pack('<QQI', at, 0, 0)) + MAGIC
    path.write_bytes(HEAD + data + (summary or b'') + end)
    return path


def indexed(path: Path, chunks: list[tuple[bytes, int, str, tuple[int, int]]], count: int) -> Path:
    """Write chunks, each its bytes, their plain size, method and times, with an index of them."""
    data = summary = b''
    for packed, plain, method, times in chunks:
        body = chunk(packed, plain, method)
        summary += entry(len(HEAD) + len(data), len(body), plain, method, times)
        data += body
    return write_mcap(path, data, TOPIC + summary + statistics(count))


def zstd_zeros(size: int, declared: bool = False) -> bytes:
    """Return a zstd frame of zeros: 4 bytes for each 128 kB (RFC 8878, RLE blocks)."""
    head = b'\xc0\x50' + struct.pack('<Q', size) if declared else b'\x00\x50'
    block = 128 << 10
    sizes = [block] * (size // block) + ([size % block] if size % block else [])
    blocks = b''.join(
        ((number == len(sizes) - 1) | 1 << 1 | length << 3).to_bytes(3, 'little') + b'\0'
        for number, length in enumerate(sizes)
    )
    return b'\x28\xb5\x2f\xfd' + head + blocks
