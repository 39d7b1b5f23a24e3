"""What a picture file says of itself, read before any decoder sees it: format, size, orientation.

Only the formats below reach OpenCV. It has OpenJPEG 2.5.0 in it, which ends the process on some
damaged files; OpenEXR, HDR, Sun raster and PFM are left out because no camera writes them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import MAX_PIXELS, MAX_SIDE

#: For messages.
ACCEPTED_PICTURES = 'JPEG, PNG, WebP, TIFF, BMP or PNM'

#: Markers of JPEG without a length (T.81, table B.1), and those that begin a frame (SOF).
_BARE = frozenset((0x01, *range(0xD0, 0xD8)))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
#: Scans of a progressive JPEG; each one passes over all pixels. libjpeg writes about ten.
_MAX_SCANS = 100
#: Bytes before a marker of a JPEG that do not belong to any.
_MAX_JUNK = 1 << 16
#: Chunks of a PNG or WebP that are looked through for an orientation.
_MAX_CHUNKS = 1000
#: Chunks of a PNG; its pixels usually come in pieces of 8 kB.
_MAX_PNG_CHUNKS = 100_000

#: Formats in which ``orientation`` is to be applied after decoding, with OpenCV's own off: it knows
#: that of JPEG and TIFF, of PNG only without transparency, and none of WebP.
EXIF_APART = ('PNG', 'WebP')

_ORIENTATION = 0x0112
#: Sizes in bytes of TIFF's field types that hold integers: SHORT, LONG, LONG8.
_TIFF_INTEGERS = {3: 'H', 4: 'I', 16: 'Q'}


@dataclass(frozen=True)
class PictureHeader:
    """What the first bytes of a picture file say.

    :param form: ``JPEG``, ``PNG``, ``WebP``, ``TIFF``, ``BMP`` or ``PNM``.
    :param width: in pixels, as stored.
    :param height: likewise.
    :param orientation: of EXIF, 1 to 8, for the formats in ``EXIF_APART``; 1 for others.
    """

    form: str
    width: int
    height: int
    orientation: int = 1


def check_picture(data: Any, name: str, max_pixels: int = MAX_PIXELS) -> PictureHeader:
    """Check a picture file by its first bytes; takes microseconds.

    :param data: bytes-like, the complete file.
    :param name: names it in errors, such as ``image a.png``.
    :param max_pixels: the largest product of width and height.
    :raises InputError: it is empty, of another format, gives no size, or is too large.
    """
    view = memoryview(data).cast('B')
    start = bytes(view[:16])
    found = next((each for each in _FORMATS if each[0](start)), None)
    if found is None:
        what = _REFUSED.get(start[4:8]) or _REFUSED.get(start[:4]) or 'damaged or not an image'
        raise InputError(
            f'{name} cannot be decoded ({len(view)} bytes, {what}); give {ACCEPTED_PICTURES}',
            'format',
        )
    _, form, read = found
    try:
        width, height, orientation = read(view)
    except (struct.error, IndexError, ValueError, OverflowError):
        width = height = 0
        orientation = 1
    if width < 1 or height < 1:
        raise InputError(
            f'{name} cannot be decoded ({len(view)} bytes, damaged {form}); '
            f'give {ACCEPTED_PICTURES}',
            'damaged',
        )
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise InputError(
            f'{name} is {width}x{height} pixels, too large for the limit of {max_pixels} pixels '
            f'and {MAX_SIDE} a side; scale it down',
            'too_large',
        )
    return PictureHeader(form, width, height, orientation)


def is_picture(start: bytes) -> bool:
    """Return whether a file with these first 16 bytes or more is a picture, accepted or not.

    GIF and the boxes of ISO base media files are left to videos.
    """
    refused = start[4:8] == b'jP  ' or (start[:4] in _REFUSED and start[:4] != b'GIF8')
    return refused or any(known(start[:16]) for known, _, _ in _FORMATS)


def turned(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return the image as it is to be displayed.

    :param image: (H, W) or (H, W, C), any type.
    :param orientation: of EXIF, 1 to 8.
    """
    if orientation == 1:
        return image
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


Size = tuple[int, int, int]


def _jpeg(view: memoryview) -> Size:
    at = 2
    while True:
        # As libjpeg does, skip anything before a marker, and fill bytes.
        begun = at
        while view[at] != 0xFF:
            at += 1
        while view[at] == 0xFF:
            at += 1
        if at - begun > _MAX_JUNK:
            raise ValueError('too much between markers')
        marker = view[at]
        at += 1
        if marker in _FRAMES:
            height, width = struct.unpack_from('>HH', view, at + 3)
            if marker in _PROGRESSIVE and bytes(view).count(b'\xff\xda') > _MAX_SCANS:
                raise ValueError('too many scans')
            return width, height, 1
        if marker in (0xD8, 0xD9, 0xDA):
            raise ValueError('a scan before its frame')
        if marker and marker not in _BARE:
            at += max(struct.unpack_from('>H', view, at)[0], 2)


def _png(view: memoryview) -> Size:
    length, kind, width, height = struct.unpack_from('>I4sII', view, 8)
    if kind != b'IHDR' or length != 13:
        raise ValueError('no header first')
    _check_chunks(view)
    return width, height, _orientation(view, 8 + 12 + length, '>I4s', b'eXIf', 4)


def _check_chunks(view: memoryview) -> None:
    """Check that no chunk of a PNG claims more than is there: OpenCV takes memory for all of it.

    Pixels that are cut off are decoded as far as they go.
    """
    at = 8
    pixels = False
    for _ in range(_MAX_PNG_CHUNKS):
        if at + 4 > len(view):
            return
        (length,) = struct.unpack_from('>I', view, at)
        kind = bytes(view[at + 4 : at + 8])
        pixels |= kind == b'IDAT'
        if kind == b'IEND':
            if not pixels:
                # OpenCV looks for them behind the end, too.
                raise ValueError('no pixels')
            return
        at += 12 + length
        if at > len(view) + _MAX_JUNK:
            raise ValueError('a chunk of more than there is')
    raise ValueError('too many chunks')


def _webp(view: memoryview) -> Size:
    kind = bytes(view[12:16])
    if kind == b'VP8X':
        flags = view[20]
        width = int.from_bytes(view[24:27], 'little') + 1
        height = int.from_bytes(view[27:30], 'little') + 1
        if len(view) < 30:
            raise ValueError('cut off')
        exif = flags & 0x08
        return width, height, _orientation(view, 12, '<4sI', b'EXIF', 0) if exif else 1
    if kind == b'VP8L':
        (bits,) = struct.unpack_from('<I', view, 21)
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1, 1
    if kind == b'VP8 ':
        width, height = struct.unpack_from('<HH', view, 26)
        return width & 0x3FFF, height & 0x3FFF, 1
    raise ValueError('unknown kind of WebP')


def _orientation(view: memoryview, at: int, head: str, wanted: bytes, trailer: int) -> int:
    """Return the orientation in the chunk ``wanted``; 1 if there is none or it is damaged.

    :param head: struct format of a chunk's length and name, in either order.
    :param trailer: bytes behind a chunk's content; 0 pads it to an even length.
    """
    try:
        for _ in range(_MAX_CHUNKS):
            first, second = struct.unpack_from(head, view, at)
            name, length = (first, second) if isinstance(first, bytes) else (second, first)
            at += 8
            if name == wanted:
                exif = view[at : at + length]
                return _exif_orientation(exif[6:] if bytes(exif[:4]) == b'Exif' else exif)
            at += length + (trailer or length % 2)
    except (struct.error, IndexError, ValueError):
        pass
    return 1


def _exif_orientation(exif: memoryview) -> int:
    value = _tags(exif).get(_ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def _tags(view: memoryview) -> dict[int, int]:
    """Return the integers of the first directory of a TIFF or BigTIFF file, the first of each."""
    order = '<' if bytes(view[:2]) == b'II' else '>'
    big = struct.unpack_from(f'{order}H', view, 2)[0] == 43
    (at,) = struct.unpack_from(f'{order}{"Q" if big else "I"}', view, 8 if big else 4)
    (count,) = struct.unpack_from(f'{order}{"Q" if big else "H"}', view, at)
    at += 8 if big else 2
    found: dict[int, int] = {}
    for _ in range(min(count, 4096)):
        tag, kind = struct.unpack_from(f'{order}HH', view, at)
        if kind in _TIFF_INTEGERS:
            value = struct.unpack_from(order + _TIFF_INTEGERS[kind], view, at + (12 if big else 8))
            # The larger of two, so that a repeated tag hides nothing.
            found[tag] = max(value[0], found.get(tag, 0))
        at += 20 if big else 12
    return found


def _tiff(view: memoryview) -> Size:
    tags = _tags(view)
    width, height = tags.get(256, 0), tags.get(257, 0)
    # A single tile takes memory of its own.
    if tags.get(322, 0) * tags.get(323, 0) > 4 * MAX_PIXELS:
        raise ValueError('too large tiles')
    # Bit depths of several channels lie elsewhere; libtiff refuses more than it can hold.
    if tags.get(277, 1) > 4:
        raise ValueError('too many channels')
    return width, height, 1


def _bmp(view: memoryview) -> Size:
    (size,) = struct.unpack_from('<I', view, 14)
    width, height = struct.unpack_from('<HH' if size == 12 else '<ii', view, 18)
    return abs(width), abs(height), 1


def _pnm(view: memoryview) -> Size:
    # Comments are allowed anywhere in the header; OpenCV reads lines of any length.
    words: list[bytes] = []
    for line in bytes(view[2:4096]).splitlines():
        words += line.split(b'#')[0].split()
        if len(words) >= 2:
            break
    return int(words[0]), int(words[1]), 1


_FORMATS: tuple[tuple[Callable[[bytes], bool], str, Callable[[memoryview], Size]], ...] = (
    (lambda b: b[:2] == b'\xff\xd8', 'JPEG', _jpeg),
    (lambda b: b[:8] == b'\x89PNG\r\n\x1a\n', 'PNG', _png),
    (lambda b: b[:4] == b'RIFF' and b[8:12] == b'WEBP', 'WebP', _webp),
    (lambda b: b[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'), 'TIFF', _tiff),
    (lambda b: b[:2] == b'BM', 'BMP', _bmp),
    (lambda b: b[:1] == b'P' and b[1:2] in b'123456' and b[2:3].isspace(), 'PNM', _pnm),
)

#: Formats that are refused by name.
_REFUSED = {
    b'jP  ': 'JPEG 2000 is not accepted',
    b'\xff\x4f\xff\x51': 'JPEG 2000 is not accepted',
    b'\x76\x2f\x31\x01': 'OpenEXR is not accepted',
    b'#?RA': 'Radiance HDR is not accepted',
    b'ftyp': 'AVIF and HEIF are not accepted',
    b'GIF8': 'GIF is read as a video only',
}
