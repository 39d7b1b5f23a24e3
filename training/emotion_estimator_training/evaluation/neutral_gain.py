"""What adapting to a face's resting expression gains and costs, on constructed sequences.

FER2013 has one image of each face, so nobody is seen both at rest and with an expression. Two cases
show both extremes. *At rest first*: a neutral face, then another image's expression added to the
neutral face's deviation from the usual one; this is what the adaptation is for. *Expression first*:
the face shows its expression from the first frame, so that a weak one may be taken for its resting
expression; this is what the adaptation may cost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.neutral_baseline import USUAL, NeutralFace
from emotion_estimator_training.data.stills import FER_CLASSES, TO_LABEL
from emotion_estimator_training.evaluation.recognizers import split_vector
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.features.feature_set import SHAPES, FeatureSet, only_branch

Floats = NDArray[np.float32]
Metrics = dict[str, Any]

#: Seconds of neutral frames that the adaptation needs.
BASELINE_S = 2.0
#: Seconds of each part of a sequence, and frames per second.
_PART_S, _RATE = 4.0, 10
_SEED = 19
REST_FIRST, EXPRESSION_FIRST = 'at rest first', 'expression first'


def neutral_gain(
    classifier: EmotionClassifier, features: FeatureSet, branch: str, faces: int = 300
) -> list[Metrics]:
    """Return the metrics of a branch with and without adaptation, in both cases.

    :param classifier: with the vocabulary ``three``.
    :param features: faces of one source and one test split, with embeddings.
    :param branch: ``blendshapes`` or ``fused``; embeddings are not adapted.
    :param faces: number of sequences.
    :returns: rows with ``case``, ``baseline`` (seconds, 0 is off), ``branch``, ``source`` and
        :func:`~.scores.classification` of the last frame.
    """
    rng = np.random.default_rng(_SEED)
    resting = np.flatnonzero(features.emotion == FER_CLASSES.index('neutral'))
    rows = rng.permutation(len(features))[:faces]
    vectors = only_branch(features.vectors, branch)
    truth = TO_LABEL[features.emotion[rows]]
    usual = USUAL if classifier.neutral is None else classifier.neutral
    cases: dict[str, list[list[Floats]]] = {EXPRESSION_FIRST: [[vectors[row]] for row in rows]}
    if len(resting):
        at_rest = rng.choice(resting, len(rows))
        cases[REST_FIRST] = [
            [vectors[one], _on_top(vectors[row], features.blendshapes[one], usual)]
            for one, row in zip(at_rest, rows)
        ]
    table = []
    for case, sequences in cases.items():
        for baseline in (0.0, BASELINE_S):
            probabilities = np.array(
                [_last(classifier, parts, baseline, usual) for parts in sequences], np.float32
            )
            table.append(
                {
                    'case': case,
                    'baseline': baseline,
                    'branch': branch,
                    'source': features.source,
                    **classification(probabilities, truth, classifier.labels),
                }
            )
    return table


def _on_top(vector: Floats, rest: Floats, usual: Floats) -> Floats:
    """Return a face whose resting expression deviates from the usual one as ``rest`` does."""
    moved = vector.copy()
    moved[:SHAPES] = np.clip(vector[:SHAPES] + rest - usual, 0, 1)
    return moved


def _last(
    classifier: EmotionClassifier, parts: list[Floats], baseline: float, usual: Floats
) -> Floats:
    """Return the probabilities (L,) after showing the parts one after another."""
    own, state, dt = NeutralFace(usual), classifier.initial_state(), 1 / _RATE
    for part in parts:
        blendshapes, embedding = split_vector(part)
        for _ in range(round(_PART_S * _RATE)):
            shown = blendshapes
            if baseline and blendshapes is not None:
                shown = own.correct(blendshapes)
            answer = classifier.step(shown, state, dt, embedding)
            state = answer.state
            if baseline and blendshapes is not None:
                own.observe(
                    blendshapes,
                    dt,
                    zip(classifier.expressions, answer.expressions.tolist()),
                    seconds=baseline,
                )
    return answer.probabilities
