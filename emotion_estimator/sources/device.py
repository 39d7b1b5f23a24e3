"""A camera connected to this machine as a source."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import cv2

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.sources.base import (
    DEFAULT_FPS,
    Source,
    SourceLost,
    bgr_to_rgb,
    silence_opencv,
)

#: Consecutive damaged images after which the device counts as lost.
_PATIENCE = 30


class DeviceCapture(Protocol):
    """The methods used of ``cv2.VideoCapture``."""

    def isOpened(self) -> bool: ...  # noqa: N802, D102  OpenCV's own names

    def grab(self) -> bool: ...  # noqa: D102

    def retrieve(self) -> tuple[bool, Any]: ...  # noqa: D102

    def get(self, prop: int) -> float: ...  # noqa: D102

    def set(self, prop: int, value: float) -> bool: ...  # noqa: D102

    def release(self) -> None: ...  # noqa: D102


def _open_capture(device: int | str) -> DeviceCapture:
    backend = cv2.CAP_V4L2 if isinstance(device, str) else cv2.CAP_ANY
    return cv2.VideoCapture(device, backend)


class Device(Source):
    """A camera; each frame is stamped right after it was grabbed.

    Size and rate are requests: the device uses the nearest that it supports.

    :param device: its number, or its path under ``/dev``.
    :param clock: returns the time in seconds since the epoch.
    :param open_capture: opens the device.
    :raises InputError: no such device, or another program uses it.
    """

    live = True

    def __init__(
        self,
        device: int | str,
        *,
        fps: float | None = None,
        width: int | None = None,
        height: int | None = None,
        clock: Callable[[], float] = time.time,
        open_capture: Callable[[int | str], DeviceCapture] = _open_capture,
    ) -> None:
        silence_opencv()
        self.name = f'camera {device}'
        self._clock = clock
        self._closed = False
        #: Damaged images left out.
        self.skipped = 0
        self._capture = open_capture(device)
        if not self._capture.isOpened():
            self._capture.release()
            raise InputError(
                f'{self.name} cannot be opened; check that it is plugged in, that no other program '
                "uses it and that you may read it, or use the source 'portrait'"
            )
        # At most one buffered image: an old one would be stamped as new.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        for prop, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, width),
            (cv2.CAP_PROP_FRAME_HEIGHT, height),
            (cv2.CAP_PROP_FPS, fps),
        ):
            if value:
                self._capture.set(prop, value)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if math.isfinite(rate) and rate > 0.0 else fps or DEFAULT_FPS

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they arrive, stamped by ``clock``.

        :raises SourceLost: the device stopped delivering frames.
        """
        damaged = 0
        while not self._closed:
            if not self._capture.grab():
                if self._closed:
                    return
                raise SourceLost(f'{self.name} stopped delivering images; check its cable')
            stamp = self._clock()
            ok, image = self._capture.retrieve()
            if not ok or image is None or image.size == 0:
                self.skipped += 1
                damaged += 1
                if damaged >= _PATIENCE:
                    raise SourceLost(f'{self.name} delivers only damaged images; check its cable')
                continue
            damaged = 0
            yield Frame(bgr_to_rgb(image), stamp)

    def close(self) -> None:
        """Release the device; a reader waiting for a frame gets none."""
        self._closed = True
        self._capture.release()
