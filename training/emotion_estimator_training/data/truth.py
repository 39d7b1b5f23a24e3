"""What a face shows, to learn from: what most people see in it, not what one label says.

FER2013's labels come from search words; ten people voted on each image for FER+ (Barsoum et al.
2016), and agree with the label in about two thirds of the images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.data.stills import FER_CLASSES, FERPLUS_CLASSES, Stills

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: Column of FER+'s votes for each of ``FER_CLASSES``.
_VOTED = [FERPLUS_CLASSES.index(name) for name in FER_CLASSES]
_NO_FACE = FERPLUS_CLASSES.index('no face')
#: Votes for the seven classes from which they count, and votes that there is no face from which an
#: image is not learned from.
_LEAST_VOTES, _LEAST_NO_FACE = 3, 5
#: A single vote among ten is more often a slip than an opinion (Barsoum et al. 2016 drop it too).
_SLIP = 1
#: Votes of ten above which there is a majority.
_MAJORITY = 5
#: How much more a face counts that people call so; few ever say disgust or fear.
_RARE = {'disgust': 2.0, 'fear': 1.0, 'sad': 0.3}


@dataclass(frozen=True)
class TruthSettings:
    """How labels and votes become targets.

    :param own: share of FER2013's label in the target of an image with votes.
    :param unvoted: weight of an image without votes, whose label is all that is known.
    :param smoothing: share of the target that is spread evenly over the classes.
    """

    own: float = 0.2
    unvoted: float = 0.25
    smoothing: float = 0.04


@dataclass(frozen=True, eq=False)
class Truth:
    """Targets to learn.

    :param target: float32 (N, 7), probabilities of ``FER_CLASSES``.
    :param weight: float32 (N,), how much each image counts; 0 if it shows no face.
    """

    target: Floats
    weight: Floats

    def of(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Truth:
        """Return the targets of some rows."""
        return Truth(self.target[rows], self.weight[rows])


def truth_of_stills(stills: Stills, settings: TruthSettings | None = None) -> Truth:
    """Return the targets of FER2013's images: the votes' shares, and the label where none are.

    Votes for contempt and for "cannot tell" lower an image's weight.
    """
    how = settings or TruthSettings()
    label = np.eye(len(FER_CLASSES), dtype=np.float32)[stills.emotion]
    if stills.ferplus_votes is None:
        # All count the same: there is nothing better.
        return _weighted(label, np.ones(len(stills), np.float32), how)
    votes = stills.ferplus_votes.astype(np.float32)
    votes[votes <= _SLIP] = 0
    ours = votes[:, _VOTED]
    count = ours.sum(axis=1)
    voted = count >= _LEAST_VOTES
    shares = ours / np.maximum(count, 1)[:, None]
    target = np.where(voted[:, None], (1 - how.own) * shares + how.own * label, label)
    clear = count / np.maximum(votes.sum(axis=1), 1)
    weight = np.where(voted, 0.3 + 0.7 * clear, how.unvoted)
    weight[votes[:, _NO_FACE] >= _LEAST_NO_FACE] = 0
    return _weighted(target, weight, how)


def truth_of_labels(emotion: Ints, weight: Floats, settings: TruthSettings | None = None) -> Truth:
    """Return the targets of faces that one person labelled.

    :param emotion: (N,), index into ``FER_CLASSES``.
    :param weight: (N,).
    """
    how = settings or TruthSettings()
    return _weighted(np.eye(len(FER_CLASSES), dtype=np.float32)[emotion], weight, how)


def joined(*parts: Truth) -> Truth:
    """Return the targets of several sets, one after the other."""
    return Truth(
        np.concatenate([part.target for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


def _weighted(target: Floats, weight: Floats, how: TruthSettings) -> Truth:
    more = sum(
        factor * target[:, FER_CLASSES.index(name)] for name, factor in _RARE.items()
    ) + np.ones(len(target), np.float32)
    smooth = (1 - how.smoothing) * target + how.smoothing / target.shape[1]
    return Truth(smooth.astype(np.float32), (weight * more).astype(np.float32))


def majority_of_votes(
    stills: Stills, rows: Ints | None = None
) -> tuple[Ints, NDArray[np.bool_], dict[str, int]]:
    """Return the class that more than half of FER+'s annotators chose.

    :param rows: which of the stills; None takes all.
    :returns: each image's class (N,), 0 where there is none; whether there is one (N,); and how
        many have none: ``no majority``, or a majority for ``contempt``, ``unknown`` or ``no face``.
    """
    count = len(stills) if rows is None else len(rows)
    if stills.ferplus_votes is None:
        return np.zeros(count, np.int64), np.zeros(count, bool), {'no majority': count}
    votes = stills.ferplus_votes if rows is None else stills.ferplus_votes[rows]
    chosen, agreed = votes.argmax(axis=1), votes.max(axis=1) > _MAJORITY
    code = np.full(len(FERPLUS_CLASSES), -1)
    code[_VOTED] = np.arange(len(FER_CLASSES))
    others = {
        name: int((agreed & (chosen == column)).sum())
        for column, name in enumerate(FERPLUS_CLASSES)
        if name not in FER_CLASSES
    }
    found = code[chosen]
    usable = agreed & (found >= 0)
    return np.where(usable, found, 0), usable, {'no majority': int((~agreed).sum()), **others}
