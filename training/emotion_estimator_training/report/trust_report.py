"""The report's part on trust and on real input: measured, as tables, as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator_training.data import hard_stills
from emotion_estimator_training.data.stills import TO_LABEL
from emotion_estimator_training.evaluation import clip_reading, neutral_gain
from emotion_estimator_training.evaluation.accuracy import (
    WEIGHTS,
    FerNetwork,
    ask_fer,
    ask_fer_all,
    ask_ours,
    figures,
    markdown,
)
from emotion_estimator_training.evaluation.evaluate import split_rows
from emotion_estimator_training.evaluation.frame_cost import pace
from emotion_estimator_training.evaluation.recognizers import BRANCHES, RobotNetworks
from emotion_estimator_training.evaluation.scores import calibration_error, reliability
from emotion_estimator_training.evaluation.trust import (
    area,
    at_thresholds,
    condition_figures,
    curve,
    occlusion_figures,
    sampled,
    yaw_figures,
)
from emotion_estimator_training.features.clips import open_sources
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.features import MESH, outlines
from emotion_estimator_training.models.operating_point import sharpen
from emotion_estimator_training.report.charts import (
    condition_chart,
    course_chart,
    reliability_chart,
    risk_coverage_chart,
)
from emotion_estimator_training.report.measuring import Material, Question
from emotion_estimator_training.shipping.model_folder import MODELS
from emotion_estimator_training.tables import markdown_table

Figures = dict[str, Any]

#: Faces that the time is measured on.
_TIMED = 400
#: What is not measured, since nothing here could measure it.
GROUPS = (
    "Errors by people's apparent sex, age or skin are not measured: FER2013 has no such labels, "
    'and guessing them by another network would measure that network.'
)


def measure_trust(question: Question, material: Material, networks: RobotNetworks) -> Figures:
    """Measure what the shipped networks say of hard stills, of clips, and how sure they sound.

    :param material: with the embeddings of its faces.
    :returns: what the report's ``trust`` holds, and ``pictures`` for the page (PNG by name).
    """
    faces = {source: material.split(source, question.split) for source in material.features}
    measured: Figures = {
        'split': question.split,
        'groups': GROUPS,
        'side_by_side': _side_by_side(question, material, networks),
        'sure': {},
        'pictures': {},
    }
    card = ModelCard.load(question.places.models / 'emotion_lstm.json', 'emotion_lstm')
    temperatures = card.settings.get('temperatures', {})
    for source, features in faces.items():
        measured['sure'][source] = _sure(
            networks, source, features, temperatures, measured['pictures']
        )
    measured.update(_hard(question, material, networks, faces))
    for source, rows in measured['conditions'].items():
        measured['pictures'][f'conditions {source}'] = condition_chart(
            [*rows, *measured['yaw'][source]], BRANCHES
        )
    measured['clips'] = _clips(material, networks, measured['pictures'])
    measured['bytes'] = sum(
        (question.places.models / f'{name}.tflite').stat().st_size for name in MODELS
    )
    measured['pace'] = _pace(question, material, networks)
    measured['neutral'] = [
        row
        for features in faces.values()
        for branch in ('blendshapes', 'fused')
        for row in neutral_gain.gain_figures(
            networks.classifiers['three'], features, branch, question.pairs
        )
    ]
    return measured


def _pace(question: Question, material: Material, networks: RobotNetworks) -> Figures:
    stills = material.stills
    split = split_rows(stills.usage, stills.duplicate)[question.split]
    head = BlendshapeHead.load(question.places.models / 'blendshape_head.json')
    landmarkers = open_sources(question.places.teacher, head, static=True)
    fer = None if question.fer is None else FerNetwork(question.fer / WEIGHTS)
    found = pace(networks, fer, landmarkers[-1], stills.pixels[split], _TIMED)
    for landmarker in landmarkers:
        landmarker.close()
    return found


def _side_by_side(question: Question, material: Material, networks: RobotNetworks) -> list[Figures]:
    """Return the rows of :func:`~.accuracy.figures` of the report's split."""
    stills = material.stills
    split = split_rows(stills.usage, stills.duplicate)[question.split]
    said = []
    if question.fer is not None:
        fer = FerNetwork(question.fer / WEIGHTS)
        said += ask_fer_all(fer, stills, np.flatnonzero(split))
    for source in material.features:
        features = material.split(source, question.split)
        if question.fer is not None:
            said += ask_fer(fer, stills, features)
        said += ask_ours(networks, stills, features)
    return figures(said, stills, split)


def _sure(
    networks: RobotNetworks,
    source: str,
    features: FeatureSet,
    temperatures: Mapping[str, float],
    pictures: dict[str, bytes],
) -> Figures:
    """Return calibration and what abstaining gains, of each branch on one source's faces."""
    truth, found, curves, reliable = TO_LABEL[features.emotion], {}, {}, {}
    for branch in reversed(BRANCHES):
        told = networks.stills(features.vectors, branch)
        # Not divided by the temperature. Exact for one frame; what is told of a still is settled
        # over several, which hardly differ.
        before = sharpen(told, 1 / temperatures.get('three', 1.0))
        errors = [calibration_error(one, truth) for one in (before, told)]
        found[branch] = {
            'ece_before': round(errors[0], 4),
            'ece': round(errors[1], 4),
            'aurc': round(area(told, truth), 4),
            'thresholds': at_thresholds(told, truth),
        }
        curves[branch] = curve(told, truth)
        for words, one, error in zip(('before', 'after'), (before, told), errors):
            reliable[f'{branch}, {words}\nECE {error:.3f}'] = reliability(one, truth)
    pictures[f'risk {source}'] = risk_coverage_chart(curves, found['fused']['thresholds'])
    # The default branch's two, side by side.
    pictures[f'calibration {source}'] = reliability_chart(dict(list(reliable.items())[:2]))
    return {'temperature': temperatures.get('three', 1.0), 'branches': found}


def _hard(
    question: Question, material: Material, networks: RobotNetworks, faces: dict[str, FeatureSet]
) -> Figures:
    """Measure covered and changed stills; empty where the question asks for no faces."""
    measured: Figures = {'occlusion': {}, 'conditions': {}, 'yaw': {}, 'hard_images': 0}
    if not question.hard:
        return measured
    stills, places, processes = material.stills, question.places, question.processes
    split = split_rows(stills.usage, stills.duplicate)[question.split]
    seen = outlines(stills, places, processes, wanted=split)
    source = MESH if MESH in faces else next(iter(faces))
    rows = sampled(split & seen[source].found, question.hard)
    measured['hard_images'] = len(rows)
    measured['occlusion'] = occlusion_figures(
        networks, stills, rows, seen[source], faces, places, processes
    )
    measured['conditions'][source] = condition_figures(
        networks, stills, rows, faces[source], places, processes
    )
    measured['yaw'] = {
        name: yaw_figures(networks, stills, seen[name], features)
        for name, features in faces.items()
        if name in measured['conditions']
    }
    return measured


def _clips(
    material: Material, networks: RobotNetworks, pictures: dict[str, bytes]
) -> list[Figures]:
    alone = {(one.name, one.source): one for one in material.tracks_of_stills}
    table: list[Figures] = []
    for one in material.tracks:
        stills = alone.get((one.name, one.source))
        reading = None if stills is None else clip_reading.read(networks, one, stills)
        if reading is None:
            continue
        table += clip_reading.reading_figures(reading)
        strips = {
            f'{branch}, {way}': reading.strips[way, branch, 'seven']
            for branch in BRANCHES
            for way in ('video', 'stills')
        }
        pictures[f'clip {one.name}, {one.source}'] = course_chart(
            reading.track.times,
            reading.track.blendshapes,
            strips,
            f'{one.name}, {one.source}: as video, and each frame as a still',
        )
    return table


def tables(trust: Mapping[str, Any]) -> dict[str, str]:
    """Return what was measured as Markdown tables, by title."""
    found = {}
    split = trust['split']
    for vocabulary, words in (('three', 'three labels'), ('seven', 'seven expressions')):
        for duplicates in (True, False):
            ending = '' if duplicates else ', without the images that Training has too'
            found[f'Side by side, {words}, {split}{ending}'] = markdown(
                trust['side_by_side'], vocabulary, duplicates
            )
    found['Milliseconds per face behind the landmark source, in turns'] = markdown_table(
        ['network', 'median', '95th percentile'],
        [
            [name, f'{one["median_ms"]:.3f}', f'{one["p95_ms"]:.3f}']
            for name, one in trust['pace'].items()
        ],
    )
    for source, sure in trust['sure'].items():
        found[f'Calibration and abstention, {source}'] = markdown_table(
            [
                'branch',
                'ECE before',
                'ECE after',
                'mean risk',
                'abstain_below',
                'answered',
                'accuracy',
                'macro-F1',
            ],
            [
                [
                    branch,
                    f'{one["ece_before"]:.3f}',
                    f'{one["ece"]:.3f}',
                    f'{one["aurc"]:.3f}',
                    f'{row["abstain_below"]:g}',
                    f'{row["answered"]:.3f}',
                    _share(row['accuracy']),
                    _share(row['macro_f1']),
                ]
                for branch, one in sure['branches'].items()
                for row in one['thresholds']
            ],
        )
    for source, rows in trust['occlusion'].items():
        found[f'Covered faces, {source}'] = hard_stills.markdown(rows)
    for source, rows in trust['conditions'].items():
        found[f'Hard stills, {source}'] = markdown_table(
            [
                'changed',
                'how much',
                'images',
                'face found',
                *(
                    f'{words}, {branch}'
                    for words in ('accuracy', 'macro-F1')
                    for branch in BRANCHES
                ),
            ],
            [
                [
                    row['what'],
                    row['how_much'],
                    row['images'],
                    _share(row['found']),
                    *(
                        _share(row.get(branch, {}).get(key))
                        for key in ('accuracy', 'macro_f1')
                        for branch in BRANCHES
                    ),
                ]
                for row in (*rows, *trust['yaw'].get(source, ()))
            ],
        )
    for vocabulary in ('three', 'seven') if trust['clips'] else ():
        found[f'Clips, vocabulary {vocabulary}'] = clip_reading.markdown(trust['clips'], vocabulary)
    found['Adaptation to a face at rest, on made sequences'] = neutral_gain.markdown(
        trust['neutral']
    )
    return found


def _share(value: float | None) -> str:
    return '-' if value is None else f'{value:.3f}'
