"""How well blendshapes agree with the teacher's: overall and one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator_training.evaluation.scores import Floats, correlations, moving


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


def symmetry(guess: Floats, truth: Floats, mirrored: Floats) -> dict[str, float]:
    """Return how symmetric the teacher is, and how well the head follows its symmetric part.

    :param guess: (N, 52), the head's scores.
    :param truth: (N, 52), the teacher's of the same images; ``mirrored`` of the mirrored images,
        left and right swapped back.
    :returns: mean correlations over the blendshapes that move.
    """
    moves = moving(truth)
    both = (truth + mirrored) / 2
    return {
        'teacher_with_itself_mirrored': round(
            float(correlations(mirrored, truth)[moves].mean()), 4
        ),
        'mean_correlation_with_symmetric_teacher': round(
            float(correlations(guess, both)[moves].mean()), 4
        ),
    }
