"""The sizes that an AVIF file gives: of its images, and of the AV1 streams that are decoded.

Decoders take memory for the size in the stream, whatever the file says around it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

#: Boxes of a level, items, and parts of an item or a stream that are looked through.
_MAX_PARTS = 1000
#: Type of an OBU that begins a sequence (AV1 bitstream specification, 6.2.2).
_SEQUENCE_HEADER = 1


def avif_sizes(view: memoryview) -> list[tuple[int, int]]:
    """Return width and height of all that an AVIF file holds, of tiles and of their whole.

    :param view: of the complete file.
    :raises struct.error, IndexError: it is cut off.
    :raises ValueError: a box is smaller than its header, or an item larger than the file.
    """
    sizes = []
    for meta in boxes(view, b'meta'):
        inner = meta[4:]
        for properties in boxes(inner, b'iprp'):
            for container in boxes(properties, b'ipco'):
                for extent in boxes(container, b'ispe'):
                    width, height = struct.unpack_from('>II', extent, 4)
                    sizes.append((width, height))
        for item in _items(view, inner):
            # Of other items, such as EXIF, it finds nothing, or ends early.
            with suppress(struct.error, IndexError, ValueError):
                sizes += list(_stream_sizes(item))
    return sizes


def boxes(view: memoryview, wanted: bytes) -> Iterator[memoryview]:
    """Yield the contents of the boxes of a type, at one level of an ISO base media file.

    :param wanted: the type, four characters (ISO 14496-12).
    :raises struct.error: a box's header is cut off.
    :raises ValueError: a box is smaller than its header.
    """
    at = 0
    for _ in range(_MAX_PARTS):
        if at + 8 > len(view):
            return
        size, kind = struct.unpack_from('>I4s', view, at)
        begun = at + 8
        if size == 1:
            (size,) = struct.unpack_from('>Q', view, begun)
            begun += 8
        end = at + size if size else len(view)
        if end < begun:
            raise ValueError('a box smaller than its header')
        if kind == wanted:
            yield view[begun:end]
        at = end


def _items(view: memoryview, meta: memoryview) -> Iterator[memoryview]:
    """Yield the data of each item, as ``iloc`` says where it lies (ISO 14496-12, 8.11.3)."""
    for box in boxes(meta, b'iloc'):
        version = box[0]
        many, indexed = version == 2, version in (1, 2)
        numbers = _Numbers(box[4:])
        sizes = numbers.whole(2)
        of_offset, of_length, of_base, of_index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        for _ in range(min(numbers.whole(4 if many else 2), _MAX_PARTS)):
            numbers.whole(4 if many else 2)
            inside = indexed and numbers.whole(2) & 15 == 1
            data = next(boxes(meta, b'idat'), view) if inside else view
            numbers.whole(2)
            base = numbers.whole(of_base)
            extents = []
            for _ in range(min(numbers.whole(2), _MAX_PARTS)):
                numbers.whole(of_index if indexed else 0)
                begun = base + numbers.whole(of_offset)
                extents.append(data[begun : begun + (numbers.whole(of_length) or len(data))])
            if sum(map(len, extents)) > len(view):
                raise ValueError('an item larger than the file')
            yield extents[0] if len(extents) == 1 else memoryview(b''.join(extents))


def _stream_sizes(stream: memoryview) -> Iterator[tuple[int, int]]:
    """Yield width and height of each sequence in AV1's low-overhead format (its section 5.2)."""
    at = 0
    while at < len(stream):
        head = stream[at]
        at += 2 if head & 4 else 1
        size = len(stream) - at
        if head & 2:
            size, at = _leb128(stream, at)
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            yield _sequence_size(_Bits(stream[at : at + min(size, 256)]))
        at += size


def _leb128(view: memoryview, at: int) -> tuple[int, int]:
    """Return an unsigned number of 7 bits a byte, and where the next one begins."""
    number = 0
    for i in range(8):
        number |= (view[at + i] & 0x7F) << 7 * i
        if not view[at + i] & 0x80:
            return number, at + i + 1
    raise ValueError('a number of more than eight bytes')


def _sequence_size(bits: _Bits) -> tuple[int, int]:
    """Return the largest width and height of a sequence, of its header (AV1, section 5.5.1)."""
    bits.read(4)
    if bits.read(1):
        bits.read(5)
    else:
        _skip_operating_points(bits)
    of_width, of_height = bits.read(4) + 1, bits.read(4) + 1
    return bits.read(of_width) + 1, bits.read(of_height) + 1


def _skip_operating_points(bits: _Bits) -> None:
    of_delay = 0
    if bits.read(1):
        bits.read(64)
        if bits.read(1):
            # Exp-Golomb: as many bits as zeros come first.
            zeros = 0
            while not bits.read(1):
                zeros += 1
            bits.read(zeros)
        if bits.read(1):
            of_delay = bits.read(5) + 1
            bits.read(42)
    displayed = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if of_delay and bits.read(1):
            bits.read(2 * of_delay + 1)
        if displayed and bits.read(1):
            bits.read(4)


class _Numbers:
    """Numbers of whole bytes, one after the other.

    :raises IndexError: there are no more.
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def whole(self, size: int) -> int:
        """Return the next number of so many bytes; 0 of none."""
        begun = self._at
        self._at += size
        if self._at > len(self._view):
            raise IndexError('cut off')
        return int.from_bytes(self._view[begun : self._at], 'big')


class _Bits:
    """Numbers of single bits, one after the other.

    :raises IndexError: there are no more.
    """

    def __init__(self, view: memoryview) -> None:
        self._left = 8 * len(view)
        self._number = int.from_bytes(view, 'big')

    def read(self, size: int) -> int:
        """Return the next number of so many bits."""
        self._left -= size
        if self._left < 0:
            raise IndexError('cut off')
        return self._number >> self._left & ((1 << size) - 1)
