"""Cameras and videos on the network (HTTP and RTSP) as sources."""

from __future__ import annotations

import math
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2

from emotion_estimator.account import Account
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.picture_decoding import bgr_to_rgb
from emotion_estimator.sources.base import (
    DEFAULT_FPS,
    Source,
    SourceLost,
    fit,
)
from emotion_estimator.sources.container import decoded, open_ffmpeg
from emotion_estimator.sources.playback import Playback, open_film
from emotion_estimator.sources.video import VideoFile
from emotion_estimator.untrusted import quote

_PORTS = {'http': 80, 'https': 443, 'rtsp': 554}
#: Some cameras take user and password in the path, as in ``/user=admin_password=...``. Where one of
#: them ends cannot be known, so nothing behind is shown.
_SECRET = re.compile(r'(?is)((?:user|login|pass|pwd|token|key)\w*?=).*')
#: Seconds to find out why an address cannot be read.
_ASKING = 1.0
#: Share of a video's frames that counts as all of them: containers declare a few too many.
_COMPLETE = 0.95
#: Share of the time between two images within which an image that waited in a buffer comes, and
#: seconds after which no more are expected.
_WAITED, _WAITING = 0.25, 1.0
#: Consecutive damaged images after which a stream counts as lost.
_PATIENCE = 30


def is_network(spec: str) -> bool:
    """Return whether ``spec`` is an address of a supported kind."""
    scheme, separator, _ = spec.partition('://')
    return bool(separator) and scheme.lower() in _PORTS


def without_credentials(spec: str) -> str:
    """Return a source as it may be logged: of an address only the scheme, the host and the path.

    >>> without_credentials('rtsp://admin:secret@10.0.0.7:554/live?token=1')
    'rtsp://10.0.0.7:554/live'
    """
    scheme, separator, rest = spec.partition('://')
    if not separator:
        return spec
    # Passwords with unescaped signs are common: whatever is before the last @ may be one.
    address = re.split(r'[?#]', rest.rpartition('@')[2], maxsplit=1)[0]
    address = _SECRET.sub(r'\1...', address)
    return f'{scheme}://{address}'


def open_network(
    url: str,
    *,
    loop: bool = False,
    width: int | None = None,
    height: int | None = None,
    timeout: float = 5.0,
    clock: Callable[[], float] = time.time,
) -> Source:
    """Open a camera's stream, or a video file that a server offers.

    :param url: ``http://``, ``https://`` or ``rtsp://``, with user and password if needed.
    :param loop: restart a video file at its end.
    :param width: limit in pixels; images are resized, keeping their aspect.
    :param height: likewise.
    :param timeout: seconds without an answer or image after which it counts as lost. Looking up
        the host's name is not limited by it.
    :param clock: returns the time that stamps a stream's images, in seconds since the epoch.
    :raises InputError: it cannot be read; the message says why, without credentials.
    """
    capture = _open(url, timeout)
    name = quote(without_credentials(url))
    if capture.get(cv2.CAP_PROP_FRAME_COUNT) >= 1.0:
        capture.release()
        return NetworkVideo(url, loop=loop, width=width, height=height, timeout=timeout)
    return NetworkStream(capture, name, size=(width, height), timeout=timeout, clock=clock)


class NetworkStream(Source):
    """A camera on the network; each frame is stamped when it has arrived."""

    live = True

    def __init__(
        self,
        capture: cv2.VideoCapture,
        name: str,
        *,
        size: tuple[int | None, int | None] = (None, None),
        timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """:param capture: is open, and released by :meth:`close`.

        :param name: for messages.
        :param size: width and height in pixels to fit images in; None is no limit.
        """
        self.name = name
        self._capture = capture
        self._size = size
        self._timeout = timeout
        self._clock = clock
        self._closed = False
        #: Damaged images left out.
        self.skipped = 0
        self.account = Account('frames')
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if math.isfinite(rate) and 0.0 < rate <= 240.0 else DEFAULT_FPS
        width, height = (
            capture.get(prop) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        #: What it delivers.
        self.given = f'{width:.0f}x{height:.0f}'

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they arrive, stamped by ``clock``.

        :raises SourceLost: the connection broke, or no image came within the timeout.
        """
        self._leave_out_old_images()
        damaged = 0
        while not self._closed:
            asked = time.monotonic()
            if not self._capture.grab():
                if self._closed:
                    return
                waited = time.monotonic() - asked
                how = f'sent no image for {waited:.0f} s' if waited > 0.9 * self._timeout else ''
                raise SourceLost(
                    f'{self.name} {how or "ended the connection"}; check camera and network'
                )
            stamp = self._clock()
            if not self.wanted():
                continue
            image = decoded(self._capture.retrieve, self.name)
            if image is None:
                self.skipped += 1
                self.account.leave_out('damaged')
                damaged += 1
                if damaged >= _PATIENCE:
                    raise SourceLost(f'{self.name} sends only damaged images; check the network')
                continue
            damaged = 0
            self.account.read += 1
            yield Frame(fit(bgr_to_rgb(image), *self._size), stamp)

    def _leave_out_old_images(self) -> None:
        """Grab what arrived while the connection was opened: it would be stamped as new."""
        begun = now = time.monotonic()
        while now - begun < _WAITING and not self._closed:
            asked = now
            grabbed = self._capture.grab()
            now = time.monotonic()
            if not grabbed or now - asked > _WAITED / self.fps:
                return

    def close(self) -> None:
        """End the connection; a reader waiting for a frame gets none."""
        self._closed = True
        self._capture.release()


class NetworkVideo(VideoFile):
    """A video file on a server, read as one on disk, but that the connection may be lost."""

    def __init__(
        self,
        url: str,
        *,
        loop: bool = False,
        width: int | None = None,
        height: int | None = None,
        timeout: float = 5.0,
    ) -> None:
        """Take the arguments of :func:`open_network`."""
        self._timeout = timeout
        super().__init__(url, loop=loop, width=width, height=height)

    @staticmethod
    def _shown(path: Path | str) -> str:
        return quote(without_credentials(str(path)))

    def _open(self) -> Playback:
        return open_film(_lower_scheme(str(self._path)), self.name, timeout=self._timeout)

    def _stopped(self, account: Account) -> None:
        if account.declared is not None and account.read < _COMPLETE * account.declared:
            raise SourceLost(
                f'{self.name} broke off after {account.read} of {account.declared} images; check '
                'the network'
            )


def _lower_scheme(url: str) -> str:
    """Return an address as FFmpeg wants it: it compares schemes as they are written."""
    scheme, separator, rest = url.partition('://')
    return scheme.lower() + separator + rest


def _open(url: str, timeout: float) -> cv2.VideoCapture:
    milliseconds = round(1e3 * timeout)
    capture = open_ffmpeg(
        _lower_scheme(url),
        quote(without_credentials(url)),
        [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds,
        ],
    )  # fmt: skip
    if not capture.isOpened():
        capture.release()
        raise InputError(f'{quote(without_credentials(url))} cannot be opened: {_why_not(url)}')
    return capture


def _why_not(url: str) -> str:
    """Return why an address cannot be opened and what to do."""
    try:
        parts = urlsplit(url)
        # An @ before the first slash ends credentials, which may hold unescaped signs.
        if '@' in parts.netloc or not re.fullmatch(r'[^:]*(:\d*)?|\[.*\](:\d*)?', parts.netloc):
            parts = urlsplit(without_credentials(url))
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme.lower()]
    except ValueError:
        host, port = None, 0
    if not host:
        return 'no host can be read in it; escape special signs of the password (@ as %40)'
    try:
        socket.create_connection((host, port), _ASKING).close()
    except socket.gaierror:
        return f'nobody knows the host {host}; check its name, or give its address'
    except ConnectionRefusedError:
        return f'nothing listens on port {port} of {host}; check the port and start the server'
    except OSError:
        return f'{host} does not answer on port {port}; check address and network'
    return (
        f'{host} answers, but sends no video that can be decoded; check path, user name and '
        'password'
    )
