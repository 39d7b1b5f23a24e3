"""Pixels of a ``sensor_msgs/Image``, whatever their encoding, to RGB.

The names are those of sensor_msgs/image_encodings, and of drivers for which it has none. YUV is
BT.601 of limited range, as for OpenCV and cv_bridge.
"""

from __future__ import annotations

import logging
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.untrusted import quote

#: sensor_msgs/image_encodings: name -> (dtype, channels, OpenCV code to RGB or None).
#: OpenCV names a Bayer pattern by the second row's second and third pixels, ROS by the first row's
#: first two: bayer_rggb8 is OpenCV's BayerBG.
_PACKED: dict[str, tuple[str, int, int | None]] = {
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
    '16UC1': ('u2', 1, cv2.COLOR_GRAY2RGB),
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

#: Luma in a plane of its own, chroma behind it: name -> OpenCV code to RGB; None is 4:4:4. The last
#: three names are not in sensor_msgs.
_PLANAR: dict[str, int | None] = {
    'nv12': cv2.COLOR_YUV2RGB_NV12,
    'nv21': cv2.COLOR_YUV2RGB_NV21,
    'nv24': None,
    'i420': cv2.COLOR_YUV2RGB_I420,
    'yuv420': cv2.COLOR_YUV2RGB_I420,
    'yv12': cv2.COLOR_YUV2RGB_YV12,
}
#: Of these U and V lie in planes of their own, with rows half as long as those of the luma.
_THREE_PLANES = frozenset({'i420', 'yuv420', 'yv12'})

#: BT.601 of limited range: (Y, U, V, 1) to (R, G, B).
_YUV_TO_RGB = np.array([
    [1.164, 0.0, 1.596, -1.164 * 16 - 1.596 * 128],
    [1.164, -0.391, -0.813, -1.164 * 16 + (0.391 + 0.813) * 128],
    [1.164, 2.018, 0.0, -1.164 * 16 - 2.018 * 128],
])  # fmt: skip

#: Samples of 12 bits, the lowest ones of 16, are below this.
_TWELVE_BITS = 1 << 12

#: Bytes named yuv422 are read as YUYV if the first of two varies this many times as much as the
#: second (the variances' ratio). See ``_is_yuyv``.
_LUMA_FIRST = 4.0
#: Rows between those that are looked at for it.
_ROW_STEP = 8

#: Every encoding that :func:`rgb_from_buffer` reads.
ENCODINGS: tuple[str, ...] = (*_PACKED, *_PLANAR)

_LOG = logging.getLogger(__name__)
_said: set[str] = set()


def is_supported(encoding: str) -> bool:
    """Return whether :func:`rgb_from_buffer` reads an encoding, in capitals too (``NV12``)."""
    return encoding in _PACKED or encoding.lower() in ENCODINGS


def rgb_from_buffer(
    data: Any, *, encoding: str, width: int, height: int, step: int, big_endian: bool = False
) -> RgbImage:
    """Read the pixels of a buffer like that of a ``sensor_msgs/Image``.

    Samples of 16 bits keep their upper 8. In ``mono16``, ``16UC1`` and 16-bit Bayer images, in
    which drivers also put 12 bits, an image with no sample from 4096 on keeps the upper 8 of 12
    bits, unless all its samples are multiples of 16. That depends on this image alone, so that a
    bag is read like a live stream, and cannot change within a stream of 12 bits. A 16-bit image
    that is darker than a sixteenth everywhere is brightened too.

    ``yuv422`` is UYVY by its definition, but some drivers put YUYV there: the data decides.

    :param data: bytes-like; the last row may lack its padding.
    :param encoding: one of ``ENCODINGS``.
    :param step: bytes from one row to the next, padding included. With luma in a plane of its own
        it is the luma's: rows of the chroma take as much (``nv12``, ``nv21``), twice as much
        (``nv24``) or half as much (``i420``, ``yuv420``, ``yv12``). The bytes of all planes
        divided by the height are also taken, since some drivers set that.
    :returns: uint8 (height, width, 3) RGB; a view of ``data`` for unpadded or padded ``rgb8``.
    :raises InputError: the encoding is unknown, the size is zero or odd where it must be even, the
        step is too small, or the data is too short; the message says which and what is needed.
    """
    name = encoding if encoding in _PACKED else encoding.lower()
    if name not in ENCODINGS:
        raise InputError(
            f'image encoding {quote(encoding)!r} is not supported; publish one of '
            f'{", ".join(ENCODINGS)}',
            'encoding',
        )
    if width < 1 or height < 1:
        raise InputError(
            f'image is {width}x{height} pixels; width and height must be at least 1', 'size'
        )
    flat = np.frombuffer(data, np.uint8)
    if name in _PLANAR:
        return _planar(flat, name, width, height, step)
    return _packed(flat, name, width, height, step, big_endian)


def _packed(
    flat: NDArray[np.uint8], encoding: str, width: int, height: int, step: int, big_endian: bool
) -> RgbImage:
    kind, channels, to_rgb = _PACKED[encoding]
    dtype = np.dtype(('>' if big_endian else '<') + kind)
    row = width * channels * dtype.itemsize
    _check_step(step, row, width, encoding)
    _check_size(flat, step * (height - 1) + row, step * height, (width, height), encoding, step)
    pixels: NDArray[Any] = np.ndarray(
        (height, width, channels),
        dtype,
        flat.data,
        strides=(step, channels * dtype.itemsize, dtype.itemsize),
    )
    if channels == 2 and width % 2:
        raise InputError(
            f'image of encoding {encoding} is {width} pixels wide; it must be even', 'size'
        )
    if encoding.startswith('bayer') and (width < 4 or height < 4):
        raise InputError(f'Bayer image is {width}x{height} pixels; at least 4x4 is needed', 'size')
    if dtype.itemsize == 2:
        shift = 4 if channels == 1 and _has_twelve_bits(pixels) else 8
        pixels = (pixels >> shift).astype(np.uint8)
    if to_rgb is None:
        return pixels
    if encoding == 'yuv422' and _is_yuyv(pixels):
        to_rgb = cv2.COLOR_YUV2RGB_YUYV
        _say_once('images named yuv422 hold YUYV and are read as that; publish yuv422_yuy2')
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), to_rgb), np.uint8)


def _planar(flat: NDArray[np.uint8], encoding: str, width: int, height: int, step: int) -> RgbImage:
    code = _PLANAR[encoding]
    if code is not None and (width % 2 or height % 2):
        raise InputError(
            f'image of encoding {encoding} is {width}x{height} pixels; both must be even', 'size'
        )
    _check_step(step, width, width, encoding)
    # Bytes of all planes for one row of luma: 3 / 2 or 6 / 2.
    halves = 6 if code is None else 3
    if 2 * step == halves * width and flat.size == step * height:
        step = width
    # The last row may lack its padding.
    chroma = 2 * width if code is None else width // 2 if encoding in _THREE_PLANES else width
    stride = 2 * step if code is None else step // 2 if encoding in _THREE_PLANES else step
    complete = step * height + (height if code is None else height // 2) * stride
    if encoding in _THREE_PLANES:
        complete += height // 2 * stride
    _check_size(flat, complete - stride + chroma, complete, (width, height), encoding, step)
    if code is None:
        luma = _plane(flat, 0, (height, width), step)
        pairs = _plane(flat, step * height, (height, 2 * width), 2 * step)
        yuv = np.dstack([luma, pairs[:, 0::2], pairs[:, 1::2]])
        return np.asarray(cv2.transform(yuv, _YUV_TO_RGB), np.uint8)
    if step == width:
        rows = flat[: width * height * 3 // 2].reshape(height * 3 // 2, width)
    elif encoding in _THREE_PLANES:
        planes = [_plane(flat, 0, (height, width), step)]
        for n in (0, 1):
            start = step * height + n * (height // 2) * stride
            planes.append(_plane(flat, start, (height // 2, width // 2), stride))
        joined = np.concatenate([plane.ravel() for plane in planes])
        rows = joined.reshape(height * 3 // 2, width)
    else:
        rows = _plane(flat, 0, (height * 3 // 2, width), step)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rows), code), np.uint8)


def _plane(
    flat: NDArray[np.uint8], start: int, shape: tuple[int, int], stride: int
) -> NDArray[np.uint8]:
    """Return rows of ``flat``, as a view."""
    return np.ndarray(shape, np.uint8, flat.data, offset=start, strides=(stride, 1))


def _check_step(step: int, row: int, width: int, encoding: str) -> None:
    if step < row:
        raise InputError(
            f'image step {step} is below the {row} bytes that a row of {width} {encoding} pixels '
            f'takes; set step to {row} or more',
            'step',
        )


def _check_size(
    flat: NDArray[np.uint8],
    needed: int,
    complete: int,
    size: tuple[int, int],
    encoding: str,
    step: int,
) -> None:
    if flat.size < needed:
        raise InputError(
            f'image data is truncated: {flat.size} bytes, {size[0]}x{size[1]} {encoding} with step '
            f'{step} needs {complete}',
            'truncated',
        )


def _has_twelve_bits(samples: NDArray[Any]) -> bool:
    """Return whether 16-bit samples are the lowest 12 bits; see :func:`rgb_from_buffer`."""
    return bool(samples.max() < _TWELVE_BITS and np.bitwise_or.reduce(samples, axis=None) & 15)


def _is_yuyv(pairs: NDArray[np.uint8]) -> bool:
    """Return whether bytes (H, W, 2), said to be UYVY, are YUYV.

    Brightness varies more than colour in photographs. The two colours are looked at apart, since
    they differ in an evenly coloured image too.
    """
    some = np.ascontiguousarray(pairs[::_ROW_STEP])
    _, deviations = cv2.meanStdDev(some.reshape(len(some), -1, 4))
    first, second, third, fourth = np.square(deviations).ravel().tolist()
    return bool(first + third > _LUMA_FIRST * (second + fourth))


def _say_once(line: str) -> None:
    if line not in _said:
        _said.add(line)
        _LOG.warning(line)
