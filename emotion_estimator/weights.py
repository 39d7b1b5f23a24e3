"""Weights files: read once, so that the bytes that were checked are the bytes that run."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.released_models import RELEASED, THIRD_PARTY
from emotion_estimator.untrusted import MAX_MODEL_FILE, cannot_read, quote, read_in_time

#: Seconds that reading a model may take: it may be large, on a slow card.
_READING_TIME = 20.0

#: Largest ``.npz`` file, and all of its arrays decompressed, in bytes; the shipped ones have 31 kB.
MAX_ARRAYS_FILE = 4 << 20
MAX_ARRAYS = 16 << 20
_MAX_MEMBERS = 64
#: Characters of the header of an array; that of a plain one has 118.
_MAX_HEADER = 1000
#: LZMA and bzip2 take gigabytes for a dictionary that a few bytes ask for.
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class WeightsFile:
    """The content of a weights file, which is not read again.

    :param path: for messages; the file may be another one by now.
    :param sha256: checksum of ``content``, in hexadecimal.
    """

    path: Path
    content: bytes = field(repr=False)
    sha256: str

    @classmethod
    def read(
        cls,
        path: Path,
        kind: str = 'model file',
        hint: str = 'restore it beside its card',
        most: int = MAX_MODEL_FILE,
    ) -> WeightsFile:
        """Read a regular file of at most ``most`` bytes.

        :param kind: names it in the error, which ends with ``hint``.
        :raises ModelError: it cannot be read, is no regular file, or is too large.
        """
        try:
            content = read_in_time(path, most, _READING_TIME)
        except (OSError, ValueError) as error:
            # ValueError: the name contains a null byte.
            raise cannot_read(kind, path, error, ModelError, hint) from error
        return cls(path, content, hashlib.sha256(content).hexdigest())

    @property
    def released(self) -> bool:
        """Return whether this project, or MediaPipe, released this very content."""
        return is_released(self.sha256)


def is_released(sha256: str) -> bool:
    """Return whether a file with this checksum (in hexadecimal) was released."""
    return sha256 in RELEASED or sha256 in THIRD_PARTY


def stated(sha256: str) -> str:
    """Return the first 12 digits of a checksum, and whether a file that has it was released."""
    return f'{sha256[:12]} {"released" if is_released(sha256) else "not released"}'


def read_arrays(weights: WeightsFile) -> dict[str, FloatArray]:
    """Return the arrays of an ``.npz`` file, by name.

    Each is checked before it takes any memory: NumPy itself would allocate what a header asks for.

    :raises ModelError: it is not such a file, or has arrays that are not floating-point numbers,
        or are larger than ``MAX_ARRAYS`` together.
    """
    try:
        if len(weights.content) > MAX_ARRAYS_FILE:
            raise ValueError(f'it is larger than {MAX_ARRAYS_FILE >> 20} MB')
        with zipfile.ZipFile(io.BytesIO(weights.content)) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS:
                raise ValueError(f'{len(members)} arrays')
            if sum(one.file_size for one in members) > MAX_ARRAYS:
                raise ValueError(f'its arrays are larger than {MAX_ARRAYS >> 20} MB')
            if any(one.compress_type not in _PLAIN for one in members):
                raise ValueError('its compression is none that NumPy uses')
            if any(one.flag_bits & _ENCRYPTED for one in members):
                raise ValueError('it is encrypted')
            arrays = {}
            for one in members:
                with archive.open(one) as member:
                    # With a size: without, a member decompresses to whatever it holds.
                    arrays[one.filename.removesuffix('.npy')] = _array(member.read(one.file_size))
            return arrays
    except Exception as error:
        # zipfile, zlib and the parser of NumPy's headers raise whatever the bytes provoke.
        raise ModelError(
            f'{quote(weights.path)} is not a file of arrays ({quote(first_line(error))}); restore '
            'it, or reinstall the package'
        ) from error


def _array(data: bytes) -> FloatArray:
    """Return an array in NumPy's format 1.0, which it chooses for plain arrays."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):  # type: ignore[no-untyped-call]
        raise ValueError('an array of an unknown format')
    if int.from_bytes(data[8:10], 'little') > _MAX_HEADER:
        raise ValueError('the header of an array is too long')
    read_header: Any = np.lib.format.read_array_header_1_0
    shape, by_column, kind = read_header(file)
    if kind.kind != 'f':
        raise ValueError(f'an array of {quote(kind)}, not of floating-point numbers')
    values = file.read()
    if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != len(values):
        raise ValueError('an array is longer or shorter than its shape says')
    array: FloatArray = np.frombuffer(values, kind).reshape(shape, order='F' if by_column else 'C')
    return array
