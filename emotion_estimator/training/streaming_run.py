"""``fit streaming``: from both sources' features to a trained and calibrated float network."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.training.dataset import FER_CLASSES, PUBLIC_TEST, TRAINING
from emotion_estimator.training.feature_set import FeatureSet, load_sources
from emotion_estimator.training.grouping import SHIPPED_GROUPING, load_grouping
from emotion_estimator.training.legacy_keras import keras
from emotion_estimator.training.operating_point import (
    calibrated_temperature,
    operating_point,
    softmax,
)
from emotion_estimator.training.scores import classification
from emotion_estimator.training.sequences import SequenceMaker, SequenceSettings
from emotion_estimator.training.streaming_figure import draw_course
from emotion_estimator.training.streaming_fit import FitSettings, fit, pretrain, same_run
from emotion_estimator.training.streaming_network import (
    StreamingNetwork,
    StreamingSettings,
    build_network,
    round_weights,
)
from emotion_estimator.training.streaming_store import (
    STILL_DT,
    STILL_STEPS,
    FittedStreaming,
    save_streaming,
    streaming_folder,
)
from emotion_estimator.training.tables import write_json

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Data:
    fingerprint: str
    labels: tuple[str, ...]


def run_streaming(
    run: Path,
    settings: StreamingSettings,
    training: FitSettings,
    shape: SequenceSettings,
    config: Path | None = None,
    grouping: str = SHIPPED_GROUPING,
) -> dict[str, Any]:
    """Train on all sources of ``<run>/features`` and write ``<run>/checkpoints/streaming``.

    Chosen on PublicTest: the best of the reported states, temperature and operating point.
    PrivateTest is not looked at. Interrupted, the same call continues.

    :returns: what ``tables/streaming.json`` says.
    :raises InputError: no features, or Training or PublicTest holds no face.
    """
    started = time.monotonic()
    labels = load_grouping(grouping, config)
    sources = load_sources(run)
    learned = [each.where(each.usage == TRAINING) for each in sources]
    held = [each.where(each.usage == PUBLIC_TEST) for each in sources]
    pool = np.concatenate([each.blendshapes for each in learned])
    emotion = np.concatenate([each.emotion for each in learned])
    if not len(pool) or not all(len(each) for each in held):
        raise InputError(f'{run}/features has no faces of Training or of PublicTest; both are used')
    # Before minutes of training.
    try:
        maker = SequenceMaker(pool, emotion, shape)
    except ValueError as error:
        raise InputError(f'{run}/features: {error} in Training') from error
    folder = streaming_folder(run)
    same_run(folder, settings, training, shape, _Data(_fingerprint(pool, emotion), labels.labels))
    # Before the first weights are drawn.
    keras.utils.set_random_seed(training.seed)
    network = build_network(pool, settings)
    targets = _first_stage(network, pool, emotion, training, folder)

    def validate(network: StreamingNetwork) -> float:
        logits = [network.still_logits(each.blendshapes, STILL_STEPS, STILL_DT) for each in held]
        right = [softmax(one)[np.arange(len(one)), each.emotion] for one, each in zip(logits, held)]
        return -float(np.mean([-np.log(np.maximum(one, 1e-9)).mean() for one in right]))

    history = fit(
        network, maker, targets, labels.matrix, validate, training, folder
    )
    before = validate(network)
    round_weights(network, ('lstm', 'logits'))
    cost = before - validate(network)
    sets = [
        (network.still_logits(each.blendshapes, STILL_STEPS, STILL_DT), each.emotion)
        for each in held
    ]
    bias = operating_point(sets, labels)
    temperature = calibrated_temperature([
        (softmax(one + bias) @ labels.matrix, labels.to_label[emotions]) for one, emotions in sets
    ])
    fitted = FittedStreaming(network, labels, bias, temperature, {
        'front': list(settings.front), 'units': [settings.units], 'floor': settings.floor,
        'dropout': settings.dropout, 'settling': asdict(settings.settling),
        'seed': training.seed, 'training': asdict(training),
        'sequences': asdict(shape), 'sources': [each.source for each in sources],
        'grouping': labels.name,
    })
    save_streaming(fitted, folder)
    return _report(run, fitted, held, history, cost, time.monotonic() - started)


def _fingerprint(pool: Floats, emotion: Ints) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(pool))
    digest.update(np.ascontiguousarray(emotion))
    return digest.hexdigest()


def _first_stage(
    network: StreamingNetwork, pool: Floats, emotion: Ints, training: FitSettings, folder: Path
) -> Floats:
    """Train the dense layers, or read them; return what each still is to be called (N, 7)."""
    labels = np.eye(len(FER_CLASSES), dtype=np.float32)[emotion]
    weights = folder / 'frame.weights.h5'
    if weights.exists():
        network.frame_model.load_weights(weights)
    else:
        pretrain(network, pool, labels, training)
        # Whole or not at all: an interrupted write would be read by the next call.
        partial = folder / 'partial.weights.h5'
        network.frame_model.save_weights(partial)
        partial.replace(weights)
    round_weights(network, ('front',))
    own = softmax(network.frame_logits(pool))
    return (1 - training.own) * labels + training.own * own


def _report(
    run: Path, fitted: FittedStreaming, held: list[FeatureSet], history: list[dict[str, float]],
    cost: float, seconds: float,
) -> dict[str, Any]:
    table = {
        'model': 'streaming', 'settings': fitted.settings,
        'temperature': round(fitted.temperature, 3),
        'bias': {name: round(float(one), 3) for name, one in zip(FER_CLASSES, fitted.bias)},
        'parameters': int(fitted.network.model.count_params()),
        'cross_entropy_that_rounding_weights_cost': round(cost, 5),
        'seconds_of_this_call': round(seconds, 1), 'history': history,
        'public_test': {
            each.source: classification(
                fitted.stills(each.blendshapes), fitted.grouping.to_label[each.emotion],
                fitted.grouping.labels,
            ) for each in held
        },
    }
    write_json(table, run / 'tables' / 'streaming.json')
    draw_course(history, run / 'figures' / 'streaming-history.png')
    return table
