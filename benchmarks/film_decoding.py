"""Films as PyAV shows them and as OpenCV's reader does: right pictures, and frames a second.

Each film of the matrix (container x display matrix x pixel shape) is made of known pictures and
read by both, in turns. A film is right if every picture has the size of the upright original and
differs from it by less than a threshold that no turned or mirrored one keeps.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from film_matrix import ASPECTS, KINDS, MATRICES, FilmKind, difference, scene, write_film

from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.sources.base import silence_opencv
from emotion_estimator.sources.open_source import open_source

#: Mean differences of two pictures, 0 to 255: those of GIF have few colours.
_NEAR, _NEAR_GIF = 4.0, 14.0
_PICTURES = 5
#: Of the films whose decoding is timed.
_TIMED = (KINDS[0], KINDS[2], KINDS[4], KINDS[7])
_READERS = ('OpenCV', 'PyAV')


def read_by_opencv(path: Path) -> Iterator[RgbImage]:
    """Yield the frames as films were read before: OpenCV turns them by the angle alone."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    try:
        while True:
            done, image = capture.read()
            if not done:
                return
            yield np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    finally:
        capture.release()


def read_by_pyav(path: Path) -> Iterator[RgbImage]:
    """Yield the frames as they are read now; none if the file is refused."""
    try:
        source = open_source(path)
        yield from (frame.image for frame in source.frames())
    except InputError:
        return


READ = dict(zip(_READERS, (read_by_opencv, read_by_pyav)))


def is_right(images: list[RgbImage], expected: list[RgbImage], near: float) -> bool:
    """Return whether pictures are those expected."""
    return len(images) == len(expected) and all(
        image.shape == other.shape and difference(image, other) < near
        for image, other in zip(images, expected)
    )


def variants(kind: FilmKind) -> Iterator[tuple[int, Fraction]]:
    """Yield the orientations and pixel shapes that a container can hold."""
    for orientation in MATRICES if kind.turns else (1,):
        for aspect in ASPECTS if kind.stretches else ASPECTS[:1]:
            yield orientation, aspect


def table_of_right_films(folder: Path) -> str:
    """Return in Markdown how many films of each kind have the pictures of the original."""
    expected = scene(_PICTURES)
    lines = [f'| films | {" | ".join(_READERS)} |', '|---|---:|---:|']
    total: dict[str, int] = defaultdict(int)
    for kind in KINDS:
        right: dict[str, int] = defaultdict(int)
        count = 0
        near = _NEAR_GIF if kind.suffix == 'gif' else _NEAR
        for orientation, aspect in variants(kind):
            count += 1
            path = folder / f'film.{kind.suffix}'
            write_film(path, expected, kind, orientation=orientation, aspect=aspect)
            for name, read in READ.items():
                right[name] += is_right(list(read(path)), expected, near)
        total['films'] += count
        for name in _READERS:
            total[name] += right[name]
        lines.append(f'| {kind} | ' + ' | '.join(f'{right[n]} of {count}' for n in _READERS) + ' |')
    shares = ' | '.join(f'{total[n]} of {total["films"]}' for n in _READERS)
    return '\n'.join([*lines, f'| all | {shares} |'])


def table_of_speed(folder: Path, rounds: int, seconds: float) -> str:
    """Return in Markdown the milliseconds of a frame with both readers, in turns."""
    lines = [
        '| 1280x720 | OpenCV, ms a frame: median, p95 | PyAV: median, p95 | ratio |',
        '|---|---:|---:|---:|',
    ]
    pictures = scene(round(25 * seconds), 1280, 720)
    for kind in _TIMED:
        path = folder / f'timed.{kind.suffix}'
        write_film(path, pictures, kind)
        times: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            for name, read in READ.items():
                before = time.perf_counter()
                count = sum(1 for _ in read(path))
                times[name].append(1e3 * (time.perf_counter() - before) / max(count, 1))
        cells = []
        for name in _READERS:
            found = sorted(times[name])
            last = found[min(len(found) - 1, round(0.95 * (len(found) - 1)))]
            cells.append(f'{statistics.median(found):.2f}, {last:.2f}')
        ratio = statistics.median(times['PyAV']) / statistics.median(times['OpenCV'])
        lines.append(f'| {kind} | {" | ".join(cells)} | {ratio:.2f} |')
    return '\n'.join(lines)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=11, help='of timing, in turns')
    parser.add_argument('--seconds', type=float, default=4.0, help='length of the timed films')
    arguments = parser.parse_args()
    silence_opencv()
    with tempfile.TemporaryDirectory() as name:
        print(table_of_right_films(Path(name)), end='\n\n')
        print(table_of_speed(Path(name), arguments.rounds, arguments.seconds))


if __name__ == '__main__':
    main()
