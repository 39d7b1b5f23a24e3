"""What each verb of ``python -m emotion_estimator.training`` does."""

from __future__ import annotations

import argparse
import json
from typing import Any

from emotion_estimator.perception.blendshape_head import BlendshapeHead
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.training.blendshape_agreement import agreement
from emotion_estimator.training.card_text import (
    blendshape_table,
    confusion_table,
    emotion_table,
    response_table,
    write_text,
)
from emotion_estimator.training.clips import clip_agreement
from emotion_estimator.training.dataset import PRIVATE_TEST, load_stills
from emotion_estimator.training.evaluate import evaluate as evaluate_classifier
from emotion_estimator.training.features import Places, seen_by_both


def _places(options: argparse.Namespace) -> Places:
    return Places(options.data, options.teacher, options.cache, options.models)


def blendshapes(options: argparse.Namespace) -> None:
    """Train the blendshape head and write it with its cards."""
    from emotion_estimator.training import head_run
    from emotion_estimator.training.blendshape_head_fit import HeadSettings

    places, card = _places(options), options.models / 'blendshape_head.json'
    head_run.run(places, options.passes, HeadSettings(epochs=options.epochs), options.processes)
    if options.clips:
        raw: dict[str, Any] = json.loads(card.read_text())
        raw['metrics']['clips'] = clip_agreement(
            options.clips, options.teacher, BlendshapeHead.load(card)
        )
        card.write_text(json.dumps(raw, indent=1) + '\n')
    print(write_text(card).read_text())


def emotion(options: argparse.Namespace) -> None:
    """Train the streaming LSTM on the shipped head's blendshapes and write it with its cards."""
    from emotion_estimator.training import emotion_run
    from emotion_estimator.training.emotion_fit import EmotionSettings
    from emotion_estimator.training.sequences import SequenceSettings

    emotion_run.run(
        _places(options), EmotionSettings(steps=options.steps), SequenceSettings(),
        options.processes,
    )
    print(write_text(options.models / 'emotion_lstm.json').read_text())


def evaluate(options: argparse.Namespace) -> None:
    """Measure the models in the folder again and print the tables of their cards."""
    places, stills = _places(options), load_stills(options.data)
    sources = seen_by_both(stills, places, options.processes)
    figures = evaluate_classifier(
        EmotionClassifier.load(options.models / 'emotion_lstm.json'), stills, sources
    )
    print(emotion_table(figures), confusion_table(figures), response_table(figures), sep='\n\n')
    teacher, mesh = sources['face_landmarker'], sources['face_mesh']
    test = teacher.found & mesh.found & (stills.usage == PRIVATE_TEST)
    sets = {'fer2013_private_test': agreement(mesh.blendshapes[test], teacher.blendshapes[test])}
    if options.clips:
        head = BlendshapeHead.load(options.models / 'blendshape_head.json')
        sets['clips'] = clip_agreement(options.clips, options.teacher, head)
    print()
    for name, one in sets.items():
        print(f'{name}: mean correlation {one["mean_correlation_moving"]} over '
              f'{one["moving"]} blendshapes that move, n {one["n"]}')
    print()
    print(blendshape_table(sets))
