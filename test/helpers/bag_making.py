"""Small bags of any kind for tests, written by rosbags itself where the writer makes no such."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from emotion_estimator.bags.messages import Header, definition, image_message, serialize

SECOND = 10**9
#: Storage and how it is compressed.
KINDS = [
    ('mcap', 'none'), ('mcap', 'storage'), ('mcap', 'lz4'), ('mcap', 'message'), ('mcap', 'file'),
    ('sqlite3', 'none'), ('sqlite3', 'message'), ('sqlite3', 'file'),
]  # fmt: skip


def picture(number: int, height: int = 24, width: int = 32) -> np.ndarray:
    """Return an image that tells its number: smooth, so that JPEG keeps it, in three colours."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:] = (10 + number % 200, 60, 200 - number % 100)
    image[: height // 2, :, 1] = 120
    return image


def image_bytes(number: int, nanoseconds: int, quality: int | None = None) -> bytes:
    """Return the CDR of the picture of a number."""
    return serialize(image_message(picture(number), Header(nanoseconds, f'f{number}'), quality))


def write_bag(folder: Path, messages, storage='mcap', mode='none') -> Path:
    """Write ``(topic, type, log time, CDR)`` messages as they are; return the folder."""
    plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
    writer = Writer(folder, version=8, storage_plugin=plugin)
    chunked = 'storage' if mode == 'lz4' else mode
    writer.set_compression(CompressionMode[chunked.upper()], CompressionFormat.ZSTD)
    connections = {}
    with writer:
        if mode == 'lz4':
            import lz4.frame

            writer.storage.compression = 'lz4'
            writer.storage.compressor = lz4.frame.compress
        for topic, kind, time, data in messages:
            if (topic, kind) not in connections:
                text, digest = definition(kind)
                connections[topic, kind] = writer.add_connection(
                    topic, kind, msgdef=text, rihs01=digest
                )
            writer.write(connections[topic, kind], time, data)
    return folder


def numbered(count: int, *, topic='/image_raw', quality=None, period=SECOND // 10):
    """Yield images stamped from 1 s on."""
    kind = 'sensor_msgs/msg/' + ('Image' if quality is None else 'CompressedImage')
    for number in range(count):
        time = SECOND + number * period
        yield topic, kind, time, image_bytes(number, time, quality)


def storage_file(folder: Path) -> Path:
    """Return a bag's only storage file."""
    return next(file for file in folder.iterdir() if file.name != 'metadata.yaml')
