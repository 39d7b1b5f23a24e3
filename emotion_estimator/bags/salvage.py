"""Read what is left of a storage file that rosbags refuses: truncated, damaged, without index."""

from __future__ import annotations

import io
import shutil
import sqlite3
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

import lz4.frame
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: What a zstd frame begins with (RFC 8878, 3.1.1), and CDR never does.
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'

#: Bytes decompressed at once, so that damaged data still gives those before the damage.
_PIECE = 4096


def decompress_file(source: Path, target: Path) -> str:
    """Write the decompressed ``source`` (zstd) to ``target``.

    :returns: why it ended early, empty when it is whole.
    """
    with source.open('rb') as packed, target.open('wb') as plain:
        try:
            with zstd.open(packed, 'rb') as unpacked:
                shutil.copyfileobj(unpacked, plain)
        except (zstd.ZstdError, EOFError) as error:
            return str(error)
    return ''


def decompress_message(data: bytes) -> bytes:
    """Return a message's bytes, decompressed where it is compressed (zstd) and undamaged."""
    if not data.startswith(ZSTD_MAGIC):
        return data
    try:
        return bytes(zstd.decompress(data))
    except zstd.ZstdError:
        return data


def decompress_chunk(data: bytes, method: str) -> tuple[bytes, bool]:
    """Return an MCAP chunk's bytes, up to where it is damaged, and whether it is undamaged.

    :param method: ``zstd``, ``lz4``, or empty.
    """
    if not method:
        return data, True
    if method not in ('zstd', 'lz4'):
        return b'', False
    unpack: Any = zstd.ZstdDecompressor() if method == 'zstd' else lz4.frame.LZ4FrameDecompressor()
    plain = bytearray()
    for start in range(0, len(data), _PIECE):
        try:
            plain += unpack.decompress(data[start : start + _PIECE])
        except (zstd.ZstdError, RuntimeError, EOFError):
            return bytes(plain), False
    return bytes(plain), bool(unpack.eof)


#: The operation codes of MCAP's records (mcap.dev, version 0).
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 0x03, 0x04, 0x05, 0x06
_MAGIC = b'\x89MCAP0\r\n'

#: Bytes of a record above which its length is damaged itself: no image is that large.
_MOST = 2**31

Found = tuple[Connection, int, bytes]


class _Schema(NamedTuple):
    name: str
    encoding: str
    text: str


def salvage(path: Path, damage: Callable[[str], None]) -> Iterator[Found]:
    """Yield the messages that can be read, with their log time in nanoseconds, as they lie.

    :param path: an ``.mcap`` or ``.db3`` file.
    :param damage: told where the first damage is.
    """
    yield from (_mcap if path.suffix == '.mcap' else _sqlite)(path, damage)


def _connection(
    number: int, topic: str, kind: str, text: str = '', encoding: str = '', wire: str = 'cdr'
) -> Connection:
    form = {'ros2msg': MessageDefinitionFormat.MSG, 'ros2idl': MessageDefinitionFormat.IDL}
    return Connection(
        id=number,
        topic=topic,
        msgtype=kind,
        msgdef=MessageDefinition(form.get(encoding, MessageDefinitionFormat.NONE), text),
        digest='',
        msgcount=0,
        ext=ConnectionExtRosbag2(wire, []),
        owner=None,
    )


def _sqlite(path: Path, damage: Callable[[str], None]) -> Iterator[Found]:
    address = f'file:{quote(str(path.absolute()))}?immutable=1'
    try:
        database = sqlite3.connect(address, uri=True, check_same_thread=False)
    except sqlite3.Error as error:
        damage(str(error))
        return
    count = 0
    try:
        # Or SQLite would not open a file that is shorter than its header says.
        database.execute('PRAGMA writable_schema=ON')
        named = database.execute('SELECT id, name, type, serialization_format FROM topics')
        topics = {
            number: _connection(number, topic, kind, wire=wire)
            for number, topic, kind, wire in named
            if isinstance(topic, str) and isinstance(kind, str)
        }
        # By the table itself: the index by time lies at the file's end, which is lost first.
        rows = database.execute('SELECT topic_id, timestamp, data FROM messages ORDER BY id')
        for topic, time, data in rows:
            count += 1
            # Anything can stand in a damaged row.
            if topic in topics and isinstance(time, int) and isinstance(data, bytes):
                yield topics[topic], time, data
    except sqlite3.Error as error:
        damage(f'{error} after {count} messages')
    finally:
        database.close()


def _mcap(path: Path, damage: Callable[[str], None]) -> Iterator[Found]:
    schemas: dict[int, _Schema] = {}
    channels: dict[int, Connection] = {}
    with path.open('rb') as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            damage('it does not begin as MCAP does')
            return
        for code, record in _records(file, damage):
            if code == _CHUNK:
                chunk = _unpacked(record, file.tell(), damage)
                inner = _records(io.BytesIO(chunk), damage)
            else:
                inner = iter([(code, record)])
            for kind, body in inner:
                try:
                    found = _take(kind, body, schemas, channels)
                except (struct.error, UnicodeDecodeError, KeyError) as error:
                    damage(f'a damaged record before byte {file.tell()} ({error})')
                    continue
                if found is not None:
                    yield found


def _records(file: BinaryIO, damage: Callable[[str], None]) -> Iterator[tuple[int, bytes]]:
    """Yield the code and content of each record; of a chunk that is cut off, what there is."""
    while head := file.read(9):
        if head.startswith(_MAGIC):
            return
        code, size = struct.unpack('<BQ', head) if len(head) == 9 else (0, 0)
        body = file.read(size) if size < _MOST else b''
        if len(head) < 9 or len(body) < size:
            damage(f'it is cut off at byte {file.tell()}')
            if code == _CHUNK:
                yield code, body
            return
        yield code, body


def _unpacked(chunk: bytes, end: int, damage: Callable[[str], None]) -> bytes:
    """Return the records in a chunk, as far as they can be decompressed."""
    try:
        size, checksum, name = struct.unpack_from('<16xQII', chunk)
        method = chunk[32 : 32 + name].decode()
        content, whole = decompress_chunk(chunk[32 + name + 8 :], method)
    except (struct.error, UnicodeDecodeError):
        damage(f'a damaged chunk before byte {end}')
        return b''
    if not whole or len(content) != size or (checksum and zlib.crc32(content) != checksum):
        damage(f'a damaged chunk before byte {end}')
    return content


def _take(
    code: int, body: bytes, schemas: dict[int, _Schema], channels: dict[int, Connection]
) -> Found | None:
    """Return a message record's message; note what a schema or channel record says."""
    if code == _MESSAGE:
        channel, time = struct.unpack_from('<H4xQ', body)
        return (channels[channel], time, body[22:]) if channel in channels else None
    if code == _SCHEMA:
        (number,) = struct.unpack_from('<H', body)
        name, encoding, text = _texts(body, 2, 3)
        schemas[number] = _Schema(name, encoding, text)
    elif code == _CHANNEL:
        number, schema = struct.unpack_from('<HH', body)
        topic, wire = _texts(body, 4, 2)
        name, encoding, text = schemas[schema]
        channels.setdefault(number, _connection(number, topic, name, text, encoding, wire))
    return None


def _texts(body: bytes, at: int, count: int) -> list[str]:
    texts = []
    for _ in range(count):
        (size,) = struct.unpack_from('<I', body, at)
        texts.append(body[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return texts
