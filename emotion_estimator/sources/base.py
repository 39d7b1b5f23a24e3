"""The small interface behind which all frame sources stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame

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
