"""The simplest steady recognizer: the mean answer of the last half second."""

from __future__ import annotations

import numpy as np

from emotion_estimator_training.evaluation.recognizer import Floats, Recognizer


class MovingAverage:
    """Averages another recognizer's probabilities over a window that ends now.

    Each answer counts by the time since the frame before it, so that dropped frames and changing
    rates change nothing; a face that was away for longer than the window begins anew.
    """

    def __init__(self, recognizer: Recognizer, seconds: float = 0.5) -> None:
        self._recognizer, self._seconds = recognizer, seconds
        self.name = f'{recognizer.name}-average'
        self.labels = recognizer.labels

    def stills(self, blendshapes: Floats) -> Floats:
        """Return what the recognizer itself says of unrelated faces: (N, 52) -> (N, L)."""
        return self._recognizer.stills(blendshapes)

    def sequences(self, blendshapes: Floats, dt: Floats) -> Floats:
        """Return the averaged probabilities (B, T, L); see :class:`Recognizer`."""
        answers = self._recognizer.sequences(blendshapes, dt).astype(np.float64)
        # A first frame has no time of its own yet, but is all there is.
        spans = np.maximum(dt, 1e-6).astype(np.float64)
        averaged = np.empty_like(answers)
        for row, (values, span) in enumerate(zip(answers, spans)):
            times = np.concatenate([[0.0], np.cumsum(span)])
            since = np.maximum(times[1:] - self._seconds, 0.0)
            for label in range(values.shape[1]):
                # Answers are constant between frames, so their integral is straight there.
                whole = np.concatenate([[0.0], np.cumsum(values[:, label] * span)])
                part = whole[1:] - np.interp(since, times, whole)
                averaged[row, :, label] = part / (times[1:] - since)
        return averaged.astype(np.float32)
