"""The shipped classifier as evaluation asks every model: its quantized file, a step per frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.classifier import EmotionClassifier

Floats = NDArray[np.float32]


class StreamingRecognizer:
    """Runs :class:`EmotionClassifier` over many faces."""

    def __init__(self, classifier: EmotionClassifier, name: str = 'streaming') -> None:
        """Take a classifier.

        :param name: what tables call it.
        """
        self.name = name
        self.labels = classifier.labels
        self._classifier = classifier

    def stills(self, blendshapes: Floats) -> Floats:
        """Return the probabilities (N, L) of unrelated faces (N, 52)."""
        answers = [self._classifier.classify_still(row) for row in blendshapes]
        return np.array(answers, np.float32).reshape(-1, len(self.labels))

    def sequences(self, blendshapes: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) at each frame; (B, T, 52) and seconds (B, T) in."""
        answers = np.zeros((*dt.shape, len(self.labels)), np.float32)
        for face, (scores, steps) in enumerate(zip(blendshapes, dt)):
            state = self._classifier.initial_state()
            for frame, (row, step) in enumerate(zip(scores, steps)):
                answers[face, frame], state = self._classifier(row, state, float(step))
        return answers
