"""A camera connected to this machine as a source."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import cv2

from emotion_estimator.account import Account
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.picture_decoding import bgr_to_rgb
from emotion_estimator.sources.base import (
    DEFAULT_FPS,
    Source,
    SourceLost,
    silence_opencv,
)
from emotion_estimator.sources.v4l2 import find_video_nodes, why_closed

#: Pixel formats to ask for, as FOURCC codes, by setting.
_CODES: Final = {'mjpg': 'MJPG', 'yuyv': 'YUYV'}
#: Bytes a second of uncompressed YUYV that USB 2.0 carries beside other devices: 640x480 at 30 Hz,
#: and not 1280x720 at more than 10 Hz.
_USB2 = 20e6
#: What OpenCV sets if no size is asked for.
_USUAL_SIZE = (640, 480)

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

    Size, rate and format are requests: the device uses the nearest that it supports.

    :ivar given: what it delivers, such as ``MJPG 1280x720 at 30 Hz``.
    :ivar refused: in one line what it delivers instead of what was asked for, or an empty string.

    :param device: its number, or its path under ``/dev``.
    :param pixel_format: ``mjpg``, ``yuyv``, ``as_is`` (the driver's choice), or ``auto``: MJPG if
        USB 2.0 does not carry size and rate otherwise, else ``as_is``.
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
        pixel_format: str = 'auto',
        clock: Callable[[], float] = time.time,
        open_capture: Callable[[int | str], DeviceCapture] = _open_capture,
    ) -> None:
        silence_opencv()
        self.name = f'camera {device}'
        self._clock = clock
        self._closed = False
        #: Damaged images left out.
        self.skipped = 0
        self.account = Account('frames')
        self._capture = open_capture(device)
        if not self._capture.isOpened():
            self._capture.release()
            raise InputError(
                f'{self.name} cannot be opened: {why_closed(device, find_video_nodes())}'
            )
        code = _code(pixel_format, width, height, fps)
        # First: which sizes and rates there are depends on it.
        if code:
            self._capture.set(cv2.CAP_PROP_FOURCC, int.from_bytes(code.encode(), 'little'))
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
        given = self._given()
        self.given = f'{" ".join(given)} at {self.fps:g} Hz'
        size = f'{width}x{height}' if width and height else given[1]
        # Unknown: a backend that does not say.
        formats = {code, 'unknown format', *(['JPEG'] if code == 'MJPG' else [])}
        missed = (
            (code and given[0] not in formats) or given[1] != size or (fps and self.fps < 0.9 * fps)
        )
        wanted = ' '.join(filter(None, (code, size if width and height else '')))
        at = f'at {fps:g} Hz' if fps else ''
        self.refused = (
            f'{self.name} gives {self.given} instead of {" ".join(filter(None, (wanted, at)))}'
            if missed
            else ''
        )

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
            if not self.wanted():
                continue
            ok, image = self._capture.retrieve()
            if not ok or image is None or image.size == 0:
                self.skipped += 1
                self.account.leave_out('damaged')
                damaged += 1
                if damaged >= _PATIENCE:
                    raise SourceLost(f'{self.name} delivers only damaged images; check its cable')
                continue
            damaged = 0
            self.account.read += 1
            yield Frame(bgr_to_rgb(image), stamp)

    def _given(self) -> tuple[str, str]:
        """Return pixel format and size that the device has settled on."""
        code, width, height = (
            int(value) if math.isfinite(value := self._capture.get(prop)) else 0
            for prop in (
                cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
            )
        )  # fmt: skip
        name = (code & 0xFFFFFFFF).to_bytes(4, 'little').decode('ascii', 'replace')
        known = name.isascii() and name.isprintable()
        return name.strip() if known else 'unknown format', f'{width}x{height}'

    def close(self) -> None:
        """Release the device; a reader waiting for a frame gets none."""
        self._closed = True
        self._capture.release()


def _code(
    pixel_format: str, width: int | None, height: int | None, fps: float | None
) -> str | None:
    """Return the FOURCC code to ask for, or None for the driver's choice."""
    if pixel_format != 'auto':
        return _CODES.get(pixel_format)
    usual_width, usual_height = _USUAL_SIZE
    rate = 2 * (width or usual_width) * (height or usual_height) * (fps or DEFAULT_FPS)
    return 'MJPG' if rate > _USB2 else None
