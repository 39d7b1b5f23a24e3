"""A video file as a source."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.sources.base import DEFAULT_FPS, Source, bgr_to_rgb, fit
from emotion_estimator.sources.container import check_container, decoded, open_ffmpeg
from emotion_estimator.untrusted import quote

#: Containers that declare more are wrong.
_MOST_FPS = 1000.0
#: Stamps in seconds from which on they are wrong: ROS counts them in an int32.
_LATEST = 1e9


class VideoFile(Source):
    """Frames of a file with the container's stamps, counted from the first frame.

    The file's rotation is applied. Stamps that are missing or do not increase are replaced by the
    previous one plus the duration of a frame.

    :param path: a file that :func:`.container.check_container` accepts.
    :param loop: restart at the end, with increasing stamps.
    :raises InputError: the file is missing, cannot be decoded or has no frames.
    """

    live = False
    #: Consecutive failed reads after which reading stops.
    patience = 30

    def __init__(
        self,
        path: Path | str,
        *,
        loop: bool = False,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        self.name = self._shown(path)
        self._path = path
        self._loop = loop
        self._size = (width, height)
        self._closed = False
        #: Frames left out because they cannot be decoded.
        self.skipped = 0
        capture = self._open()
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0.0 < fps <= _MOST_FPS else DEFAULT_FPS
        first = decoded(capture.read, f'video {self.name}')
        capture.release()
        if first is None:
            raise InputError(
                f'video {self.name} has no frame that can be decoded; re-encode or replace it'
            )

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order, their stamps strictly increasing from 0."""
        start = 0.0
        while not self._closed:
            last = start
            for frame in self._pass(start):
                last = frame.stamp
                yield frame
            if not self._loop:
                return
            start = last + 1.0 / self.fps

    @staticmethod
    def _shown(path: Path | str) -> str:
        return quote(path)

    def close(self) -> None:
        """End the iteration, which closes the file."""
        self._closed = True

    def _pass(self, start: float) -> Iterator[Frame]:
        """Yield all frames once, the first stamped ``start``."""
        capture = self._open()
        declared = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        first: float | None = None
        last = start
        seen = failed = 0
        try:
            while not self._closed:
                image = decoded(capture.read, f'video {self.name}')
                if image is None:
                    failed += 1
                    if failed > self.patience or seen + failed > declared:
                        self._stopped(seen, declared)
                        return
                    continue
                self.skipped += failed
                seen += 1 + failed
                failed = 0
                at = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
                if first is None:
                    first, stamp = at, start
                else:
                    stamp = start + at - first
                    if not last < stamp < _LATEST:
                        stamp = last + 1.0 / self.fps
                last = stamp
                yield Frame(fit(bgr_to_rgb(image), *self._size), stamp)
        finally:
            capture.release()

    def _stopped(self, seen: int, declared: float) -> None:
        """Raise an error if reading stopped before the end.

        :param seen: number of frames read.
        :param declared: their number by the container.
        """

    def _open(self) -> cv2.VideoCapture:
        path = Path(self._path)
        if not path.exists():
            raise InputError(
                f'video {quote(self._path)} does not exist; give the path of a video file'
            )
        check_container(path)
        capture = open_ffmpeg(str(path.absolute()), f'video {self.name}', [])
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        if not capture.isOpened():
            raise InputError(
                f'video {self.name} cannot be decoded (damaged, or not a video); '
                're-encode it as MP4 or give another file'
            )
        return capture
