"""Made stills in FER2013's form for the zoo's tests: the mouth's shade tells the class."""

from __future__ import annotations

import numpy as np
from zoo_tracks import made_landmarks

from emotion_estimator_training.data.augment import Enlargement
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    PRIVATE_TEST,
    PUBLIC_TEST,
    SIDE,
    TRAINING,
    Stills,
)
from emotion_estimator_training.features.extract import Extracted


def made_stills(each: int = 4) -> Stills:
    """Return ``each`` stills of each class in Training, two in each test, one twice."""
    rng = np.random.default_rng(1)
    parts = [TRAINING] * each + [PUBLIC_TEST, PRIVATE_TEST] * 2
    usage = np.repeat(parts, len(FER_CLASSES))
    emotion = np.tile(np.arange(len(FER_CLASSES)), len(parts))
    pixels = rng.integers(90, 110, (len(usage), SIDE, SIDE)).astype(np.uint8)
    for picture, code in zip(pixels, emotion):
        picture[32:40, 12:36] = 20 + 35 * code
    twice = np.flatnonzero(usage == PUBLIC_TEST)[-1]
    pixels[twice] = pixels[emotion == emotion[twice]][0]
    duplicate = np.arange(len(usage)) == twice
    return Stills(pixels, emotion, usage, np.arange(len(usage)), duplicate)


class MadeMesh:
    """Stands for ``extract``: finds the same face in each still but in ``missed``."""

    def __init__(self, missed: tuple[int, ...] = ()) -> None:
        self.missed, self.asked = missed, []

    def __call__(self, stills, rows, teacher, cache, processes=None, wanted=None):
        found = wanted & ~np.isin(rows, self.missed)
        self.asked += rows[wanted].tolist()
        matrix = Enlargement().matrix
        points = made_landmarks(SIDE)
        points[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        mesh = np.where(found[:, None, None], points, 0).astype(np.float32)
        nothing = np.zeros((len(rows), 52), np.float32)
        return Extracted(rows, nothing, mesh, np.zeros(len(rows), bool), found)
