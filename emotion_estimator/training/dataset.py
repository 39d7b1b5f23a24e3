"""Reads FER2013 in the forms it comes in."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS
from emotion_estimator.errors import InputError

#: FER2013's own codes, 0 to 6.
FER_CLASSES = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')

#: FER2013's code to the index in ``LABELS`` (seed 001's grouping).
TO_LABEL = np.array(
    [LABELS.index(name if name in LABELS else 'unknown') for name in FER_CLASSES], np.int64
)

TRAINING, PUBLIC_TEST, PRIVATE_TEST = range(3)
_USAGES = ('Training', 'PublicTest', 'PrivateTest')
#: Folder names in use for each split, lower case.
_FOLDERS = (('training', 'train'), ('publictest', 'validation', 'val'), ('privatetest', 'test'))


@dataclass(frozen=True, eq=False)
class Stills:
    """Labelled face images.

    :param pixels: uint8 (N, 48, 48), grey.
    :param emotion: (N,), index into ``FER_CLASSES``.
    :param usage: (N,), ``TRAINING``, ``PUBLIC_TEST`` (validation) or ``PRIVATE_TEST`` (test).
    :param image_id: (N,), the row in FER2013's own file.
    :param duplicate: bool (N,), a test image that is a training image too.
    """

    pixels: NDArray[np.uint8]
    emotion: NDArray[np.int64]
    usage: NDArray[np.int64]
    image_id: NDArray[np.int64]
    duplicate: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pixels)


def load_stills(path: Path) -> Stills:
    """Read FER2013.

    :param path: ``fer2013.npz`` (arrays as in :class:`Stills`), Kaggle's ``fer2013.csv`` (columns
        emotion, pixels, Usage), or a folder of images ``<split>/<emotion>/*.png`` or ``.jpg``
        with the splits train, validation and test.
    :raises InputError: the file is missing or is none of these.
    """
    if path.is_dir():
        return _from_folder(path)
    try:
        return _from_csv(path) if path.suffix == '.csv' else _from_npz(path)
    except OSError as error:
        raise InputError(
            f'FER2013 file {path} cannot be read ({error.strerror}); give fer2013.csv or .npz'
        ) from error
    except (KeyError, ValueError) as error:
        raise InputError(f'{path} is not FER2013: {error}; give Kaggle\'s fer2013.csv') from error


def _from_npz(path: Path) -> Stills:
    with np.load(path) as data:
        return Stills(
            pixels=data['pixels'],
            emotion=data['emotion'].astype(np.int64),
            usage=data['usage'].astype(np.int64),
            image_id=data['image_id'].astype(np.int64),
            duplicate=data['duplicate_of_training'],
        )


def _from_csv(path: Path) -> Stills:
    pixels, emotion, usage = [], [], []
    with path.open(newline='') as lines:
        for row in csv.DictReader(lines):
            pixels.append(np.array(row['pixels'].split(), np.uint8).reshape(48, 48))
            emotion.append(int(row['emotion']))
            usage.append(_USAGES.index(row['Usage'].strip()))
    return _assemble(pixels, emotion, usage)


def _from_folder(path: Path) -> Stills:
    pixels, emotion, usage = [], [], []
    for file in sorted(path.glob('*/*/*')):
        split, name = file.parts[-3].lower(), file.parts[-2].lower()
        part = next((number for number, names in enumerate(_FOLDERS) if split in names), None)
        if part is None or name not in FER_CLASSES or file.suffix not in ('.png', '.jpg'):
            continue
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise InputError(f'{file} is not an image that can be read; remove or replace it')
        small = cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA)
        pixels.append(np.asarray(small, np.uint8))
        emotion.append(FER_CLASSES.index(name))
        usage.append(part)
    if not pixels:
        raise InputError(
            f'{path} holds no images <split>/<emotion>/*.png with splits train, validation, test '
            f'and emotions {", ".join(FER_CLASSES)}'
        )
    return _assemble(pixels, emotion, usage)


def _assemble(pixels: list[NDArray[np.uint8]], emotion: list[int], usage: list[int]) -> Stills:
    """Number the images and find those of the tests that are training images too."""
    images, parts = np.stack(pixels), np.array(usage)
    trained = {image.tobytes() for image in images[parts == TRAINING]}
    return Stills(
        pixels=images,
        emotion=np.array(emotion),
        usage=parts,
        image_id=np.arange(len(images)),
        duplicate=np.array(
            [part != TRAINING and image.tobytes() in trained for image, part in zip(images, parts)]
        ),
    )
