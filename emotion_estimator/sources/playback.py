"""One reading of a film, whatever decodes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage

#: Share and number of frames by which a declared length may be wrong.
_TOLERANCE, _FEW = 0.02, 2


class Playback(Protocol):
    """One reading of a film, from its beginning to its end.

    :ivar fps: nominal frames per second, above 0.
    :ivar declared: number of frames by the container's own index; None if it has none.
    :ivar seconds: declared length; None if the container does not say at its beginning.
    :ivar pause: longest seconds between two frames that the container can be believed.
    :ivar held: seconds that the last picture so far is shown; 0.0 if that is not known.
    :ivar damaged: frames that could not be decoded so far.
    """

    fps: float
    declared: int | None
    seconds: float | None
    pause: float
    held: float
    damaged: int

    def pictures(self) -> Iterator[tuple[RgbImage, float | None]]:
        """Yield each image as it is to be shown, and its time in seconds if known.

        :raises InputError: an image is too large.
        """
        ...

    def close(self) -> None:
        """Free the decoder; closing twice is harmless."""
        ...


def open_film(
    file: BinaryIO | str, name: str, *, form: str | None = None, timeout: float | None = None
) -> Playback:
    """Open a film with PyAV, which is imported now: other sources do without it.

    The arguments are those of :class:`.film.Film`.

    :raises InputError: PyAV is not installed, or the film cannot be decoded; the line says why.
    """
    try:
        from emotion_estimator.sources.film import Film
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] != 'av':
            raise
        raise InputError(
            f"{name} needs PyAV, which is not installed; run: pip install 'av>=17'"
        ) from error
    return Film(file, name, form=form, timeout=timeout)


def missing_frames(playback: Playback, read: int, last: float) -> int:
    """Return how many frames are missing at the end of a film that declares its length.

    :param read: frames that were read or left out.
    :param last: time of the last one in seconds from the first.
    """
    if playback.seconds is None or read < 1:
        return 0
    step = max(1.0 / playback.fps, playback.held)
    short = playback.seconds - (last + step)
    # A film of varying rate has fewer frames than its nominal rate promises.
    count = round(short * min(playback.fps, read / (last + step)))
    return count if count > max(_FEW, _TOLERANCE * playback.seconds * playback.fps) else 0
