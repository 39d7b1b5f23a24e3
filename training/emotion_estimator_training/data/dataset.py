"""Labelled stills in FER2013's form, from whichever form they come in."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS
from emotion_estimator.errors import InputError, first_line
from emotion_estimator_training.data.dataset_csv import read_csv
from emotion_estimator_training.data.dataset_folder import read_folder
from emotion_estimator_training.data.fer2013 import (
    FER_CLASSES,
    PRIVATE_TEST,
    PUBLIC_TEST,
    SIDE,
    SPLITS,
    TRAINING,
)

__all__ = [
    'FER_CLASSES', 'PRIVATE_TEST', 'PUBLIC_TEST', 'SPLITS', 'TO_LABEL', 'TRAINING', 'Stills',
    'load_stills',
]

#: FER2013's code to the index in ``LABELS`` (seed 001's grouping).
TO_LABEL = np.array(
    [LABELS.index(name if name in LABELS else 'unknown') for name in FER_CLASSES], np.int64
)


@dataclass(frozen=True, eq=False)
class Stills:
    """Labelled face images.

    :param pixels: uint8 (N, 48, 48), grey.
    :param emotion: int64 (N,), index into ``FER_CLASSES``.
    :param usage: int64 (N,), ``TRAINING``, ``PUBLIC_TEST`` (validation) or ``PRIVATE_TEST`` (test).
    :param image_id: int64 (N,), the row in FER2013's own file, from 0; of a folder, the image's
        place among all its images in sorted order.
    :param duplicate: bool (N,), an image of a test split that is in Training too.
    :param paths: of a folder, each image's file.
    :param ferplus_votes: uint8 (N, 10), the votes of FER+'s ten annotators, where the file has
        them: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown,
        no face.
    """

    pixels: NDArray[np.uint8]
    emotion: NDArray[np.int64]
    usage: NDArray[np.int64]
    image_id: NDArray[np.int64]
    duplicate: NDArray[np.bool_]
    paths: tuple[Path, ...] | None = None
    ferplus_votes: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pixels)


def load_stills(path: Path) -> Stills:
    """Read FER2013, or images in its form.

    :param path: Kaggle's ``fer2013.csv`` (columns emotion, pixels, Usage), an ``.npz`` of the
        arrays of :class:`Stills` (pixels, emotion and usage are needed), or a folder with
        ``<split>/<emotion>/*.png`` or ``.jpg`` somewhere below it.
    :raises InputError: the file is missing or is none of these; names the line, row or image.
    """
    if path.is_dir():
        pixels, emotion, usage, paths = read_folder(path)
        return _assemble(pixels, emotion, usage, paths=paths)
    try:
        if path.suffix == '.csv':
            return _assemble(*read_csv(path))
        with np.load(path) as data:
            arrays = {name: data[name] for name in _SHAPES if name in data.files}
    except OSError as error:
        raise InputError(
            f'{path} cannot be read ({error.strerror or first_line(error)}); give fer2013.csv, '
            'fer2013.npz or a folder <split>/<emotion>/*.png'
        ) from error
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise InputError(
            f"{path} is no FER2013 in .npz ({first_line(error)}); Kaggle's file ends in .csv"
        ) from error
    return _from_arrays(path, arrays)


#: What an .npz may hold: each array's shape behind N.
_SHAPES: dict[str, tuple[int, ...]] = {
    'pixels': (SIDE, SIDE), 'emotion': (), 'usage': (), 'image_id': (),
    'duplicate_of_training': (), 'ferplus_votes': (10,),
}


def _from_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> Stills:
    missing = [name for name in ('pixels', 'emotion', 'usage') if name not in arrays]
    if missing:
        raise InputError(f'{path} has no array {missing[0]}; see docs/training.md for its form')
    count = arrays['pixels'].shape[0] if arrays['pixels'].ndim else 0
    for name, array in arrays.items():
        if array.shape != (count, *_SHAPES[name]) or array.dtype.kind not in 'iub':
            wanted = ', '.join(map(str, (count, *_SHAPES[name])))
            raise InputError(
                f'{path}: {name} is {array.dtype} {array.shape}; whole numbers ({wanted}) are '
                'needed'
            )
    if not count:
        raise InputError(f'{path} holds no images')
    for name, end in (('pixels', 256), ('emotion', len(FER_CLASSES)), ('usage', len(SPLITS))):
        wrong = (arrays[name] < 0) | (arrays[name] >= end)
        if wrong.any():
            row = int(np.argwhere(wrong)[0, 0])
            raise InputError(
                f'{path}, row {row}: {name} {arrays[name][wrong][0]} is none of 0 to {end - 1}'
            )
    return _assemble(
        arrays['pixels'].astype(np.uint8), arrays['emotion'], arrays['usage'],
        arrays.get('image_id'), arrays.get('duplicate_of_training'),
        ferplus_votes=arrays.get('ferplus_votes'),
    )


def _assemble(
    pixels: NDArray[np.uint8],
    emotion: NDArray[np.int64],
    usage: NDArray[np.int64],
    image_id: NDArray[np.int64] | None = None,
    duplicate: NDArray[np.bool_] | None = None,
    paths: tuple[Path, ...] | None = None,
    ferplus_votes: NDArray[np.uint8] | None = None,
) -> Stills:
    """Give numbers to images without, and find the duplicates.

    :param duplicate: those known already: of a file that lacks images of Training, for example.
    """
    if image_id is None:
        image_id = np.arange(len(pixels))
    trained = {image.tobytes() for image in pixels[usage == TRAINING]}
    found = np.array([
        part != TRAINING and image.tobytes() in trained for image, part in zip(pixels, usage)
    ])
    if duplicate is not None:
        found |= duplicate.astype(bool)
    return Stills(
        pixels, emotion.astype(np.int64), usage.astype(np.int64), image_id.astype(np.int64),
        found, paths, ferplus_votes,
    )
