"""How well blendshapes agree with the teacher's: overall and one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.training.scores import Floats, correlations, moving


def agreement(guess: Floats, truth: Floats) -> dict[str, Any]:
    """Return how well blendshapes agree with the teacher's.

    :param guess: (N, 52); ``truth`` alike.
    :returns: mean correlation and error over those that move, and both for each blendshape.
    """
    correlation, error = correlations(guess, truth), np.abs(guess - truth).mean(axis=0)
    moves = moving(truth)
    return {
        'n': len(truth),
        'moving': int(moves.sum()),
        'mean_correlation_moving': round(float(correlation[moves].mean()), 4),
        'mean_absolute_error': round(float(error.mean()), 4),
        'blendshapes': {
            name: {'correlation': round(float(c), 4), 'mae': round(float(e), 4),
                   'teacher_std': round(float(s), 4), 'moves': bool(m)}
            for name, c, e, s, m in zip(
                BLENDSHAPE_NAMES, correlation, error, truth.std(axis=0), moves
            )
        },
    }
