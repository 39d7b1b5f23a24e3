"""The border of bags: how far the content of a file may grow, in bytes and in records.

A few hundred bytes of zstd become gigabytes, and a megabyte of SQLite an endless list of rows, so
that all reading draws on an allowance that grows with the file's size.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import lz4.frame

from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import MAX_BAG_FILE, MAX_MESSAGE, in_bytes, open_regular

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: First bytes of a zstd frame (RFC 8878, section 3.1.1); CDR never begins with them.
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'

#: Largest log time, in nanoseconds: ROS counts seconds in an int32.
MAX_TIME = 2**31 * 10**9 - 1

#: Bytes that any file may grow by, and how often its own size; images compress up to 100 times.
_FREE_BYTES, _GROWTH = 512 << 20, 500
#: Messages that any file may hold, and how many bytes of it each further one must take: they are
#: at least 31 in MCAP, which compress, and about 20 in SQLite. Likewise of other records, such as
#: indexes: a file has some for each chunk of a megabyte.
_FREE_MESSAGES, _MESSAGE_BYTES = 300_000, 16
_FREE_RECORDS, _RECORD_BYTES = 100_000, 512

#: Bytes read and decompressed at once, so that those before a damage are recovered.
_PIECE_IN, _PIECE_OUT = 4096, 1 << 16
#: Declared size up to which all is decompressed at once, which takes half the time.
_AT_ONCE = 16 << 20
#: Free bytes that decompressing a file leaves on the disk, and after how many it looks.
_KEEP_FREE, _LOOK_AFTER = 256 << 20, 16 << 20


class TooMuch(InputError):  # noqa: N818  an event, like SourceLost
    """A file holds far more than its size explains, or more than can be processed."""


class Allowance:
    """How much may still be read out of a file; each pass over it has its own.

    :param size: of the file, in bytes.
    """

    def __init__(self, size: int) -> None:
        self._bytes = _FREE_BYTES + _GROWTH * size
        self._messages = _FREE_MESSAGES + size // _MESSAGE_BYTES
        self._records = _FREE_RECORDS + size // _RECORD_BYTES
        #: Of a database's virtual machine; a row takes about 50.
        self.steps = 64 * self._messages

    def unpack(self, count: int) -> None:
        """Draw ``count`` bytes.

        :raises TooMuch: nothing is left.
        """
        self._bytes -= count
        if self._bytes < 0:
            raise TooMuch('it grows far beyond its size when it is read; it is no recording')

    def message(self, count: int = 1) -> None:
        """Draw ``count`` messages.

        :raises TooMuch: nothing is left.
        """
        self._messages -= count
        if self._messages < 0:
            raise TooMuch('it holds more messages than its size explains; it is no recording')

    def record(self, count: int = 1) -> None:
        """Draw ``count`` records other than messages.

        :raises TooMuch: nothing is left.
        """
        self._records -= count
        if self._records < 0:
            raise TooMuch('it holds more records than its size explains; it is no recording')


def unpack_message(data: bytes, allowance: Allowance) -> bytes:
    """Return a message's bytes, decompressed if they are undamaged zstd.

    :raises ValueError: they grow beyond ``MAX_MESSAGE``; one short line.
    :raises TooMuch: the allowance is used up.
    """
    if not data.startswith(ZSTD_MAGIC):
        return data
    try:
        plain, complete = _grown(data, 'zstd', allowance)
    except zstd.ZstdError:
        return data
    return plain if complete else data


def unpack_chunk(data: memoryview, method: str, allowance: Allowance) -> tuple[memoryview, bool]:
    """Decompress an MCAP chunk up to the first damage; return whether it is complete, too.

    :param method: ``zstd``, ``lz4``, or empty.
    :raises ValueError: it grows beyond ``MAX_MESSAGE``; one short line.
    :raises TooMuch: the allowance is used up.
    """
    if not method:
        return data, True
    if method not in ('zstd', 'lz4'):
        return memoryview(b''), False
    plain, complete = _grown(data, method, allowance)
    return memoryview(plain), complete


def _grown(data: bytes | memoryview, method: str, allowance: Allowance) -> tuple[bytes, bool]:
    declared = (_declared(data) or 0) if method == 'zstd' else 0
    if declared > MAX_MESSAGE:
        raise ValueError(_too_large(method))
    if 0 < declared <= _AT_ONCE:
        with suppress(zstd.ZstdError):
            whole = zstd.ZstdDecompressor()
            out = whole.decompress(data, declared)
            if whole.eof:
                allowance.unpack(len(out))
                return out, not whole.unused_data
    unpack: Any = zstd.ZstdDecompressor() if method == 'zstd' else lz4.frame.LZ4FrameDecompressor()
    # Gives its bytes without another copy.
    plain = io.BytesIO()
    try:
        for start in range(0, len(data), _PIECE_IN):
            piece = data[start : start + _PIECE_IN]
            while True:
                out = unpack.decompress(piece, _PIECE_OUT)
                allowance.unpack(len(out))
                plain.write(out)
                if plain.tell() > MAX_MESSAGE:
                    raise ValueError(_too_large(method))
                if unpack.eof or unpack.needs_input:
                    break
                piece = b''
            if unpack.eof:
                return plain.getvalue(), start + _PIECE_IN >= len(data) and not unpack.unused_data
    except (zstd.ZstdError, RuntimeError, EOFError):
        pass
    return plain.getvalue(), False


def _declared(data: bytes | memoryview) -> int | None:
    try:
        return zstd.get_frame_info(data[:32]).decompressed_size
    except zstd.ZstdError:
        return None


def _too_large(method: str) -> str:
    return f'{method} data that grow beyond {in_bytes(MAX_MESSAGE)}'


def unpack_file(source: Path, target: Path) -> str:
    """Decompress ``source`` (zstd) to ``target``, which must not exist.

    :returns: why it ended early; empty if it is complete.
    :raises TooMuch: it grows beyond what its size explains, ``MAX_BAG_FILE``, or the free space.
    :raises OSError: it cannot be read or written.
    """
    with open_regular(source) as packed, target.open('xb') as plain:
        size = os.fstat(packed.fileno()).st_size
        allowance = Allowance(size)
        # Thousands of empty frames would take long.
        frames = 1000 + size // (1 << 16)
        written = unchecked = 0
        try:
            for out in _pieces(packed, frames):
                allowance.unpack(len(out))
                written += len(out)
                unchecked -= len(out)
                if written > MAX_BAG_FILE:
                    raise TooMuch(f'it grows beyond {in_bytes(MAX_BAG_FILE)}; split it')
                if unchecked < 0:
                    unchecked = _LOOK_AFTER
                    if shutil.disk_usage(target.parent).free < _KEEP_FREE + _LOOK_AFTER:
                        raise TooMuch(
                            f'decompressed it does not fit into {target.parent}; free some space, '
                            'or set TMPDIR to a larger folder'
                        )
                plain.write(out)
        except (zstd.ZstdError, EOFError) as error:
            return str(error)
    return ''


def _pieces(packed: BinaryIO, frames: int) -> Iterator[bytes]:
    unpack = zstd.ZstdDecompressor()
    complete = True
    while piece := packed.read(_PIECE_IN):
        while True:
            if unpack.eof:
                frames -= 1
                if frames < 0:
                    raise TooMuch('it is cut into countless zstd frames; it is no recording')
                unpack = zstd.ZstdDecompressor()
            out = unpack.decompress(piece, _PIECE_OUT)
            complete = unpack.eof
            if out:
                yield out
            piece = unpack.unused_data if unpack.eof else b''
            if not piece and (unpack.eof or unpack.needs_input):
                break
    if not complete:
        raise EOFError('it is cut off')
