"""What taking out a face's own look at rest gains and loses, on made sequences.

FER2013 has one image of each face, so nobody is seen both at rest and with an expression there.
Two cases show both ends. *At rest first*: a neutral face is held, then another image's expression
on top of what the neutral face has of its own: what the adaptation is for. *Expression first*: a
face holds its expression from its first frame on, so that a weak one may be taken for its look at
rest: what it may cost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.neutral_baseline import USUAL, NeutralFace
from emotion_estimator_training.data.stills import FER_CLASSES, TO_LABEL
from emotion_estimator_training.evaluation.recognizers import known
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.features.feature_set import SHAPES, FeatureSet, only
from emotion_estimator_training.tables import markdown_table

Floats = NDArray[np.float32]
Figures = dict[str, Any]

#: Seconds of rest that the adaptation asks for, and of each part of a sequence; frames per second.
BASELINE_S, _PART_S, _RATE = 2.0, 4.0, 10
_SEED = 19
REST_FIRST, EXPRESSION_FIRST = 'at rest first', 'expression first'


def gain_figures(
    classifier: EmotionClassifier, features: FeatureSet, branch: str, faces: int = 300
) -> list[Figures]:
    """Return what the adaptation changes for a branch, in both cases.

    :param classifier: with the vocabulary ``three``.
    :param features: faces of one source and of a test split, with embeddings.
    :param branch: ``blendshapes`` or ``fused``; an embedding is not adapted.
    :returns: rows with ``case``, ``baseline`` (seconds, 0 is off) and
        :func:`~.scores.classification` of the last frame.
    """
    rng = np.random.default_rng(_SEED)
    resting = np.flatnonzero(features.emotion == FER_CLASSES.index('neutral'))
    rows = rng.permutation(len(features))[:faces]
    vectors = only(features.vectors, branch)
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
            told = np.array(
                [_last(classifier, parts, baseline, usual) for parts in sequences], np.float32
            )
            table.append(
                {
                    'case': case,
                    'baseline': baseline,
                    'branch': branch,
                    'source': features.source,
                    **classification(told, truth, classifier.labels),
                }
            )
    return table


def _on_top(vector: Floats, rest: Floats, usual: Floats) -> Floats:
    """Return a face whose look at rest differs from the usual one as ``rest`` does."""
    moved = vector.copy()
    moved[:SHAPES] = np.clip(vector[:SHAPES] + rest - usual, 0, 1)
    return moved


def _last(
    classifier: EmotionClassifier, parts: list[Floats], baseline: float, usual: Floats
) -> Floats:
    """Return what is said at the end of parts that are held one after another."""
    own, state, dt = NeutralFace(usual), classifier.initial_state(), 1 / _RATE
    for part in parts:
        blendshapes, embedding = known(part)
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


def markdown(rows: list[Figures]) -> str:
    """Return the rows of :func:`gain_figures` as Markdown."""
    return markdown_table(
        [
            'landmark source',
            'branch',
            'begins',
            'adaptation',
            'faces',
            'accuracy',
            'macro-F1',
            'recall happy',
            'recall unknown',
            'recall sad',
        ],
        [
            [
                one['source'],
                one['branch'],
                one['case'],
                f'{one["baseline"]:g} s' if one['baseline'] else 'off',
                one['n'],
                f'{one["accuracy"]:.3f}',
                f'{one["macro_f1"]:.3f}',
                *(f'{one["recall"][label]:.3f}' for label in ('happy', 'unknown', 'sad')),
            ]
            for one in rows
        ],
    )
