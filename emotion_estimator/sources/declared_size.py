"""The size in pixels that a video file declares, read before FFmpeg decodes anything.

FFmpeg decodes the first image to find out more, and some decoders, such as that of PNG, take a
gigabyte for a file of 800 kB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

#: Boxes of ISO base media files that lead to the sizes, from the outside inwards.
_BOXES = frozenset((b'moov', b'trak', b'mdia', b'minf', b'stbl'))
#: Handlers of tracks (``hdlr``) that hold no pictures; metadata has a text where a size would be.
_WITHOUT_PICTURES = frozenset(
    (b'soun', b'meta', b'text', b'sbtl', b'subt', b'clcp', b'tmcd', b'hint', b'sdsm', b'odsm')
)
#: Elements of Matroska that do: segment, tracks, track, video.
_VIDEO = 0xE0
_ELEMENTS = frozenset((0x18538067, 0x1654AE6B, 0xAE, _VIDEO))
_CLUSTER, _WIDTH, _HEIGHT = 0x1F43B675, 0xB0, 0xBA
#: Boxes or elements looked at, and bytes of one that is read; more is left to FFmpeg.
_MOST, _MOST_BYTES = 4000, 1 << 16


def declared_sizes(file: BinaryIO, start: bytes) -> Iterator[tuple[int, int]]:
    """Yield width and height of the images of MP4, MOV, Matroska, AVI, GIF, PNG, WebP, IVF and FLV.

    What a file does not declare, or not in its first megabyte, is left to FFmpeg.

    :param file: is read from where it is needed.
    :param start: its first bytes, a megabyte or all.
    """
    try:
        if start[:4] == b'GIF8':
            yield struct.unpack_from('<HH', start, 6)
        elif start[:4] == b'\x89PNG':
            yield struct.unpack_from('>II', start, 16)
        elif start[:4] == b'RIFF' and start[8:16] == b'WEBPVP8X':
            across, up, down, far = struct.unpack_from('<HBHB', start, 24)
            yield 1 + across + (up << 16), 1 + down + (far << 16)
        elif start[:4] == b'RIFF':
            yield from _avi(start)
        elif start[:4] == b'\x1a\x45\xdf\xa3':
            yield from _matroska(file)
        elif start[:4] == b'DKIF':
            yield from _ivf(start)
        elif start[:3] == b'FLV':
            yield from _flv(start)
        elif start[4:8].isalpha():
            yield from _iso(file)
    except struct.error:
        return


def _iso(file: BinaryIO) -> Iterator[tuple[int, int]]:
    end = file.seek(0, 2)
    at = 0
    handler = b'vide'
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(16)
        if at + 8 > end or len(head) < 8:
            return
        size, kind = struct.unpack_from('>I4s', head)
        begin = at + 8
        if size == 1:
            (size,) = struct.unpack_from('>Q', head, 8)
            begin += 8
        if kind == b'trak':
            handler = b'vide'
        elif kind == b'hdlr':
            file.seek(begin)
            content = file.read(12)
            # QuickTime has another one for how the data are reached.
            handler = handler if content[4:8] == b'dhlr' else content[8:]
        elif kind == b'stsd' and handler not in _WITHOUT_PICTURES:
            file.seek(begin)
            content = file.read(min(max(size - (begin - at), 0), _MOST_BYTES))
            with suppress(struct.error):
                yield from _sample_entries(content)
        # A box may be damaged, or last until the end.
        at = begin if kind in _BOXES else max(at + size, begin) if size else end


def _sample_entries(box: bytes) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from('>I', box, 4)
    at = 8
    for _ in range(min(count, 100)):
        size, width, height = struct.unpack_from('>I28xHH', box, at)
        # Of sound it is the sampling rate and its fraction, 0.
        if height:
            yield width, height
        at += max(size, 8)


def _matroska(file: BinaryIO) -> Iterator[tuple[int, int]]:
    at = 0
    sides = {_WIDTH: 0, _HEIGHT: 0}
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(12)
        kind, length = _number(head, 0, keep_marker=True)
        size, more = _number(head, length)
        at += length + more
        if not head or kind == _CLUSTER:
            return
        if kind in _ELEMENTS:
            if kind == _VIDEO:
                sides = dict.fromkeys(sides, 0)
            continue
        if kind in (_WIDTH, _HEIGHT) and size <= 8:
            file.seek(at)
            sides[kind] = int.from_bytes(file.read(size), 'big')
            if all(sides.values()):
                yield sides[_WIDTH], sides[_HEIGHT]
        at += size


def _number(head: bytes, at: int, *, keep_marker: bool = False) -> tuple[int, int]:
    """Return one of EBML's numbers of variable length (RFC 8794, section 4), and its length."""
    first = head[at] if at < len(head) else 0
    length = 9 - first.bit_length()
    if length > 8:
        raise struct.error
    value = int.from_bytes(head[at : at + length], 'big')
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), length


def _avi(start: bytes) -> Iterator[tuple[int, int]]:
    at = -1
    for _ in range(100):
        at = start.find(b'strf', at + 1)
        if at < 0:
            return
        # Each follows the header of its stream, which says what it is; sound's may be as long.
        header = start.rfind(b'strh', 0, at)
        if header >= 0 and start[header + 8 : header + 12] == b'auds':
            continue
        size, width, height = struct.unpack_from('<I4xii', start, at + 4)
        if size >= 16:
            yield abs(width), abs(height)


def _ivf(start: bytes) -> Iterator[tuple[int, int]]:
    kind, width, height = struct.unpack_from('<4sHH', start, 8)
    yield width, height
    at = 32
    while kind == b'VP80' and at < len(start):
        (size,) = struct.unpack_from('<I', start, at)
        # RFC 6386, section 9.1: of key frames only, in 14 bits.
        if start[at + 15 : at + 18] == b'\x9d\x01\x2a':
            width, height = struct.unpack_from('<HH', start, at + 18)
            yield width & 0x3FFF, height & 0x3FFF
        at += 12 + size


def _flv(start: bytes) -> Iterator[tuple[int, int]]:
    at = 13
    while at + 24 < len(start):
        kind, size = start[at] & 0x1F, int.from_bytes(start[at + 1 : at + 4], 'big')
        # Sorenson's H.263 has its size in each frame: 17 + 5 + 8 bits, then 3 for its form.
        if kind == 9 and start[at + 11] & 0x0F == 2:
            bits = int.from_bytes(start[at + 12 : at + 12 + 9], 'big')
            form, rest = bits >> 72 - 33 & 7, bits & (1 << 39) - 1
            if form == 1:
                yield rest >> 23, rest >> 7 & 0xFFFF
        at += 11 + size + 4
