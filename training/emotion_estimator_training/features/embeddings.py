"""Embeddings of many crops by the shipped appearance network, in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.face_crop import CROP
from emotion_estimator_training.features.crops import CropMaker, CropVariation
from emotion_estimator_training.features.feature_set import EMBEDDING, FeatureSet
from emotion_estimator_training.models.appearance_network import network_pixels
from emotion_estimator_training.models.legacy_keras import tf

Crops = NDArray[np.uint8]
Floats = NDArray[np.float32]
#: Returns embeddings (N, 64) of crops (N, 48, 48); the second argument titles a progress bar.
Embed = Callable[[Crops, str], Floats]

#: What tracker, sensor and light change from one frame to the next.
FROM_FRAME_TO_FRAME = CropVariation(
    roll=2.0,
    size=0.03,
    shift=0.7,
    stretch=0.01,
    gamma=0.1,
    shaded=0.1,
    coarse=0.1,
    least_side=32,
    blurred=0.2,
    noisy=0.5,
    compressed=0.2,
    hidden=0.0,
)
_BATCH = 64
_MOVES_SEED = 53


class Embedder:
    """Runs the shipped int8 network on many crops at once, in TensorFlow's own interpreter.

    tflite-runtime cannot open files once TensorFlow is loaded.
    """

    def __init__(self, card: Path) -> None:
        """Load the network.

        :param card: its JSON card.
        :raises ModelError: it is missing, or was trained on another kind of crops.
        """
        found = ModelCard.load(card, 'appearance')
        if found.settings.get('crop') != CROP or found.settings.get('embedding_size') != EMBEDDING:
            raise ModelError(
                f'{card} needs crops {found.settings.get("crop")!r} and returns '
                f'{found.settings.get("embedding_size")!r} numbers; this code makes {CROP!r} and '
                f'needs {EMBEDDING}; train it again'
            )
        self.sha256 = found.sha256
        self._interpreter = tf.lite.Interpreter(model_path=str(found.path))
        self._input = self._interpreter.get_input_details()[0]['index']
        self._output = self._interpreter.get_output_details()[0]['index']
        self._size = 0

    def __call__(self, crops: Crops, name: str = '') -> Floats:
        """Return the embeddings (N, 64) of crops (N, 48, 48).

        :param name: title of a progress bar; empty shows none.
        """
        parts = [crops[at : at + _BATCH] for at in range(0, len(crops), _BATCH)]
        bar = tqdm(parts, desc=name, unit='batch', disable=not name)
        made = [self._run(network_pixels(part)) for part in bar]
        return np.concatenate([np.zeros((0, EMBEDDING), np.float32), *made])

    def _run(self, pixels: Floats) -> Floats:
        run = self._interpreter
        if len(pixels) != self._size:
            run.resize_tensor_input(self._input, pixels.shape)
            run.allocate_tensors()
            self._size = len(pixels)
        run.set_tensor(self._input, pixels)
        run.invoke()
        return np.array(run.get_tensor(self._output), np.float32)


def with_embeddings(
    features: FeatureSet, embed: Embed, name: str = '', moves: int = 0
) -> FeatureSet:
    """Return the faces with the embeddings of their crops; zeros for a face without a crop.

    :param moves: number of varied crops of each face that show how its embedding moves.
    """
    made = np.zeros((len(features), EMBEDDING), np.float32)
    rows = np.flatnonzero(features.crops.any(axis=(1, 2)))
    made[rows] = embed(features.crops[rows], name)
    if not moves:
        return replace(features, embeddings=made)
    varied = varied_embeddings(
        features, embed, FROM_FRAME_TO_FRAME, moves, _MOVES_SEED, name and f'{name}, moved'
    )
    return replace(features, embeddings=made, moves=varied - made[:, None])


def varied_embeddings(
    features: FeatureSet,
    embed: Embed,
    variation: CropVariation,
    count: int,
    seed: int | Sequence[int],
    name: str = '',
) -> Floats:
    """Return embeddings (N, ``count``, 64) of varied crops of each face, none mirrored."""
    rows = np.flatnonzero(features.crops.any(axis=(1, 2)))
    identity = np.tile(np.eye(2, 3, dtype=np.float32), (len(rows), 1, 1))
    maker = CropMaker(features.crops[rows], identity, variation)
    made = np.zeros((len(features), count, EMBEDDING), np.float32)
    for number in range(count):
        crops, mirrored, _ = maker(np.arange(len(rows)), [*np.atleast_1d(seed), number])
        crops[mirrored] = crops[mirrored][:, :, ::-1]
        made[rows, number] = embed(crops, f'{name} {number + 1}/{count}' if name else '')
    return made
