"""Networks that return what a test wrote into crops and blendshapes."""

from __future__ import annotations

import numpy as np

from emotion_estimator.emotion import LABELS
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.evaluation.recognizers import RobotNetworks
from emotion_estimator_training.features.feature_set import EMBEDDING, SHAPES, FeatureSet

#: A crop's grey value is its class times this, plus 1: a crop of zeros is none.
STEP = 20


class Grey:
    """Embeds a crop's class, which is written in its grey value."""

    def __call__(self, crop):
        embedding = np.zeros(EMBEDDING, np.float32)
        embedding[min(int(crop.mean()) // STEP, 6)] = 1
        return embedding


class Reads:
    """Returns the class that is written in the embedding or, without one, in the blendshapes."""

    neutral = None

    def __init__(self, vocabulary: str) -> None:
        self.expressions = FER_CLASSES
        self.labels = LABELS if vocabulary == 'three' else FER_CLASSES
        self._classes = [
            LABELS.index(name if name in LABELS else 'unknown') if vocabulary == 'three' else code
            for code, name in enumerate(FER_CLASSES)
        ]

    def initial_state(self):
        return np.zeros(1, np.float32)

    def __call__(self, blendshapes, state, dt, embedding=None):
        if blendshapes is None and embedding is None:
            raise AssertionError('neither embedding nor blendshapes given')
        probabilities = np.full(len(self.labels), 0.1 / (len(self.labels) - 1), np.float32)
        written_in = blendshapes[:7] if embedding is None else embedding
        probabilities[self._classes[int(np.argmax(written_in))]] = 0.9
        return probabilities, state

    def classify_still(self, blendshapes, embedding=None):
        return self(blendshapes, self.initial_state(), 1 / 30, embedding)[0]


def stub_networks() -> RobotNetworks:
    """Return networks that read the class from crops and from the first seven blendshapes."""
    return RobotNetworks(
        Grey(),
        {name: Reads(name) for name in ('three', 'seven')},
        {'appearance': 1000, 'emotion_lstm': 100},
    )


def written(classes, image_id=None, by_crop=None, duplicate=None) -> FeatureSet:
    """Return faces with ``classes`` in their blendshapes and ``by_crop``, or the same, in crops."""
    classes = np.asarray(classes, np.int64)
    count = len(classes)
    blendshapes = np.zeros((count, SHAPES), np.float32)
    blendshapes[np.arange(count), classes] = 0.8
    greys = np.asarray(classes if by_crop is None else by_crop) * STEP + 1
    return FeatureSet(
        'face_mesh',
        blendshapes,
        classes,
        np.ones(count, np.int64),
        np.arange(count) if image_id is None else np.asarray(image_id),
        np.zeros(count, bool) if duplicate is None else np.asarray(duplicate),
        np.zeros(count, bool),
        np.repeat(greys, 48 * 48).reshape(count, 48, 48).astype(np.uint8),
    )
