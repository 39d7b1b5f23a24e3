"""Which blendshapes tell anything: Attrah 2025, section 4.1."""

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

#: The paper's choice: above 0.4 in more than 100 images.
THRESHOLD, LEAST = 0.4, 100
#: How many blendshapes that left the paper (Attrah 2025, 4.1); it does not list them.
PAPER_COUNT = 27
#: Those that Attrah's report (4.3) names as close to zero throughout.
PAPER_IRRELEVANT = (6, 7, 8)


def counts_above(features: FeatureSet, threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """Return in how many images of Training each blendshape (52,) is above ``threshold``.

    Images are counted as they are; copies made by augmentation are left out.
    """
    plain = (features.usage == TRAINING) & ~features.augmented
    return (features.blendshapes[plain] > threshold).sum(axis=0)


def relevant_blendshapes(
    features: FeatureSet, threshold: float = THRESHOLD, least: int = LEAST
) -> tuple[int, ...]:
    """Return the indices of the blendshapes above ``threshold`` in more than ``least`` images."""
    return tuple(int(i) for i in np.flatnonzero(counts_above(features, threshold) > least))


def chosen_blendshapes(run: Path, features: FeatureSet) -> tuple[int, ...]:
    """Return the indices that "training relevant" chose in a run folder; else by the paper's rule.

    :raises InputError: none is left.
    """
    try:
        table = json.loads((run / 'tables' / 'relevant.json').read_text())
        chosen = tuple(int(index) for index in table[features.source]['indices'])
    except (OSError, ValueError, KeyError, TypeError):
        chosen = relevant_blendshapes(features)
    if not chosen:
        raise InputError(
            f'no blendshape of {features.source} is relevant; choose some with '
            '"emotion-estimator training relevant --least 20", for example'
        )
    return chosen


def report(
    features: FeatureSet, threshold: float = THRESHOLD, least: int = LEAST
) -> dict[str, Any]:
    """Return the relevant blendshapes beside what the papers say of theirs.

    :returns: ``source``, ``threshold``, ``least``, ``images`` looked at, ``relevant`` (names),
        ``indices``, ``counts`` (by name, all 52), ``paper_count``, ``least_for_paper_count``: the
        greatest ``least`` that leaves as many as the paper has, and ``paper_irrelevant``: by
        name, whether those that Attrah's report calls irrelevant are so here. The papers list no
        others.
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
