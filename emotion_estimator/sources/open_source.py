"""One door to every frame source."""

from __future__ import annotations

from emotion_estimator.errors import InputError
from emotion_estimator.sources.base import Source
from emotion_estimator.sources.portrait import Portrait

ACCEPTED = "'portrait', a device number such as 0, /dev/videoN, a video, an image, or a folder"


def open_source(
    spec: str,
    *,
    fps: float | None = None,
    width: int | None = None,
    height: int | None = None,
    loop: bool = False,
) -> Source:
    """Open a source by what the user typed.

    :param spec: ``portrait``, a device number, ``/dev/videoN``, or the path of a video, an image
        or a folder of images.
    :param fps: frames per second wanted of the portrait, images and devices.
    :param width: asked of a device; others are resized, keeping their aspect.
    :param height: likewise.
    :param loop: begin again after the end, without end.
    :raises InputError: nothing like it, or it cannot be opened.
    """
    if spec == 'portrait':
        return Portrait(fps=fps or 30.0, size=(width or 512, height or 512), loop=loop)
    raise InputError(f'source {spec!r} is none of: {ACCEPTED}')
