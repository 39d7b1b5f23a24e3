"""Image messages and image files to RGB, RGB to JPEG, and the check that all images pass."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np

from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.encodings import rgb_from_buffer
from emotion_estimator.picture_decoding import decode_picture
from emotion_estimator.untrusted import MAX_PIXELS, MAX_SIDE, quote

#: Colour encodings, for which image_transport follows what the format says behind "compressed".
_COLOURS = frozenset(
    f'{order}{bits}' for order in ('rgb', 'rgba', 'bgr', 'bgra') for bits in (8, 16)
)


class RawImage(Protocol):
    """The fields used of a ``sensor_msgs/Image``, whichever library made the message."""

    encoding: str
    width: int
    height: int
    step: int
    is_bigendian: int
    data: Any


class EncodedImage(Protocol):
    """The fields used of a ``sensor_msgs/CompressedImage``."""

    format: str
    data: Any


def rgb_from_image(message: RawImage, max_pixels: int = MAX_PIXELS) -> RgbImage:
    """Return an image message's pixels as uint8 (H, W, 3) RGB, without a copy for ``rgb8``.

    :param max_pixels: largest product of width and height.
    :raises InputError: the message is malformed, its encoding is not supported, or it is too large.
    """
    check_size(message.width, message.height, max_pixels)
    return rgb_from_buffer(
        message.data,
        encoding=message.encoding,
        width=message.width,
        height=message.height,
        step=message.step,
        big_endian=bool(message.is_bigendian),
    )


def rgb_from_compressed(message: EncodedImage, max_pixels: int = MAX_PIXELS) -> RgbImage:
    """Return a compressed image message's pixels as uint8 (H, W, 3) RGB.

    In ``rgb8; jpeg compressed rgb8`` red and blue are swapped in the file, as for image_transport:
    who wrote it gave RGB to an encoder that takes BGR. image_transport itself writes
    ``compressed bgr8``, or nothing for grey images; drivers write ``jpeg``.

    :param max_pixels: largest product of width and height.
    :raises InputError: not an image (a depth image, a video packet, damaged data), or too large.
    """
    if 'depth' in message.format.lower():
        raise InputError(
            f'compressed image of format {quote(message.format)!r} is a depth image; publish JPEG '
            'or PNG',
            'format',
        )
    encoding, _, compression = message.format.lower().partition(';')
    if encoding.strip() in _COLOURS and 'compressed rgb' in compression:
        return np.ascontiguousarray(rgb_from_file(message.data, max_pixels)[..., ::-1])
    return rgb_from_file(message.data, max_pixels)


def rgb_from_file(data: Any, max_pixels: int = MAX_PIXELS) -> RgbImage:
    """Decode the bytes of an image file: JPEG, PNG, WebP, TIFF, BMP or PNM.

    :param data: bytes-like, one complete file.
    :param max_pixels: largest product of width and height.
    :returns: uint8 (H, W, 3) RGB; 16-bit images keep their upper 8 bits, the EXIF orientation is
        applied.
    :raises InputError: the data is empty, damaged, not such an image, or too large.
    """
    return decode_picture(data, 'compressed image', max_pixels)


def jpeg_from_rgb(image: RgbImage, quality: int) -> bytes:
    """Encode a uint8 (H, W, 3) RGB image as JPEG.

    :param quality: 1 to 100.
    :raises InputError: too large for JPEG (a side above 65,500 pixels).
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    try:
        done, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error:
        done = False
    if not done:
        raise InputError(f'image of shape {image.shape} cannot be encoded as JPEG')
    return bytes(data)


def check_rgb(image: Any, max_pixels: int = MAX_PIXELS) -> RgbImage:
    """Return ``image``, made contiguous, if it is uint8 (H, W, 3) with H and W in 1 to 32766.

    :param max_pixels: largest H * W.
    :raises InputError: it is something else; the message says what.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f'image must be a numpy array, got {type(image).__name__}')
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f'image must be uint8 of shape (height, width, 3) in RGB, got {image.dtype} of shape '
            f'{image.shape}',
            'format',
        )
    if image.shape[0] < 1 or image.shape[1] < 1:
        raise InputError(f'image of shape {image.shape} has no pixels', 'size')
    check_size(image.shape[1], image.shape[0], max_pixels)
    return np.ascontiguousarray(image)


def check_size(width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    """Check that an image is not too large, in pixels.

    :raises InputError: it is.
    """
    if max(height, width) > MAX_SIDE or height * width > max_pixels:
        raise InputError(
            f'image of {width}x{height} pixels is too large; at most {MAX_SIDE} a side and '
            f'{max_pixels} in all',
            'too_large',
        )
