"""How training measures: with classifiers whose behaviour is known."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import LABELS
from emotion_estimator_training.data.stills import FER_CLASSES, Stills
from emotion_estimator_training.evaluation.agreement import agreement
from emotion_estimator_training.evaluation.evaluate import evaluate
from emotion_estimator_training.features.features import SourceFindings
from emotion_estimator_training.shipping.cards import (
    blendshape_table,
    emotion_table,
    response_table,
)

HAPPY, SAD, NEUTRAL = (FER_CLASSES.index(name) for name in ('happy', 'sad', 'neutral'))
SMILE = BLENDSHAPE_NAMES.index('mouthSmileLeft')
FROWN = BLENDSHAPE_NAMES.index('mouthFrownLeft')


class Late:
    """Reads smile and frown, and says so ``delay`` frames later."""

    labels = LABELS

    def __init__(self, delay: int) -> None:
        self._delay = delay

    def initial_state(self) -> list[int]:
        return []

    def __call__(self, blendshapes, state, dt, embedding=None):
        now = 0 if blendshapes[SMILE] > 0.5 else 2 if blendshapes[FROWN] > 0.5 else 1
        state = [*state, now]
        shown = state[max(len(state) - 1 - self._delay, 0)]
        return np.eye(3, dtype=np.float32)[shown], state

    def classify_still(self, blendshapes, embedding=None):
        return self(blendshapes, [], 1 / 30)[0]


def faces() -> tuple[np.ndarray, np.ndarray]:
    blendshapes = np.zeros((60, 52), np.float32)
    blendshapes[:20, SMILE], blendshapes[20:40, FROWN] = 0.9, 0.9
    return blendshapes, np.repeat([HAPPY, SAD, NEUTRAL], 20)


def test_stills_that_no_source_sees_lower_coverage_not_accuracy() -> None:
    blendshapes, emotion = faces()
    stills = Stills(
        pixels=np.zeros((60, 48, 48), np.uint8),
        emotion=emotion,
        usage=np.full(60, 2),
        image_id=np.arange(60),
        duplicate=np.arange(60) < 3,
    )
    stills.usage[::2] = 1
    found = np.ones(60, bool)
    found[1:11] = False
    metrics = {
        'a': evaluate(Late(0), stills, {'a': SourceFindings(blendshapes, found)}, faces=5, pairs=6)[
            'a'
        ]
    }
    test = metrics['a']['private_test']
    assert (test['accuracy'], test['n'], test['coverage']) == (1.0, 25, round(25 / 30, 4))
    assert metrics['a']['private_test_without_duplicates']['n'] == 25
    assert metrics['a']['coverage_by_class']['happy'] == 0.5
    assert '| a | private_test | 25 | 0.8333 |' in emotion_table(metrics)
    assert '| a | 30 fps |' in response_table(metrics)
    assert metrics['a']['response']['30_fps']['never'] == 0.0


def test_public_only_leaves_private_test_alone() -> None:
    blendshapes, emotion = faces()
    usage = np.where(np.arange(60) % 2, 1, 2)
    stills = Stills(
        np.zeros((60, 48, 48), np.uint8), emotion, usage, np.arange(60), np.zeros(60, bool)
    )
    blendshapes[usage == 2] = 0.0
    seen = {'a': SourceFindings(blendshapes, np.ones(60, bool))}
    metrics = evaluate(Late(0), stills, seen, public_only=True, faces=5, pairs=6)['a']
    assert [name for name in metrics if name.endswith('test')] == ['public_test']
    assert metrics['public_test']['accuracy'] == 1.0
    assert 'private' not in emotion_table({'a': metrics})


def test_agreement_with_the_teacher_counts_what_moves() -> None:
    truth = np.random.default_rng(0).uniform(0, 0.01, (300, 52)).astype(np.float32)
    truth[:, SMILE] = np.linspace(0, 1, 300)
    guess = truth.copy()
    guess[:, SMILE] = 0.5 * truth[:, SMILE]
    metrics = agreement(guess, truth)
    assert metrics['moving'] == 1
    assert metrics['mean_correlation_moving'] == 1.0
    assert metrics['blendshapes']['mouthSmileLeft']['mae'] == pytest.approx(0.25, abs=0.01)
    assert '| mouthSmileLeft | 1.0 | 0.25 |' in blendshape_table({'test': metrics})
