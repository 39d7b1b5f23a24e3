"""``appearance``: the trained network as the shipped file, compared in each runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.data.dataset import Stills
from emotion_estimator_training.features.face_vector import EMBEDDING
from emotion_estimator_training.models.appearance_network import (
    build_appearance,
    build_heads,
    network_pixels,
)
from emotion_estimator_training.models.appearance_plan import Part
from emotion_estimator_training.models.appearance_run import appearance_folder, held_crops
from emotion_estimator_training.models.operating_point import softmax
from emotion_estimator_training.shipping.appearance_quantize import int8_network, write_appearance
from emotion_estimator_training.shipping.card_text import write_text
from emotion_estimator_training.shipping.parity import LEAST_AGREEMENT, ParityError, parity
from emotion_estimator_training.shipping.runtime_embeddings import embedded_apart

Crops = NDArray[np.uint8]
Floats = NDArray[np.float32]


def ship_appearance(
    run: Path, stills: Stills, matrices: Floats, found: NDArray[np.bool_], models: Path,
    plan: Mapping[str, Part], tables: Mapping[str, Mapping[str, Any]],
) -> Path:
    """Write ``<models>/appearance.tflite``, ``.json`` and ``.md``; return the JSON card's path.

    The class that the embedding alone tells must be the float network's in 99 % of the crops of
    PublicTest, in every runtime.

    :param matrices: (N, 2, 3), from the stills to their crops; ``found`` (N,).
    :param plan: how it was trained; its last part ships.
    :param tables: of each part what :func:`~.appearance_run.run_appearance` returned.
    :raises ParityError: it is not; nothing is written.
    """
    name, part = list(plan.items())[-1]
    settings, folder = part.settings, appearance_folder(run, name)
    with np.load(folder / 'spread.npz') as stored:
        heads = build_heads(settings, stored['mean'], stored['scale'])
    network = build_appearance(settings)
    network.load_weights(folder / 'appearance.weights.h5')
    heads.load_weights(folder / 'heads.weights.h5')
    content = int8_network(network)
    held = held_crops(stills, matrices, found)
    pixels = network_pixels(held)
    exact = np.concatenate([
        np.asarray(network(part)) for part in np.array_split(pixels, len(pixels) // 256 + 1)
    ])
    votes = '' if stills.ferplus_votes is None else ", and FER+'s votes on them"
    card: dict[str, Any] = {
        'trained_on': f'crops of FER2013 Training stills{votes}',
        'settings': {
            'embedding_size': EMBEDDING, **asdict(settings), 'seed': part.training.seed,
            **{f'training {one}': asdict(how) for one, how in plan.items()},
        },
        'metrics': {},
    }
    classes = _classes(heads, exact)
    with TemporaryDirectory() as scratch:
        path = write_appearance(content, card, Path(scratch))
        told = embedded_apart(path, held)
    figures = {
        runtime: asdict(parity(_classes(heads, embeddings), classes))
        for runtime, embeddings in told.items()
    }
    for runtime, one in figures.items():
        if one['agreement'] < LEAST_AGREEMENT:
            raise ParityError(
                f"appearance: int8 tells the float network's class of {one['agreement']:.2%} of "
                f'{one["frames"]} crops in {runtime}, needed are {LEAST_AGREEMENT:.0%}; train '
                'again'
            )
    card['metrics'] = {
        'parity': figures,
        'parts': {
            one: {'parameters': table['parameters'], **table['history'][-1]}
            for one, table in tables.items()
        },
        'history': list(tables[name]['history']),
    }
    path = write_appearance(content, card, models)
    write_text(path)
    return path


def _classes(heads: Any, embeddings: Floats) -> Floats:
    """Return how probable each class is (N, 7), by the embedding alone."""
    count = len(embeddings)
    alone, _, _ = heads([
        embeddings, np.zeros((count, 52), np.float32), np.tile(np.float32([1, 0]), (count, 1))
    ])
    return softmax(np.asarray(alone))
