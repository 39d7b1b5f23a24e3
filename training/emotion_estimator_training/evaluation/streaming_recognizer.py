"""The shipped classifier as evaluation asks every model: its quantized file, a step per frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator_training.features.face_vector import SHAPES

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

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) of unrelated faces (N, 52 or 118)."""
        answers = [self._classifier.classify_still(*known(row)) for row in vectors]
        return np.array(answers, np.float32).reshape(-1, len(self.labels))

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) at each frame; (B, T, 52 or 118), seconds (B, T)."""
        answers = np.zeros((*dt.shape, len(self.labels)), np.float32)
        for face, (rows, steps) in enumerate(zip(vectors, dt)):
            state = self._classifier.initial_state()
            for frame, (row, step) in enumerate(zip(rows, steps)):
                blendshapes, embedding = known(row)
                answers[face, frame], state = self._classifier(
                    blendshapes, state, float(step), embedding
                )
        return answers


def known(row: Floats) -> tuple[Floats | None, Floats | None]:
    """Return the blendshapes and the embedding of a face's vector, None for what is not known."""
    if len(row) == SHAPES:
        return row, None
    return row[:SHAPES] if row[-1] else None, row[SHAPES:-2] if row[-2] else None
