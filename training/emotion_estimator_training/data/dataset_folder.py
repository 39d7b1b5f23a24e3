"""Reads labelled images from folders, as Kaggle's copies of FER2013 lay them out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.fer2013 import FER_CLASSES, SIDE, SPLITS

#: Folder names in use for each of ``SPLITS``, lower case.
_SPLIT_NAMES = (
    ('training', 'train'),
    ('publictest', 'validation', 'valid', 'val'),
    ('privatetest', 'test'),
)
#: Folder names in use for the classes beside their own.
_CLASS_NAMES = {
    'anger': 'angry', 'disgusted': 'disgust', 'fearful': 'fear', 'afraid': 'fear',
    'happiness': 'happy', 'sadness': 'sad', 'surprised': 'surprise',
}
_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp')


def read_folder(
    path: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], tuple[Path, ...]]:
    """Return pixels (N, 48, 48), emotion (N,) and usage (N,) as in ``Stills``, and N files.

    Each image's folder is named by its emotion, a folder above by its split. Where the file's own
    name begins with its split (``PublicTest_123.jpg``) that counts: one of Kaggle's copies has both
    test splits in one folder ``test``. Images of another size are resized.

    :raises InputError: there are no images; or names one that is of no split or emotion, or that
        cannot be read.
    """
    pixels, emotion, usage, files = [], [], [], []
    for file in sorted(path.rglob('*')):
        inside = file.relative_to(path).parts
        # What macOS leaves in archives is no image, though it is named like one.
        hidden = any(part.startswith('.') or part == '__MACOSX' for part in inside)
        if hidden or file.suffix.lower() not in _SUFFIXES:
            continue
        emotion.append(_emotion(file))
        usage.append(_usage(file, inside))
        pixels.append(_read(file))
        files.append(file)
    if not files:
        raise InputError(
            f'{path} holds no images <split>/<emotion>/*.png with splits train, validation, test '
            f'and emotions {", ".join(FER_CLASSES)}'
        )
    return (
        np.stack(pixels), np.array(emotion, np.int64), np.array(usage, np.int64), tuple(files)
    )


def _emotion(file: Path) -> int:
    name = file.parent.name.lower()
    name = _CLASS_NAMES.get(name, name)
    if name not in FER_CLASSES:
        raise InputError(
            f'{file} lies in a folder {file.parent.name!r}, which is none of '
            f'{", ".join(FER_CLASSES)}; rename the folder, or move the image away'
        )
    return FER_CLASSES.index(name)


def _usage(file: Path, inside: tuple[str, ...]) -> int:
    for split, name in enumerate(SPLITS):
        if file.name.startswith(f'{name}_'):
            return split
    for part in reversed(inside[:-2]):
        for split, names in enumerate(_SPLIT_NAMES):
            if part.lower() in names:
                return split
    raise InputError(
        f'{file} lies in no folder train, validation or test; give the folder that holds these'
    )


def _read(file: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise InputError(f'{file} is not an image that can be read; remove or replace it')
    if image.shape != (SIDE, SIDE):
        image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(image, np.uint8)
