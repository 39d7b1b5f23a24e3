"""A video file as a source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emotion_estimator.account import Account
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.sources.base import Source, fit
from emotion_estimator.sources.container import check_start
from emotion_estimator.sources.film_kind import is_animated_webp
from emotion_estimator.sources.film_stamps import FilmStamps
from emotion_estimator.sources.moving_picture import MovingPicture
from emotion_estimator.sources.playback import Playback, missing_frames, open_film
from emotion_estimator.untrusted import cannot_read, open_regular, quote


class VideoFile(Source):
    """Frames of a file as they are to be shown, with the container's stamps from the first frame.

    Turned and mirrored as the file says, with square pixels; see :class:`.film.Film`. Stamps that
    are missing, do not increase or jump are replaced, see :class:`.film_stamps.FilmStamps`.

    :ivar account: frames of the last pass: declared by the container, read, and left out.

    :param path: a file that :func:`.container.check_container` accepts.
    :param loop: restart at the end, with increasing stamps.
    :raises InputError: the file is missing, cannot be decoded or has no frames.
    """

    live = False

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
        self.account = Account('frames')
        film = self._open()
        try:
            self.fps = film.fps
            first = next(film.pictures(), None)
        finally:
            film.close()
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
            if not self.account.read and not self._closed:
                raise InputError(f'video {self.name} has no frame any more; restore the file')
            start = last + 1.0 / self.fps

    @staticmethod
    def _shown(path: Path | str) -> str:
        return quote(path)

    def close(self) -> None:
        """End the iteration, which closes the file."""
        self._closed = True

    def _pass(self, start: float) -> Iterator[Frame]:
        """Yield all frames once, the first stamped ``start``."""
        film = self._open()
        account = self.account = Account('frames', film.declared)
        stamps = FilmStamps(start, 1.0 / film.fps, film.pause)
        last = start
        skipped = self.skipped
        try:
            for image, time in film.pictures():
                if self._closed:
                    return
                last = stamps.stamp(time)
                account.read += 1
                self.skipped = skipped + film.damaged
                yield Frame(fit(image, *self._size), last)
            self._settle(film, account, last - start + stamps.jumped)
        finally:
            # Also of a pass that is broken off.
            self.skipped = skipped + film.damaged
            if film.damaged:
                account.leave_out('damaged', film.damaged)
            film.close()
        self._stopped(account)

    def _settle(self, film: Playback, account: Account, last: float) -> None:
        """Complete the account at the end of a pass.

        :param last: time of the last frame from the first, by the container.
        """
        seen = account.read + film.damaged
        if film.declared is not None:
            return
        missing = missing_frames(film, seen, last)
        if film.seconds is not None:
            account.declared = seen + missing
        if missing:
            end = last + 1.0 / film.fps
            account.leave_out(
                f'missing: the film ends at {end:.2f} s of {film.seconds:.2f} s', missing
            )

    def _stopped(self, account: Account) -> None:
        """Raise an error if reading stopped before the end."""

    def _open(self) -> Playback:
        path = Path(self._path)
        name = f'video {self.name}'
        if not path.exists():
            raise InputError(
                f'video {quote(self._path)} does not exist; give the path of a video file'
            )
        try:
            file = open_regular(path)
            try:
                start = check_start(file, name)
                if is_animated_webp(start):
                    with file:
                        return MovingPicture(file, name)
                form = 'mjpeg' if start.startswith(b'\xff\xd8') else None
                return open_film(file, name, form=form)
            except BaseException:
                file.close()
                raise
        except (OSError, ValueError) as error:
            raise cannot_read('video', path, error, InputError) from error
