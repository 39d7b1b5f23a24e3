"""What a report says, measured: still faces, and time."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator_training.evaluation.evaluate import PUBLIC, answer, coverage, still_figures
from emotion_estimator_training.evaluation.stability_table import compare, in_time, on_video
from emotion_estimator_training.features.clips import track_agreement
from emotion_estimator_training.report.provenance import provenance
from emotion_estimator_training.report.question import Material, Question
from emotion_estimator_training.sequences.jitter import MEASURED, measure_jitter


def measure_stills(question: Question, material: Material) -> dict[str, Any]:
    """Measure every model on every source and split; keep the answers in ``material``."""
    figures: dict[str, Any] = {}
    for name, recognizer in material.models.recognizers.items():
        figures[name] = {}
        for source, features in material.features.items():
            if question.public_only:
                features = material.split(source, PUBLIC)
            answers = answer(recognizer, features, question.grouping)
            material.answers[name, source] = answers
            figures[name][source] = still_figures(
                answers, features, question.grouping, question.public_only,
                material.models.penalty.get(name, 0.0),
            )
    return figures


def measure_time(question: Question, material: Material) -> dict[str, Any]:
    """Measure flips and delays, constructed and on video, and the movement of held faces."""
    recognizers = in_time(material.models.recognizers)
    constructed, notes = {}, []
    for source in material.features:
        try:
            constructed[source] = compare(
                recognizers, material.split(source, question.split), question.grouping,
                faces=question.faces, pairs=question.pairs,
            )
        except InputError as error:
            notes.append(f'{source}: {error}')
    found = [one for one in material.tracks if one.name != 'portrait']
    movement = {}
    for source in dict.fromkeys(one.source for one in found):
        clips = [(one.times, one.blendshapes) for one in found if one.source == source]
        try:
            movement[source] = astuple(measure_jitter(clips))
        except InputError as error:
            notes.append(f'{source}: {error}')
    return {
        'split': question.split,
        'constructed': constructed,
        'videos': on_video(recognizers, material.tracks),
        'movement_measured_now': movement,
        'movement_used': {source: astuple(jitter) for source, jitter in MEASURED.items()},
        'notes': notes,
    }


def measure(question: Question, material: Material) -> dict[str, Any]:
    """Return everything that the report's JSON holds but its comparisons."""
    both = {one.source for one in material.tracks if one.name != 'portrait'}
    agreement = None
    if len(both) > 1:
        agreement = track_agreement([one for one in material.tracks if one.name != 'portrait'])
    return {
        **provenance(question, material),
        'stills': measure_stills(question, material),
        'coverage': {
            source: coverage(material.stills, features, question.public_only)
            for source, features in material.features.items()
        },
        'stability': measure_time(question, material),
        'clip_agreement': agreement,
        'structure': material.models.structure,
        'card_metrics': material.models.card_metrics,
        'card_tables': material.models.card_tables,
    }
