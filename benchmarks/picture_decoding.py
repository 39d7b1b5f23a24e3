"""Which pictures come out right, and how long decoding takes, beside OpenCV's own call.

The first table counts, for each kind of file and each of the eight orientations, how often the
pixels equal the upright picture. The second one times both ways in turns, in one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from picture_matrix import PLAIN, TURNED, Kind, Pixels, stored, upright

from emotion_estimator.errors import InputError
from emotion_estimator.picture_decoding import decode_picture
from emotion_estimator.sources.base import silence_opencv

SIZES = {'VGA': (480, 640), '720p': (720, 1280)}
TIMED = ('JPEG', 'PNG', 'WebP', 'PNG alpha', 'PNG 16 bit', 'JPEG ICC of sRGB', 'JPEG ICC')

Decode = Callable[[bytes], Pixels | None]


def by_opencv(data: bytes) -> Pixels | None:
    """Decode as the neighbours do: OpenCV's ``imread`` without further flags, then to RGB."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if decoded is None else np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))


def by_us(data: bytes) -> Pixels | None:
    """Decode as the nodes and the command line do."""
    try:
        return decode_picture(data, 'picture')
    except InputError:
        return None


def is_right(pixels: Pixels | None, picture: Pixels, kind: Kind) -> bool:
    """Return whether the pixels are what the file shows, upright."""
    shown = kind.shown(picture)
    if pixels is None or pixels.shape != shown.shape:
        return False
    return float(np.abs(pixels.astype(int) - shown).mean()) <= kind.tolerance


def share_rows() -> Iterator[str]:
    """Yield the rows of the table of right pictures."""
    picture = upright()
    yield '| kind | right, of | OpenCV | this package |'
    yield '|---|--:|--:|--:|'
    totals = [0, 0, 0]
    for name, kind in {**TURNED, **PLAIN}.items():
        orientations = range(1, 9) if name in TURNED else (1,)
        files = [kind.encode(stored(picture, each), each) for each in orientations]
        found = [
            sum(is_right(decode(data), picture, kind) for data in files)
            for decode in (by_opencv, by_us)
        ]
        totals = [old + new for old, new in zip(totals, (len(files), *found), strict=True)]
        yield f'| {name} | {len(files)} | {found[0]} | {found[1]} |'
    yield f'| **all** | {totals[0]} | {totals[1]} | {totals[2]} |'


def timed(data: bytes, rounds: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the times of both ways in ms, (rounds,) each, taken in turns."""
    ways: tuple[Decode, Decode] = (by_opencv, by_us)
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 2):
        # The first one of a pair may find colder caches.
        for which in (0, 1) if number % 2 else (1, 0):
            begun = time.perf_counter()
            ways[which](data)
            taken[which].append((time.perf_counter() - begun) * 1e3)
    return np.array(taken[0][2:]), np.array(taken[1][2:])


def speed_rows(rounds: int) -> Iterator[str]:
    """Yield the rows of the table of times."""
    yield '| picture | OpenCV: median, p95 in ms | this package: median, p95 in ms | ratio |'
    yield '|---|--:|--:|--:|'
    for name in TIMED:
        for size, (height, width) in SIZES.items():
            data = TURNED[name].encode(photograph(height, width), 1)
            before, after = timed(data, rounds)
            cells = [f'{np.median(t):.2f}, {np.percentile(t, 95):.2f}' for t in (before, after)]
            ratio = np.median(after) / np.median(before)
            yield f'| {name}, {size} | {cells[0]} | {cells[1]} | {ratio:.2f} |'


def photograph(height: int, width: int) -> Pixels:
    """Return a picture that compresses like a photograph: smooth, with a camera's noise."""
    noise = np.random.default_rng(7).normal(0.0, 3.0, (height, width, 3))
    return np.asarray((upright(height, width) + noise).clip(0, 255), np.uint8)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=60, help='of each picture and way')
    options = parser.parse_args()
    silence_opencv()
    for line in share_rows():
        print(line)
    print()
    for line in speed_rows(options.rounds):
        print(line, flush=True)


if __name__ == '__main__':
    main()
