"""Labelled stills in the form of FER2013: classes, splits, readers and writers."""

from __future__ import annotations

import csv
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS, UNKNOWN
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.picture_header import check_picture
from emotion_estimator.untrusted import (
    MAX_PICTURE_FILE,
    cannot_read,
    open_regular,
    quote,
    read_limited,
    read_lines,
)

#: FER2013's classes, in the order of its codes 0 to 6.
FER_CLASSES = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')
#: Index in ``LABELS`` of each of ``FER_CLASSES`` (grouping of Attrah 2025).
TO_LABEL = np.array(
    [LABELS.index(name if name in LABELS else UNKNOWN) for name in FER_CLASSES], np.int64
)
#: What FER+'s ten annotators vote for, in its order (Barsoum et al. 2016).
FERPLUS_CLASSES = (
    'neutral',
    'happy',
    'surprise',
    'sad',
    'angry',
    'disgust',
    'fear',
    'contempt',
    'unknown',
    'no face',
)

#: The splits, as FER2013's column ``Usage`` names them: training, validation and test set.
SPLITS = ('Training', 'PublicTest', 'PrivateTest')
TRAINING, PUBLIC_TEST, PRIVATE_TEST = range(3)

#: Side of a still in pixels.
SIDE = 48

#: Attrah 2025, Table 1: images of each class in each of ``SPLITS``.
PAPER_IMAGES = {
    'angry': (3995, 467, 491),
    'disgust': (436, 56, 55),
    'fear': (4097, 496, 528),
    'happy': (7215, 895, 879),
    'sad': (4830, 653, 594),
    'surprise': (3171, 415, 416),
    'neutral': (4965, 607, 626),
}
#: Attrah 2025, Table 2: images of each class selected from Training; of disgust all.
PAPER_CHOSEN = {
    'angry': 1500,
    'fear': 1500,
    'happy': 4000,
    'sad': 4000,
    'surprise': 1500,
    'neutral': 1500,
}
#: Attrah 2025, Table 3: images of Training in which MediaPipe finds no face.
PAPER_UNDETECTED = {
    'angry': 597,
    'disgust': 72,
    'fear': 616,
    'happy': 377,
    'sad': 835,
    'surprise': 239,
    'neutral': 261,
}

#: Columns of Kaggle's ``fer2013.csv``.
_COLUMNS = ('emotion', 'pixels', 'Usage')
#: Arrays that an ``.npz`` may hold: the shape of each after N.
_SHAPES: dict[str, tuple[int, ...]] = {
    'pixels': (SIDE, SIDE),
    'emotion': (),
    'usage': (),
    'image_id': (),
    'duplicate_of_training': (),
    'ferplus_votes': (len(FERPLUS_CLASSES),),
}
#: Folder names of each of ``SPLITS``, lower case.
_SPLIT_NAMES = (
    ('training', 'train'),
    ('publictest', 'validation', 'valid', 'val'),
    ('privatetest', 'test'),
)
#: Other folder names of the classes.
_CLASS_NAMES = {
    'anger': 'angry',
    'disgusted': 'disgust',
    'fearful': 'fear',
    'afraid': 'fear',
    'happiness': 'happy',
    'sadness': 'sad',
    'surprised': 'surprise',
}
_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp')


@dataclass(frozen=True, eq=False)
class Stills:
    """Labelled face images.

    :param pixels: uint8 (N, 48, 48), grey.
    :param emotion: int64 (N,), index into ``FER_CLASSES``.
    :param usage: int64 (N,), ``TRAINING``, ``PUBLIC_TEST`` (validation) or ``PRIVATE_TEST`` (test).
    :param image_id: int64 (N,), the row in FER2013's own file, from 0; for a folder, the image's
        index among all its images in sorted order.
    :param duplicate: bool (N,), whether an image of a test split is also in Training.
    :param paths: each image's file, if read from a folder.
    :param ferplus_votes: uint8 (N, 10), how many of FER+'s ten annotators chose each of
        ``FERPLUS_CLASSES``; None if the file has no votes.
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


def changed(
    stills: Stills, rows: NDArray[np.int64], change: Callable[[int], NDArray[np.uint8]]
) -> Stills:
    """Return some of the stills with changed pixels.

    :param rows: which stills.
    :param change: returns the new picture (48, 48) for a row of ``stills``.
    """
    return replace(
        stills,
        pixels=np.stack([change(int(row)) for row in rows]),
        emotion=stills.emotion[rows],
        usage=stills.usage[rows],
        image_id=stills.image_id[rows],
        duplicate=stills.duplicate[rows],
        paths=None,
        ferplus_votes=None,
    )


def votes_of(stills: Stills) -> NDArray[np.float32]:
    """Return the shares (N, 10) of the annotators' votes; zeros if the data has no votes."""
    if stills.ferplus_votes is None:
        return np.zeros((len(stills), len(FERPLUS_CLASSES)), np.float32)
    votes = stills.ferplus_votes.astype(np.float32)
    return np.asarray(votes / np.maximum(votes.sum(axis=1, keepdims=True), 1))


def load_stills(path: Path) -> Stills:
    """Read FER2013, or images in its form.

    :param path: Kaggle's ``fer2013.csv`` (columns emotion, pixels, Usage), an ``.npz`` of the
        arrays of :class:`Stills` (at least pixels, emotion and usage), or a folder with
        ``<split>/<emotion>/*.png`` or ``.jpg`` somewhere below it.
    :raises InputError: the file is missing or none of these; names the line, row or image.
    """
    if path.is_dir():
        pixels, emotion, usage, paths = read_folder(path)
        return _assemble(pixels, emotion, usage, paths=paths)
    try:
        if path.suffix == '.csv':
            return _assemble(*read_csv(path))
        with open_regular(path) as file, np.load(file) as data:
            arrays = {name: data[name] for name in _SHAPES if name in data.files}
    except OSError as error:
        raise InputError(
            f'{path} cannot be read ({error.strerror or first_line(error)}); give fer2013.csv, '
            'fer2013.npz or a folder <split>/<emotion>/*.png'
        ) from error
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise InputError(
            f'{path} is not an .npz of FER2013 ({first_line(error)}); name it .csv if it is '
            "Kaggle's file"
        ) from error
    return _from_arrays(path, arrays)


def read_csv(
    path: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return pixels (N, 48, 48), emotion (N,) and usage (N,) as in :class:`Stills`.

    :param path: a CSV file with the columns emotion (0 to 6), pixels (2,304 space-separated numbers
        from 0 to 255) and Usage, in any order.
    :raises InputError: a column is missing, a line is invalid (named), or there are no images.
    :raises OSError: the file cannot be opened.
    """
    pixels, emotion, usage = [], [], []
    lines = csv.reader(read_lines(path))
    try:
        # Kaggle's icml_face_data.csv has spaces before the names.
        header = [name.strip() for name in next(lines, [])]
        missing = [name for name in _COLUMNS if name not in header]
        if missing:
            raise InputError(
                f"{path}, line 1: no column {missing[0]}; Kaggle's fer2013.csv has "
                f'{", ".join(_COLUMNS)}'
            )
        columns = [header.index(name) for name in _COLUMNS]
        for cells in lines:
            if not cells:
                continue
            where = f'{path}, line {lines.line_num}'
            if len(cells) <= max(columns):
                raise InputError(f'{where}: {len(cells)} columns instead of {len(header)}')
            code, values, split = (cells[column].strip() for column in columns)
            emotion.append(_emotion(code, where))
            pixels.append(_pixels(values, where))
            usage.append(_usage(split, where))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f'{path}, near line {lines.line_num + 1}: {first_line(error)}') from error
    if not pixels:
        raise InputError(f'{path} holds no images, only a header')
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
            # NumPy stops at other text with a warning, in later versions with an error.
            warnings.simplefilter('error', DeprecationWarning)
            numbers = np.fromstring(values, np.int32, sep=' ')
    except (ValueError, DeprecationWarning) as error:
        raise InputError(
            f'{where}: pixels are not space-separated integers; {SIDE * SIDE} are needed'
        ) from error
    if len(numbers) != SIDE * SIDE:
        raise InputError(f'{where}: {len(numbers)} pixels; {SIDE * SIDE} are needed')
    if numbers.min() < 0 or numbers.max() > 255:
        raise InputError(f'{where}: a pixel is outside 0 to 255')
    return numbers.astype(np.uint8).reshape(SIDE, SIDE)


def read_folder(
    path: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], tuple[Path, ...]]:
    """Return pixels (N, 48, 48), emotion (N,) and usage (N,) as in :class:`Stills`, and N files.

    Each image's folder names its emotion, a folder above that its split. A file name that starts
    with a split (``PublicTest_123.jpg``) takes precedence: one of Kaggle's copies has both test
    splits in one folder ``test``. Images of another size are resized.

    :raises InputError: there are no images, or one has no split or emotion or cannot be read
        (named).
    """
    pixels, emotion, usage, files = [], [], [], []
    for file in sorted(path.rglob('*')):
        inside = file.relative_to(path).parts
        # macOS leaves files in archives that are named like images.
        hidden = any(part.startswith('.') or part == '__MACOSX' for part in inside)
        if hidden or file.suffix.lower() not in _SUFFIXES:
            continue
        emotion.append(_emotion_of_file(file))
        usage.append(_usage_of_file(file, inside))
        pixels.append(_read_image(file))
        files.append(file)
    if not files:
        raise InputError(
            f'{path} holds no images <split>/<emotion>/*.png with splits train, validation, test '
            f'and emotions {", ".join(FER_CLASSES)}'
        )
    return (np.stack(pixels), np.array(emotion, np.int64), np.array(usage, np.int64), tuple(files))


def class_named(name: str) -> int | None:
    """Return the index in ``FER_CLASSES`` of a class, or None if it is none of them.

    :param name: in any case; synonyms such as ``happiness`` are known.
    """
    name = name.strip().lower()
    name = _CLASS_NAMES.get(name, name)
    return FER_CLASSES.index(name) if name in FER_CLASSES else None


def split_named(name: str) -> int | None:
    """Return the index in ``SPLITS`` of a split, or None if it is none of them.

    :param name: in any case; ``train``, ``validation``, ``test`` and the like are known.
    """
    name = name.strip().lower()
    return next((split for split, names in enumerate(_SPLIT_NAMES) if name in names), None)


def _emotion_of_file(file: Path) -> int:
    emotion = class_named(file.parent.name)
    if emotion is None:
        raise InputError(
            f'{file} is in a folder {file.parent.name!r}, which is none of '
            f'{", ".join(FER_CLASSES)}; rename the folder or remove the image'
        )
    return emotion


def _usage_of_file(file: Path, inside: tuple[str, ...]) -> int:
    for split, name in enumerate(SPLITS):
        if file.name.startswith(f'{name}_'):
            return split
    for part in reversed(inside[:-2]):
        named = split_named(part)
        if named is not None:
            return named
    raise InputError(
        f'{file} is in no folder train, validation or test; give the folder that holds these'
    )


def _read_image(file: Path) -> NDArray[np.uint8]:
    try:
        data = np.frombuffer(read_limited(file, MAX_PICTURE_FILE), np.uint8)
    except OSError as error:
        raise cannot_read('image', file, error, InputError) from error
    check_picture(data, f'image {quote(file)}')
    try:
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        image = None
    if image is None:
        raise InputError(f'{quote(file)} is not an image, or is damaged; remove or replace it')
    if image.shape != (SIDE, SIDE):
        image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(image, np.uint8)


def _from_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> Stills:
    missing = [name for name in ('pixels', 'emotion', 'usage') if name not in arrays]
    if missing:
        raise InputError(f'{path} has no array {missing[0]}; docs/training.md describes the file')
    count = arrays['pixels'].shape[0] if arrays['pixels'].ndim else 0
    for name, array in arrays.items():
        if array.shape != (count, *_SHAPES[name]) or array.dtype.kind not in 'iub':
            wanted = ', '.join(map(str, (count, *_SHAPES[name])))
            raise InputError(
                f'{path}: {name} is {array.dtype} {array.shape}; integers ({wanted}) are needed'
            )
    if not count:
        raise InputError(f'{path} holds no images')
    for name, end in (('pixels', 256), ('emotion', len(FER_CLASSES)), ('usage', len(SPLITS))):
        wrong = (arrays[name] < 0) | (arrays[name] >= end)
        if wrong.any():
            row = int(np.argwhere(wrong)[0, 0])
            raise InputError(
                f'{path}, row {row}: {name} {arrays[name][wrong][0]} is outside 0 to {end - 1}'
            )
    return _assemble(
        arrays['pixels'].astype(np.uint8),
        arrays['emotion'],
        arrays['usage'],
        arrays.get('image_id'),
        arrays.get('duplicate_of_training'),
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
    """Assign missing image numbers and find the duplicates.

    :param duplicate: those already known, for example from a file without Training's images.
    """
    if image_id is None:
        image_id = np.arange(len(pixels))
    trained = {image.tobytes() for image in pixels[usage == TRAINING]}
    found = np.array(
        [part != TRAINING and image.tobytes() in trained for image, part in zip(pixels, usage)]
    )
    if duplicate is not None:
        found |= duplicate.astype(bool)
    return Stills(
        pixels,
        emotion.astype(np.int64),
        usage.astype(np.int64),
        image_id.astype(np.int64),
        found,
        paths,
        ferplus_votes,
    )


def write_npz(stills: Stills, path: Path) -> Path:
    """Write the arrays of ``fer2013.npz``; return ``path``."""
    np.savez_compressed(
        path,
        pixels=stills.pixels,
        emotion=stills.emotion.astype(np.uint8),
        usage=stills.usage.astype(np.uint8),
        image_id=stills.image_id.astype(np.int32),
        duplicate_of_training=stills.duplicate,
    )
    return path


def write_csv(stills: Stills, path: Path) -> Path:
    """Write Kaggle's ``fer2013.csv``, in which images are numbered by row; return ``path``."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['emotion', 'pixels', 'Usage'])
        for image, emotion, usage in zip(stills.pixels, stills.emotion, stills.usage):
            writer.writerow([int(emotion), ' '.join(map(str, image.ravel())), SPLITS[usage]])
    return path


def write_folder(stills: Stills, path: Path) -> Path:
    """Write ``<split>/<emotion>/<image id>.png`` below a folder; return ``path``."""
    for image, emotion, usage, number in zip(
        stills.pixels, stills.emotion, stills.usage, stills.image_id
    ):
        folder = path / ('train', 'validation', 'test')[usage] / FER_CLASSES[emotion]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f'{number:05d}.png'), image)
    return path
