"""What an appearance network's file makes of crops in each runtime.

Asked in a process of its own, for which this module imports no TensorFlow: where that is loaded,
tflite-runtime cannot read any file.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.tflite import open_interpreter, runtimes

Floats = NDArray[np.float32]


def embedded_apart(card: Path, crops: NDArray[np.uint8]) -> dict[str, Floats]:
    """Return the embeddings (N, E) of crops (N, 48, 48) by runtime.

    :param card: JSON card of the network.
    :raises ModelError: a runtime that works cannot run it, none works, or one ended the process.
    """
    try:
        with ProcessPoolExecutor(1, get_context('spawn')) as pool:
            return pool.submit(_embedded, card, crops).result()
    except BrokenProcessPool as error:
        raise ModelError(
            'a TFLite runtime ended the process that compares them; run it again with one '
            'runtime installed'
        ) from error


def _embedded(card: Path, crops: NDArray[np.uint8]) -> dict[str, Floats]:
    told = {}
    any_file = ModelCard.load(models_dir() / 'blendshape_head.json', 'blendshape_head').path
    for runtime in runtimes():
        try:
            open_interpreter(any_file, runtime)
        except ModelError:
            # It works with no file here; one that works must read the network too.
            continue
        network = AppearanceNetwork.load(card, runtime)
        told[runtime] = np.array([network(crop) for crop in crops])
    if not told:
        raise ModelError('no TFLite runtime works here; pip install ai-edge-litert')
    return told
