"""Reads Kaggle's ``fer2013.csv``."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError, first_line
from emotion_estimator_training.data.fer2013 import FER_CLASSES, SIDE, SPLITS

_COLUMNS = ('emotion', 'pixels', 'Usage')


def read_csv(
    path: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return pixels (N, 48, 48), emotion (N,) and usage (N,) as in ``Stills``.

    :param path: a CSV file with the columns emotion (0 to 6), pixels (2,304 numbers from 0 to 255
        with spaces between) and Usage, in any order.
    :raises InputError: a column lacks, a line is none of this (it is named), or there are none.
    :raises OSError: the file cannot be opened.
    """
    pixels, emotion, usage = [], [], []
    with path.open(newline='', encoding='utf-8-sig') as file:
        lines = csv.reader(file)
        try:
            # Another of Kaggle's files, icml_face_data.csv, has spaces before the names.
            header = [name.strip() for name in next(lines, [])]
            missing = [name for name in _COLUMNS if name not in header]
            if missing:
                raise InputError(
                    f"{path}, line 1: no column {missing[0]}; Kaggle's fer2013.csv has "
                    f'{", ".join(_COLUMNS)}'
                )
            places = [header.index(name) for name in _COLUMNS]
            for cells in lines:
                if not cells:
                    continue
                where = f'{path}, line {lines.line_num}'
                if len(cells) <= max(places):
                    raise InputError(f'{where}: {len(cells)} columns instead of {len(header)}')
                code, values, split = (cells[place].strip() for place in places)
                emotion.append(_emotion(code, where))
                pixels.append(_pixels(values, where))
                usage.append(_usage(split, where))
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(
                f'{path}, near line {lines.line_num + 1}: {first_line(error)}'
            ) from error
    if not pixels:
        raise InputError(f'{path} holds no images, only its first line')
    return np.stack(pixels), np.array(emotion, np.int64), np.array(usage, np.int64)


def _emotion(code: str, where: str) -> int:
    if code not in map(str, range(len(FER_CLASSES))):
        known = ', '.join(f'{number} {name}' for number, name in enumerate(FER_CLASSES))
        raise InputError(f'{where}: emotion {code!r}; use {known}')
    return int(code)


def _usage(split: str, where: str) -> int:
    if split not in SPLITS:
        raise InputError(f'{where}: Usage {split!r}; use {", ".join(SPLITS)}')
    return SPLITS.index(split)


def _pixels(values: str, where: str) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            # What is no number ends the reading with a warning, in later NumPy with an error.
            warnings.simplefilter('error', DeprecationWarning)
            numbers = np.fromstring(values, np.int32, sep=' ')
    except (ValueError, DeprecationWarning) as error:
        raise InputError(
            f'{where}: pixels are not whole numbers with spaces between; {SIDE * SIDE} are needed'
        ) from error
    if len(numbers) != SIDE * SIDE:
        raise InputError(f'{where}: {len(numbers)} pixels; {SIDE * SIDE} are needed')
    if numbers.min() < 0 or numbers.max() > 255:
        raise InputError(f'{where}: a pixel is not in 0 to 255')
    return numbers.astype(np.uint8).reshape(SIDE, SIDE)
