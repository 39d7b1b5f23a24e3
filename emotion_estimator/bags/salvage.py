"""Recover the messages of a storage file that rosbags refuses: truncated, damaged, without index.

MCAP is parsed here because the readers of the `mcap` library stop at the first damaged record and
drop a chunk that is cut off. Of the truncated files in test/bags they recover 0 to 113 of 200
messages where this module recovers 60 to 198, and nothing behind a damaged chunk.
"""

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

#: First bytes of a zstd frame (RFC 8878, section 3.1.1); CDR never begins with them.
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
#: Bytes decompressed at once, so that those before a damage are recovered.
_PIECE = 4096

#: Operation codes of MCAP's records (mcap.dev, version 0).
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 0x03, 0x04, 0x05, 0x06
_MAGIC = b'\x89MCAP0\r\n'
#: Size in bytes from which on a record's length is itself damaged: no image is that large.
_MAX_RECORD = 2**31

#: Connection, log time in nanoseconds, and bytes of a message.
Found = tuple[Connection, int, bytes]


def decompress_file(source: Path, target: Path) -> str:
    """Decompress ``source`` (zstd) to ``target``.

    :returns: why it ended early; empty if it is complete.
    """
    with source.open('rb') as packed, target.open('wb') as plain:
        try:
            with zstd.open(packed, 'rb') as unpacked:
                shutil.copyfileobj(unpacked, plain)
        except (zstd.ZstdError, EOFError) as error:
            return str(error)
    return ''


def decompress_message(data: bytes) -> bytes:
    """Return a message's bytes, decompressed if they are undamaged zstd."""
    if not data.startswith(ZSTD_MAGIC):
        return data
    try:
        return bytes(zstd.decompress(data))
    except zstd.ZstdError:
        return data


def _decompress_chunk(data: bytes, method: str) -> tuple[bytes, bool]:
    """Decompress an MCAP chunk up to the first damage; return whether it is complete, too.

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


class _Schema(NamedTuple):
    name: str
    encoding: str
    text: str


def salvage(path: Path, damage: Callable[[str], None]) -> Iterator[Found]:
    """Yield all readable messages in the order of the file.

    :param path: an ``.mcap`` or ``.db3`` file.
    :param damage: called with a description of each damage.
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
        # Otherwise SQLite refuses a file shorter than its header claims.
        database.execute('PRAGMA writable_schema=ON')
        named = database.execute('SELECT id, name, type, serialization_format FROM topics')
        topics = {
            number: _connection(number, topic, kind, wire=wire)
            for number, topic, kind, wire in named
            if isinstance(topic, str) and isinstance(kind, str)
        }
        # Not by time: that index is at the end of the file, which is lost first.
        rows = database.execute('SELECT topic_id, timestamp, data FROM messages ORDER BY id')
        for topic, time, data in rows:
            count += 1
            # A damaged row may contain anything.
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
            damage('it does not begin like an MCAP file')
            return
        for code, record in _records(file, damage):
            if code == _CHUNK:
                chunk = _unpacked(record, file.tell(), damage)
                inner = _records(io.BytesIO(chunk), damage)
            else:
                inner = iter([(code, record)])
            for kind, body in inner:
                try:
                    found = _parse(kind, body, schemas, channels)
                except (struct.error, UnicodeDecodeError, KeyError) as error:
                    damage(f'a damaged record before byte {file.tell()} ({error})')
                    continue
                if found is not None:
                    yield found


def _records(file: BinaryIO, damage: Callable[[str], None]) -> Iterator[tuple[int, bytes]]:
    """Yield the code and content of each record; the rest of a chunk that is cut off."""
    while head := file.read(9):
        if head.startswith(_MAGIC):
            return
        code, size = struct.unpack('<BQ', head) if len(head) == 9 else (0, 0)
        body = file.read(size) if size < _MAX_RECORD else b''
        if len(head) < 9 or len(body) < size:
            damage(f'it is cut off at byte {file.tell()}')
            if code == _CHUNK:
                yield code, body
            return
        yield code, body


def _unpacked(chunk: bytes, end: int, damage: Callable[[str], None]) -> bytes:
    """Return the records in a chunk, as far as they decompress."""
    try:
        size, checksum, name = struct.unpack_from('<16xQII', chunk)
        method = chunk[32 : 32 + name].decode()
        content, complete = _decompress_chunk(chunk[32 + name + 8 :], method)
    except (struct.error, UnicodeDecodeError):
        damage(f'a damaged chunk before byte {end}')
        return b''
    if not complete or len(content) != size or (checksum and zlib.crc32(content) != checksum):
        damage(f'a damaged chunk before byte {end}')
    return content


def _parse(
    code: int, body: bytes, schemas: dict[int, _Schema], channels: dict[int, Connection]
) -> Found | None:
    """Return a message record's message; remember a schema or channel record."""
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
