"""Write frames into a video file that plays everywhere, which appears once it is complete."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import cv2
import numpy as np

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.errors import EmotionEstimatorError, first_line
from emotion_estimator.frame import RgbImage

#: Longer gaps between stamps, in seconds, are shortened to this, so that a camera that was away for
#: an hour does not make an hour of the same frame.
MAX_GAP = 5.0


class _Encoder(Protocol):
    codec: str

    def write(self, image: RgbImage) -> None: ...

    def close(self) -> None: ...


class _H264:
    """H.264 by PyAV's x264, which plays everywhere."""

    codec = 'H.264'

    def __init__(self, av: ModuleType, path: Path, fps: Fraction, size: tuple[int, int]) -> None:
        self._av = av
        options = {'preset': 'superfast', 'crf': '23', 'threads': '1'}
        with self._as_os_error():
            self._file: Any = av.open(
                str(path), 'w', format='mp4', options={'movflags': '+faststart'}
            )
            self._stream = self._file.add_stream('libx264', rate=fps, options=options)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = 'yuv420p'
        self._frames = 0

    @contextmanager
    def _as_os_error(self) -> Iterator[None]:
        # Of FFmpeg's own errors, such as of a size that x264 refuses, none is an OSError.
        try:
            yield
        except self._av.FFmpegError as error:
            raise OSError(first_line(error)) from error

    def write(self, image: RgbImage) -> None:
        frame = self._av.VideoFrame.from_ndarray(image, format='rgb24')
        frame.pts = self._frames
        frame.time_base = 1 / self._stream.average_rate
        self._frames += 1
        with self._as_os_error():
            self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        with self._as_os_error():
            self._file.mux(self._stream.encode())
            self._file.close()


class _Mpeg4:
    """MPEG-4 Part 2, which every build of OpenCV has; players can show it, browsers cannot."""

    codec = 'MPEG-4 Part 2'

    def __init__(self, path: Path, fps: Fraction, size: tuple[int, int]) -> None:
        fourcc = cv2.VideoWriter.fourcc(*'mp4v')
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, float(fps), size)
        if not self._writer.isOpened():
            raise OSError('OpenCV has no MPEG-4 encoder')

    def write(self, image: RgbImage) -> None:
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self._writer.release()


def _encoder(path: Path, fps: Fraction, size: tuple[int, int]) -> _Encoder:
    if importlib.util.find_spec('av') is not None:
        import av

        return _H264(av, path, fps, size)
    return _Mpeg4(path, fps, size)


class _DroppedError(Exception):
    """The file is not wanted any more."""


class FilmWriter:
    """Encodes frames into a file of constant frame rate, which appears once it is complete.

    A frame is shown from its stamp until the next one's: it is repeated if frames are missing, and
    left out if two stamps fall into one frame period.
    """

    def __init__(self, path: Path, fps: float) -> None:
        """:param fps: frames per second of the video, above 0."""
        self.path = path
        self.codec = ''
        self.frames = 0
        self._fps = Fraction(fps).limit_denominator(1001)
        self._complete = ExitStack()
        self._encoder: _Encoder | None = None
        self._size = (0, 0)
        self._begin = 0.0
        self._last_stamp = 0.0
        self._last: RgbImage | None = None

    def add(self, stamp: float, image: RgbImage) -> None:
        """Add a frame.

        :param stamp: seconds; a frame older than the last one is left out.
        :param image: uint8 (H, W, 3) RGB; the first one's size becomes the video's.
        :raises EmotionEstimatorError: the file cannot be written.
        """
        try:
            self._add(stamp, image)
        except OSError as error:
            raise EmotionEstimatorError(f'{self.path} cannot be written: {error}') from error

    def _add(self, stamp: float, image: RgbImage) -> None:
        if self._encoder is None:
            # Even numbers: H.264's chroma planes have half the size.
            self._size = (image.shape[1] + image.shape[1] % 2, image.shape[0] + image.shape[0] % 2)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._complete.enter_context(atomic_write(self.path))
            self._encoder = _encoder(partial, self._fps, self._size)
            self.codec = self._encoder.codec
            self._begin = self._last_stamp = stamp
        if stamp < self._last_stamp:
            return
        self._begin += max(0.0, stamp - self._last_stamp - MAX_GAP)
        self._last_stamp = stamp
        slot = round((stamp - self._begin) * self._fps)
        while self._last is not None and self.frames < slot:
            self._write(self._last)
        self._last = self._fitted(image)

    def _write(self, image: RgbImage) -> None:
        assert self._encoder is not None
        self._encoder.write(image)
        self.frames += 1

    def close(self) -> bool:
        """Finish the file; return False if there was no frame and therefore is no file.

        :raises EmotionEstimatorError: the file cannot be written.
        """
        try:
            with self._complete:
                if self._encoder is None:
                    return False
                if self._last is not None:
                    self._write(self._last)
                self._encoder.close()
        except OSError as error:
            raise EmotionEstimatorError(f'{self.path} cannot be written: {error}') from error
        finally:
            self._encoder = None
        return True

    def drop(self) -> None:
        """Stop without a file; an existing one stays as it was."""
        encoder, self._encoder = self._encoder, None
        with suppress(_DroppedError, OSError), self._complete:
            if encoder is not None:
                encoder.close()
            raise _DroppedError

    def _fitted(self, image: RgbImage) -> RgbImage:
        """Return the image in the video's size: padded by a pixel, or scaled."""
        width, height = self._size
        right, below = width - image.shape[1], height - image.shape[0]
        if (right, below) == (0, 0):
            return np.ascontiguousarray(image)
        if right in (0, 1) and below in (0, 1):
            return np.pad(image, ((0, below), (0, right), (0, 0)))
        return np.asarray(cv2.resize(image, self._size), np.uint8)
