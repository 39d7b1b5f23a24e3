"""Open any frame source by what the user typed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.sources.base import DEFAULT_FPS, Source
from emotion_estimator.sources.device import Device
from emotion_estimator.sources.film_kind import is_still
from emotion_estimator.sources.images import IMAGE_SUFFIXES, StillImages, contents
from emotion_estimator.sources.network import is_network, open_network, without_credentials
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator.sources.video import VideoFile
from emotion_estimator.untrusted import MAX_PIXELS, is_utf8, quote

#: What a source may be, for messages and help texts.
ACCEPTED = (
    "'portrait', a device number such as 0, /dev/videoN, http://..., rtsp://..., a video, an "
    'image, or a folder'
)

#: OpenCV counts devices in a C int.
_MOST_DEVICE = 2**31 - 1


def open_source(
    spec: str | int | os.PathLike[str],
    *,
    fps: float | None = None,
    width: int | None = None,
    height: int | None = None,
    loop: bool = False,
    duration: float = 5.0,
    hold: float = 1.0,
    pixel_format: str = 'auto',
    timeout: float = 5.0,
    max_pixels: int = MAX_PIXELS,
    clock: Callable[[], float] = time.time,
) -> Source:
    """Open a source.

    Example::

        for frame in open_source(0):
            print(frame.stamp, frame.image.shape)

    :param spec: ``portrait``, a device number, ``/dev/videoN``, the address of a stream or video
        (``http://``, ``https://``, ``rtsp://``), or the path of a video, an image or a folder of
        images.
    :param fps: frames per second for the portrait, images and devices; a video has its own.
    :param width: image width in pixels. Requested from a device and the portrait; videos and
        images are resized, keeping their aspect.
    :param height: likewise.
    :param loop: restart at the end, for ever.
    :param duration: seconds a single image is shown.
    :param hold: seconds each image of a folder is shown.
    :param pixel_format: to ask a device for, as for :class:`Device`.
    :param timeout: seconds without an answer after which an address counts as lost.
    :param max_pixels: largest product of width and height of an image file.
    :param clock: returns the time that stamps the frames of cameras, in seconds since the epoch.
    :raises InputError: no such source, or it cannot be opened.
    """
    spec = os.fspath(spec) if isinstance(spec, os.PathLike) else str(spec)
    if not is_utf8(spec):
        raise InputError(f'source {quote(spec)!r} has a name that is not UTF-8; rename it')
    rate = DEFAULT_FPS if fps is None else fps
    if spec == 'portrait':
        return Portrait(rate, (width or height or 512, height or width or 512), loop)
    if is_device(spec):
        return Device(
            _device(spec),
            fps=fps,
            width=width,
            height=height,
            pixel_format=pixel_format,
            clock=clock,
        )
    if is_network(spec):
        return open_network(
            spec, loop=loop, width=width, height=height, timeout=timeout, clock=clock
        )
    if '://' in spec:
        raise InputError(
            f'source {quote(without_credentials(spec))!r} cannot be read; accepted are {ACCEPTED}'
        )
    path = Path(spec)
    try:
        path = path.expanduser()
        is_folder, is_file = bool(spec) and path.is_dir(), path.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        # The name is too long or holds a null byte, a folder is not accessible, or ~somebody is
        # unknown.
        reason = getattr(error, 'strerror', None) or quote(first_line(error))
        raise InputError(
            f'source {quote(spec)!r} cannot be opened ({reason}); accepted are {ACCEPTED}'
        ) from error
    if not is_folder and not is_file:
        raise InputError(f'source {quote(spec)!r} is not a file or folder; accepted are {ACCEPTED}')
    if is_folder or _is_still(path):
        paths, others = contents(path) if is_folder else ([path], {})
        return StillImages(
            paths,
            spec,
            hold=hold if is_folder else duration,
            fps=rate,
            loop=loop,
            width=width,
            height=height,
            max_pixels=max_pixels,
            others=others,
        )
    return VideoFile(path, loop=loop, width=width, height=height)


def is_device(spec: str) -> bool:
    """Return whether ``spec`` names a camera, which may be plugged in later, and not a file."""
    return (spec.isascii() and spec.isdigit()) or spec.startswith('/dev/')


def _device(spec: str) -> int | str:
    if not spec.isdigit():
        return spec
    digits = spec.lstrip('0') or '0'
    if len(digits) > len(str(_MOST_DEVICE)) or int(digits) > _MOST_DEVICE:
        raise InputError(f'source {spec[:20]} is not a device number; choose 0 to {_MOST_DEVICE}')
    return int(digits)


def _is_still(path: Path) -> bool:
    """Return whether a file is a single picture; if its content does not say, by its name."""
    still = is_still(path)
    return path.suffix.lower() in IMAGE_SUFFIXES if still is None else still
