"""What a picture file says of itself, read before any decoder sees it: format, size, orientation.

Only the formats below reach a decoder. OpenCV has OpenJPEG 2.5.0 in it, which ends the process on
some damaged files; OpenEXR, HDR, Sun raster and PFM are left out because no camera writes them.
"""

from __future__ import annotations

import binascii
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.avif_header import avif_sizes
from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import MAX_DECODING, MAX_PIXELS, MAX_SIDE, in_bytes

#: For messages.
ACCEPTED_PICTURES = 'JPEG, PNG, WebP, TIFF, GIF, AVIF, BMP or PNM'

#: Markers of JPEG without a length (T.81, table B.1), and those that begin a frame (SOF).
_BARE = frozenset((0x01, *range(0xD0, 0xD8)))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
#: Scans of a progressive JPEG; each one passes over all pixels. libjpeg writes about ten.
_MAX_SCANS = 100
#: Bytes before a marker of a JPEG that do not belong to any.
_MAX_JUNK = 1 << 16
#: Chunks of a WebP that are looked through.
_MAX_CHUNKS = 1000
#: Chunks of a PNG; its pixels usually come in pieces of 8 kB.
_MAX_PNG_CHUNKS = 100_000
#: Largest metadata that are looked at, unpacked: EXIF, XMP, a colour profile.
_MAX_METADATA = 4 << 20

_ORIENTATION = 0x0112
_COLOUR_PROFILE = 34675
#: TIFF's field types that hold integers: SHORT, LONG, LONG8; and all that hold bytes.
_TIFF_INTEGERS = {3: 'H', 4: 'I', 16: 'Q'}
_TIFF_BYTES = (1, 2, 7)
#: Values of a field that are read: one for each channel.
_MAX_TIFF_VALUES = 8
#: Orientation in XMP, as an attribute or an element.
_XMP = re.compile(rb'tiff:Orientation(?:\s*=\s*["\']|\s*>)\s*([1-8])\b')

#: Brands of ISO base media files (ISO 14496-12) that are pictures.
_AVIF = (b'avif', b'avis')
_HEIC = (b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1')


@dataclass(frozen=True)
class PictureHeader:
    """What a picture file says of itself.

    :param form: ``JPEG``, ``PNG``, ``WebP``, ``TIFF``, ``GIF``, ``AVIF``, ``BMP`` or ``PNM``.
    :param width: in pixels, as stored.
    :param height: likewise.
    :param orientation: 1 to 8, to be applied to the pixels as stored (:func:`turned`); of EXIF, or
        of XMP if EXIF has none. 1 for AVIF, which the decoder tells of.
    :param plain: at most 8 bits a sample, grey or red, green and blue (or palette, or YCbCr),
        opaque, of no colour profile, not animated.
    :param deep: more than 8 bits a sample, or floats.
    :param animated: of several images (WebP only).
    :param full: the sample that stands for white, where the file says so (PNM); otherwise 0.
    :param inverted: zero is white (TIFF).
    :param profile: ICC colour profile of PNG, WebP and TIFF; empty if it has none.
    """

    form: str
    width: int
    height: int
    orientation: int = 1
    plain: bool = False
    deep: bool = False
    animated: bool = False
    full: int = 0
    inverted: bool = False
    profile: bytes = b''


def check_picture(data: Any, name: str, max_pixels: int = MAX_PIXELS) -> PictureHeader:
    """Check a picture file by its first bytes; takes microseconds.

    :param data: bytes-like, the complete file.
    :param name: names it in errors, such as ``image a.png``.
    :param max_pixels: the largest product of width and height.
    :raises InputError: it is empty, of another format, gives no size, or is too large.
    """
    view = memoryview(data).cast('B')
    start = bytes(view[:64])
    found = next((each for each in _FORMATS if each[0](start)), None)
    if found is None:
        raise InputError(
            f'{name} cannot be decoded ({len(view)} bytes, {_refused(start)}); '
            f'give {ACCEPTED_PICTURES}',
            'format',
        )
    _, form, read = found
    try:
        facts = read(view)
    except (struct.error, IndexError, ValueError, OverflowError):
        facts = _Facts(0, 0)
    width, height = facts.width, facts.height
    if width < 1 or height < 1:
        raise damaged(name, len(view), form)
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise InputError(
            f'{name} is {width}x{height} pixels, too large for the limit of {max_pixels} pixels '
            f'and {MAX_SIDE} a side; scale it down',
            'too_large',
        )
    plain = facts.plain and not facts.deep and not facts.profile
    # Pillow reads only bytes in place.
    files = len(view) * (1 if plain or isinstance(data, bytes) else 2)
    memory = files + facts.copied + width * height * facts.decoding
    # Whoever raises the limit of pixels has memory for them.
    most = MAX_DECODING * max(max_pixels, MAX_PIXELS) // MAX_PIXELS
    if memory > most:
        raise InputError(
            f'{name} ({form}, {width}x{height} pixels, {in_bytes(len(view))}) would take '
            f'{memory >> 20} MB to decode, more than {most >> 20}; save it as JPEG or PNG with '
            '8 bits a colour and nothing else in it, or scale it down',
            'too_large',
        )
    return PictureHeader(
        form,
        width,
        height,
        orientation=facts.orientation or _xmp_orientation(facts.xmp) or 1,
        plain=plain,
        deep=facts.deep,
        animated=facts.animated,
        full=facts.full,
        inverted=facts.inverted,
        profile=facts.profile,
    )


def damaged(name: str, size: int, form: str) -> InputError:
    """Return the error of a picture that does not decode.

    :param size: of its file, in bytes.
    """
    return InputError(
        f'{name} cannot be decoded ({size} bytes, damaged {form}); give {ACCEPTED_PICTURES}',
        'damaged',
    )


def is_picture(start: bytes) -> bool:
    """Return whether a file with these first 16 bytes or more is a picture, accepted or not.

    GIF is left to videos, and ISO base media files, of which the first brand is no picture's.
    """
    if start[4:8] == b'ftyp':
        return start[8:12] in (b'avif', b'heic', b'heix', b'heim', b'heis', b'mif1')
    if start[:4] == b'GIF8':
        return False
    refused = start[4:8] == b'jP  ' or start[:4] in _REFUSED
    return refused or any(known(start) for known, _, _ in _FORMATS)


def _refused(start: bytes) -> str:
    if start[4:8] == b'ftyp':
        if set(_brands(start)) & set(_HEIC):
            return 'HEIC is not accepted: convert it to JPEG'
        return 'a film or sound: read films with `emotion-estimator video`'
    return _REFUSED.get(start[4:8]) or _REFUSED.get(start[:4]) or 'damaged or not an image'


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


@dataclass
class _Facts:
    """What the readers of the formats find; ``orientation`` is 0 where there is none."""

    width: int
    height: int
    orientation: int = 0
    xmp: list[bytes] = field(default_factory=list)
    plain: bool = True
    deep: bool = False
    animated: bool = False
    full: int = 0
    inverted: bool = False
    profile: bytes = b''
    #: Most bytes that decoding holds at once, by benchmarks/picture_memory.py: for each pixel, and
    #: besides them and the file. OpenCV for Python holds its result twice.
    decoding: int = 9
    copied: int = 0


def _jpeg(view: memoryview) -> _Facts:
    facts = _Facts(0, 0)
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
            facts.height, facts.width = struct.unpack_from('>HH', view, at + 3)
            # Four channels are inks.
            channels = view[at + 7]
            facts.plain &= channels in (1, 3)
            if marker in _PROGRESSIVE and _has_many(view, b'\xff\xda'):
                raise ValueError('too many scans')
            if not facts.plain:
                # Pillow keeps the metadata, the decoder all coefficients until the last scan.
                facts.copied, facts.decoding = len(view), 2 * min(channels, 4) + 4
            return facts
        if marker in (0xD8, 0xD9, 0xDA):
            raise ValueError('a scan before its frame')
        if marker and marker not in _BARE:
            length = max(struct.unpack_from('>H', view, at)[0], 2)
            if marker == 0xE1:
                _read_app1(view[at + 2 : at + length], facts)
            elif marker == 0xE2 and bytes(view[at + 2 : at + 14]) == b'ICC_PROFILE\0':
                facts.plain = False
            at += length


def _has_many(view: memoryview, marker: bytes) -> bool:
    found = re.finditer(re.escape(marker), view)
    return next(islice(found, _MAX_SCANS, None), None) is not None


def _read_app1(content: memoryview, facts: _Facts) -> None:
    if bytes(content[:6]) == b'Exif\0\0':
        facts.orientation = facts.orientation or _exif_orientation(content)
    elif bytes(content[:29]) == b'http://ns.adobe.com/xap/1.0/\0':
        facts.xmp.append(bytes(content[29:]))


def _png(view: memoryview) -> _Facts:
    length, kind, width, height = struct.unpack_from('>I4sII', view, 8)
    if kind != b'IHDR' or length != 13:
        raise ValueError('no header first')
    depth, colours = view[24], view[25]
    facts = _Facts(width, height, plain=not colours & 4, deep=depth == 16)
    if facts.deep:
        facts.decoding = 16 if colours & 4 else 12
    in_text = largest = beside = 0
    for name, content in _png_chunks(view):
        largest = max(largest, len(content))
        if name != b'IDAT':
            beside += len(content)
        if name == b'eXIf':
            facts.orientation = facts.orientation or _exif_orientation(content)
        elif name == b'tRNS':
            facts.plain = False
            facts.decoding = 16 if facts.deep else facts.decoding
        elif name == b'acTL':
            # OpenCV holds the last two images of an animation.
            facts.decoding += 4
        elif name == b'iCCP':
            facts.profile = _unpack(bytes(content).partition(b'\0')[2][1:])
        elif name in (b'tEXt', b'zTXt') and not in_text:
            in_text = _text_orientation(name, bytes(content[:_MAX_METADATA]))
        elif name == b'iTXt' and bytes(content[:18]) == b'XML:com.adobe.xmp\0':
            facts.xmp.append(_international_text(bytes(content)))
    facts.orientation = facts.orientation or in_text
    # Decoders read whole chunks, and Pillow keeps those that it does not know.
    facts.copied = largest + beside
    return facts


def _png_chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the chunks of a PNG, those behind its pixels too.

    :raises ValueError: there are too many, or no pixels.
    :raises struct.error: it is cut off. OpenCV takes memory for all that the last chunk claims, and
        says on standard error that it is incomplete.
    """
    at = 8
    pixels = False
    for _ in range(_MAX_PNG_CHUNKS):
        (length,) = struct.unpack_from('>I', view, at)
        kind = bytes(view[at + 4 : at + 8])
        if kind == b'IDAT':
            pixels = True
        elif kind == b'IEND':
            if not pixels:
                # OpenCV looks for them behind the end, too.
                raise ValueError('no pixels')
            return
        yield kind, view[at + 8 : at + 8 + length]
        at += 12 + length
    raise ValueError('too many chunks')


def _unpack(packed: bytes) -> bytes:
    """Return the beginning of what zlib packed; empty if it is damaged."""
    try:
        return zlib.decompressobj().decompress(packed[:_MAX_METADATA], _MAX_METADATA)
    except zlib.error:
        return b''


def _text_orientation(name: bytes, content: bytes) -> int:
    """Return the orientation in the EXIF that ImageMagick writes as text of a PNG; 0 if none."""
    keyword, _, text = content.partition(b'\0')
    if keyword not in (b'Raw profile type exif', b'Raw profile type APP1'):
        return 0
    if name == b'zTXt':
        text = _unpack(text[1:])
    # A line with the kind, one with the length, then hexadecimal digits in lines.
    digits = b''.join(text.split()[2:])
    try:
        exif = binascii.unhexlify(digits)
    except ValueError:
        return 0
    return _exif_orientation(memoryview(exif)) if exif[:6] == b'Exif\0\0' else 0


def _international_text(content: bytes) -> bytes:
    # The keyword, a flag, a method, a language and a translated keyword come before the text.
    _, _, rest = content.partition(b'\0')
    packed = rest[:1] == b'\1'
    text = rest[2:].partition(b'\0')[2].partition(b'\0')[2]
    return _unpack(text) if packed else text


def _webp(view: memoryview) -> _Facts:
    kind = bytes(view[12:16])
    if kind == b'VP8X':
        flags = view[20]
        width = int.from_bytes(view[24:27], 'little') + 1
        height = int.from_bytes(view[27:30], 'little') + 1
        if len(view) < 30:
            raise ValueError('cut off')
        facts = _Facts(width, height, plain=not flags & 0x32, animated=bool(flags & 0x02))
        if facts.animated:
            # The decoder of animations holds four copies, and Pillow two of the file.
            facts.decoding = 32
            facts.copied = 2 * len(view)
        for name, content in _webp_chunks(view):
            if name == b'EXIF':
                facts.orientation = facts.orientation or _exif_orientation(content)
            elif name == b'XMP ':
                facts.xmp.append(bytes(content))
            elif name == b'ICCP':
                facts.profile = bytes(content)
        return facts
    if kind == b'VP8L':
        (bits,) = struct.unpack_from('<I', view, 21)
        opaque = not bits >> 28 & 1
        return _Facts((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1, plain=opaque)
    if kind == b'VP8 ':
        width, height = struct.unpack_from('<HH', view, 26)
        return _Facts(width & 0x3FFF, height & 0x3FFF)
    raise ValueError('unknown kind of WebP')


def _webp_chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(view):
            return
        name, length = struct.unpack_from('<4sI', view, at)
        yield name, view[at + 8 : at + 8 + min(length, _MAX_METADATA)]
        at += 8 + length + length % 2


def _exif_orientation(exif: memoryview) -> int:
    """Return the orientation in EXIF, with or without ``Exif`` before it; 0 if it has none."""
    if bytes(exif[:4]) == b'Exif':
        exif = exif[6:]
    try:
        found = _Directory(exif).values(_ORIENTATION)
    except (struct.error, IndexError, ValueError, OverflowError):
        return 0
    return found[0] if found and 1 <= found[0] <= 8 else 0


def _xmp_orientation(packets: list[bytes]) -> int:
    found = (_XMP.search(packet[:_MAX_METADATA]) for packet in packets)
    return next((int(match[1]) for match in found if match), 0)


class _Directory:
    """The first directory of a TIFF or BigTIFF file.

    :raises struct.error: it lies outside.
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.order = '<' if bytes(view[:2]) == b'II' else '>'
        order = self.order
        self._big = struct.unpack_from(f'{order}H', view, 2)[0] == 43
        big = self._big
        (at,) = struct.unpack_from(f'{order}{"Q" if big else "I"}', view, 8 if big else 4)
        (count,) = struct.unpack_from(f'{order}{"Q" if big else "H"}', view, at)
        at += 8 if big else 2
        #: Type, number of values, and where the values or their offset are, of each tag.
        self.entries: list[tuple[int, int, int, int]] = []
        for _ in range(min(count, 4096)):
            tag, kind = struct.unpack_from(f'{order}HH', view, at)
            (number,) = struct.unpack_from(f'{order}{"Q" if big else "I"}', view, at + 4)
            self.entries.append((tag, kind, number, at + (12 if big else 8)))
            at += 20 if big else 12

    def _where(self, size: int, at: int) -> int:
        room = 8 if self._big else 4
        if size <= room:
            return at
        (offset,) = struct.unpack_from(f'{self.order}{"Q" if self._big else "I"}', self._view, at)
        return int(offset)

    def values(self, tag: int) -> list[int]:
        """Return the integers of a tag, of all of its entries; empty if it has none."""
        found: list[int] = []
        for each, kind, number, at in self.entries:
            if each != tag or kind not in _TIFF_INTEGERS:
                continue
            letter = _TIFF_INTEGERS[kind]
            first = self._where(number * struct.calcsize(f'={letter}'), at)
            for i in range(min(number, _MAX_TIFF_VALUES)):
                place = first + i * struct.calcsize(f'={letter}')
                found += struct.unpack_from(self.order + letter, self._view, place)
        return found

    def most(self, tag: int, default: int = 0) -> int:
        """Return the largest integer of a tag, so that a repeated one hides nothing."""
        return max(self.values(tag), default=default)

    def content(self, tag: int) -> bytes:
        """Return the bytes of a tag, at most 4 MB; empty if there is none."""
        for each, kind, number, at in self.entries:
            if each == tag and kind in _TIFF_BYTES and number <= _MAX_METADATA:
                first = self._where(number, at)
                return bytes(self._view[first : first + number])
        return b''


def _tiff(view: memoryview) -> _Facts:
    tags = _Directory(view)
    # A single tile takes memory of its own.
    if tags.most(322) * tags.most(323) > 4 * MAX_PIXELS:
        raise ValueError('too large tiles')
    channels = tags.most(277, 1)
    # libtiff refuses more than it can hold.
    if channels > 4:
        raise ValueError('too many channels')
    bits, kinds = tags.most(258, 1), tags.values(339)
    deep = bits > 8 or any(kind != 1 for kind in kinds)
    width, height, size = tags.most(256), tags.most(257), -(-bits // 8) * channels
    orientation = next((value for value in tags.values(_ORIENTATION) if 1 <= value <= 8), 0)
    # Inks are for Pillow, of any depth.
    deep &= tags.most(262) != 5
    facts = _Facts(
        width,
        height,
        orientation,
        # Both decoders turn it by themselves unless the orientation is taken away.
        plain=False,
        deep=deep,
        inverted=262 in {entry[0] for entry in tags.entries} and tags.values(262)[:1] == [0],
        profile=tags.content(_COLOUR_PROFILE),
        copied=len(view) if orientation > 1 else 0,
    )
    if deep:
        facts.decoding = max(2 * size, size + 3, 6)
    if deep or tags.most(259, 1) != 1:
        # libtiff unpacks a whole tile or strip.
        strip = width * min(tags.most(278, height), height)
        facts.copied += max(tags.most(322) * tags.most(323), strip) * size
    return facts


def without_orientation(data: Any) -> bytes:
    """Return a TIFF file that says it lies as it is to be displayed.

    :param data: bytes-like, a TIFF file that :func:`check_picture` accepted.
    """
    view = memoryview(data).cast('B')
    tags = _Directory(view)
    pieces: list[bytes | memoryview] = []
    done = 0
    for tag, kind, _, at in sorted(tags.entries, key=lambda entry: entry[3]):
        if tag == _ORIENTATION and kind in _TIFF_INTEGERS:
            pieces += [view[done:at], struct.pack(tags.order + _TIFF_INTEGERS[kind], 1)]
            done = at + len(pieces[-1])
    # Changed in a copy of its own, it would be copied once more.
    return b''.join([*pieces, view[done:]])


def _bmp(view: memoryview) -> _Facts:
    (size,) = struct.unpack_from('<I', view, 14)
    width, height = struct.unpack_from('<HH' if size == 12 else '<ii', view, 18)
    (bits,) = struct.unpack_from('<H', view, 24 if size == 12 else 28)
    # OpenCV takes the unused byte of 32 bits for transparency.
    return _Facts(abs(width), abs(height), plain=bits != 32)


def _pnm(view: memoryview) -> _Facts:
    # Comments are allowed anywhere in the header; OpenCV reads lines of any length.
    words: list[bytes] = []
    for line in bytes(view[2:4096]).splitlines():
        words += line.split(b'#')[0].split()
        if len(words) >= 3:
            break
    width, height = int(words[0]), int(words[1])
    kind = view[1] - ord('0')
    full = int(words[2]) if kind in (2, 3, 5, 6) else 1
    # OpenCV scales up to 8 bits only, and only numbers in text.
    deep = full > 255 or (kind in (5, 6) and full != 255)
    decoding = 4 * (3 if kind in (3, 6) else 1) if full > 255 else 9
    return _Facts(width, height, deep=deep, full=full if deep else 0, decoding=decoding)


def _gif(view: memoryview) -> _Facts:
    width, height = struct.unpack_from('<HH', view, 6)
    return _Facts(width, height, plain=False)


def _brands(start: bytes) -> list[bytes]:
    size = min(int.from_bytes(start[:4], 'big'), len(start))
    return [start[8:12], *(start[at : at + 4] for at in range(16, size - 3, 4))]


def _is_avif(start: bytes) -> bool:
    return start[4:8] == b'ftyp' and bool(set(_brands(start)) & set(_AVIF))


def _avif(view: memoryview) -> _Facts:
    # The whole of one in tiles, the largest of several, or what the pixels claim.
    width, height = max(avif_sizes(view), default=(0, 0), key=lambda size: size[0] * size[1])
    # The decoder holds its planes, of up to 16 bits, beside two copies of the pixels.
    return _Facts(width, height, plain=False, decoding=14)


_FORMATS: tuple[tuple[Callable[[bytes], bool], str, Callable[[memoryview], _Facts]], ...] = (
    (lambda b: b[:2] == b'\xff\xd8', 'JPEG', _jpeg),
    (lambda b: b[:8] == b'\x89PNG\r\n\x1a\n', 'PNG', _png),
    (lambda b: b[:4] == b'RIFF' and b[8:12] == b'WEBP', 'WebP', _webp),
    (lambda b: b[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'), 'TIFF', _tiff),
    (lambda b: b[:6] in (b'GIF87a', b'GIF89a'), 'GIF', _gif),
    (_is_avif, 'AVIF', _avif),
    (lambda b: b[:2] == b'BM', 'BMP', _bmp),
    (lambda b: b[:1] == b'P' and b[1:2] in b'123456' and b[2:3].isspace(), 'PNM', _pnm),
)

#: Formats that are refused by name.
_REFUSED = {
    b'jP  ': 'JPEG 2000 is not accepted',
    b'\xff\x4f\xff\x51': 'JPEG 2000 is not accepted',
    b'\x76\x2f\x31\x01': 'OpenEXR is not accepted',
    b'#?RA': 'Radiance HDR is not accepted',
}
