"""One door to every frame source."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2

from emotion_estimator.errors import InputError
from emotion_estimator.sources.base import Source
from emotion_estimator.sources.device import Device
from emotion_estimator.sources.images import IMAGE_SUFFIXES, Stills, images_in
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator.sources.video import VideoFile

#: What a source may be, for messages and help texts.
ACCEPTED = "'portrait', a device number such as 0, /dev/videoN, a video, an image, or a folder"

_DEFAULT_FPS = 30.0


def open_source(
    spec: str,
    *,
    fps: float | None = None,
    width: int | None = None,
    height: int | None = None,
    loop: bool = False,
    duration: float = 5.0,
    hold: float = 1.0,
    clock: Callable[[], float] = time.time,
) -> Source:
    """Open a source by what the user typed.

    :param spec: ``portrait``, a device number, ``/dev/videoN``, or the path of a video, an image
        or a folder of images.
    :param fps: frames per second wanted of the portrait, images and devices; a video has its own.
    :param width: asked of a device and of the portrait; others are resized, keeping their aspect.
    :param height: likewise.
    :param loop: begin again after the end, without end.
    :param duration: seconds a single image is shown.
    :param hold: seconds each image of a folder is shown.
    :param clock: what stamps a device's frames, in seconds since the epoch.
    :raises InputError: nothing like it, or it cannot be opened.
    """
    rate = _DEFAULT_FPS if fps is None else fps
    if spec == 'portrait':
        return Portrait(rate, (width or height or 512, height or width or 512), loop)
    if is_device(spec):
        device = int(spec) if spec.isdigit() else spec
        return Device(device, fps=fps, width=width, height=height, clock=clock)
    path = Path(spec).expanduser()
    if spec and path.is_dir():
        return Stills(
            images_in(path), spec, hold=hold, fps=rate, loop=loop, width=width, height=height
        )
    if not path.is_file():
        raise InputError(f'source {spec!r} is no such file or folder; accepted are {ACCEPTED}')
    if _is_image(path):
        return Stills([path], spec, hold=duration, fps=rate, loop=loop, width=width, height=height)
    return VideoFile(path, loop=loop, width=width, height=height)


def is_device(spec: str) -> bool:
    """Tell whether ``spec`` names a camera, which may be plugged in later, rather than a file."""
    return (spec.isascii() and spec.isdigit()) or spec.startswith('/dev/')


def _is_image(path: Path) -> bool:
    """Tell images from videos by name, then by content; a GIF may move, so it is a video."""
    suffix = path.suffix.lower()
    if suffix == '.gif':
        return False
    return suffix in IMAGE_SUFFIXES or bool(cv2.haveImageReader(str(path)))
