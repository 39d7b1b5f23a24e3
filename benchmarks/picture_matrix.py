"""Picture files of every kind that is read, made here: format, depth, transparency, orientation."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

#: What turns an upright picture into the one stored with an orientation (EXIF 2.32, 4.6.4 A).
_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Kind:
    """A kind of picture file.

    :param encode: takes a picture as stored, uint8 (H, W, 3) RGB, and an orientation; returns the
        file.
    :param shown: takes the picture upright, returns what the file shows of it.
    :param tolerance: mean difference of samples up to which the file counts as equal.
    """

    encode: Callable[[Pixels, int], bytes]
    shown: Callable[[Pixels], Pixels] = lambda picture: picture
    tolerance: float = 1.0


def upright(height: int = 48, width: int = 80) -> Pixels:
    """Return a smooth RGB picture without symmetry, uint8 (height, width, 3)."""
    noise = np.random.default_rng(3).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    picture = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    picture[: height // 3, : width // 4] = (250, 20, 20)
    return np.asarray(picture, np.uint8)


def stored(picture: Pixels, orientation: int) -> Pixels:
    """Return the picture as a camera held that way stores it."""
    if orientation == 1:
        return picture
    return np.asarray(Image.fromarray(picture).transpose(_STORED[orientation]))


def alpha_of(picture: Pixels) -> Pixels:
    """Return the transparency that the kinds with one have, (H, W): that of the green samples."""
    return np.asarray(np.where(picture[..., 1] > 90, 255, picture[..., 1] * 2), np.uint8)


def _over_white(picture: Pixels) -> Pixels:
    part = alpha_of(picture)[..., None] / 255.0
    return np.asarray(np.rint(picture * part + 255 * (1 - part)), np.uint8)


def _grey(picture: Pixels) -> Pixels:
    return np.asarray(np.repeat(picture[..., :1], 3, axis=2))


def _grey_over_white(picture: Pixels) -> Pixels:
    part = alpha_of(picture)[..., None] / 255.0
    return np.asarray(np.rint(_grey(picture) * part + 255 * (1 - part)), np.uint8)


def _bilevel(picture: Pixels) -> Pixels:
    return np.asarray((_grey(picture) > 127) * 255, np.uint8)


def _few_colours(picture: Pixels) -> Pixels:
    return np.asarray(picture & 0xC0)


def exif(orientation: int) -> bytes:
    """Return EXIF with an orientation and nothing else, without ``Exif`` before it."""
    return b'II*\0' + struct.pack('<IHHHIHHI', 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def xmp(orientation: int, element: bool = False) -> bytes:
    """Return an XMP packet with an orientation, as an attribute or an element."""
    begin = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    if element:
        inner = f'<rdf:Description {begin}><tiff:Orientation>{orientation}</tiff:Orientation>'
        inner += '</rdf:Description>'
    else:
        inner = f'<rdf:Description {begin} tiff:Orientation="{orientation}"/>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>{inner}</rdf:RDF></x:xmpmeta>'.encode()


def swapped_profile() -> bytes:
    """Return a colour profile of sRGB in which the primaries red and blue are exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    return profile.replace(b'rXYZ', b'....').replace(b'bXYZ', b'rXYZ').replace(b'....', b'bXYZ')


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    checksum = struct.pack('>I', zlib.crc32(name + content))
    return struct.pack('>I', len(content)) + name + content + checksum


def png_with(png: bytes, *chunks: bytes, behind: bool = False) -> bytes:
    """Return a PNG with more chunks, in front of its pixels or behind them."""
    at = len(png) - 12 if behind else 33
    return png[:at] + b''.join(chunks) + png[at:]


def jpeg_with(jpeg: bytes, app1: bytes) -> bytes:
    """Return a JPEG with an APP1 segment."""
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(app1) + 2) + app1 + jpeg[2:]


def webp_with(webp: bytes, width: int, height: int, name: bytes, content: bytes) -> bytes:
    """Return a WebP with a chunk behind its pixels."""
    flags = {b'EXIF': 0x08, b'XMP ': 0x04}[name]
    body = webp[12:]
    if body[:4] == b'VP8X':
        flags |= body[8]
        body = body[18:]
    elif body[:4] == b'VP8L' and body[12] & 0x10:
        flags |= 0x10
    sizes = (width - 1).to_bytes(3, 'little') + (height - 1).to_bytes(3, 'little')
    body = b'VP8X' + struct.pack('<I', 10) + bytes([flags, 0, 0, 0]) + sizes + body
    body += name + struct.pack('<I', len(content)) + content + bytes(len(content) % 2)
    return b'RIFF' + struct.pack('<I', len(body) + 4) + b'WEBP' + body


def tiff(samples: NDArray[np.generic], orientation: int, photometric: int = 2) -> bytes:
    """Return a TIFF of one strip.

    :param samples: (H, W, C) of any depth, whole numbers or floats.
    :param photometric: 0 grey with white as 0, 1 grey, 2 RGB, 5 inks.
    """
    height, width, channels = samples.shape
    kind = {'u': 1, 'i': 2, 'f': 3}[samples.dtype.kind]
    pixels = samples.astype(samples.dtype.newbyteorder('<')).tobytes()
    bits, kinds = 8 + len(pixels), 8 + len(pixels) + 2 * channels
    fields = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, bits), (259, 3, 1, 1),
        (262, 3, 1, photometric), (273, 4, 1, 8), (274, 3, 1, orientation), (277, 3, 1, channels),
        (278, 4, 1, height), (279, 4, 1, len(pixels)),
    ]  # fmt: skip
    if channels == 4 and photometric == 2:
        fields.append((338, 3, 1, 2))
    fields.append((339, 3, channels, kinds))
    depth = samples.dtype.itemsize * 8
    values = struct.pack(f'<{channels}H', *[depth] * channels)
    values += struct.pack(f'<{channels}H', *[kind] * channels)
    # Up to four bytes lie in the field itself.
    if channels <= 2:
        inside = {258: depth * 0x10001, 339: kind * 0x10001}
        fields = [(tag, form, n, inside.get(tag, value)) for tag, form, n, value in fields]
    directory = struct.pack('<H', len(fields))
    directory += b''.join(struct.pack('<HHII', *field) for field in fields) + bytes(4)
    return b'II*\0' + struct.pack('<I', 8 + len(pixels) + len(values)) + pixels + values + directory


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _rgb(picture: Pixels) -> Image.Image:
    return Image.fromarray(picture)


def _l(picture: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture[..., 0]))


def _la(picture: Pixels) -> Image.Image:
    return Image.merge('LA', (_l(picture), Image.fromarray(alpha_of(picture))))


def _rgba(picture: Pixels) -> Image.Image:
    return Image.fromarray(np.dstack([picture, alpha_of(picture)]))


def _swapped(picture: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))


def _p(picture: Pixels) -> Image.Image:
    return _rgb(_few_colours(picture)).quantize(64, method=Image.Quantize.FASTOCTREE)


def _one(picture: Pixels) -> Image.Image:
    return Image.fromarray(_bilevel(picture)[..., 0]).convert('1')


def _inks(picture: Pixels) -> Image.Image:
    return _rgb(picture).convert('CMYK')


def _jpeg(image: Image.Image, orientation: int, **options: object) -> bytes:
    data = _saved(image, 'JPEG', quality=95, subsampling=0, **options)
    return jpeg_with(data, b'Exif\0\0' + exif(orientation))


def _png(image: Image.Image, orientation: int, **options: object) -> bytes:
    return png_with(_saved(image, 'PNG', **options), png_chunk(b'eXIf', exif(orientation)))


def _png_deep(picture: Pixels, orientation: int, channels: int) -> bytes:
    deep = picture.astype(np.uint16) * 257
    bgr = {1: deep[..., 0], 3: deep[..., ::-1]}.get(channels)
    if bgr is None:
        bgr = np.dstack([deep[..., ::-1], alpha_of(picture).astype(np.uint16) * 257])
    data = cv2.imencode('.png', np.ascontiguousarray(bgr))[1].tobytes()
    return png_with(data, png_chunk(b'eXIf', exif(orientation)))


def _png_xmp(picture: Pixels, orientation: int, packed: bool) -> bytes:
    packet = xmp(orientation, element=packed)
    text = zlib.compress(packet) if packed else packet
    content = b'XML:com.adobe.xmp\0' + bytes([packed, 0]) + b'\0\0' + text
    return png_with(_saved(_rgb(picture), 'PNG'), png_chunk(b'iTXt', content), behind=packed)


def _png_text(picture: Pixels, orientation: int) -> bytes:
    digits = (b'Exif\0\0' + exif(orientation)).hex()
    lines = '\n'.join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = f'\nexif\n{len(digits) // 2:8}\n{lines}\n'.encode()
    chunk = png_chunk(b'zTXt', b'Raw profile type exif\0\0' + zlib.compress(text))
    return png_with(_saved(_rgb(picture), 'PNG'), chunk)


def _webp(image: Image.Image, orientation: int, **options: object) -> bytes:
    data = _saved(image, 'WEBP', **{'quality': 95, **options})
    return webp_with(data, *image.size, b'EXIF', exif(orientation))


def _avif(image: Image.Image, orientation: int, **options: object) -> bytes:
    # Pillow writes the orientation as boxes irot and imir.
    return _saved(image, 'AVIF', quality=95, subsampling='4:4:4', exif=exif(orientation), **options)


def _tiff(image: Image.Image, orientation: int, **options: object) -> bytes:
    return _saved(image, 'TIFF', tiffinfo={274: orientation}, **options)


#: Kinds that hold an orientation, by name.
TURNED: dict[str, Kind] = {
    'JPEG': Kind(lambda p, o: _jpeg(_rgb(p), o), tolerance=4),
    'JPEG grey': Kind(lambda p, o: _jpeg(_l(p), o), _grey, 4),
    'JPEG CMYK': Kind(lambda p, o: _jpeg(_inks(p), o), tolerance=6),
    'JPEG ICC': Kind(
        lambda p, o: _jpeg(_swapped(p), o, icc_profile=swapped_profile()), tolerance=6
    ),
    'JPEG XMP': Kind(
        lambda p, o: jpeg_with(
            _saved(_rgb(p), 'JPEG', quality=95), b'http://ns.adobe.com/xap/1.0/\0' + xmp(o)
        ),
        tolerance=6,
    ),
    'PNG': Kind(lambda p, o: _png(_rgb(p), o)),
    'PNG alpha': Kind(lambda p, o: _png(_rgba(p), o), _over_white),
    'PNG grey': Kind(lambda p, o: _png(_l(p), o), _grey),
    'PNG grey alpha': Kind(lambda p, o: _png(_la(p), o), _grey_over_white),
    'PNG palette': Kind(lambda p, o: _png(_p(p), o), _few_colours, 14),
    'PNG 1 bit': Kind(lambda p, o: _png(_one(p), o), _bilevel),
    'PNG 16 bit': Kind(lambda p, o: _png_deep(p, o, 3)),
    'PNG 16 bit grey': Kind(lambda p, o: _png_deep(p, o, 1), _grey),
    'PNG 16 bit alpha': Kind(lambda p, o: _png_deep(p, o, 4), _over_white),
    'PNG ICC': Kind(lambda p, o: _png(_swapped(p), o, icc_profile=swapped_profile())),
    'PNG EXIF behind': Kind(
        lambda p, o: png_with(_saved(_rgba(p), 'PNG'), png_chunk(b'eXIf', exif(o)), behind=True),
        _over_white,
    ),
    'PNG EXIF in text': Kind(_png_text),
    'PNG XMP': Kind(lambda p, o: _png_xmp(p, o, False)),
    'PNG XMP packed': Kind(lambda p, o: _png_xmp(p, o, True)),
    'WebP': Kind(lambda p, o: _webp(_rgb(p), o), tolerance=6),
    'WebP lossless': Kind(lambda p, o: _webp(_rgb(p), o, lossless=True)),
    'WebP alpha': Kind(lambda p, o: _webp(_rgba(p), o, lossless=True, exact=True), _over_white),
    'WebP ICC': Kind(
        lambda p, o: _webp(_swapped(p), o, lossless=True, icc_profile=swapped_profile())
    ),
    'WebP XMP': Kind(
        lambda p, o: webp_with(
            _saved(_rgb(p), 'WEBP', lossless=True), p.shape[1], p.shape[0], b'XMP ', xmp(o)
        )
    ),
    'AVIF': Kind(lambda p, o: _avif(_rgb(p), o), tolerance=4),
    'AVIF alpha': Kind(lambda p, o: _avif(_rgba(p), o), _over_white, 5),
    'AVIF ICC': Kind(
        lambda p, o: _avif(_swapped(p), o, icc_profile=swapped_profile()), tolerance=6
    ),
    'TIFF': Kind(lambda p, o: tiff(p, o)),
    'TIFF alpha': Kind(lambda p, o: tiff(np.dstack([p, alpha_of(p)]), o), _over_white),
    'TIFF grey': Kind(lambda p, o: tiff(p[..., :1], o, 1), _grey),
    'TIFF grey, white is 0': Kind(lambda p, o: tiff(255 - p[..., :1], o, 0), _grey),
    'TIFF palette': Kind(lambda p, o: _tiff(_p(p), o), _few_colours, 14),
    'TIFF CMYK': Kind(lambda p, o: _tiff(_inks(p), o)),
    'TIFF 1 bit': Kind(lambda p, o: _tiff(_one(p), o, compression='group4'), _bilevel),
    'TIFF LZW': Kind(lambda p, o: _tiff(_rgb(p), o, compression='tiff_lzw')),
    'TIFF JPEG': Kind(lambda p, o: _tiff(_rgb(p), o, compression='jpeg', quality=95), tolerance=6),
    'TIFF ICC': Kind(lambda p, o: _tiff(_swapped(p), o, icc_profile=swapped_profile())),
    'TIFF 16 bit': Kind(lambda p, o: tiff(p.astype(np.uint16) * 257, o)),
    'TIFF 16 bit alpha': Kind(
        lambda p, o: tiff(np.dstack([p, alpha_of(p)]).astype(np.uint16) * 257, o), _over_white
    ),
    'TIFF 16 bit grey': Kind(lambda p, o: tiff(p[..., :1].astype(np.uint16) * 257, o, 1), _grey),
    'TIFF 16 bit grey, white is 0': Kind(
        lambda p, o: tiff(65535 - p[..., :1].astype(np.uint16) * 257, o, 0), _grey
    ),
    'TIFF float to 1': Kind(lambda p, o: tiff(p.astype(np.float32) / 255, o)),
    'TIFF float to 255': Kind(lambda p, o: tiff(p.astype(np.float32), o)),
    'TIFF float to 65535': Kind(lambda p, o: tiff(p.astype(np.float32) * 257, o)),
    'TIFF double grey to 255': Kind(lambda p, o: tiff(p[..., :1].astype(np.float64), o, 1), _grey),
    'TIFF float alpha to 1': Kind(
        lambda p, o: tiff(np.dstack([p, alpha_of(p)]).astype(np.float32) / 255, o), _over_white
    ),
}


def _pnm(picture: Pixels, full: int) -> bytes:
    height, width, channels = picture.shape
    values = np.rint(picture / 255.0 * full)
    samples = values.astype(np.uint8 if full < 256 else '>u2').tobytes()
    kind = 6 if channels == 3 else 5
    return b'P%d\n# made here\n%d %d\n%d\n' % (kind, width, height, full) + samples


def _bmp_32(picture: Pixels) -> bytes:
    height, width = picture.shape[:2]
    # The fourth byte is unused.
    rows = np.dstack([picture[::-1, :, ::-1], np.zeros((height, width), np.uint8)]).tobytes()
    head = struct.pack('<IiiHHIIiiII', 40, width, height, 1, 32, 0, len(rows), 0, 0, 0, 0)
    return b'BM' + struct.pack('<IHHI', 54 + len(rows), 0, 0, 54) + head + rows


#: Kinds without orientation.
PLAIN: dict[str, Kind] = {
    'BMP': Kind(lambda p, o: _saved(_rgb(p), 'BMP')),
    'BMP grey': Kind(lambda p, o: _saved(_l(p), 'BMP'), _grey),
    'BMP 32 bit': Kind(lambda p, o: _bmp_32(p)),
    'PNM': Kind(lambda p, o: _pnm(p, 255)),
    'PNM to 100': Kind(lambda p, o: _pnm(p, 100), tolerance=2),
    'PNM to 1023': Kind(lambda p, o: _pnm(p, 1023)),
    'PNM 16 bit': Kind(lambda p, o: _pnm(p, 65535)),
    'PNM grey to 4095': Kind(lambda p, o: _pnm(p[..., :1], 4095), _grey),
    'GIF': Kind(lambda p, o: _saved(_p(p), 'GIF'), _few_colours, 14),
}
