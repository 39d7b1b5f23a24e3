"""A few made faces of people: photographs, one of a held-out person, and talking pictures."""

from __future__ import annotations

import numpy as np

from emotion_estimator_training.data.stills import FER_CLASSES, PUBLIC_TEST, TRAINING
from emotion_estimator_training.features.people import CHIP, PeopleSet

HAPPY, SAD, NEUTRAL = (FER_CLASSES.index(name) for name in ('happy', 'sad', 'neutral'))


def made_people() -> PeopleSet:
    """Return eight photographs of four people, two mouths each of rows 0, 1 and 6, and a film.

    Rows 6 and 7 are of a held-out person; the film is rows 14 to 16, of a fifth person. The first
    source does not find row 3.
    """
    rng = np.random.default_rng(12)
    base = np.array([*range(8), 0, 0, 1, 1, 6, 6, 14, 14, 14])
    shown = np.where(base < 8, base, 8)
    known = np.ones((17, 2), bool)
    known[3, 0] = False
    scores = rng.uniform(0, 1, (17, 2, 52)).astype(np.float32)
    scores[~known] = 0
    crops = rng.integers(1, 256, (17, 2, 48, 48)).astype(np.uint8)
    crops[~known] = 0
    return PeopleSet(
        sources=('face_landmarker', 'face_mesh'),
        scores=scores,
        known=known,
        crops=crops,
        chips=rng.integers(0, 256, (17, CHIP, CHIP)).astype(np.uint8),
        emotion=np.array(
            [NEUTRAL, HAPPY, SAD, NEUTRAL, HAPPY, SAD, NEUTRAL, HAPPY, NEUTRAL], np.int64
        )[shown],
        usage=np.where(np.isin(base, (6, 7)), PUBLIC_TEST, TRAINING),
        person=np.array([0, 0, 1, 1, 2, 2, 3, 3, 4])[shown],
        turned=np.zeros(17, np.float32),
        film=base == 14,
        base=base,
    )
