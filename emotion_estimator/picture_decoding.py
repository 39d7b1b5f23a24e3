"""Picture files to RGB, the one way for still images and compressed messages.

Neither decoder turns a picture: the orientation is read by :mod:`.picture_header` and applied
here, once. OpenCV is quicker on plain pictures, and reads more depths; Pillow knows inks, palettes
with transparency, and colour profiles.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.picture_header import (
    PictureHeader,
    check_picture,
    damaged,
    turned,
    without_orientation,
)
from emotion_estimator.untrusted import MAX_PIXELS

#: Rows converted at once: floats of a whole large image would take over a gigabyte.
_BAND = 256

#: What samples of unknown range go up to; the nearest by ratio is taken.
_FULL_FLOAT = (1.0, 255.0, 65535.0)
_FULL_INTEGER = (255.0, 65535.0, 4294967295.0)

#: Colours from everywhere in the cube, int16 (27, 27, 3), and as an image.
_SAMPLES = np.indices((9, 9, 9), np.int16).reshape(3, 27, 27).transpose(1, 2, 0) * 31 + 3
_ALL_COLOURS = Image.fromarray(_SAMPLES.astype(np.uint8))

#: Modes of Pillow with transparency.
_CLEAR = frozenset(('RGBA', 'LA', 'PA', 'RGBa', 'La'))

# What it logs of damaged files would go to standard error where nobody has set up logging.
logging.getLogger('PIL').addHandler(logging.NullHandler())

Transform = Callable[[Image.Image], Image.Image]


def decode_picture(
    data: Any, name: str, max_pixels: int = MAX_PIXELS, *, avif: bool = True
) -> RgbImage:
    """Decode the bytes of an image file to RGB, upright.

    More than 8 bits are scaled by their full range, floats by 1, 255 or 65535 according to their
    values; inks, palettes and grey are converted, colour profiles to sRGB; transparent pictures
    are laid over white. Of several images the first is taken.

    :param data: bytes-like, the complete file: JPEG, PNG, WebP, TIFF, GIF, AVIF, BMP or PNM.
    :param name: names it in errors, such as ``image a.png``.
    :param max_pixels: largest product of width and height.
    :param avif: accept AVIF; cameras do not send it, and it is slow to decode.
    :returns: uint8 (H, W, 3).
    :raises InputError: it is empty, damaged, of another format, or too large; its ``kind`` says
        which: ``damaged``, ``format``, ``too_large``.
    """
    header = check_picture(data, name, max_pixels)
    buffer = np.frombuffer(data, np.uint8)
    if header.form == 'TIFF' and header.orientation != 1:
        data = without_orientation(buffer)
        buffer = np.frombuffer(data, np.uint8)
    if header.form == 'AVIF' and not avif:
        raise InputError(
            f'{name} is AVIF, which is read from files only; give JPEG or PNG', 'format'
        )
    if header.form == 'AVIF' and not _pillow_reads('AVIF'):
        raise InputError(
            f'{name} is AVIF, which needs Pillow 11.3 or newer; install it, or give JPEG or PNG',
            'format',
        )
    pixels = None
    orientation = header.orientation
    if header.plain:
        pixels = _plain(buffer)
    elif not header.deep and (header.form != 'WebP' or header.animated):
        pixels, orientation = _by_pillow(data, header, max_pixels)
        if pixels is None and header.form in ('JPEG', 'PNG'):
            # Pillow refuses some for parts that do not matter, such as a packed colour profile.
            pixels = _by_opencv(buffer, header)
    else:
        pixels = _by_opencv(buffer, header)
    if pixels is None or not 0 < pixels.shape[0] * pixels.shape[1] <= max_pixels:
        raise damaged(name, buffer.size, header.form)
    return turned(pixels, orientation)


def to_uint8(image: NDArray[Any], full: float | None = None) -> NDArray[np.uint8]:
    """Convert any depth to 8 bits.

    :param image: any shape; NaN becomes 0.
    :param full: the value that becomes 255; None stands for 65535 of 16 bits, and for
        :func:`full_scale` of the others.
    """
    if image.dtype == np.uint8 and full in (None, 255):
        return image
    if image.dtype == np.uint16 and full in (None, 65535):
        # Rounds as integers do: a multiple of 257 and a half does not occur.
        return np.asarray(cv2.convertScaleAbs(image, alpha=1 / 257), np.uint8)
    full = full_scale(image) if full is None else full
    values = np.nan_to_num(image, nan=0.0, posinf=full, neginf=0.0).astype(np.float32, copy=False)
    return np.asarray(np.rint(values.clip(0.0, full) * (255.0 / full)), np.uint8)


def full_scale(image: NDArray[Any]) -> float:
    """Return what the samples of an image go up to, of the usual ranges, by the largest of them.

    Floats are taken from 0 to 1, 255 or 65535, integers from 0 to 255, 65535 or 4294967295. A few
    values may lie above: highlights, or what a filter has overshot.
    """
    if image.dtype == np.uint8:
        return 255.0
    if image.dtype == np.uint16:
        return 65535.0
    most = 0.0
    for at in range(0, len(image), _BAND):
        band = image[at : at + _BAND]
        if image.dtype.kind == 'f':
            band = band[np.isfinite(band)]
        most = max(most, float(band.max(initial=0)))
    ranges = _FULL_FLOAT if image.dtype.kind == 'f' else _FULL_INTEGER
    # 16 is the root of 255: half way to the next one.
    return next((full for full in ranges if most <= 16 * full), ranges[-1])


def bgr_to_rgb(image: NDArray[Any]) -> RgbImage:
    """Convert an image that OpenCV decoded to RGB uint8 (H, W, 3).

    :param image: (H, W) or (H, W, 1) grey, (H, W, 3) BGR, or (H, W, 4) BGRA, which is composited
        over white; any depth.
    """
    return _from_opencv(image, None, None, False)


def _pillow_reads(form: str) -> bool:
    Image.init()
    return form in Image.OPEN


def _plain(buffer: NDArray[np.uint8]) -> RgbImage | None:
    decoded = _imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None:
        return None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _by_opencv(buffer: NDArray[np.uint8], header: PictureHeader) -> RgbImage | None:
    decoded = _imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if decoded is None:
        return None
    if decoded.ndim == 3 and decoded.shape[2] not in (1, 3, 4):
        return None
    full = float(header.full) or None
    return _from_opencv(decoded, full, _transform(header.profile, 'RGB'), header.inverted)


def _imdecode(buffer: NDArray[np.uint8], flags: int) -> NDArray[Any] | None:
    try:
        return cv2.imdecode(buffer, flags)
    except cv2.error:
        # For instance, more pixels than OpenCV accepts.
        return None


def _from_opencv(
    image: NDArray[Any], full: float | None, transform: Transform | None, inverted: bool
) -> RgbImage:
    channels = 1 if image.ndim == 2 else image.shape[2]
    whole = image.dtype == np.uint8 and full is None and transform is None and not inverted
    if whole and channels != 4:
        way = cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_BGR2RGB
        return np.asarray(cv2.cvtColor(image, way), np.uint8)
    full = full_scale(image) if full is None else full
    laid = np.empty((*image.shape[:2], 3), np.uint8)
    for at in range(0, len(image), _BAND):
        band = to_uint8(image[at : at + _BAND], full)
        colours = band
        if channels != 1:
            way = cv2.COLOR_BGR2RGB if channels == 3 else cv2.COLOR_BGRA2RGB
            colours = np.asarray(cv2.cvtColor(band, way), np.uint8)
        if inverted:
            colours = np.subtract(255, colours, dtype=np.uint8)
        if transform is not None:
            image_of_band = Image.fromarray(np.ascontiguousarray(colours)).convert('RGB')
            colours = np.asarray(transform(image_of_band))
        if channels == 4:
            colours = over_white(colours, band[..., 3])
        laid[at : at + _BAND] = colours if colours.ndim == 3 else colours[..., None]
    return laid


def over_white(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture laid over white.

    :param colours: uint8 (H, W, 3), RGB.
    :param alpha: uint8 (H, W), 0 where it is transparent.
    """
    # What is taken away from white; in OpenCV, since NumPy takes seconds for 8K.
    taken = cv2.multiply(cv2.bitwise_not(colours), cv2.merge([alpha] * 3), scale=1 / 255)
    return np.asarray(cv2.bitwise_not(taken), np.uint8)


def _by_pillow(data: Any, header: PictureHeader, max_pixels: int) -> tuple[RgbImage | None, int]:
    """Return the pixels, None if they do not decode, and the orientation."""
    orientation = header.orientation
    try:
        # Damaged tags are none of the user's business, as long as the picture decodes.
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            # Bytes are read in place.
            file = io.BytesIO(data if isinstance(data, bytes) else bytes(data))
            with Image.open(file, formats=[header.form]) as image:
                width, height = image.size
                if width * height > max_pixels:
                    return None, orientation
                if header.form == 'AVIF':
                    # Pillow writes the turn of the boxes here, in place of that in EXIF.
                    orientation = image.getexif().get(0x0112, 1)
                elif header.form == 'TIFF':
                    # It would turn it for XMP.
                    image.getexif()[0x0112] = 1
                image.load()
                pixels = _from_pillow(image)
    except Exception:
        # Any of them, by format and fault: SyntaxError, struct.error, OSError, KeyError, ...
        return None, header.orientation
    return pixels, orientation if orientation in range(1, 9) else 1


def _from_pillow(image: Image.Image) -> RgbImage:
    """Return the pixels of a loaded image; inks, palettes and profiles converted, over white."""
    clear = image.mode in _CLEAR or 'transparency' in image.info
    mode = _colours(image.mode, clear)
    transform = _transform(image.info.get('icc_profile') or b'', mode)
    width, height = image.size
    laid = np.empty((height, width, 3), np.uint8)
    for at in range(0, height, _BAND):
        band = image.crop((0, at, width, min(at + _BAND, height)))
        colours, alpha = band, None
        if clear:
            band = band.convert('RGBA')
            alpha = np.asarray(band.getchannel('A'))
            colours = band.convert('RGB')
        if colours.mode != mode:
            colours = colours.convert(mode)
        colours = colours.convert('RGB') if transform is None else transform(colours)
        pixels = np.asarray(colours)
        laid[at : at + _BAND] = pixels if alpha is None else over_white(pixels, alpha)
    return laid


def _colours(mode: str, clear: bool) -> str:
    """Return the mode of an image's colours without transparency: that of its profile."""
    if mode in ('1', 'L', 'LA', 'La'):
        return 'L'
    return mode if mode in ('CMYK', 'LAB') and not clear else 'RGB'


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str) -> Transform | None:
    """Return what converts from a profile's colours to sRGB; None if it is that or does not fit.

    :param mode: of Pillow, of the images to convert.
    """
    try:
        if mode == 'LAB':
            of_image = ImageCms.ImageCmsProfile(ImageCms.createProfile('LAB'))
        elif profile:
            of_image = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        else:
            return None
        transform = ImageCms.buildTransform(of_image, ImageCms.createProfile('sRGB'), mode, 'RGB')
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # Damaged, or of a grey picture beside colours.
        return None

    def convert(image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None
        return converted

    # Most profiles say in thousands of bytes that it is sRGB.
    if mode == 'RGB' and np.abs(np.asarray(convert(_ALL_COLOURS)) - _SAMPLES).max() <= 1:
        return None
    return convert
