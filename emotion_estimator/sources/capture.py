"""Read a source in a thread: open it, keep to its frame rate, reopen a lost device."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import Frame
from emotion_estimator.settings import CameraSettings
from emotion_estimator.sources.base import Source, SourceLost
from emotion_estimator.sources.network import is_network, without_credentials
from emotion_estimator.sources.open_source import is_device, open_source
from emotion_estimator.sources.v4l2 import check_device
from emotion_estimator.timing import Backoff

_LOG = logging.getLogger(__name__)
#: Seconds without an image after which a camera is reported.
_SILENCE = 2.0


class Capture:
    """One loop that opens, reads and publishes, so that no frame waits for a timer.

    A device or an address that cannot be opened, or is lost, is retried with growing waits. A file,
    a folder or the portrait is read at its frame rate, by the monotonic clock.

    :ivar published: number of frames passed to ``publish``.
    :ivar skipped: number of frames that the source could not decode.
    :ivar behind: seconds that a source slower than its rate has fallen behind.
    :ivar lost: how often a device or a connection was lost.
    :ivar given: pixel format, size and rate that the camera delivers, or an empty string.
    :ivar problem: the current problem, or an empty string.
    """

    def __init__(
        self,
        settings: CameraSettings,
        *,
        clock: Callable[[], float],
        publish: Callable[[Frame, float], None],
        listened_to: Callable[[], bool],
        wanted: Callable[[], bool] = lambda: True,
        ended: Callable[[str], None],
        log: Callable[[str], None],
    ) -> None:
        """Prepare; :meth:`open` and :meth:`start` do the work.

        :param clock: returns the time that stamps frames, in seconds since the epoch.
        :param publish: called with each frame and its stamp, in this object's thread.
        :param listened_to: returns whether there are subscribers, for ``wait_for_subscribers``.
        :param wanted: returns whether anybody takes frames; a camera's are not decoded otherwise.
        :param ended: called once when a source that is not retried ends, with the problem, or an
            empty string at its regular end.
        :param log: called with one line about a camera that cannot be read.
        """
        self._settings = settings
        self._clock = clock
        self._publish = publish
        self._listened_to = listened_to
        self._wanted = wanted
        self._ended = ended
        self._log = log
        #: The source without credentials.
        self.name = without_credentials(settings.source)
        self._retried = is_device(settings.source) or is_network(settings.source)
        self._prepared: Source | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._last_frame = time.monotonic()
        self._problem = ''
        self.published = 0
        self.skipped = 0
        self.behind = 0.0
        self.lost = 0
        self.given = ''

    def open(self) -> None:
        """Open a source that is not retried, to report a file that cannot be read at once.

        A camera may still be plugged in or switched on; it is opened in the thread.

        :raises InputError: it cannot be opened, or something else than a camera has its name.
        """
        if not self._retried and self._prepared is None:
            self._prepared = self._open()
        elif is_device(self._settings.source):
            check_device(self._settings.source)

    def start(self) -> None:
        """Start reading and publishing."""
        self._stop = threading.Event()
        self._problem = ''
        self._last_frame = time.monotonic()
        self._thread = threading.Thread(
            target=self._work, args=(self._stop, self._prepared), name='capture', daemon=True
        )
        self._prepared = None
        self._thread.start()

    def stop(self, patience: float = 5.0) -> bool:
        """Stop reading and release the source.

        :param patience: maximum seconds to wait for a device in the middle of an image.
        :returns: False if it hangs; it is released as soon as it responds.
        """
        self._stop.set()
        if self._thread is not None:
            self._thread.join(patience)
            # A connection ends by its timeout at the latest, and is released then.
            if self._thread.is_alive() and not is_network(self._settings.source):
                return False
            self._thread = None
        return True

    def close(self) -> None:
        """Free the source if it was opened but never started."""
        if self._prepared is not None:
            self._prepared.close()
            self._prepared = None

    @property
    def problem(self) -> str:
        """Return the current problem, such as a device without images, or an empty string."""
        silent = time.monotonic() - self._last_frame
        if self._retried and not self._problem and self._thread is not None and silent > _SILENCE:
            return f'no image from camera {self.name} for {silent:.0f} s; check it'
        return self._problem

    def _open(self) -> Source:
        wanted = self._settings
        return open_source(
            wanted.source,
            fps=wanted.fps,
            width=wanted.width or None,
            height=wanted.height or None,
            loop=wanted.loop,
            pixel_format=wanted.camera_format,
            timeout=wanted.network_timeout,
            max_pixels=wanted.max_image_pixels,
            clock=self._clock,
        )

    def _work(self, stop: threading.Event, source: Source | None) -> None:
        backoff = Backoff(self._settings.retry_min, self._settings.retry_max)
        self._wait_for_listeners(stop)
        while not stop.is_set():
            try:
                source = source or self._open()
                self._read(source, stop, backoff)
            except Exception as error:
                # Whatever a driver or decoder raises must be reported.
                if not isinstance(error, InputError):
                    line = first_line(error).replace(self._settings.source, self.name)
                    error = InputError(f'{self.name}: {line}')
                if not self._retried:
                    self._end(stop, str(error))
                    return
                self._wait_to_retry(error, stop, backoff)
            else:
                self._end(stop, '')
                return
            finally:
                if source is not None:
                    source.close()
                source = None

    def _wait_for_listeners(self, stop: threading.Event) -> None:
        deadline = time.monotonic() + self._settings.wait_for_subscribers
        while time.monotonic() < deadline and not stop.wait(0.05):
            if self._listened_to():
                return

    def _wait_to_retry(self, error: InputError, stop: threading.Event, backoff: Backoff) -> None:
        if stop.is_set():
            # Nobody waits for it any more, and nothing is retried.
            return
        wait = backoff.next()
        self.lost += isinstance(error, SourceLost)
        self._problem = str(error)
        self._log(f'{error}; retrying in {wait:g} s')
        stop.wait(wait)

    def _end(self, stop: threading.Event, problem: str) -> None:
        if not stop.is_set():
            self._problem = problem
            self._ended(problem)

    def _is_wanted(self) -> bool:
        # Called for each image that a camera has delivered.
        self._last_frame = time.monotonic()
        return self._wanted()

    def _tell_what_is_given(self, source: Source) -> None:
        self.given = getattr(source, 'given', '')
        if refused := getattr(source, 'refused', ''):
            _LOG.warning('%s; choose a size, a rate and a format that it has', refused)
        elif self.given:
            _LOG.info('%s gives %s', source.name, self.given)

    def _read(self, source: Source, stop: threading.Event, backoff: Backoff) -> None:
        self._last_frame = begun = time.monotonic()
        self._tell_what_is_given(source)
        if source.live:
            source.wanted = self._is_wanted
        for frame in source.frames():
            if not source.live:
                late = _wait_until(begun + frame.stamp, stop)
                if late > 1.0 / source.fps:
                    # Slower than its rate: the rest is delayed, not dropped.
                    self.behind += late
                    begun += late
            if stop.is_set():
                return
            self._publish(frame, frame.stamp if source.live else self._clock())
            self.published += 1
            self.skipped = getattr(source, 'skipped', 0)
            self._last_frame = time.monotonic()
            backoff.reset()
            self._problem = ''


def _wait_until(due: float, stop: threading.Event) -> float:
    """Wait until ``due`` on the monotonic clock, or until stopped.

    :returns: seconds past ``due``; 0 if it had to wait.
    """
    late = time.monotonic() - due
    if late < 0:
        stop.wait(-late)
        return 0.0
    return late
