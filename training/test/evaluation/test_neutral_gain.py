"""What adaptation to a face at rest changes, where the outcome is known beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from robot_stub import written

from emotion_estimator.emotion import LABELS
from emotion_estimator.perception.neutral_baseline import USUAL
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.evaluation.neutral_gain import (
    BASELINE_S,
    EXPRESSION_FIRST,
    REST_FIRST,
    neutral_gain,
)
from emotion_estimator_training.report.tables import neutral_gain_table

SAD, NEUTRAL = FER_CLASSES.index('sad'), FER_CLASSES.index('neutral')
FROWN = 30


class Frowns:
    """Takes a face for sad by a fixed frown above the usual one; never sure enough to be clear."""

    expressions, labels, neutral = FER_CLASSES, LABELS, None

    def initial_state(self):
        return np.zeros(1, np.float32)

    def step(self, blendshapes, state, dt, embedding=None):
        sad = blendshapes[FROWN] > USUAL[FROWN] + 0.15
        expressions = np.full(7, 0.1, np.float32)
        expressions[SAD if sad else NEUTRAL] = 0.4
        probabilities = np.array([0.1, 0.3, 0.6] if sad else [0.1, 0.6, 0.3], np.float32)

        class Answer:
            pass

        Answer.probabilities, Answer.expressions, Answer.state = probabilities, expressions, state
        return Answer


def faces(own_frown: float):
    """Return neutral faces, and sad ones that frown as much more as the classifier asks for."""
    emotion = np.array([NEUTRAL, SAD] * 20)
    made = written(emotion)
    blendshapes = np.tile(USUAL, (40, 1))
    blendshapes[:, FROWN] += own_frown + np.where(emotion == SAD, 0.2, 0.0)
    return replace(
        made, blendshapes=blendshapes.astype(np.float32), embeddings=np.zeros((40, 64), np.float32)
    )


def rows(features):
    return {
        (row['case'], row['baseline']): row
        for row in neutral_gain(Frowns(), features, 'blendshapes', 40)
    }


def test_who_looks_sad_at_rest_is_helped() -> None:
    # At rest, these people's brows hang so low that all are taken for sad.
    found = rows(faces(own_frown=0.1))
    assert found[REST_FIRST, 0.0]['recall']['unknown'] == 0.0
    assert found[REST_FIRST, BASELINE_S]['recall']['unknown'] == 1.0
    assert found[REST_FIRST, BASELINE_S]['recall']['sad'] == 1.0


def test_a_weak_expression_from_the_first_frame_is_lost() -> None:
    found = rows(faces(own_frown=0.0))
    assert found[EXPRESSION_FIRST, 0.0]['accuracy'] == 1.0
    assert found[EXPRESSION_FIRST, BASELINE_S]['recall']['sad'] == 0.0
    assert (
        '| face_mesh | blendshapes | expression first | 2 s | 40 | 0.500 |'
        in neutral_gain_table(list(found.values()))
    )


def test_without_neutral_faces_only_one_case_is_measured() -> None:
    features = faces(0.0)
    found = rows(features.where(features.emotion == SAD))
    assert {case for case, _ in found} == {EXPRESSION_FIRST}
