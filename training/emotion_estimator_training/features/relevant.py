"""The relevant blendshapes: those that exceed a threshold often enough (Attrah 2025, 4.1)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import quote
from emotion_estimator_training.data.stills import TRAINING
from emotion_estimator_training.features.feature_set import FeatureSet

#: The paper's rule: above 0.4 in more than 100 images.
THRESHOLD, LEAST = 0.4, 100
#: Number of blendshapes that the paper's rule kept there (Attrah 2025, 4.1); it does not list them.
PAPER_COUNT = 27
#: Indices of the blendshapes that its author's code lists.
AUTHORS = (*range(1, 6), *range(9, 21), 25, 34, 35, 38, *range(44, 50))
#: Names of sets of blendshapes. ``relevant`` depends on the features.
ALL, RELEVANT, AUTHORS_27 = SETS = ('all', 'relevant', 'attrah-27')
#: Blendshapes that Attrah's report (4.3) names as close to zero throughout.
PAPER_IRRELEVANT = (6, 7, 8)


class LabelledFaces(Protocol):
    """What is needed of a :class:`~.feature_set.FeatureSet` or :class:`~.BlendshapeTable`."""

    @property
    def blendshapes(self) -> NDArray[np.float32]:
        """Scores, (N, 52)."""

    @property
    def usage(self) -> NDArray[np.int64]:
        """Split of each row, (N,)."""

    @property
    def augmented(self) -> NDArray[np.bool_]:
        """Whether each row is an augmented copy, (N,)."""


def counts_above(features: LabelledFaces, threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """Return the number of Training's images in which each blendshape (52,) exceeds ``threshold``.

    Augmented copies are not counted.
    """
    plain = (features.usage == TRAINING) & ~features.augmented
    return np.asarray((features.blendshapes[plain] > threshold).sum(axis=0))


def relevant_blendshapes(
    features: LabelledFaces, threshold: float = THRESHOLD, least: int = LEAST
) -> tuple[int, ...]:
    """Return the indices of the blendshapes above ``threshold`` in more than ``least`` images."""
    return tuple(int(i) for i in np.flatnonzero(counts_above(features, threshold) > least))


def blendshapes_named(text: str) -> tuple[int, ...]:
    """Return the indices of blendshapes that a text lists, in its order.

    :param text: names, indices from 0 to 51, ranges of indices such as ``9-20``, ``all`` and
        ``attrah-27``, separated by commas.
    :raises InputError: one is unknown or listed twice, or there is none.
    """
    chosen: list[int] = []
    for word in filter(None, (part.strip() for part in text.split(','))):
        chosen += _one_or_more(word)
    if not chosen or len(set(chosen)) < len(chosen):
        twice = sorted({index for index in chosen if chosen.count(index) > 1})
        named = f'{BLENDSHAPE_NAMES[twice[0]]} twice' if twice else 'none'
        raise InputError(f'the list of blendshapes {quote(text)} has {named}; {_HOW_TO_LIST}')
    return tuple(chosen)


_HOW_TO_LIST = (
    'give names, indices from 0 to 51, ranges such as 9-20, or one of '
    f'{", ".join(SETS)}, separated by commas'
)


def _one_or_more(word: str) -> list[int]:
    if word in BLENDSHAPE_NAMES:
        return [BLENDSHAPE_NAMES.index(word)]
    if word == ALL:
        return list(range(len(BLENDSHAPE_NAMES)))
    if word == AUTHORS_27:
        return list(AUTHORS)
    indices = re.fullmatch(r'([0-9]{1,2})(?:-([0-9]{1,2}))?', word)
    if indices:
        first, last = int(indices[1]), int(indices[2] or indices[1])
        if first <= last < len(BLENDSHAPE_NAMES):
            return list(range(first, last + 1))
    raise InputError(f'unknown blendshapes {quote(word)}; {_HOW_TO_LIST}')


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
