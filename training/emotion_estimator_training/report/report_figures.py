"""The pictures of a report, by the name under which the page shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from emotion_estimator.emotion import Roi
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.landmarks.blendshape_head import BlendshapeHead
from emotion_estimator.perception.landmarks.face_landmarker import FaceLandmarker
from emotion_estimator.perception.landmarks.face_mesh import FaceMesh
from emotion_estimator.perception.landmarks.landmarks import Landmarker
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator_training.data.fer2013 import FER_CLASSES
from emotion_estimator_training.evaluation.evaluate import Answers, split_rows
from emotion_estimator_training.evaluation.scores import reliability
from emotion_estimator_training.evaluation.stability import MOVEMENT_SEED, can_follow, draw_changes
from emotion_estimator_training.evaluation.stability_table import in_time
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.report.figures import (
    blendshape_chart,
    confusion_chart,
    course_chart,
    coverage_chart,
    flips_against_delay_chart,
    reliability_chart,
)
from emotion_estimator_training.report.gallery import (
    Error,
    draw_landmarks,
    jpeg,
    most_missed,
    still_with_landmarks,
    worst_errors,
)
from emotion_estimator_training.report.question import Material, Question
from emotion_estimator_training.report.report_models import STREAMING
from emotion_estimator_training.sequences.constructed import course

#: Second of the portrait's course in which it smiles.
_SMILING = 5.0
_ERRORS = 12


def charts(question: Question, material: Material, measured: dict[str, Any]) -> dict[str, bytes]:
    """Draw everything that shows numbers."""
    labels, split = question.grouping.labels, question.split
    pictures: dict[str, bytes] = {}
    for name, sources in measured['stills'].items():
        here = {source: splits[split] for source, splits in sources.items() if split in splits}
        pictures[f'confusion {name}'] = confusion_chart(
            {f'{name}, {source}': each['confusion_matrix'] for source, each in here.items()}, labels
        )
        pictures[f'reliability {name}'] = reliability_chart({
            f'{name}, {source}\nECE {each["ece"]:.3f}': reliability(part.probabilities, part.truth)
            for source, each in here.items()
            for part in (split_answers(question, material, name, source),)
        })
    pictures['coverage'] = coverage_chart(
        {source: shares[split] for source, shares in measured['coverage'].items()}, split
    )
    compared = measured['stability']['constructed']
    if compared:
        pictures['flips against delay'] = flips_against_delay_chart(compared)
    for one in material.tracks:
        if one.name in ('portrait', 'smile_onset'):
            pictures[f'course {one.name}, {one.source}'] = _track_chart(question, material, one)
    for source in compared:
        drawn = _constructed_chart(question, material, source)
        if drawn:
            pictures[f'course constructed, {source}'] = drawn
    return pictures


def split_answers(question: Question, material: Material, name: str, source: str) -> Answers:
    """Return a model's answers to the split that errors are shown of."""
    answers, features = material.answers[name, source], material.features[source]
    if question.public_only:
        return answers
    rows = split_rows(features.usage, features.duplicate)[question.split]
    return Answers(answers.probabilities[rows], answers.truth[rows], answers.image_id[rows])


def portrait_pictures(question: Question) -> dict[str, bytes]:
    """Draw Figures 1 and 2 of seed 001 with the astronaut's portrait, which all may see."""
    landmarker = _open(question, None)
    frame = Portrait(size=(1024, 1024)).frame_at(_SMILING)
    faces = landmarker(Frame(frame.image, 0.0))
    name = landmarker.name
    landmarker.close()
    if not faces:
        return {}
    return {
        'landmarks': jpeg(_around(faces[0].roi, draw_landmarks(frame.image, faces[0].landmarks))),
        'blendshapes': blendshape_chart(
            faces[0].blendshapes, f'Blendshapes of the portrait, {name}'
        ),
    }


def error_gallery(
    question: Question, material: Material
) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Show the shipped model's worst errors with their landmarks: these faces are not ours to show.

    :returns: rows with ``kind`` and what :class:`Error` says, and a picture for each image.
    """
    name = STREAMING if STREAMING in material.models.recognizers else \
        next(iter(material.models.recognizers))
    source = next(iter(material.features))
    answers = split_answers(question, material, name, source)
    labels = question.grouping.labels
    missed = 'sad' if 'sad' in labels else labels[-1]
    kinds: dict[str, list[Error]] = {
        'most confident errors': worst_errors(answers, labels, _ERRORS),
        f'{missed}, most missed': most_missed(answers, labels, missed, _ERRORS),
    }
    landmarker = _open(question, source)
    position = {int(number): row for row, number in enumerate(material.stills.image_id)}
    rows, pictures = [], {}
    for kind, errors in kinds.items():
        for error in errors:
            rows.append({'kind': kind, 'model': name, 'source': source, **asdict(error)})
            still = material.stills.pixels[position[error.image_id]]
            pictures[f'face {error.image_id}'] = jpeg(still_with_landmarks(still, landmarker))
    landmarker.close()
    return rows, pictures


def _around(roi: Roi, image: RgbImage) -> RgbImage:
    rim = round(0.3 * roi.height)
    top, left = max(roi.y - rim, 0), max(roi.x - rim, 0)
    return image[top:roi.y + roi.height + rim, left:roi.x + roi.width + rim]


def _open(question: Question, source: str | None) -> Landmarker:
    """Open a source for unrelated images; None takes the best there is."""
    if question.places.teacher is not None and source in (None, FaceLandmarker.name):
        return FaceLandmarker(question.places.teacher, static=True)
    head = BlendshapeHead.load(question.places.models / 'blendshape_head.json')
    return FaceMesh(head, static=True)


def _strips(
    question: Question, material: Material, blendshapes: Any, dt: Any
) -> dict[str, list[str]]:
    return {
        name: [recognizer.labels[code]
               for code in recognizer.sequences(blendshapes, dt)[0].argmax(axis=-1)]
        for name, recognizer in in_time(material.models.recognizers).items()
    }


def _track_chart(question: Question, material: Material, one: Track) -> bytes:
    strips = _strips(question, material, one.course.vectors, one.course.dt)
    truth = {'truth': list(one.truth)} if one.truth else {}
    return course_chart(one.times, one.blendshapes, {**truth, **strips},
                        f'{one.name}, tracked by {one.source}')


def _constructed_chart(question: Question, material: Material, source: str) -> bytes | None:
    """Draw a neutral face that turns to each other label and back; None where none can be drawn."""
    recognizers = material.models.recognizers.values()
    changes = draw_changes(
        material.split(source, question.split), question.grouping, question.pairs
    )
    changes = changes.where(
        np.logical_and.reduce([can_follow(one, changes) for one in recognizers])
    )
    if not len(changes.label):
        return None
    labels = question.grouping.labels
    code = int(question.grouping.to_label[FER_CLASSES.index('neutral')])
    resting = labels[code]
    # A neutral face that all models know, if there is one: the example is of time, not of errors.
    known = np.logical_and.reduce(
        [one.stills(changes.before).argmax(axis=1) == code for one in recognizers]
    )
    first = int(known.argmax())
    neutral = changes.before[first:first + 1]
    stations, truth_of, starts = [neutral], [resting], []
    for code in np.unique(changes.label):
        first = int(np.flatnonzero(changes.label == code)[0])
        stations += [changes.after[first:first + 1], neutral]
        truth_of += [labels[code], resting]
        starts += [2.0 * len(starts) + 2.0, 2.0 * len(starts) + 4.0]
    moving = course(stations, starts, source, 30, 2.0 * len(stations), MOVEMENT_SEED)
    middle = np.searchsorted(np.array(starts) + 0.1, moving.times, side='right')
    strips = _strips(question, material, moving.vectors, moving.dt)
    return course_chart(
        moving.times, moving.blendshapes[0],
        {'truth': [truth_of[k] for k in middle], **strips},
        f'A face made of stills that turns and holds, {source}, 30 frames per second',
    )
