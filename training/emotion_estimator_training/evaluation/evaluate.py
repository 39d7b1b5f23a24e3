"""Measures recognizers on labelled still faces: each source, each split, every figure of merit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.face_crop import SIDE
from emotion_estimator_training.data.grouping import Grouping, load_grouping
from emotion_estimator_training.data.stills import FER_CLASSES, PRIVATE_TEST, PUBLIC_TEST, Stills
from emotion_estimator_training.evaluation.recognizers import Recognizer, StreamingRecognizer
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.evaluation.stability import held_flips, onset_delay
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.features import SourceFindings

Floats = NDArray[np.float32]
Rows = NDArray[np.bool_]

PUBLIC, PRIVATE, UNIQUE = 'public_test', 'private_test', 'private_test_without_duplicates'
#: Frames per second at which the time behaviour is measured.
RATES = (10, 30, 60)


def split_rows(
    usage: NDArray[np.int64], duplicate: Rows, public_only: bool = False
) -> dict[str, Rows]:
    """Return which rows each split of the tests takes.

    :param public_only: leave PrivateTest alone, so that nothing is chosen by looking at it.
    """
    splits = {PUBLIC: usage == PUBLIC_TEST}
    if not public_only:
        private = usage == PRIVATE_TEST
        splits.update({PRIVATE: private, UNIQUE: private & ~duplicate})
    return splits


@dataclass(frozen=True, eq=False)
class Answers:
    """What a recognizer says of the faces of one split, for looking at errors.

    :param probabilities: float32 (N, L); ``truth`` int64 (N,), index into its labels.
    :param image_id: int64 (N,).
    """

    probabilities: Floats
    truth: NDArray[np.int64]
    image_id: NDArray[np.int64]


def answer(recognizer: Recognizer, features: FeatureSet, grouping: Grouping) -> Answers:
    """Ask a recognizer about each face, taken as a still.

    The answers are put into the grouping's order, whatever the recognizer's is.
    """
    order = [recognizer.labels.index(label) for label in grouping.labels]
    return Answers(
        recognizer.stills(features.vectors)[:, order],
        grouping.to_label[features.emotion],
        features.image_id,
    )


def still_figures(
    answers: Answers,
    features: FeatureSet,
    grouping: Grouping,
    public_only: bool = False,
    penalty: float = 0.0,
) -> dict[str, dict[str, Any]]:
    """Return :func:`~.scores.classification` of each split that has faces, and the loss.

    :param answers: to all faces of ``features``.
    :param penalty: what the size of the weights adds to the cross-entropy in the loss.
    """
    figures = {}
    for split, rows in split_rows(features.usage, features.duplicate, public_only).items():
        if rows.any():
            figures[split] = classification(
                answers.probabilities[rows], answers.truth[rows], grouping.labels
            )
            figures[split]['loss'] = round(figures[split]['cross_entropy'] + penalty, 4)
    return figures


def coverage(
    stills: Stills, features: FeatureSet, public_only: bool = False
) -> dict[str, dict[str, Any]]:
    """Return the share of each split's images in which the source finds a face.

    :returns: of each split ``all`` and the share of each class that it has.
    """
    found = np.isin(stills.image_id, features.image_id[~features.augmented])
    shares: dict[str, dict[str, Any]] = {}
    for split, rows in split_rows(stills.usage, stills.duplicate, public_only).items():
        classes = {name: rows & (stills.emotion == code) for code, name in enumerate(FER_CLASSES)}
        shares[split] = {
            name: round(float(found[part].mean()), 4)
            for name, part in {'all': rows, **classes}.items()
            if part.any()
        }
    return shares


def time_figures(
    recognizer: Recognizer,
    features: FeatureSet,
    grouping: Grouping | None = None,
    faces: int = 200,
    pairs: int = 300,
) -> dict[str, Any]:
    """Return delay after a change and flips on held faces, by frames per second.

    :param features: faces of one source and of a test split, of which ``faces`` are held and
        ``pairs`` change.
    """
    return {
        f'{rate}_fps': {
            **onset_delay(recognizer, features, rate, pairs, grouping=grouping),
            'flips_per_s': round(held_flips(recognizer, features, rate, faces=faces), 4),
        }
        for rate in RATES
    }


def evaluate(
    classifier: EmotionClassifier,
    stills: Stills | None,
    sources: Mapping[str, SourceFindings | FeatureSet],
    public_only: bool = False,
    faces: int = 200,
    pairs: int = 300,
) -> dict[str, Any]:
    """Return the shipped classifier's figures for its card, by landmark source.

    :param stills: all images, for the coverage; None, with features, leaves that out.
    :param sources: what each landmark source sees, by its name.
    :param faces: how many are held for counting flips; ``pairs`` change for timing the label.
    :returns: of each split :func:`~.scores.classification` with its coverage; the coverage of
        each class, and the time behaviour, on the last split's faces.
    """
    grouping, recognizer = load_grouping(), StreamingRecognizer(classifier)
    figures: dict[str, Any] = {}
    for name, seen in sources.items():
        features = seen if isinstance(seen, FeatureSet) else _features(name, seen, stills)
        features = features.where(features.usage != 0)
        answers = answer(recognizer, features, grouping)
        splits = still_figures(answers, features, grouping, public_only)
        last = PUBLIC if public_only else PRIVATE
        by_class: dict[str, Any] = {}
        if stills is not None:
            shares = coverage(stills, features, public_only)
            for split, part in splits.items():
                part['coverage'] = shares[split]['all']
            by_class = {k: v for k, v in shares[last].items() if k != 'all'}
        test = split_rows(features.usage, features.duplicate, public_only)[last]
        figures[name] = {
            **splits,
            **({'coverage_by_class': by_class} if by_class else {}),
            'response': time_figures(recognizer, features.where(test), grouping, faces, pairs),
        }
    return figures


def _features(name: str, seen: SourceFindings, stills: Stills | None) -> FeatureSet:
    if stills is None:
        raise ValueError('what is seen belongs to stills')
    found = seen.found
    return FeatureSet(
        name,
        seen.blendshapes[found],
        stills.emotion[found],
        stills.usage[found],
        stills.image_id[found],
        stills.duplicate[found],
        np.zeros(int(found.sum()), bool),
        np.zeros((int(found.sum()), SIDE, SIDE), np.uint8),
    )
