"""Memory that the largest pictures take: of each kind of ``picture_matrix.py``, 8K, with junk.

Each is read in a process of its own. The exit status is 1 if one grew by more than 500 MB. Takes
some minutes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from picture_matrix import PLAIN, TURNED, Kind, Pixels, png_chunk, tiff, upright
from PIL import Image

from emotion_estimator.errors import InputError
from emotion_estimator.sources.images import read_image
from emotion_estimator.sources.moving_picture import MovingPicture
from emotion_estimator.untrusted import MAX_PICTURE_FILE

_MIB = 1 << 20
#: Bytes that a process may grow.
MOST = 500 * _MIB
#: Rows and columns of 8K, and an orientation that no decoder's result has.
_SHAPE = (4320, 7680)
_STORED = 6


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _of(picture: Pixels, mode: str = 'RGB') -> Image.Image:
    return Image.fromarray(picture).convert(mode)


def _moving(picture: Pixels, form: str, **options: object) -> bytes:
    more = [_of(255 - picture)]
    return _saved(_of(picture), form, save_all=True, append_images=more, **options)


def _noise(picture: Pixels, channels: int = 3) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (*picture.shape[:2], channels), np.uint8)


#: Kinds of which decoders keep more than of those of the matrix.
_HEAVY: dict[str, Kind] = {
    'JPEG progressive': Kind(lambda p, o: _saved(_of(p), 'JPEG', progressive=True, subsampling=0)),
    'JPEG CMYK progressive': Kind(
        lambda p, o: _saved(_of(p, 'CMYK'), 'JPEG', progressive=True, subsampling=0)
    ),
    'PNG interlaced': Kind(lambda p, o: _saved(_of(p), 'PNG', interlace=True)),
    'PNG animated': Kind(lambda p, o: _moving(p, 'PNG', compress_level=1)),
    'PNG noise': Kind(lambda p, o: _saved(_of(_noise(p)), 'PNG', compress_level=0)),
    'PNG noise, alpha': Kind(
        lambda p, o: _saved(Image.fromarray(_noise(p, 4)), 'PNG', compress_level=0)
    ),
    'GIF animated': Kind(lambda p, o: _moving(p, 'GIF')),
    'GIF noise': Kind(lambda p, o: _saved(_of(_noise(p), 'P'), 'GIF')),
    'TIFF noise': Kind(lambda p, o: tiff(_noise(p), o)),
    'TIFF noise, alpha': Kind(lambda p, o: tiff(_noise(p, 4), o)),
    'WebP noise': Kind(lambda p, o: _saved(_of(_noise(p)), 'WEBP', method=0)),
    'WebP animated': Kind(lambda p, o: _moving(p, 'WEBP', method=0)),
}
KINDS = {**TURNED, **PLAIN, **_HEAVY}


def behind(data: bytes, size: int) -> bytes:
    """Return a file with so many bytes behind its end."""
    return data + bytes(size)


def inside(data: bytes, size: int) -> bytes:
    """Return a file with a private part of about so many bytes; behind its end if it has none."""
    if data[:2] == b'\xff\xd8':
        segment = b'\xff\xef' + struct.pack('>H', 0xFFFF) + bytes(0xFFFD)
        return data[:2] + segment * (size // len(segment)) + data[2:]
    if data[:4] == b'\x89PNG':
        return data[:33] + png_chunk(b'prIv', bytes(size)) + data[33:]
    if data[:4] == b'RIFF':
        size -= size % 2
        body = data[12:] + b'JUNK' + struct.pack('<I', size) + bytes(size)
        return b'RIFF' + struct.pack('<I', len(body) + 4) + b'WEBP' + body
    return behind(data, size)


#: Where junk is put, and what it makes the file's size; as it is if that is 0.
JUNK: dict[str, tuple[Callable[[bytes, int], bytes], int]] = {
    'as it is': (behind, 0),
    '100 MB behind': (behind, 100 * _MIB),
    '100 MB inside': (inside, 100 * _MIB),
    '255 MB behind': (behind, MAX_PICTURE_FILE - _MIB),
    '255 MB inside': (inside, MAX_PICTURE_FILE - _MIB),
}


def with_junk(data: bytes, place: str) -> bytes | None:
    """Return a file with junk at a place of :data:`JUNK`; None if it is larger without."""
    add, size = JUNK[place]
    if size == 0:
        return data
    return add(data, size - len(data)) if size > len(data) else None


def picture_of(kind: str) -> bytes:
    """Return the file of a kind, of 8K."""
    return KINDS[kind].encode(upright(*_SHAPE), _STORED)


def _peak() -> int:
    """Return the most memory that this process has had, in bytes (Linux)."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith('VmHWM'))


def _read(path: Path, moving: bool) -> tuple[int, str]:
    before = _peak()
    try:
        if moving:
            with path.open('rb') as file:
                images = MovingPicture(file, 'film').pictures()
                shape = next(image.shape for image, _ in images)
        else:
            shape = read_image(path).shape
        said = f'{shape[1]}x{shape[0]}'
    except InputError as error:
        said = error.kind
    return _peak() - before, said


def grown(data: bytes, moving: bool = False) -> tuple[int, str]:
    """Return by how many bytes a process grows to read a picture, and its size or the fault.

    :param moving: read it as a film.
    """
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        command = [sys.executable, '-P', __file__, '--read', file.name, *['--moving'] * moving]
        folders = os.pathsep.join((str(Path(__file__).parent), *sys.path))
        environment = {**os.environ, 'PYTHONPATH': folders}
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    size, said = json.loads(done.stdout)
    return size, said


def main() -> int:
    """Print a line for each file; return 1 if one takes too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('kinds', nargs='*', metavar='KIND', help='parts of names (default: all)')
    parser.add_argument('--read', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--moving', action='store_true', help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read:
        print(json.dumps(_read(asked.read, asked.moving)))
        return 0
    too_much = 0
    print('MB that a process grows to read a picture of 8K, its file included')
    for name in KINDS:
        if asked.kinds and not any(part in name for part in asked.kinds):
            continue
        picture = picture_of(name)
        for place in JUNK:
            data = with_junk(picture, place)
            if data is None:
                continue
            ways = (False, True) if name == 'WebP animated' else (False,)
            for moving in ways:
                size, said = grown(data, moving)
                too_much += size > MOST
                print(
                    f'{name + " as a film" * moving:24} {place:14} {len(data) / _MIB:5.0f} MB file '
                    f'{size / _MIB:5.0f} MB  {said}{"  TOO MUCH" * (size > MOST)}',
                    flush=True,
                )
    print(f'{too_much} of more than {MOST // _MIB} MB')
    return int(too_much > 0)


if __name__ == '__main__':
    sys.exit(main())
