"""Whether a file is a film or a single picture, by its content: names are often wrong."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from emotion_estimator.errors import InputError
from emotion_estimator.picture_header import is_picture
from emotion_estimator.untrusted import cannot_read, open_regular

#: Bytes of a first JPEG that are looked through for its end.
_LONGEST_JPEG = 64 << 20
#: Chunks or blocks of a PNG, WebP or GIF that are looked through.
_MOST_PARTS = 10_000
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
            start = file.read(64)
            if start[:3] == b'\xff\xd8\xff':
                return not _is_motion_jpeg(file)
            if start[:8] == b'\x89PNG\r\n\x1a\n':
                return not _has_png_animation(file)
            if start[:4] == b'RIFF' and start[8:12] == b'WEBP':
                return not is_animated_webp(start)
            if start[:4] == b'GIF8':
                return False
            if start[4:8] == b'ftyp':
                return _is_still_brand(start) or None
            return is_picture(start) or None
    except (OSError, ValueError) as error:
        raise cannot_read('source', path, error, InputError) from error


def is_animated_webp(start: bytes) -> bool:
    """Return whether a file with these first 21 bytes or more is a WebP with an animation."""
    return start[:4] == b'RIFF' and start[8:16] == b'WEBPVP8X' and bool(start[20:21]) and bool(
        start[20] & 0x02
    )  # fmt: skip


def _is_still_brand(start: bytes) -> bool:
    size = min(struct.unpack_from('>I', start)[0], len(start))
    brands = {start[at : at + 4] for at in (8, *range(16, size - 3, 4))}
    major = start[8:12]
    if major in _SEQUENCE_BRANDS:
        return False
    # A film may name a brand of pictures among others, but not first.
    return major in _STILL_BRANDS and not brands & _SEQUENCE_BRANDS


def _has_png_animation(file: BinaryIO) -> bool:
    at = 8
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(12)
        if len(head) < 12 or head[4:8] == b'IDAT':
            return False
        length = int.from_bytes(head[:4], 'big')
        if head[4:8] == b'acTL':
            return length >= 8 and int.from_bytes(head[8:12], 'big') > 1
        at += 12 + length
    return False


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
