"""What an earlier training of an appearance network left: weights, and its opinion of stills."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.errors import InputError
from emotion_estimator_training.models.appearance_network import (
    AppearanceSettings,
    build_appearance,
    build_heads,
    network_pixels,
)
from emotion_estimator_training.models.operating_point import softmax

Crops = NDArray[np.uint8]
Floats = NDArray[np.float32]

_BATCH = 256


@dataclass(frozen=True)
class Known:
    """What tells one origin from another: changes when it is trained again."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Origin:
    """A finished training.

    :param name: of the part of the plan; ``folder``, where its weights are.
    """

    name: str
    settings: AppearanceSettings
    folder: Path

    def known(self) -> Known:
        """Return its identity.

        :raises InputError: it is not finished.
        """
        digest = hashlib.sha256()
        for name in ('appearance.weights.h5', 'heads.weights.h5', 'spread.npz'):
            path = self.folder / name
            if not path.is_file():
                raise InputError(f'{path} is missing; train the part {self.name!r} first')
            digest.update(path.read_bytes())
        return Known(self.name, digest.hexdigest())

    def restore(self, network: Any, heads: Any) -> None:
        """Give both the weights that were trained."""
        network.load_weights(self.folder / 'appearance.weights.h5')
        heads.load_weights(self.folder / 'heads.weights.h5')

    def opinion(self, crops: Crops, scores: Floats, known: NDArray[np.bool_]) -> Floats:
        """Return what it says that faces show (N, 7), as probabilities.

        The mean over each face and its mirror image, and over what the crop tells alone and
        together with the blendshapes, where these are known.

        :param crops: (N, 48, 48).
        :param scores: (N, K, 52), of K sources, those that ``known`` (N, K) says.
        """
        with np.load(self.folder / 'spread.npz') as stored:
            heads = build_heads(self.settings, stored['mean'], stored['scale'])
        network = build_appearance(self.settings)
        self.restore(network, heads)
        seen = known.argmax(axis=1)
        chosen, present = scores[np.arange(len(scores)), seen], np.ones((len(crops), 2), np.float32)
        present[:, 1] = known.any(axis=1)
        told = np.zeros((len(crops), 7), np.float32)
        for at in tqdm(range(0, len(crops), _BATCH), desc=f'opinion, {self.name}', unit='batch'):
            rows = slice(at, at + _BATCH)
            for mirrored in (False, True):
                few = crops[rows, :, ::-1] if mirrored else crops[rows]
                shapes = chosen[rows][:, list(MIRROR)] if mirrored else chosen[rows]
                alone, _, joined = heads([network(network_pixels(few)), shapes, present[rows]])
                told[rows] += (softmax(np.asarray(alone)) + softmax(np.asarray(joined))) / 4
        return told
