"""How well the face mesh's blendshape head agrees with its teacher, the Face Landmarker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator.perception.landmarks.face_landmarker import FaceLandmarker
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator_training.evaluation.scores import Floats, correlations, moving
from emotion_estimator_training.features.clips import Track, tracks


def agreement(guess: Floats, truth: Floats) -> dict[str, Any]:
    """Return how well blendshapes agree with the teacher's.

    :param guess: (N, 52), the head's scores.
    :param truth: (N, 52), the teacher's scores.
    :returns: ``n``, ``moving`` (number of blendshapes that move), ``mean_correlation_moving`` over
        these, ``mean_absolute_error`` over all, and both for each blendshape.
    """
    correlation, error = correlations(guess, truth), np.abs(guess - truth).mean(axis=0)
    moves = moving(truth)
    return {
        'n': len(truth),
        'moving': int(moves.sum()),
        'mean_correlation_moving': round(float(correlation[moves].mean()), 4),
        'mean_absolute_error': round(float(error.mean()), 4),
        'blendshapes': {
            name: {
                'correlation': round(float(c), 4),
                'mae': round(float(e), 4),
                'teacher_std': round(float(s), 4),
                'moves': bool(m),
            }
            for name, c, e, s, m in zip(
                BLENDSHAPE_NAMES, correlation, error, truth.std(axis=0), moves
            )
        },
    }


def symmetry(guess: Floats, truth: Floats, mirrored: Floats) -> dict[str, float]:
    """Return how symmetric the teacher is, and how well the head follows its symmetric part.

    :param guess: (N, 52), the head's scores.
    :param truth: (N, 52), the teacher's scores for the same images.
    :param mirrored: (N, 52), the teacher's scores for the mirrored images, left and right swapped
        back.
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


def track_agreement(found: list[Track]) -> dict[str, Any]:
    """Return the head's agreement with the Face Landmarker in the frames that both tracked.

    :param found: tracks of both sources; videos that only one of them tracked are skipped.
    :returns: as :func:`agreement`, with the number of common ``frames`` by video.
    :raises InputError: there is no such frame.
    """
    by_name: dict[str, dict[str, Track]] = {}
    for one in found:
        by_name.setdefault(one.name, {})[one.source] = one
    guesses, truths, frames = [], [], {}
    for name, sources in by_name.items():
        if len(sources) < 2:
            continue
        wanted, given = sources[FaceLandmarker.name], sources[FaceMesh.name]
        both, a, b = np.intersect1d(wanted.times, given.times, return_indices=True)
        frames[name] = len(both)
        truths.append(wanted.blendshapes[a])
        guesses.append(given.blendshapes[b])
    if not sum(frames.values()):
        raise InputError('both landmark sources see a face in none of the videos; give others')
    return {'frames': frames, **agreement(np.concatenate(guesses), np.concatenate(truths))}


def clip_agreement(folder: Path, teacher: Path, head: BlendshapeHead) -> dict[str, Any]:
    """Return :func:`track_agreement` on a folder's videos, for the head's card."""
    return track_agreement(tracks(folder, teacher, head))
