"""A small set in FER2013's form, made from the shipped portrait, to try training without FER2013.

All its faces are one woman's: whatever learns from it learns her. It shows that training runs and
tells her expressions apart; it says nothing of how good a model is on others.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.dataset import FER_CLASSES, TRAINING, Stills
from emotion_estimator_training.data.dataset_write import write_csv, write_folder, write_npz
from emotion_estimator_training.data.fer2013 import SIDE
from emotion_estimator_training.data.made_face import MadeFace

FORMS = ('npz', 'csv', 'folder')

#: Share of each class, roughly FER2013's.
_SHARES = {
    'angry': 0.13, 'disgust': 0.04, 'fear': 0.13, 'happy': 0.25, 'sad': 0.18, 'surprise': 0.11,
    'neutral': 0.16,
}
#: Of five images of a class three are of Training, one of each test.
_SPLITS = (0, 0, 0, 1, 2)
#: Images without a face: FER2013's own has some, all of one grey.
_EMPTY = 0.05


def make(faces: int = 420, seed: int = 11) -> Stills:
    """Return rendered stills, and some (a twentieth) in which there is no face.

    Expression strength, place, size, roll, light, blur and noise vary.

    :param faces: images with a face, 30 or more.
    :param seed: decides everything.
    """
    rng = np.random.default_rng(seed)
    face = MadeFace()
    pixels, emotion, usage = [], [], []
    ends = np.rint(faces * np.cumsum([_SHARES[name] for name in FER_CLASSES])).astype(int)
    for code, count in enumerate(np.diff(ends, prepend=0)):
        for number in range(count):
            pixels.append(face(FER_CLASSES[code], rng))
            emotion.append(code)
            usage.append(_SPLITS[number % len(_SPLITS)])
    for _ in range(max(round(_EMPTY * faces), 3)):
        pixels.append(_no_face(rng))
        emotion.append(int(rng.integers(len(FER_CLASSES))))
        usage.append(TRAINING)
    order = rng.permutation(len(pixels))
    return Stills(
        pixels=np.stack(pixels)[order],
        emotion=np.array(emotion, np.int64)[order],
        usage=np.array(usage, np.int64)[order],
        image_id=np.arange(len(pixels)),
        duplicate=np.zeros(len(pixels), bool),
    )


def write(stills: Stills, folder: Path, form: str = 'npz') -> Path:
    """Write ``fer2013.npz``, ``fer2013.csv`` or ``<split>/<emotion>/*.png`` into a folder.

    :returns: what ``--data`` takes.
    :raises InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if form == 'folder':
            return write_folder(stills, folder)
        writer = {'npz': write_npz, 'csv': write_csv}[form]
        return writer(stills, folder / f'fer2013.{form}')
    except OSError as error:
        raise InputError(
            f'{folder} cannot be written ({error.strerror}); choose another'
        ) from error


def _no_face(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one grey, a slope of greys, or blurred noise."""
    kind = rng.integers(3)
    if kind == 0:
        image = np.full((SIDE, SIDE), rng.uniform(0, 255))
    elif kind == 1:
        image = np.tile(np.linspace(*rng.uniform(0, 255, 2), SIDE), (SIDE, 1))
    else:
        image = cv2.GaussianBlur(rng.uniform(0, 255, (SIDE, SIDE)), (0, 0), rng.uniform(0.5, 6))
    return image.astype(np.uint8)
