"""Films of every kind whose right pictures are known: container x display matrix x pixel shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image

from emotion_estimator.frame import RgbImage

#: The part a, b, c, d of the display matrix (ISO/IEC 14496-12, 8.3.2: a point (x, y) is shown at
#: (a x + c y, b x + d y)) by the orientation of EXIF that does the same.
MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
ASPECTS = (Fraction(1), Fraction(2), Fraction(1, 2), Fraction(4, 3), Fraction(16, 11))


@dataclass(frozen=True)
class FilmKind:
    """A container with a codec that it usually has.

    :param suffix: of the file's name.
    :param turns: whether it can hold any display matrix.
    :param stretches: whether it can hold a sample aspect ratio.
    """

    suffix: str
    codec: str
    pixels: str = 'yuv420p'
    turns: bool = False
    stretches: bool = False
    options: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the container and the codec."""
        return f'{self.suffix} {self.codec}'


KINDS = (
    FilmKind('mp4', 'libx264', turns=True, stretches=True),
    FilmKind('mov', 'libx264', turns=True, stretches=True),
    FilmKind('mp4', 'libx265', 'yuv420p10le', turns=True, stretches=True),
    FilmKind('mkv', 'libx264', stretches=True),
    FilmKind('webm', 'libvpx-vp9'),
    FilmKind('webm', 'libvpx'),
    FilmKind('avi', 'mpeg4', stretches=True),
    FilmKind('avi', 'mjpeg', 'yuvj420p'),
    FilmKind('ts', 'libx264', stretches=True),
    FilmKind('mpg', 'mpeg2video'),
    FilmKind('gif', 'gif', 'rgb8'),
    FilmKind('apng', 'apng', 'rgb24'),
    FilmKind('webp', 'webp', ''),
    FilmKind('mjpeg', 'mjpeg', 'yuvj420p'),
)
_QUALITY: dict[str, dict[str, str]] = {
    'libx264': {'crf': '12', 'preset': 'ultrafast'},
    'libx265': {'crf': '12', 'preset': 'ultrafast', 'x265-params': 'log-level=none'},
    'libvpx-vp9': {'crf': '12', 'b': '0', 'deadline': 'realtime', 'cpu-used': '8'},
    'libvpx': {'crf': '4', 'b': '4M', 'deadline': 'realtime', 'cpu-used': '8'},
    'mpeg4': {'qscale': '2', 'flags': '+qscale', 'global_quality': '236'},
    'mpeg2video': {'flags': '+qscale', 'global_quality': '236'},
    'mjpeg': {'flags': '+qscale', 'global_quality': '236'},
}


def scene(count: int, width: int = 192, height: int = 128) -> list[RgbImage]:
    """Return pictures of which no turned or mirrored one is like another: a spot moves."""
    across, down = np.meshgrid(np.linspace(40, 200, width), np.linspace(60, 160, height))
    found = []
    for number in range(count):
        image = np.dstack([across, down, np.full_like(across, 90)]).astype(np.uint8)
        at = (width // 5 + number * width // (4 * count), height // 4)
        cv2.circle(image, at, height // 7, (250, 240, 60), -1)
        cv2.rectangle(image, (2, height * 3 // 4), (width // 6, height - 2), (20, 30, 220), -1)
        found.append(cv2.GaussianBlur(image, (0, 0), 1.5))
    return found


def stored(image: RgbImage, orientation: int, aspect: Fraction = Fraction(1)) -> RgbImage:
    """Return what a film holds in place of an upright picture.

    :param orientation: of EXIF, to be applied to what is stored.
    :param aspect: width of a stored pixel by its height.
    """
    a, b, c, d = MATRICES[orientation]
    # What is stored at (x, y) is shown at (c y, b x), or at (a x, d y), counted from an edge.
    image = image[::d, ::a] if a else image[::b, ::c].swapaxes(0, 1)
    height, width = image.shape[:2]
    if aspect > 1:
        width = round(width / aspect)
    else:
        height = round(height * aspect)
    # Codecs want even sides.
    size = width - width % 2, height - height % 2
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def write_film(
    path: Path,
    images: Sequence[RgbImage],
    kind: FilmKind,
    *,
    orientation: int = 1,
    aspect: Fraction = Fraction(1),
    rate: int = 25,
    times: Sequence[float] | None = None,
    **settings: Any,
) -> None:
    """Write upright pictures as a film that stores them turned and stretched.

    :param times: seconds of the frames; None for a constant rate.
    :param settings: attributes of PyAV's encoder.
    """
    pictures = [stored(image, orientation, aspect) for image in images]
    if kind.codec == 'webp':
        first, *others = (Image.fromarray(picture) for picture in pictures)
        first.save(path, save_all=True, append_images=others, duration=1000 // rate, lossless=True)
        return
    # FFmpeg's names of its containers.
    names = {'mkv': 'matroska', 'ts': 'mpegts', 'mpg': 'mpeg'}
    form = names.get(kind.suffix, kind.suffix)
    with av.open(str(path), 'w', format=form) as film:
        options = _QUALITY.get(kind.codec, {}) | kind.options
        stream: Any = film.add_stream(kind.codec, rate=rate, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = kind.pixels
        # Ticks in which any of the tests' times are whole.
        stream.codec_context.time_base = Fraction(1, rate if times is None else 1000)
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        if aspect != 1:
            stream.codec_context.sample_aspect_ratio = aspect
        if orientation != 1:
            a, b, c, d = (value << 16 for value in MATRICES[orientation])
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(
                picture, 'rgba' if picture.shape[2] == 4 else 'rgb24'
            )
            frame.pts = number if times is None else round(1000 * times[number])
            frame.time_base = stream.codec_context.time_base
            film.mux(stream.encode(frame))
        film.mux(stream.encode())


def difference(image: RgbImage, expected: RgbImage) -> float:
    """Return the mean difference of two pictures, 0 to 255, the first resized if need be."""
    height, width = expected.shape[:2]
    if image.shape != expected.shape:
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    return float(np.abs(image.astype(int) - expected).mean())
