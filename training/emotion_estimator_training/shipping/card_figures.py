"""Measures the shipped classifier on still faces and in time, and writes that into its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator_training.data.dataset import Stills
from emotion_estimator_training.evaluation.evaluate import evaluate
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.shipping.card_text import write_text


def measure_card(
    card: Path,
    features: Mapping[str, FeatureSet],
    public_only: bool,
    stills: Stills | None = None,
    faces: int = 200,
    pairs: int = 300,
) -> dict[str, Any]:
    """Measure a classifier and write the figures into its JSON card and the Markdown beside it.

    :param features: by landmark source, the faces found.
    :param public_only: leave PrivateTest alone: for choosing, not for reporting.
    :param stills: all images, for the share in which a face is found; None leaves that out.
    :param faces: how many are held for counting flips; ``pairs`` change for timing the label.
    :returns: the card's metrics.
    :raises ModelError: card and weights do not fit together.
    """
    figures = evaluate(
        EmotionClassifier.load(card), stills, features, public_only, faces, pairs
    )
    whole = json.loads(card.read_text())
    whole['metrics'] = {'fer2013': figures, **{
        name: one for name, one in whole.get('metrics', {}).items() if name != 'fer2013'
    }}
    card.write_text(json.dumps(whole, indent=1) + '\n')
    write_text(card)
    metrics: dict[str, Any] = whole['metrics']
    return metrics
