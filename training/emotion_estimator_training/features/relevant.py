"""The relevant blendshapes: those that exceed a threshold often enough (Attrah 2025, 4.1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator_training.data.stills import TRAINING
from emotion_estimator_training.features.feature_set import FeatureSet

#: The paper's rule: above 0.4 in more than 100 images.
THRESHOLD, LEAST = 0.4, 100
#: Number of blendshapes that the paper's rule kept there (Attrah 2025, 4.1); it does not list them.
PAPER_COUNT = 27
#: Blendshapes that Attrah's report (4.3) names as close to zero throughout.
PAPER_IRRELEVANT = (6, 7, 8)


def counts_above(features: FeatureSet, threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """Return the number of Training's images in which each blendshape (52,) exceeds ``threshold``.

    Augmented copies are not counted.
    """
    plain = (features.usage == TRAINING) & ~features.augmented
    return np.asarray((features.blendshapes[plain] > threshold).sum(axis=0))


def relevant_blendshapes(
    features: FeatureSet, threshold: float = THRESHOLD, least: int = LEAST
) -> tuple[int, ...]:
    """Return the indices of the blendshapes above ``threshold`` in more than ``least`` images."""
    return tuple(int(i) for i in np.flatnonzero(counts_above(features, threshold) > least))


def chosen_blendshapes(run: Path, features: FeatureSet) -> tuple[int, ...]:
    """Return the indices that "training relevant" chose in a run folder, or by the paper's rule.

    :raises InputError: there is none.
    """
    try:
        table = json.loads((run / 'tables' / 'relevant.json').read_text())
        chosen = tuple(int(index) for index in table[features.source]['indices'])
    except (OSError, ValueError, KeyError, TypeError):
        chosen = relevant_blendshapes(features)
    if not chosen:
        raise InputError(
            f'no blendshape of {features.source} is relevant; try '
            '"emotion-estimator training relevant --least 20"'
        )
    return chosen


def report(
    features: FeatureSet, threshold: float = THRESHOLD, least: int = LEAST
) -> dict[str, Any]:
    """Return the relevant blendshapes, next to what the papers report.

    :returns: ``source``, ``threshold``, ``least``, ``images`` counted, ``relevant`` (names),
        ``indices``, ``counts`` (by name, all 52), ``paper_count``, ``least_for_paper_count`` (the
        greatest ``least`` that keeps as many as the paper), and ``paper_irrelevant`` (by name,
        whether those that Attrah's report calls irrelevant are so here; it lists no others).
    """
    counts = counts_above(features, threshold)
    indices = relevant_blendshapes(features, threshold, least)
    return {
        'source': features.source,
        'threshold': threshold,
        'least': least,
        'images': int(((features.usage == TRAINING) & ~features.augmented).sum()),
        'relevant': [BLENDSHAPE_NAMES[i] for i in indices],
        'indices': list(indices),
        'counts': {name: int(n) for name, n in zip(BLENDSHAPE_NAMES, counts)},
        'paper_count': PAPER_COUNT,
        'least_for_paper_count': int(np.sort(counts)[-PAPER_COUNT]) - 1,
        'paper_irrelevant': {BLENDSHAPE_NAMES[i]: i not in indices for i in PAPER_IRRELEVANT},
    }
