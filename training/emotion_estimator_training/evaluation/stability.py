"""How steady and how quick a recognizer's label is: flips on held faces, delay after a change.

The papers say that their dense network flickers where the LSTM is steady, and measure neither.
Both numbers belong together: any label can be made steady by making it late. What holds is in
``held``; here is what changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.dataset import FER_CLASSES
from emotion_estimator_training.data.grouping import Grouping, load_grouping
from emotion_estimator_training.evaluation.recognizer import Recognizer
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.sequences.constructed import Course, course

Floats = NDArray[np.float32]

#: Which faces change, and how they move.
CHANGES_SEED, MOVEMENT_SEED = 37, 41
#: Seconds that a label must stay to have arrived.
_STAYS = 0.3
_REST, _ONSET, _STAY = 1.5, 0.2, 2.0


@dataclass(frozen=True, eq=False)
class Changes:
    """Pairs of faces of which the first becomes the second.

    :param before: float32 (P, 118), neutral faces; ``after`` (P, 118), others.
    :param label: int64 (P,), the second's true label, never the first's.
    :param moves: of both, as ``FeatureSet`` has them.
    """

    source: str
    before: Floats
    after: Floats
    label: NDArray[np.int64]
    moves: tuple[Floats, Floats] | None = None

    def where(self, rows: NDArray[np.bool_]) -> Changes:
        """Return some of the pairs."""
        moves = self.moves and (self.moves[0][rows], self.moves[1][rows])
        return Changes(self.source, self.before[rows], self.after[rows], self.label[rows], moves)


def draw_changes(
    features: FeatureSet, grouping: Grouping, pairs: int = 300, seed: int = CHANGES_SEED
) -> Changes:
    """Draw pairs of a neutral face and one of another label, as many of each label.

    :raises InputError: there is no neutral face, or none of another label.
    """
    rng = np.random.default_rng(seed)
    neutral = FER_CLASSES.index('neutral')
    label = grouping.to_label[features.emotion]
    resting = np.flatnonzero(features.emotion == neutral)
    others = [
        np.flatnonzero(label == code) for code in range(len(grouping.labels))
        if code != grouping.to_label[neutral] and (label == code).any()
    ]
    if not len(resting) or not others:
        raise InputError('changes need neutral faces and others; this split lacks one of them')
    after = np.concatenate([rng.choice(rows, pairs // len(others)) for rows in others])
    before = rng.choice(resting, len(after))
    return Changes(
        features.source, features.vectors[before], features.vectors[after], label[after],
        None if features.moves is None else (features.moves[before], features.moves[after]),
    )


def can_follow(recognizer: Recognizer, changes: Changes) -> NDArray[np.bool_]:
    """Say of which pairs (P,) a recognizer tells the stills apart, and the second rightly.

    Of others no delay can be asked: what it takes for one face it may never call otherwise.
    """
    first = recognizer.stills(changes.before).argmax(axis=1)
    second = recognizer.stills(changes.after).argmax(axis=1)
    return (second == changes.label) & (first != changes.label)


def changing_faces(changes: Changes, rate: float = 30.0, seed: int = MOVEMENT_SEED) -> Course:
    """Let each pair's first face rest, become the second within 0.2 s, and stay for 2 s."""
    return course(
        [changes.before, changes.after], [_REST], changes.source, rate,
        _REST + _ONSET + _STAY, seed, onset=_ONSET, moves=changes.moves or (),
    )


def delays(recognizer: Recognizer, changes: Changes, moving: Course) -> NDArray[np.float64]:
    """Return the seconds (P,) from the first movement to the right label; infinite if never.

    The right label has come in the first frame from which on it stays for 0.3 s.

    :param moving: of :func:`changing_faces`.
    """
    if not len(changes.label):
        return np.zeros(0)
    answers = recognizer.sequences(moving.vectors, moving.dt).argmax(axis=-1)
    times = moving.times
    right = (answers == changes.label[:, None]) & (times >= _REST)
    window = max(round(_STAYS / float(moving.dt[0, 0])), 1)
    lasting = np.lib.stride_tricks.sliding_window_view(right, window, axis=1).all(axis=2)
    first = times[lasting.argmax(axis=1)] - _REST
    return np.where(lasting.any(axis=1), first, np.inf)


def summary(waited: NDArray[np.float64]) -> dict[str, Any]:
    """Return median and 95th percentile of delays (P,), and what share came at all and in time.

    Who never comes counts as later than all others: a percentile that falls on one is null.
    """
    def percentile(share: float) -> float | None:
        if not len(waited):
            return None
        value = float(np.quantile(waited, share, method='higher'))
        return round(value, 3) if np.isfinite(value) else None

    return {
        'changes': len(waited),
        'median_s': percentile(0.5),
        'p95_s': percentile(0.95),
        'never': round(float(np.isinf(waited).mean()), 4) if len(waited) else None,
        # The middle of the change is where the expression begins to be the new one.
        'within_0.25_s_of_the_middle':
            round(float((waited <= _ONSET / 2 + 0.25).mean()), 4) if len(waited) else None,
    }


def onset_delay(
    recognizer: Recognizer,
    features: FeatureSet,
    rate: float = 30.0,
    pairs: int = 300,
    seed: int = CHANGES_SEED,
    grouping: Grouping | None = None,
) -> dict[str, Any]:
    """Return :func:`summary` of the delays on the changes that the recognizer can follow.

    :param features: faces of one source and of a test split.
    :param grouping: None takes the shipped one.
    """
    changes = draw_changes(features, grouping or load_grouping(), pairs, seed)
    changes = changes.where(can_follow(recognizer, changes))
    return summary(delays(recognizer, changes, changing_faces(changes, rate)))
