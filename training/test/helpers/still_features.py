"""A few synthetic rows of features that every network learns."""

from __future__ import annotations

import numpy as np

from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.feature_set import FeatureSet


def made_features(copies=1):
    """Happy faces smile, sad ones frown; image 0 to 119 in Training, then 60 in PublicTest.

    Their crops show noise and a bright bar at the place of the class; copies have none.
    """
    rng = np.random.default_rng(4)
    emotion = np.array([FER_CLASSES.index(name) for name in ('happy', 'sad', 'neutral')] * 60)
    scores = rng.uniform(0, 0.2, (180, 52)).astype(np.float32)
    scores[emotion == FER_CLASSES.index('happy'), 44:46] += 0.6
    scores[emotion == FER_CLASSES.index('sad'), 30:32] += 0.6
    usage = np.repeat([0, 1], [120, 60])
    crops = rng.integers(60, 140, (180, 48, 48))
    for row, code in enumerate(emotion):
        crops[row, 6 * code : 6 * code + 6] += 100
    image = np.arange(180)
    again = np.tile(np.flatnonzero(usage == 0), copies)
    rows = np.concatenate([image, again])
    return FeatureSet(
        'face_landmarker',
        scores[rows],
        emotion[rows],
        usage[rows],
        image[rows],
        np.zeros(len(rows), bool),
        np.arange(len(rows)) >= 180,
        np.where(np.arange(len(rows))[:, None, None] < 180, crops[rows], 0).astype(np.uint8),
    )
