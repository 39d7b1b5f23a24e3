"""The small interface behind which all frame sources stand, and what each does with pixels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame, RgbImage


def silence_opencv() -> None:
    """Keep OpenCV and its FFmpeg from writing to standard error: the sources report by errors."""
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    # Up to OpenCV 4.11 at the top; later in cv2.utils.logging. Level 0 is silent in both.
    module: Any = cv2
    if not hasattr(module, 'setLogLevel'):
        module = getattr(getattr(cv2, 'utils', None), 'logging', None)
    if module is not None:
        module.setLogLevel(0)


def to_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring any depth to 8 bits: 16-bit by its full range, floats from 0..1, NaN as 0."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return np.asarray((image.astype(np.uint32) + 128) // 257, np.uint8)
    if image.dtype.kind == 'f':
        finite = np.nan_to_num(image, nan=0.0, posinf=1.0, neginf=0.0)
        return np.asarray(np.rint(finite.clip(0.0, 1.0) * 255.0), np.uint8)
    return np.asarray(image.clip(0, 255), np.uint8)


def bgr_to_rgb(image: NDArray[Any]) -> RgbImage:
    """Turn what OpenCV decoded into RGB uint8 (H, W, 3).

    :param image: (H, W) grey, (H, W, 1), BGR (H, W, 3), or BGRA (H, W, 4), which is laid over
        white; any depth.
    """
    image = to_uint8(image)
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)
    if channels == 4:
        alpha = image[..., 3:].astype(np.float32) / 255.0
        over_white = image[..., :3] * alpha + 255.0 * (1.0 - alpha)
        image = np.rint(over_white).astype(np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def fit(image: RgbImage, width: int | None, height: int | None) -> RgbImage:
    """Resize to at most ``width`` x ``height`` pixels, aspect kept; None leaves that side free."""
    old_height, old_width = image.shape[:2]
    scales = [new / old for new, old in ((width, old_width), (height, old_height)) if new]
    scale = min(scales, default=1.0)
    if scale == 1.0:
        return image
    size = (max(round(old_width * scale), 1), max(round(old_height * scale), 1))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


#: Frames per second where neither the user nor the source says.
DEFAULT_FPS = 30.0


class SourceLost(InputError):  # noqa: N818  a state of the world, named as users speak of it
    """A source that had delivered frames stopped: unplugged, switched off. Reopening may help."""


class Source(Protocol):
    """Something that yields frames.

    :ivar name: for log lines: the file, folder or device.
    :ivar fps: nominal frames per second, above 0.
    :ivar live: True for a device: frames arrive by themselves and are stamped when captured, in
        seconds since the epoch. False: stamps count from 0 and frames come as fast as they are
        read, so that the reader may pace them.
    """

    name: str
    fps: float
    live: bool

    def frames(self) -> Iterator[Frame]:
        """Yield RGB frames with strictly increasing stamps.

        :raises SourceLost: a device stopped delivering.
        :raises InputError: nothing could be read.
        """
        ...

    def close(self) -> None:
        """Free the device or file; more than once does no harm."""
        ...
