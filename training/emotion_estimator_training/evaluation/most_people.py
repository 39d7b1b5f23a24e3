"""The shipped classifier against what most people see: FER+'s majority, and held-out people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator_training.data.stills import FER_CLASSES, PUBLIC_TEST, TO_LABEL, Stills
from emotion_estimator_training.data.truth import majority_of_votes
from emotion_estimator_training.evaluation.evaluate import PUBLIC, split_rows
from emotion_estimator_training.evaluation.recognizers import StreamingRecognizer
from emotion_estimator_training.evaluation.scores import classification, confusion, macro_f1
from emotion_estimator_training.evaluation.threshold_curve import STEPS, chosen_labels
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.people import load_people

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

PHOTOGRAPHS = 'photographs of held-out people'
_NEUTRAL = FER_CLASSES.index('neutral')


def most_people(
    card: Path,
    run: Path,
    stills: Stills,
    features: Mapping[str, FeatureSet],
    seen: Callable[[FeatureSet], FeatureSet],
    public_only: bool = False,
) -> dict[str, Any]:
    """Return the classifier's metrics where the truth is what most people see.

    :param card: the classifier's JSON card.
    :param run: run folder, for the people's faces, if there are any.
    :param stills: FER2013 with FER+'s votes; without votes only people are measured.
    :param features: by landmark source, the faces found, with embeddings.
    :param seen: returns the people's faces with the embeddings of their crops.
    :param public_only: leave PrivateTest out.
    :returns: by landmark source and set: ``three`` and ``seven``, each
        :func:`~.scores.classification`, and the share of neutral faces ``neutral_called`` sad and
        happy.
    """
    networks = [EmotionClassifier.load(card, vocabulary=name) for name in ('three', 'seven')]
    majority, agreed, _ = majority_of_votes(stills)
    row_of = {int(number): row for row, number in enumerate(stills.image_id)}
    people = load_people(run)
    found: dict[str, Any] = {}
    for source, faces in features.items():
        faces = faces.where(~faces.augmented)
        rows = np.array([row_of[int(number)] for number in faces.image_id], np.int64)
        sets: dict[str, tuple[Floats, Ints]] = {}
        for split, part in split_rows(faces.usage, faces.duplicate, public_only).items():
            part = part & agreed[rows]
            if part.any():
                sets[split] = faces.where(part).vectors, majority[rows[part]]
        if people is not None and source in people.sources:
            theirs, where = people.of(source)
            part = (theirs.usage == PUBLIC_TEST) & ~people.talking[where]
            if part.any():
                held = seen(theirs.where(part))
                sets[PHOTOGRAPHS] = held.vectors, held.emotion
        found[source] = {name: _metrics(networks, *one) for name, one in sets.items()}
    return found


def by_labels(
    card: Path, features: Mapping[str, FeatureSet], public_only: bool = False
) -> dict[str, Any]:
    """Return the classifier's metrics by FER2013's own labels, at thresholds of their own.

    The robot's operating point keeps neutral faces from being called sad. Figures of FER2013's
    labels, as the papers give them, are of the same weights with the ``sad_threshold`` and the
    ``happy_threshold`` that are best on PublicTest by accuracy plus macro-F1 plus a quarter of the
    least recall.

    :param card: the classifier's JSON card.
    :param features: by landmark source, the faces found, with embeddings.
    :param public_only: leave PrivateTest out.
    :returns: by landmark source ``sad_threshold``, ``happy_threshold`` and by split ``n``,
        ``accuracy``, ``macro_f1`` and ``recall`` by label.
    """
    network = EmotionClassifier.load(card)
    to_label = np.array([network.labels.index(LABELS[int(code)]) for code in TO_LABEL], np.int64)
    found: dict[str, Any] = {}
    for source, faces in features.items():
        faces = faces.where(~faces.augmented)
        splits = split_rows(faces.usage, faces.duplicate, public_only)
        answers = {
            split: (
                StreamingRecognizer(network).stills(faces.where(rows).vectors),
                to_label[faces.emotion[rows]],
            )
            for split, rows in splits.items()
            if rows.any()
        }
        if PUBLIC not in answers:
            continue
        sad, happy = max(
            product(STEPS, STEPS),
            key=lambda pair: _worth(*answers[PUBLIC], network.labels, *pair),
        )
        found[source] = {
            'sad_threshold': sad,
            'happy_threshold': happy,
            **{
                split: _at(probabilities, truth, network.labels, sad, happy)
                for split, (probabilities, truth) in answers.items()
            },
        }
    return found


def _at(
    probabilities: Floats, truth: Ints, labels: tuple[str, ...], sad: float, happy: float
) -> dict[str, Any]:
    chosen = chosen_labels(probabilities, labels, sad, happy)
    matrix = confusion(truth, chosen, len(labels))
    recall = np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1)
    return {
        'n': len(truth),
        'accuracy': round(float((chosen == truth).mean()), 4),
        'macro_f1': round(macro_f1(matrix), 4),
        'recall': {name: round(float(one), 4) for name, one in zip(labels, recall)},
    }


def _worth(
    probabilities: Floats, truth: Ints, labels: tuple[str, ...], sad: float, happy: float
) -> float:
    one = _at(probabilities, truth, labels, sad, happy)
    return float(one['accuracy'] + one['macro_f1'] + 0.25 * min(one['recall'].values()))


def _metrics(networks: list[EmotionClassifier], vectors: Floats, truth: Ints) -> dict[str, Any]:
    three, seven = networks
    labels = StreamingRecognizer(three).stills(vectors)
    guess = labels.argmax(axis=1)
    neutral = truth == _NEUTRAL
    order = [seven.labels.index(name) for name in FER_CLASSES]
    to_label = np.array([three.labels.index(name) for name in _names(truth)], np.int64)
    return {
        'three': classification(labels, to_label, three.labels),
        'seven': classification(
            StreamingRecognizer(seven).stills(vectors)[:, order], truth, FER_CLASSES
        ),
        'neutral_called': {
            name: round(float((guess[neutral] == three.labels.index(name)).mean()), 4)
            for name in ('sad', 'happy')
            if neutral.any()
        },
    }


def _names(truth: Ints) -> list[str]:
    """Return the label of each class, as the robot publishes it."""
    return [LABELS[int(code)] for code in TO_LABEL[truth]]
