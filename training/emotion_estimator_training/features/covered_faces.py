"""Training's faces with a part covered, as landmark sources see them: what to trust then.

A network that has only seen what sources say of open faces believes what they make up under a mask.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.dataset import TRAINING, Stills
from emotion_estimator_training.data.occlusion import covered_by_chance
from emotion_estimator_training.evaluation.trust import changed
from emotion_estimator_training.features.crops import landmarks_in_stills
from emotion_estimator_training.features.feature_set import FeatureSet, load_features
from emotion_estimator_training.features.features import (
    SOURCES,
    Places,
    Processes,
    feature_sets,
    outlines,
)

Ints = NDArray[np.int64]


def covered_folder(run: Path) -> Path:
    """Return where a run folder keeps the features of covered faces."""
    return run / 'covered'


def covered_sets(
    stills: Stills,
    places: Places,
    count: int,
    seed: int,
    processes: Processes = None,
    sources: tuple[str, ...] = SOURCES,
) -> dict[str, FeatureSet]:
    """Cover a part of some of Training's faces, and look at them anew with each source.

    :param count: how many faces, at most.
    :param seed: of which faces, and of the covers.
    :returns: by source the faces that it finds; crops are cut where it sees them.
    :raises InputError: Training has no face, or no source can look.
    """
    # Of two sources that see the same face one will do: the bundled mesh finds more of them.
    seen = list(outlines(stills, places, processes, sources).values())[-1]
    rows = np.flatnonzero((stills.usage == TRAINING) & seen.found)
    if not len(rows):
        raise InputError('Training has no face to cover')
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(rows)[:count])
    landmarks = landmarks_in_stills(seen.landmarks)
    hidden = changed(stills, rows, lambda row: covered_by_chance(
        stills.pixels[row], landmarks[row], np.random.default_rng([seed, row])
    ))
    return feature_sets(hidden, places, 0, processes, sources)


def load_covered(run: Path, source: str) -> FeatureSet | None:
    """Read the covered faces that a source sees; None where a run has none.

    :raises InputError: they cannot be read.
    """
    path = covered_folder(run) / f'{source}.npz'
    return load_features(path) if path.exists() else None
