"""``emotion``: from both sources' blendshapes of FER2013 to the shipped streaming LSTM."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.training.dataset import (
    FER_CLASSES,
    PUBLIC_TEST,
    TO_LABEL,
    TRAINING,
    Stills,
    load_stills,
)
from emotion_estimator.training.emotion_fit import (
    EmotionSettings,
    FloatNetwork,
    fit_network,
    state_size,
    step_function,
    still_logits,
)
from emotion_estimator.training.evaluate import evaluate
from emotion_estimator.training.features import Places, Seen, seen_by_both
from emotion_estimator.training.quantize import int8_weights, write_model
from emotion_estimator.training.scores import confusion, macro_f1
from emotion_estimator.training.sequences import SequenceMaker, SequenceSettings

Floats = NDArray[np.float32]

_STILL_STEPS, _STILL_DT = 15, 1 / 30
_GROUPING = np.eye(len(LABELS), dtype=np.float32)[TO_LABEL]


def _pool(
    stills: Stills, sources: dict[str, Seen], split: int
) -> tuple[Floats, NDArray[np.int64]]:
    parts = [(stills.usage == split) & seen.found for seen in sources.values()]
    blendshapes = [seen.blendshapes[part] for part, seen in zip(parts, sources.values())]
    return np.concatenate(blendshapes), np.concatenate([stills.emotion[part] for part in parts])


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def operating_point(logits: Floats, truth: NDArray[np.int64]) -> Floats:
    """Return the bias (7,) on happy and sad that gives the best macro-F1.

    :param logits: (N, 7); ``truth`` (N,), index into ``LABELS``; both of the validation split.
    """
    best, chosen = -1.0, np.zeros(len(FER_CLASSES), np.float32)
    for happy in np.arange(-0.4, 1.01, 0.1):
        for sad in np.arange(0, 1.81, 0.1):
            bias = np.zeros(len(FER_CLASSES), np.float32)
            bias[FER_CLASSES.index('happy')], bias[FER_CLASSES.index('sad')] = happy, sad
            score = macro_f1(confusion(truth, (_softmax(logits + bias) @ _GROUPING).argmax(axis=1)))
            if score > best:
                best, chosen = score, bias
    return chosen


def _greatest_difference(
    network: FloatNetwork, bias: Floats, classifier: EmotionClassifier, maker: SequenceMaker
) -> float:
    """Return the greatest difference in probability, quantized steps to the float model."""
    batch = maker(4)
    logits = np.asarray(network.model([batch.blendshapes, batch.dt]))
    greatest = 0.0
    for scores, intervals, row in zip(batch.blendshapes, batch.dt, logits):
        state, wanted = classifier.initial_state(), _softmax(row + bias) @ _GROUPING
        for number, (values, dt) in enumerate(zip(scores, intervals[:, 0])):
            answer, state = classifier(values, state, float(dt))
            greatest = max(greatest, float(np.abs(answer - wanted[number]).max()))
    return greatest


def run(
    places: Places, settings: EmotionSettings, shape: SequenceSettings, processes: int = 2
) -> dict[str, Any]:
    """Train, convert, measure and write the classifier; return its metrics."""
    stills = load_stills(places.data)
    sources = seen_by_both(stills, places, processes)
    pool, emotion = _pool(stills, sources, TRAINING)
    held, held_emotion = _pool(stills, sources, PUBLIC_TEST)
    truth = TO_LABEL[held_emotion]

    def validate(network: FloatNetwork) -> float:
        logits = still_logits(network, held, _STILL_STEPS, _STILL_DT)
        guess = (_softmax(logits + operating_point(logits, truth)) @ _GROUPING).argmax(axis=1)
        return macro_f1(confusion(truth, guess))

    maker = SequenceMaker(pool, emotion, shape, settings.seed)
    network = fit_network(maker, pool, validate, settings)
    bias = operating_point(still_logits(network, held, _STILL_STEPS, _STILL_DT), truth)
    content = int8_weights(step_function(network, bias, settings))
    card = {
        'name': 'emotion_lstm',
        'version': '1.0.0',
        'kind': 'emotion_lstm',
        'labels': list(LABELS),
        'license': 'Apache-2.0',
        'trained_on': 'sequences made from FER2013 Training stills, blendshapes of both '
                      'landmark sources',
        'settings': {
            'state_size': state_size(settings), 'still_steps': _STILL_STEPS,
            'still_dt': _STILL_DT, 'front': settings.front, 'units': list(settings.units),
            'training_steps': settings.steps, 'logit_bias': [round(float(b), 3) for b in bias],
        },
        'metrics': {},
    }
    classifier = EmotionClassifier.load(write_model(content, card, places.models))
    long = SequenceMaker(held, held_emotion, SequenceSettings(steps=900), 1)
    metrics = {
        'fer2013': evaluate(classifier, stills, sources),
        'int8_to_float_max_difference_900_frames': round(
            _greatest_difference(network, bias, classifier, long), 4
        ),
    }
    write_model(content, {**card, 'metrics': metrics}, places.models)
    return metrics
