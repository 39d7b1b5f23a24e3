"""The rows that a network of single frames learns from, and those that it is measured on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.dataset import PUBLIC_TEST, TRAINING
from emotion_estimator_training.data.grouping import Grouping, choose
from emotion_estimator_training.features.feature_set import FeatureSet

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StillData:
    """Training and PublicTest rows of one landmark source, as one network reads them.

    :param labels: in output order.
    :param inputs: K indices of the blendshapes that the network reads.
    :param x: float32 (N, K), Training; ``label`` (N,), index into ``labels``.
    :param held: float32 (M, K), PublicTest; ``held_label`` (M,).
    """

    source: str
    labels: tuple[str, ...]
    inputs: tuple[int, ...]
    x: Floats
    label: Ints
    held: Floats
    held_label: Ints

    def sample(self, rows: int, seed: int) -> StillData:
        """Return at most so many rows of Training, drawn at random, and all of PublicTest."""
        count = min(rows, len(self.x))
        drawn = np.random.default_rng(seed).choice(len(self.x), count, replace=False)
        return replace(self, x=self.x[drawn], label=self.label[drawn])

    def fingerprint(self) -> str:
        """Return a checksum of all of it."""
        parts = (self.x, self.label, self.held, self.held_label)
        digest = hashlib.sha256(repr((self.source, self.labels, self.inputs)).encode())
        for part in parts:
            digest.update(np.ascontiguousarray(part))
        return digest.hexdigest()


def still_data(
    features: FeatureSet,
    grouping: Grouping,
    counts: dict[str, int],
    inputs: tuple[int, ...],
    seed: int,
) -> StillData:
    """Choose and relabel the rows of a feature set.

    At most ``counts`` images of each class are drawn from Training as they are; each brings its
    augmented copies along (seed 001, 3.2.1 and 3.2.4).

    :raises InputError: Training or PublicTest holds no face.
    """
    training, held = features.usage == TRAINING, features.usage == PUBLIC_TEST
    plain = np.flatnonzero(training & ~features.augmented)
    if not len(plain) or not held.any():
        raise InputError(
            f'the {features.source} found no face in Training or none in PublicTest; '
            'training needs both'
        )
    chosen = plain[choose(features.emotion[plain], counts, seed)]
    rows = training & np.isin(features.image_id, features.image_id[chosen])
    columns = list(inputs)
    return StillData(
        source=features.source,
        labels=grouping.labels,
        inputs=inputs,
        x=features.blendshapes[rows][:, columns],
        label=grouping.to_label[features.emotion[rows]],
        held=features.blendshapes[held][:, columns],
        held_label=grouping.to_label[features.emotion[held]],
    )
