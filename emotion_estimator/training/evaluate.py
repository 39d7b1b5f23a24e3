"""Measures a shipped classifier: still faces of both landmark sources, and its quickness."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.training.dataset import (
    FER_CLASSES,
    PRIVATE_TEST,
    PUBLIC_TEST,
    TO_LABEL,
    Stills,
)
from emotion_estimator.training.features import Seen
from emotion_estimator.training.scores import classification

Floats = NDArray[np.float32]


def evaluate(
    classifier: EmotionClassifier, stills: Stills, sources: dict[str, Seen]
) -> dict[str, Any]:
    """Return figures for each source and test split, with and without duplicated images.

    :param sources: what each landmark source sees, by its name.
    """
    figures: dict[str, Any] = {}
    for name, seen in sources.items():
        splits = {
            'public_test': stills.usage == PUBLIC_TEST,
            'private_test': stills.usage == PRIVATE_TEST,
            'private_test_without_duplicates':
                (stills.usage == PRIVATE_TEST) & ~stills.duplicate,
        }
        rows = np.flatnonzero(seen.found & (stills.usage != 0))
        answers = np.zeros((len(stills), len(classifier.labels)), np.float32)
        for row in rows:
            answers[row] = classifier.classify_still(seen.blendshapes[row])
        figures[name] = {
            split: {
                **classification(answers[part & seen.found],
                                 TO_LABEL[stills.emotion[part & seen.found]]),
                'coverage': round(float(seen.found[part].mean()), 4),
            }
            for split, part in splits.items()
        }
        test = splits['private_test']
        figures[name]['coverage_by_class'] = {
            emotion: round(float(seen.found[test & (stills.emotion == code)].mean()), 4)
            for code, emotion in enumerate(FER_CLASSES)
            if (test & (stills.emotion == code)).any()
        }
        response = test & seen.found
        figures[name]['response'] = response_times(
            classifier, seen.blendshapes[response], TO_LABEL[stills.emotion[response]]
        )
    return figures


def response_times(
    classifier: EmotionClassifier,
    blendshapes: Floats,
    truth: NDArray[np.int64],
    pairs: int = 150,
    onset: float = 0.2,
    hold: float = 1.5,
    seed: int = 5,
) -> dict[str, Any]:
    """Measure how soon the label follows a clear change.

    A change is clear where both stills, each for itself, are labelled rightly with a probability
    of at least 0.6. One expression turns into the other linearly within ``onset`` seconds; time
    counts from the middle of that.

    :param blendshapes: (N, 52); ``truth`` (N,), index into ``LABELS``.
    :param hold: seconds of each expression.
    :returns: for 10, 30 and 60 frames per second the median and 95th percentile in seconds, and
        the share within 0.25 s.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(blendshapes))[: 8 * pairs]
    answers = np.stack([classifier.classify_still(blendshapes[row]) for row in rows])
    clear = (answers.argmax(axis=1) == truth[rows]) & (answers.max(axis=1) >= 0.6)
    rows = rows[clear]
    changes = [
        (a, b) for a, b in rng.choice(rows, (20 * pairs, 2)) if truth[a] != truth[b]
    ][:pairs]
    figures: dict[str, Any] = {'changes': len(changes), 'onset_s': onset}
    for rate in (10, 30, 60):
        delays = np.array([
            _delay(classifier, blendshapes[a], blendshapes[b], int(truth[b]), rate, onset, hold)
            for a, b in changes
        ])
        figures[f'{rate}_fps'] = {
            'median_s': round(float(np.median(delays)), 3),
            'p95_s': round(float(np.percentile(delays, 95)), 3),
            'within_0.25_s': round(float((delays <= 0.25).mean()), 4),
        }
    return figures


def _delay(
    classifier: EmotionClassifier,
    before: Floats,
    after: Floats,
    label: int,
    rate: int,
    onset: float,
    hold: float,
) -> float:
    """Return the seconds from the change's middle to the lasting label; ``hold`` if never."""
    state, right = classifier.initial_state(), []
    times = np.arange(round(2 * hold * rate)) / rate - hold
    for time in times:
        share = np.float32(np.clip(time / onset + 0.5, 0, 1))
        answer, state = classifier(before + share * (after - before), state, 1 / rate)
        right.append(int(answer.argmax()) == label)
    wrong = np.flatnonzero(~np.array(right))
    last = wrong[-1] if len(wrong) else -1
    if last + 1 >= len(times):
        return hold
    return float(max(times[last + 1], 0.0))
