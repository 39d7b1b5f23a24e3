"""Image messages and encoded images to RGB, RGB to JPEG, and the check that all images pass."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage

#: OpenCV's remap, inside MediaPipe, aborts the process from a side of 32767 pixels on.
_MOST_PIXELS_A_SIDE = 32766

#: sensor_msgs/image_encodings: name -> (dtype, channels, OpenCV code to RGB or None).
#: OpenCV names a Bayer pattern by the second row's second and third pixels, ROS by the first row's
#: first two: bayer_rggb8 is OpenCV's BayerBG.
_ENCODINGS: dict[str, tuple[str, int, int | None]] = {
    'rgb8': ('u1', 3, None),
    '8UC3': ('u1', 3, cv2.COLOR_BGR2RGB),
    'bgr8': ('u1', 3, cv2.COLOR_BGR2RGB),
    'rgba8': ('u1', 4, cv2.COLOR_RGBA2RGB),
    'bgra8': ('u1', 4, cv2.COLOR_BGRA2RGB),
    '8UC4': ('u1', 4, cv2.COLOR_BGRA2RGB),
    'mono8': ('u1', 1, cv2.COLOR_GRAY2RGB),
    '8UC1': ('u1', 1, cv2.COLOR_GRAY2RGB),
    'rgb16': ('u2', 3, None),
    'bgr16': ('u2', 3, cv2.COLOR_BGR2RGB),
    'rgba16': ('u2', 4, cv2.COLOR_RGBA2RGB),
    'bgra16': ('u2', 4, cv2.COLOR_BGRA2RGB),
    'mono16': ('u2', 1, cv2.COLOR_GRAY2RGB),
    'bayer_rggb8': ('u1', 1, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': ('u1', 1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': ('u1', 1, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': ('u1', 1, cv2.COLOR_BayerGB2RGB),
    'bayer_rggb16': ('u2', 1, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr16': ('u2', 1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg16': ('u2', 1, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg16': ('u2', 1, cv2.COLOR_BayerGB2RGB),
    'uyvy': ('u1', 2, cv2.COLOR_YUV2RGB_UYVY),
    'yuv422': ('u1', 2, cv2.COLOR_YUV2RGB_UYVY),
    'yuyv': ('u1', 2, cv2.COLOR_YUV2RGB_YUYV),
    'yuv422_yuy2': ('u1', 2, cv2.COLOR_YUV2RGB_YUYV),
}

#: Every encoding that :func:`rgb_from_buffer` reads.
ENCODINGS: tuple[str, ...] = tuple(_ENCODINGS)


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


def rgb_from_image(message: RawImage) -> RgbImage:
    """Return an image message's pixels as uint8 (H, W, 3) RGB, without a copy for ``rgb8``.

    :raises InputError: the message is malformed, or its encoding is not in ``ENCODINGS``.
    """
    return rgb_from_buffer(
        message.data,
        encoding=message.encoding,
        width=message.width,
        height=message.height,
        step=message.step,
        big_endian=bool(message.is_bigendian),
    )


def rgb_from_compressed(message: EncodedImage) -> RgbImage:
    """Return a compressed image message's pixels as uint8 (H, W, 3) RGB.

    :raises InputError: not an image: a depth image, a video packet, damaged data.
    """
    # image_transport writes "bgr8; jpeg compressed bgr8", drivers "jpeg" or "png".
    if 'depth' in message.format.lower():
        raise InputError(
            f'compressed image of format {message.format!r} is a depth image; publish JPEG or PNG'
        )
    return rgb_from_file(message.data)


def rgb_from_buffer(
    data: Any, *, encoding: str, width: int, height: int, step: int, big_endian: bool = False
) -> RgbImage:
    """Read the pixels of a buffer like that of a ``sensor_msgs/Image``.

    :param data: bytes-like, at least ``step * height`` bytes; the last row may lack its padding.
    :param encoding: a name of sensor_msgs/image_encodings.
    :param step: bytes from one row to the next, padding included.
    :returns: uint8 (height, width, 3) RGB; a view of ``data`` for unpadded or padded ``rgb8``.
        16-bit images keep their upper 8 bits.
    :raises InputError: the encoding is unknown, the size is zero, the step is too small, or the
        data is too short; the message says which and what is needed.
    """
    if encoding not in _ENCODINGS:
        raise InputError(
            f'image encoding {encoding!r} is not supported; publish one of {", ".join(ENCODINGS)}'
        )
    if width < 1 or height < 1:
        raise InputError(f'image is {width}x{height} pixels; width and height must be at least 1')
    kind, channels, to_rgb = _ENCODINGS[encoding]
    dtype = np.dtype(('>' if big_endian else '<') + kind)
    row = width * channels * dtype.itemsize
    if step < row:
        raise InputError(
            f'image step {step} is below the {row} bytes that a row of {width} {encoding} pixels '
            f'takes; set step to {row} or more'
        )
    flat = np.frombuffer(data, np.uint8)
    needed = step * (height - 1) + row
    if flat.size < needed:
        raise InputError(
            f'image data is truncated: {flat.size} bytes, {width}x{height} {encoding} with step '
            f'{step} needs {step * height}'
        )
    pixels: NDArray[Any] = np.ndarray(
        (height, width, channels),
        dtype,
        flat.data,
        strides=(step, channels * dtype.itemsize, dtype.itemsize),
    )
    if encoding.startswith(('uyvy', 'yuv', 'yuyv')) and width % 2:
        raise InputError(f'image of encoding {encoding} is {width} pixels wide; it must be even')
    if encoding.startswith('bayer') and (width < 4 or height < 4):
        raise InputError(f'Bayer image is {width}x{height} pixels; at least 4x4 is needed')
    if dtype.itemsize == 2:
        pixels = (pixels >> 8).astype(np.uint8)
    if to_rgb is None:
        return pixels
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), to_rgb), np.uint8)


def rgb_from_file(data: Any) -> RgbImage:
    """Decode the bytes of an image file: JPEG, PNG, or another format that OpenCV reads.

    :param data: bytes-like, one complete file.
    :returns: uint8 (H, W, 3) RGB; 16-bit images keep their upper 8 bits, the EXIF orientation is
        applied.
    :raises InputError: the data is empty, damaged, or not an image.
    """
    buffer = np.frombuffer(data, np.uint8)
    decoded = None
    if buffer.size:
        try:
            decoded = cv2.imdecode(buffer, cv2.IMREAD_COLOR)
        except cv2.error:
            # For instance, more pixels than OpenCV accepts.
            decoded = None
    if decoded is None:
        raise InputError(
            f'compressed image of {buffer.size} bytes cannot be decoded; publish JPEG or PNG'
        )
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


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


def check_rgb(image: Any) -> RgbImage:
    """Return ``image``, made contiguous, if it is uint8 (H, W, 3) with H and W in 1 to 32766.

    :raises InputError: it is something else; the message says what.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f'image must be a numpy array, got {type(image).__name__}')
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f'image must be uint8 of shape (height, width, 3) in RGB, got {image.dtype} of shape '
            f'{image.shape}'
        )
    if image.shape[0] < 1 or image.shape[1] < 1:
        raise InputError(f'image of shape {image.shape} has no pixels')
    height, width = image.shape[:2]
    if max(height, width) > _MOST_PIXELS_A_SIDE:
        raise InputError(
            f'image of {width}x{height} pixels is too large; at most {_MOST_PIXELS_A_SIDE} a side'
        )
    return np.ascontiguousarray(image)
