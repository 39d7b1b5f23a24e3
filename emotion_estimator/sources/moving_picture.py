"""Animated WebP, which FFmpeg does not decode, by Pillow."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image, WebPImagePlugin

from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.picture_header import check_picture, turned
from emotion_estimator.sources.base import DEFAULT_FPS
from emotion_estimator.sources.film_stamps import PAUSE_OF_A_FILE
from emotion_estimator.untrusted import MAX_PICTURE_FILE, in_bytes


class MovingPicture:
    """An animated WebP with its frames' durations, transparent ones laid over white.

    Of a file that is cut off, the frames that are complete are read; the one that is not counts
    as damaged.

    :param file: open for reading, at its beginning.
    :param name: for messages.
    :raises InputError: it is too large, damaged, or has no complete frame.
    """

    #: Its times are durations, one for each frame.
    pause = PAUSE_OF_A_FILE
    seconds: float | None = None
    held = 0.0

    def __init__(self, file: BinaryIO, name: str) -> None:
        data = file.read(MAX_PICTURE_FILE + 1)
        if len(data) > MAX_PICTURE_FILE:
            raise InputError(f'{name} is larger than {in_bytes(MAX_PICTURE_FILE)}; make it shorter')
        self._orientation = check_picture(data, name).orientation
        # Otherwise it would be held beside its copies.
        whole, frames, self._cut = _complete(data)
        del data
        self.damaged = 0
        self._name = name
        # Nobody knows how many a file has that is cut off.
        self.declared: int | None = None if self._cut else frames
        try:
            self._image = WebPImagePlugin.WebPImageFile(BytesIO(whole))
            self._frames = int(getattr(self._image, 'n_frames', 1))
        except (OSError, ValueError, SyntaxError, RuntimeError, MemoryError) as error:
            raise InputError(
                f'{name} cannot be decoded (damaged WebP); re-encode it as MP4'
            ) from error
        self.fps = DEFAULT_FPS
        durations = _durations(whole)
        if durations and sum(durations) > 0:
            self.fps = min(max(1000.0 * len(durations) / sum(durations), 0.01), 1000.0)

    def pictures(self) -> Iterator[tuple[RgbImage, float | None]]:
        """Yield each image, RGB uint8 (H, W, 3), and its time in seconds from the first."""
        time = 0.0
        for number in range(self._frames):
            try:
                self._image.seek(number)
                self._image.load()
                shown = self._image.convert('RGBA')
            except (OSError, ValueError, EOFError, SyntaxError, RuntimeError, MemoryError):
                # Later frames are laid over this one.
                self.damaged += self._frames - number
                break
            page = Image.new('RGBA', shown.size, 'white')
            page.alpha_composite(shown)
            image = np.asarray(page.convert('RGB'), np.uint8).copy()
            yield turned(image, self._orientation), time
            time += float(self._image.info.get('duration', 0)) / 1000.0
        self.damaged += self._cut

    def close(self) -> None:
        """Free the image."""
        self._image.close()


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, beginning and end of the chunks of a RIFF file, complete or not."""
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from('<4sI', data, at)
        yield name, at, at + 8 + size + size % 2
        at += 8 + size + size % 2


def _complete(data: bytes) -> tuple[bytes, int, int]:
    """Return the file up to its last complete chunk, its frames, and 1 if it is cut off."""
    frames = 0
    last = 12
    cut = int(len(data) + 1 < 8 + int.from_bytes(data[4:8], 'little'))
    for name, _, end in _chunks(data):
        # An odd length is filled up, but not by everybody at the end.
        if end > len(data) + 1:
            break
        frames += name == b'ANMF'
        last = end
    if last == len(data) == 8 + int.from_bytes(data[4:8], 'little'):
        return data, frames, cut
    return b''.join([b'RIFF', struct.pack('<I', last - 8), memoryview(data)[8:last]]), frames, cut


def _durations(data: bytes) -> list[int]:
    """Return the milliseconds that each frame is shown."""
    return [
        int.from_bytes(data[at + 20 : at + 23], 'little')
        for name, at, _ in _chunks(data)
        if name == b'ANMF'
    ]
