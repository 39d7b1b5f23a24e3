"""Recognizers and faces with known answers."""

from __future__ import annotations

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import LABELS
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.feature_set import FeatureSet

HAPPY, SAD, NEUTRAL = (FER_CLASSES.index(name) for name in ('happy', 'sad', 'neutral'))
SMILE = BLENDSHAPE_NAMES.index('mouthSmileLeft')
FROWN = BLENDSHAPE_NAMES.index('mouthFrownLeft')


class Smiles:
    """Happy if the smile is over a half, sad if the frown is, ``late`` frames later."""

    name, labels = 'smiles', LABELS

    def __init__(self, late: int = 0) -> None:
        self._late = late

    def stills(self, blendshapes):
        label = np.where(
            blendshapes[..., SMILE] > 0.5, 0, np.where(blendshapes[..., FROWN] > 0.5, 2, 1)
        )
        return np.eye(3, dtype=np.float32)[label]

    def sequences(self, blendshapes, dt):
        now = self.stills(blendshapes)
        first = np.repeat(now[:, :1], self._late, axis=1)
        return np.concatenate([first, now], axis=1)[:, : dt.shape[1]]


class Flickers(Smiles):
    """Another label in every frame."""

    def sequences(self, blendshapes, dt):
        frames = np.arange(dt.shape[1]) % 2
        return np.repeat(np.eye(3, dtype=np.float32)[frames][None], len(dt), axis=0)


def faces(smile: float = 0.95) -> FeatureSet:
    blendshapes = np.zeros((60, 52), np.float32)
    blendshapes[:20, SMILE], blendshapes[20:40, FROWN] = smile, 0.95
    emotion = np.repeat([HAPPY, SAD, NEUTRAL], 20)
    return FeatureSet(
        'face_mesh',
        blendshapes,
        emotion,
        np.full(60, 1),
        np.arange(60),
        np.zeros(60, bool),
        np.zeros(60, bool),
        np.zeros((60, 48, 48), np.uint8),
    )
