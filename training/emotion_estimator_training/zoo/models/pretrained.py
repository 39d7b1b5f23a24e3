"""Weights that networks of pixels begin from: ``zoo pretrain`` writes them, ``zoo run`` reads them.

They are kept by layer name, since a network of other classes or another window takes only some.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.tables import write_json

#: What a network saw before, by where its first weights come from.
SAW_NOTHING = 'nothing before'
SAW_IMAGENET = 'ImageNet'
SAW_APPEARANCE = 'FER2013 Training and photographs (shipped appearance network)'
SAW_SHIPPED = 'FER2013 Training and photographs (shipped networks)'
SAW_OWN = 'what the networks of --own-models learned from'


@dataclass(frozen=True)
class PretrainedWeights:
    """A file of weights by layer, and what its card says.

    :param path: an ``.npz`` of arrays named ``layer/number``.
    :param sha256: of the file.
    :param classes: that the network told apart, in output order.
    :param saw: what it learned from, for tables.
    """

    path: Path
    sha256: str
    classes: tuple[str, ...]
    saw: str

    def begin(self, network: Any, classes: Sequence[str]) -> tuple[int, int]:
        """Give a Keras model's layers the weights of the same name and shapes.

        Layers that end in a softmax tell classes apart; they keep their weights unless ``classes``
        are those of the file.

        :returns: how many layers took weights, and how many could have with the same classes.
        :raises InputError: no layer did.
        :raises ModelError: the file cannot be read.
        """
        known = self._layers()
        taken, could = 0, 0
        for layer in network.layers:
            held = layer.get_weights()
            if not held or (_tells_classes(layer) and tuple(classes) != self.classes):
                continue
            could += 1
            found = known.get(layer.name, [])
            if [one.shape for one in found] == [one.shape for one in held]:
                layer.set_weights(found)
                taken += 1
        if not taken:
            raise InputError(
                f'{self.path} is of another network than {network.name}; pretrain it with the same '
                '--size and --models-config'
            )
        return taken, could

    def _layers(self) -> dict[str, list[Any]]:
        layers: dict[str, list[Any]] = {}
        try:
            with np.load(self.path) as arrays:
                for name in sorted(arrays.files, key=lambda name: int(name.rpartition('/')[2])):
                    layers.setdefault(name.rpartition('/')[0], []).append(arrays[name])
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise _damaged(self.path, error) from error
        return layers


def write_pretrained(
    network: Any, folder: Path, name: str, card: Mapping[str, Any]
) -> PretrainedWeights:
    """Write a Keras model's weights as ``<name>.npz``, and their card as ``<name>.json``.

    :param card: JSON-able facts, at least ``classes`` and ``saw``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        f'{layer.name}/{number}': values
        for layer in network.layers
        for number, values in enumerate(layer.get_weights())
    }
    path = folder / f'{name}.npz'
    with atomic_write(path) as partial:
        np.savez(partial, **arrays)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    write_json({**card, 'weights': path.name, 'sha256': sha256}, folder / f'{name}.json')
    return PretrainedWeights(path, sha256, tuple(card['classes']), str(card['saw']))


def find_pretrained(folder: Path, name: str) -> PretrainedWeights | None:
    """Return the weights of a network in a folder of ``zoo pretrain``; None if it has none.

    :raises ModelError: card or weights are damaged, or not each other's.
    """
    path, weights = folder / f'{name}.json', folder / f'{name}.npz'
    if not path.is_file():
        return None
    try:
        card = json.loads(path.read_text())
        classes, saw, wanted = card['classes'], card['saw'], card['sha256']
        found = hashlib.sha256(weights.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    if found != wanted:
        raise ModelError(
            f'{weights} is not the file that {path.name} describes; run "emotion-estimator zoo '
            'pretrain" again'
        )
    return PretrainedWeights(weights, found, tuple(map(str, classes)), str(saw))


def _damaged(path: Path, error: BaseException) -> ModelError:
    return ModelError(
        f'{path} cannot be read ({first_line(error)}); run "emotion-estimator zoo pretrain" again'
    )


def _tells_classes(layer: Any) -> bool:
    return getattr(layer, 'activation', None) is keras.activations.softmax
