"""The interface of all frame sources, and how they fit frames to a size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import cv2
import numpy as np

from emotion_estimator.account import Account
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.runtimes import debugging

#: Frames per second if neither the user nor the source gives a rate.
DEFAULT_FPS = 30.0


def silence_opencv() -> None:
    """Keep OpenCV and its FFmpeg from writing to standard error, unless debugging.

    The sources raise errors.
    """
    if debugging():
        return
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    # At the top level up to OpenCV 4.11, later in cv2.utils.logging. Level 0 is silent in both.
    module: Any = cv2
    if not hasattr(module, 'setLogLevel'):
        module = getattr(getattr(cv2, 'utils', None), 'logging', None)
    if module is not None:
        module.setLogLevel(0)


def fit(image: RgbImage, width: int | None, height: int | None) -> RgbImage:
    """Resize to fit ``width`` x ``height`` pixels, keeping the aspect; None is no limit."""
    old_height, old_width = image.shape[:2]
    scales = [new / old for new, old in ((width, old_width), (height, old_height)) if new]
    scale = min(scales, default=1.0)
    if scale == 1.0:
        return image
    size = (max(round(old_width * scale), 1), max(round(old_height * scale), 1))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


class SourceLost(InputError):  # noqa: N818  an event, named as users would name it
    """A source stopped delivering frames (unplugged, switched off); reopening may help."""


class Source(Protocol):
    """Something that yields frames; iterate over it.

    :ivar name: for log lines: the file, folder or device.
    :ivar fps: nominal frames per second, above 0.
    :ivar live: True for a device, whose frames are stamped when captured, in seconds since the
        epoch. False if stamps count from 0 and frames come as fast as they are read.
    :ivar wanted: of a live source; asked at each image whether to decode and yield it.
    :ivar account: of the frames that the input declares, those read and those left out; final when
        the iteration has ended.
    """

    name: str
    fps: float
    live: bool
    wanted: Callable[[], bool] = staticmethod(lambda: True)
    account: Account

    def frames(self) -> Iterator[Frame]:
        """Yield RGB frames with strictly increasing stamps.

        :raises SourceLost: a device stopped delivering.
        :raises InputError: nothing could be read.
        """
        ...

    def close(self) -> None:
        """Free the device or file; closing twice is harmless."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over :meth:`frames`."""
        return self.frames()
