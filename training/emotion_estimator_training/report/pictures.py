"""The pictures of a report, by the name under which the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import Roi
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator.perception.landmarks.face_landmarker import FaceLandmarker
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator_training.data.augment import Enlargement, enlarge
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.evaluation.evaluate import Answers, split_rows
from emotion_estimator_training.evaluation.scores import reliability
from emotion_estimator_training.evaluation.stability import (
    MOVEMENT_SEED,
    can_follow,
    draw_changes,
    in_time,
)
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.report.charts import (
    blendshape_chart,
    confusion_chart,
    course_chart,
    coverage_chart,
    flips_against_delay_chart,
    reliability_chart,
)
from emotion_estimator_training.report.measuring import Material, Question
from emotion_estimator_training.report.models import STREAMING
from emotion_estimator_training.sequences.constructed import course

_DOT = (90, 220, 255)


@dataclass(frozen=True)
class Error:
    """A still that a model gets wrong.

    :param image_id: FER2013's row.
    :param probability: of the label that it says; ``of_truth`` of the one that is right.
    """

    image_id: int
    truth: str
    guess: str
    probability: float
    of_truth: float


def worst_errors(answers: Answers, labels: Sequence[str], count: int) -> list[Error]:
    """Return the most confident wrong answers, the surest first."""
    return _errors(answers, labels, answers.probabilities.max(axis=1), count)


def most_missed(answers: Answers, labels: Sequence[str], label: str, count: int) -> list[Error]:
    """Return the faces of a label that is least seen in them, the least first."""
    code = labels.index(label)
    doubt = np.where(answers.truth == code, 1 - answers.probabilities[:, code], -1.0)
    return _errors(answers, labels, doubt, count)


def _errors(
    answers: Answers, labels: Sequence[str], order: NDArray[np.floating], count: int
) -> list[Error]:
    guess = answers.probabilities.argmax(axis=1)
    wrong = np.flatnonzero((guess != answers.truth) & (order >= 0))
    return [
        Error(
            int(answers.image_id[row]),
            labels[answers.truth[row]],
            labels[guess[row]],
            round(float(answers.probabilities[row].max()), 3),
            round(float(answers.probabilities[row, answers.truth[row]]), 3),
        )
        for row in wrong[np.argsort(-order[wrong], kind='stable')[:count]]
    ]


def draw_landmarks(image: RgbImage, landmarks: NDArray[np.float32]) -> RgbImage:
    """Return a copy of an image with all landmarks as dots: Figure 1 of Attrah 2025.

    :param image: uint8 (H, W, 3), RGB.
    :param landmarks: (478, 2 or more), in pixels.
    """
    canvas = np.array(image, np.uint8, order='C')
    radius = max(1, min(canvas.shape[:2]) // 300)
    for x, y in landmarks[:, :2]:
        cv2.circle(canvas, (round(float(x)), round(float(y))), radius, _DOT, -1, cv2.LINE_AA)
    return canvas


def still_with_landmarks(still: NDArray[np.uint8], landmarker: Landmarker) -> RgbImage:
    """Return a 48x48 still enlarged as the landmark source sees it, with what it finds.

    :param landmarker: opened for unrelated images.
    """
    image = enlarge(still, Enlargement())
    faces = landmarker(Frame(image, 0.0))
    drawn = draw_landmarks(image, faces[0].landmarks) if faces else image
    # The rim is black.
    rim = image.shape[0] // 6
    return drawn[rim:-rim, rim:-rim]


def jpeg(image: RgbImage) -> bytes:
    """Return an RGB image as JPEG."""
    done, content = cv2.imencode(
        '.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85]
    )
    if not done:
        raise ValueError('OpenCV could not encode an image')
    return content.tobytes()


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
        pictures[f'reliability {name}'] = reliability_chart(
            {
                f'{name}, {source}\nECE {each["ece"]:.3f}': reliability(
                    part.probabilities, part.truth
                )
                for source, each in here.items()
                for part in (split_answers(question, material, name, source),)
            }
        )
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
    """Draw Figures 1 and 2 of Attrah 2025 with the astronaut's portrait, which all may see."""
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
    name = (
        STREAMING
        if STREAMING in material.models.recognizers
        else next(iter(material.models.recognizers))
    )
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
    return image[top : roi.y + roi.height + rim, left : roi.x + roi.width + rim]


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
        name: [
            recognizer.labels[code]
            for code in recognizer.sequences(blendshapes, dt)[0].argmax(axis=-1)
        ]
        for name, recognizer in in_time(material.models.recognizers).items()
    }


def _track_chart(question: Question, material: Material, one: Track) -> bytes:
    strips = _strips(question, material, one.course.vectors, one.course.dt)
    truth = {'truth': list(one.truth)} if one.truth else {}
    return course_chart(
        one.times, one.blendshapes, {**truth, **strips}, f'{one.name}, tracked by {one.source}'
    )


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
    neutral = changes.before[first : first + 1]
    stations, truth_of, starts = [neutral], [resting], []
    for code in np.unique(changes.label):
        first = int(np.flatnonzero(changes.label == code)[0])
        stations += [changes.after[first : first + 1], neutral]
        truth_of += [labels[code], resting]
        starts += [2.0 * len(starts) + 2.0, 2.0 * len(starts) + 4.0]
    moving = course(stations, starts, source, 30, 2.0 * len(stations), MOVEMENT_SEED)
    middle = np.searchsorted(np.array(starts) + 0.1, moving.times, side='right')
    strips = _strips(question, material, moving.vectors, moving.dt)
    return course_chart(
        moving.times,
        moving.blendshapes[0],
        {'truth': [truth_of[k] for k in middle], **strips},
        f'A face made of stills that turns and holds, {source}, 30 frames per second',
    )
