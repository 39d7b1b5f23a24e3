"""Measures recognizers on labelled still faces, by landmark source and split."""

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
from emotion_estimator_training.evaluation.stability import onset_delay, steady_flips
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.features import SourceFindings

Floats = NDArray[np.float32]
Rows = NDArray[np.bool_]

PUBLIC, PRIVATE, UNIQUE = 'public_test', 'private_test', 'private_test_without_duplicates'
#: Frames per second at which flips and delays are measured.
RATES = (10, 30, 60)


def split_rows(
    usage: NDArray[np.int64], duplicate: Rows, public_only: bool = False
) -> dict[str, Rows]:
    """Return the rows of each test split.

    :param usage: (N,), as in :class:`~.stills.Stills`; ``duplicate`` alike.
    :param public_only: leave out PrivateTest, so that it cannot influence any choice.
    """
    splits = {PUBLIC: usage == PUBLIC_TEST}
    if not public_only:
        private = usage == PRIVATE_TEST
        splits.update({PRIVATE: private, UNIQUE: private & ~duplicate})
    return splits


@dataclass(frozen=True, eq=False)
class Predictions:
    """A recognizer's probabilities for some faces, with the truth.

    :param probabilities: float32 (N, L), in the grouping's order of labels.
    :param truth: int64 (N,), index of the right label.
    :param image_id: int64 (N,), row in FER2013's own file.
    """

    probabilities: Floats
    truth: NDArray[np.int64]
    image_id: NDArray[np.int64]


def predict_stills(recognizer: Recognizer, features: FeatureSet, grouping: Grouping) -> Predictions:
    """Run a recognizer on each face as a still; return probabilities in the grouping's order."""
    order = [recognizer.labels.index(label) for label in grouping.labels]
    return Predictions(
        recognizer.stills(features.vectors)[:, order],
        grouping.to_label[features.emotion],
        features.image_id,
    )


def still_metrics(
    predictions: Predictions,
    features: FeatureSet,
    grouping: Grouping,
    public_only: bool = False,
    penalty: float = 0.0,
) -> dict[str, dict[str, Any]]:
    """Return :func:`~.scores.classification` and ``loss`` of each split that has faces.

    :param predictions: for all faces of ``features``.
    :param penalty: weight penalty that the loss adds to the cross-entropy.
    """
    metrics = {}
    for split, rows in split_rows(features.usage, features.duplicate, public_only).items():
        if rows.any():
            metrics[split] = classification(
                predictions.probabilities[rows], predictions.truth[rows], grouping.labels
            )
            metrics[split]['loss'] = round(metrics[split]['cross_entropy'] + penalty, 4)
    return metrics


def coverage(
    stills: Stills, features: FeatureSet, public_only: bool = False
) -> dict[str, dict[str, Any]]:
    """Return the share of each split's images in which the source finds a face.

    :returns: by split, ``all`` and each of its classes.
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


def time_metrics(
    recognizer: Recognizer,
    features: FeatureSet,
    grouping: Grouping | None = None,
    faces: int = 200,
    pairs: int = 300,
) -> dict[str, Any]:
    """Return the delay after a change and flips on steady faces, by frames per second.

    :param features: faces of one source and one test split.
    :param faces: number of faces that keep their expression.
    :param pairs: number of faces that change their expression.
    """
    return {
        f'{rate}_fps': {
            **onset_delay(recognizer, features, rate, pairs, grouping=grouping),
            'flips_per_s': round(steady_flips(recognizer, features, rate, faces=faces), 4),
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
    """Return the shipped classifier's metrics for its card, by landmark source.

    :param stills: all images, for the coverage; None, with features, leaves that out.
    :param sources: by landmark source, the faces it found.
    :param faces: as for :func:`time_metrics`; ``pairs`` too.
    :returns: for each split :func:`~.scores.classification` with its coverage; for the last split
        the coverage of each class, and flips and delays.
    """
    grouping, recognizer = load_grouping(), StreamingRecognizer(classifier)
    metrics: dict[str, Any] = {}
    for name, seen in sources.items():
        features = seen if isinstance(seen, FeatureSet) else _features(name, seen, stills)
        features = features.where(features.usage != 0)
        predictions = predict_stills(recognizer, features, grouping)
        splits = still_metrics(predictions, features, grouping, public_only)
        last = PUBLIC if public_only else PRIVATE
        by_class: dict[str, Any] = {}
        if stills is not None:
            shares = coverage(stills, features, public_only)
            for split, part in splits.items():
                part['coverage'] = shares[split]['all']
            by_class = {k: v for k, v in shares[last].items() if k != 'all'}
        test = split_rows(features.usage, features.duplicate, public_only)[last]
        metrics[name] = {
            **splits,
            **({'coverage_by_class': by_class} if by_class else {}),
            'response': time_metrics(recognizer, features.where(test), grouping, faces, pairs),
        }
    return metrics


def _features(name: str, seen: SourceFindings, stills: Stills | None) -> FeatureSet:
    if stills is None:
        raise ValueError('findings need the stills they are of')
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
