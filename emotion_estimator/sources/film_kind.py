"""Whether a file is a film or a single picture, by its content: names are often wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from emotion_estimator.errors import InputError
from emotion_estimator.picture_header import is_picture
from emotion_estimator.untrusted import cannot_read, open_regular

#: Bytes of a first JPEG that are looked through for its end.
_LONGEST_JPEG = 64 << 20
#: Chunks or blocks of a PNG, WebP or GIF that are looked through.
_MOST_PARTS = 10_000
#: Bytes by which a kind is told: three packets of a transport stream.
_MAGIC = 1024
#: Brands of ISO base media files that are single pictures, and those of sequences of them.
_STILL_BRANDS = frozenset((b'avif', b'heic', b'heix', b'heim', b'heis', b'mif1', b'jpeg', b'j2ki'))
_SEQUENCE_BRANDS = frozenset((b'avis', b'hevc', b'hevx', b'hevm', b'hevs', b'msf1'))
#: Markers of JPEG that begin a frame (T.81, table B.1).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def is_still(path: Path) -> bool | None:
    """Return whether a file is a single picture, accepted or not.

    Films are what video containers hold, Motion-JPEG (JPEG after JPEG of the same size), WebP and
    PNG with an animation, GIF and AVIF with more than one image. A JPEG with a preview, a depth map
    or a film behind it, as telephones write, is a picture.

    :returns: None if the content is neither a known picture nor an animation.
    :raises InputError: it cannot be read or is no regular file.
    """
    try:
        with open_regular(path) as file:
            start = file.read(_MAGIC)
            if start[:3] == b'\xff\xd8\xff':
                return not _is_motion_jpeg(file)
            if start[:8] == b'\x89PNG\r\n\x1a\n':
                return png_frames(file) <= 1
            if start[:4] == b'RIFF' and start[8:12] == b'WEBP':
                return not is_animated_webp(start)
            if start[:4] == b'GIF8':
                return not _is_moving_gif(file)
            if start[4:8] == b'ftyp' and _is_still_brand(start):
                return True
            if is_container(start):
                return False
            return is_picture(start) or None
    except (OSError, ValueError) as error:
        raise cannot_read('source', path, error, InputError) from error


def is_animated_webp(start: bytes) -> bool:
    """Return whether a file with these first 21 bytes or more is a WebP with an animation."""
    return start[:4] == b'RIFF' and start[8:16] == b'WEBPVP8X' and bool(start[20:21]) and bool(
        start[20] & 0x02
    )  # fmt: skip


def is_container(start: bytes) -> bool:
    """Return whether a file with these first kilobyte or more is a video container, or a stream."""
    return any(known(start) for known in _CONTAINERS)


def _is_transport_stream(start: bytes) -> bool:
    # Packets of 188 bytes; with a time code before, or a checksum behind each.
    return any(
        len(start) > begin + 2 * length and all(start[begin + n * length] == 0x47 for n in range(3))
        for begin, length in ((0, 188), (4, 192), (0, 204))
    )


def _is_elementary_stream(start: bytes) -> bool:
    """Return whether it is MPEG-PS, MPEG-1/2/4 or H.264/H.265: a start code and what may follow."""
    head = start[1:] if start.startswith(b'\0\0\0\1') else start
    return head.startswith(b'\0\0\1') and len(head) > 4 and (
        head[3] < 0x80 or head[3] in (0xB0, 0xB3, 0xB5, 0xB8, 0xBA, 0xBB)
    )  # fmt: skip


#: First boxes of ISO base media files and of QuickTime's.
_BOXES = frozenset(
    (b'ftyp', b'styp', b'moov', b'moof', b'mdat', b'free', b'skip', b'wide', b'pnot', b'sidx')
)

_CONTAINERS: tuple[Callable[[bytes], bool], ...] = (
    lambda b: b[4:8] in _BOXES,
    lambda b: b[:4] == b'\x1a\x45\xdf\xa3',
    lambda b: b[:4] == b'RIFF' and b[8:11] == b'AVI',
    _is_transport_stream,
    _is_elementary_stream,
    lambda b: b[:4] == b'OggS',
    lambda b: b[:4] == b'FLV\1',
    lambda b: b[:8] == b'\x30\x26\xb2\x75\x8e\x66\xcf\x11',
    lambda b: b[:4] == b'DKIF',
    lambda b: b[:10] == b'YUV4MPEG2 ',
)


def _is_moving_gif(file: BinaryIO) -> bool:
    file.seek(10)
    flags = file.read(3)[:1]
    at = 13 + _colours(flags)
    images = 0
    for _ in range(_MOST_PARTS):
        file.seek(at)
        kind = file.read(10)
        if kind[:1] == b',':
            images += 1
            if images > 1:
                return True
            # Behind the image's place and its colours: the size of its codes.
            at += 11 + _colours(kind[9:10])
        elif kind[:1] == b'!':
            at += 2
        else:
            return False
        length = -1
        while length:
            file.seek(at)
            length = int.from_bytes(file.read(1), 'big')
            at += 1 + length
    return False


def _colours(flags: bytes) -> int:
    """Return the bytes of a GIF's table of colours."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _is_still_brand(start: bytes) -> bool:
    size = min(struct.unpack_from('>I', start)[0], len(start))
    brands = {start[at : at + 4] for at in (8, *range(16, size - 3, 4))}
    major = start[8:12]
    if major in _SEQUENCE_BRANDS:
        return False
    # A film may name a brand of pictures among others, but not first.
    return major in _STILL_BRANDS and not brands & _SEQUENCE_BRANDS


def png_frames(file: BinaryIO) -> int:
    """Return how many frames of animation an open PNG declares; 0 if it is a picture."""
    at = 8
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(12)
        if len(head) < 12 or head[4:8] == b'IDAT':
            return 0
        length = int.from_bytes(head[:4], 'big')
        if head[4:8] == b'acTL':
            return int.from_bytes(head[8:12], 'big') if length >= 8 else 0
        at += 12 + length
    return 0


def ends_with(file: BinaryIO, end: bytes) -> bool:
    """Return whether an open file ends in these bytes, but for zeros and line breaks."""
    file.seek(-min(file.seek(0, 2), 1 << 16), 2)
    return file.read().rstrip(b'\0\r\n').endswith(end)


def _is_motion_jpeg(file: BinaryIO) -> bool:
    file.seek(0)
    data = file.read(1 << 20)
    first = _jpeg(data)
    if first is None and len(data) == 1 << 20:
        data += file.read(_LONGEST_JPEG - len(data))
        first = _jpeg(data)
    if first is None:
        return False
    end, size, several = first
    if several or size is None:
        return False
    file.seek(end)
    # Some recorders fill up to an even length or a block.
    following = file.read(1 << 20).lstrip(b'\0')
    if following[:3] != b'\xff\xd8\xff':
        return False
    second = _jpeg(following, only_header=True)
    return second is not None and second[1] == size


def _jpeg(
    data: bytes, *, only_header: bool = False
) -> tuple[int, tuple[int, int] | None, bool] | None:
    """Return the end of a JPEG, its size, and whether it says that other pictures follow.

    :param only_header: end at the size.
    :returns: None if it is cut off or damaged.
    """
    size: tuple[int, int] | None = None
    several = False
    at = 2
    while True:
        # Entropy-coded data have no markers but those of restarts and stuffed zeros.
        at = data.find(b'\xff', at)
        if at < 0 or at + 1 >= len(data):
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        at += 2
        if marker == 0xD9:
            return at, size, several
        if marker in (0x00, 0x01, 0xD8) or 0xD0 <= marker <= 0xD7:
            continue
        if at + 2 > len(data):
            return None
        if marker in _JPEG_FRAMES and at + 7 <= len(data):
            height, width = struct.unpack_from('>HH', data, at + 3)
            size = width, height
            if only_header:
                return at, size, several
        # CIPA DC-007: a file of several pictures, the first of which is the one to show.
        several |= marker == 0xE2 and data[at + 2 : at + 6] == b'MPF\0'
        at += max(int.from_bytes(data[at : at + 2], 'big'), 2)
