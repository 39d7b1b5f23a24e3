"""Decompress what bags are compressed with; from damaged data, what comes before the damage."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import lz4.frame

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
