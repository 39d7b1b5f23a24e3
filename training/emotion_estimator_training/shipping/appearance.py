"""The trained appearance network as an int8 file, compared with the float one per runtime."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.perception.face_crop import CROP, SIDE
from emotion_estimator.runtimes import open_interpreter, quiet, runtimes
from emotion_estimator_training.data.stills import Stills
from emotion_estimator_training.features.feature_set import EMBEDDING
from emotion_estimator_training.models.appearance_network import (
    build_appearance,
    build_heads,
    network_pixels,
)
from emotion_estimator_training.models.appearance_run import (
    Part,
    appearance_folder,
    public_test_crops,
)
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.models.operating_point import softmax
from emotion_estimator_training.shipping.cards import write_markdown, write_model
from emotion_estimator_training.shipping.identity import LOCAL, ModelIdentity
from emotion_estimator_training.shipping.parity import LEAST_AGREEMENT, ParityError, parity
from emotion_estimator_training.shipping.quantize import weights_in_int8

Crops = NDArray[np.uint8]
Floats = NDArray[np.float32]


def int8_network(network: Any) -> bytes:
    """Convert the Keras model to TFLite with int8 weights and float activations."""
    function = tf.function(network).get_concrete_function(
        tf.TensorSpec((1, SIDE, SIDE, 1), tf.float32, 'crop')
    )
    with quiet():
        content: bytes = tf.lite.TFLiteConverter.from_concrete_functions(
            [function], network
        ).convert()
    return weights_in_int8(content)


def write_appearance(
    content: bytes, card: dict[str, Any], folder: Path, identity: ModelIdentity = LOCAL
) -> Path:
    """Write ``appearance.tflite`` and its JSON card into ``folder``; return the card's path.

    :param card: ``trained_on``, ``settings`` and ``metrics``.
    :param identity: whose the model is.
    """
    return write_model(
        content,
        {
            'kind': 'appearance',
            'labels': [],
            **card,
            'settings': {'crop': CROP, 'side': SIDE, **card['settings']},
        },
        folder,
        identity,
    )


def embedded_apart(card: Path, crops: Crops) -> dict[str, Floats]:
    """Return the embeddings (N, E) of crops (N, 48, 48) by runtime, made in a process of its own.

    :param card: the network's JSON card.
    :raises ModelError: a working runtime cannot run it, none works, or one crashed.
    """
    try:
        with ProcessPoolExecutor(1, get_context('spawn')) as pool:
            return pool.submit(_embedded, card, crops).result()
    except BrokenProcessPool as error:
        raise ModelError(
            'a TFLite runtime crashed in the comparison; try again with one runtime installed'
        ) from error


def _embedded(card: Path, crops: Crops) -> dict[str, Floats]:
    found = {}
    any_file = ModelCard.load(models_dir() / 'blendshape_head.json', 'blendshape_head').path
    for runtime in runtimes():
        try:
            open_interpreter(any_file, runtime)
        except ModelError:
            # This runtime reads no file at all here; a working one must read the network.
            continue
        network = AppearanceNetwork.load(card, runtime)
        found[runtime] = np.array([network(crop) for crop in crops])
    if not found:
        raise ModelError('no TFLite runtime works here; pip install ai-edge-litert')
    return found


def ship_appearance(
    run: Path,
    stills: Stills,
    matrices: Floats,
    found: NDArray[np.bool_],
    models: Path,
    plan: Mapping[str, Part],
    tables: Mapping[str, Mapping[str, Any]],
    identity: ModelIdentity = LOCAL,
) -> Path:
    """Write ``<models>/appearance.tflite``, ``.json`` and ``.md``; return the JSON card's path.

    The class predicted from the embedding alone must be the float network's for 99 % of the crops
    of PublicTest in every runtime.

    :param matrices: (N, 2, 3), affine maps from the stills to their crops.
    :param found: (N,), whether a face was found in the still.
    :param plan: how it was trained; its last part ships.
    :param tables: by part, what :func:`~.appearance_run.run_appearance` returned.
    :param identity: whose the model is.
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
    crops = public_test_crops(stills, matrices, found)
    pixels = network_pixels(crops)
    exact = np.concatenate(
        [np.asarray(network(part)) for part in np.array_split(pixels, len(pixels) // 256 + 1)]
    )
    votes = '' if stills.ferplus_votes is None else ", and FER+'s votes on them"
    card: dict[str, Any] = {
        'trained_on': f'crops of the Training stills{votes}',
        'settings': {
            'embedding_size': EMBEDDING,
            **asdict(settings),
            'seed': part.training.seed,
            **{f'training {one}': asdict(how) for one, how in plan.items()},
        },
        'metrics': {},
    }
    classes = _classes(heads, exact)
    with TemporaryDirectory() as scratch:
        path = write_appearance(content, card, Path(scratch))
        embedded = embedded_apart(path, crops)
    compared = {
        runtime: asdict(parity(_classes(heads, embeddings), classes))
        for runtime, embeddings in embedded.items()
    }
    for runtime, one in compared.items():
        if one['agreement'] < LEAST_AGREEMENT:
            raise ParityError(
                f"appearance: the int8 network has the float network's class in "
                f'{one["agreement"]:.2%} of {one["frames"]} crops in {runtime}, below '
                f'{LEAST_AGREEMENT:.0%}; train again'
            )
    card['metrics'] = {
        'parity': compared,
        'parts': {
            one: {'parameters': table['parameters'], **table['history'][-1]}
            for one, table in tables.items()
        },
        'history': list(tables[name]['history']),
    }
    path = write_appearance(content, card, models, identity)
    write_markdown(path)
    return path


def _classes(heads: Any, embeddings: Floats) -> Floats:
    """Return the class probabilities (N, 7) by the embedding alone."""
    count = len(embeddings)
    present = np.tile(np.array([1, 0], np.float32), (count, 1))
    alone, _, _ = heads([embeddings, np.zeros((count, 52), np.float32), present])
    return softmax(np.asarray(alone))
