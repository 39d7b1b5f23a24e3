"""The report's pictures, by the name under which the page shows them."""

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
from emotion_estimator_training.evaluation.compared_models import STREAMING
from emotion_estimator_training.evaluation.evaluate import Predictions, split_rows
from emotion_estimator_training.evaluation.measuring import Material, MeasurementPlan
from emotion_estimator_training.evaluation.recognizers import BRANCHES
from emotion_estimator_training.evaluation.scores import reliability
from emotion_estimator_training.evaluation.stability import (
    MOVEMENT_SEED,
    can_follow,
    draw_changes,
    with_moving_averages,
)
from emotion_estimator_training.evaluation.trust import Trust
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.report.charts import (
    blendshape_chart,
    condition_chart,
    confusion_chart,
    coverage_chart,
    flips_against_delay_chart,
    reliability_chart,
    risk_coverage_chart,
    threshold_chart,
    timeline_chart,
)
from emotion_estimator_training.sequences.constructed import construct_sequences

Floats = NDArray[np.float32]

#: Colour of landmarks, RGB.
_DOT = (90, 220, 255)
#: Time in the animated portrait at which it smiles, seconds.
_SMILING = 5.0
#: Errors shown of each kind.
_ERRORS = 12


@dataclass(frozen=True)
class Error:
    """A still that a model gets wrong.

    :param image_id: row in FER2013's own file.
    :param probability: of the predicted label.
    :param of_truth: probability of the right label.
    """

    image_id: int
    truth: str
    guess: str
    probability: float
    of_truth: float


def worst_errors(predictions: Predictions, labels: Sequence[str], count: int) -> list[Error]:
    """Return the most confident wrong predictions, most confident first."""
    return _errors(predictions, labels, predictions.probabilities.max(axis=1), count)


def most_missed(
    predictions: Predictions, labels: Sequence[str], label: str, count: int
) -> list[Error]:
    """Return the wrong predictions for faces of a label, the least probable label first."""
    code = labels.index(label)
    doubt = np.where(predictions.truth == code, 1 - predictions.probabilities[:, code], -1.0)
    return _errors(predictions, labels, doubt, count)


def _errors(
    predictions: Predictions, labels: Sequence[str], order: NDArray[Any], count: int
) -> list[Error]:
    probabilities, truth = predictions.probabilities, predictions.truth
    guess = probabilities.argmax(axis=1)
    wrong = np.flatnonzero((guess != truth) & (order >= 0))
    return [
        Error(
            int(predictions.image_id[row]),
            labels[truth[row]],
            labels[guess[row]],
            round(float(probabilities[row].max()), 3),
            round(float(probabilities[row, truth[row]]), 3),
        )
        for row in wrong[np.argsort(-order[wrong], kind='stable')[:count]]
    ]


def draw_landmarks(image: RgbImage, landmarks: Floats) -> RgbImage:
    """Return a copy of an image with all landmarks as dots (Attrah 2025, Figure 1).

    :param image: uint8 (H, W, 3), RGB.
    :param landmarks: (478, 2 or more), in pixels.
    """
    canvas = np.array(image, np.uint8, order='C')
    radius = max(1, min(canvas.shape[:2]) // 300)
    for x, y in landmarks[:, :2]:
        cv2.circle(canvas, (round(float(x)), round(float(y))), radius, _DOT, -1, cv2.LINE_AA)
    return canvas


def still_with_landmarks(still: NDArray[np.uint8], landmarker: Landmarker) -> RgbImage:
    """Return a 48x48 still enlarged as for the landmark source, with the landmarks it finds.

    :param landmarker: opened for unrelated images.
    """
    image = enlarge(still, Enlargement())
    faces = landmarker(Frame(image, 0.0))
    drawn = draw_landmarks(image, faces[0].landmarks) if faces else image
    # The rim is the black padding.
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


def charts(plan: MeasurementPlan, material: Material, measured: dict[str, Any]) -> dict[str, bytes]:
    """Draw the charts of what was measured.

    :param measured: of :func:`~.measuring.measure`.
    """
    labels, split = plan.grouping.labels, plan.split
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
                for part in (split_predictions(plan, material, name, source),)
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
            pictures[f'course {one.name}, {one.source}'] = _track_chart(material, one)
    for source in compared:
        drawn = _constructed_chart(plan, material, source)
        if drawn:
            pictures[f'course constructed, {source}'] = drawn
    return pictures


def split_predictions(
    plan: MeasurementPlan, material: Material, name: str, source: str
) -> Predictions:
    """Return a model's predictions for the plan's split."""
    predictions, features = material.predictions[name, source], material.features[source]
    # With public_only, all predictions are of that split.
    if plan.public_only:
        return predictions
    rows = split_rows(features.usage, features.duplicate)[plan.split]
    return Predictions(
        predictions.probabilities[rows], predictions.truth[rows], predictions.image_id[rows]
    )


def trust_charts(trust: Trust) -> dict[str, bytes]:
    """Draw the charts of the report's part on trust."""
    pictures: dict[str, bytes] = {}
    for source, calibration in trust.metrics['sure'].items():
        branches = calibration['branches']
        pictures[f'risk {source}'] = risk_coverage_chart(
            trust.curves[source], branches['fused']['thresholds']
        )
        pictures[f'calibration {source}'] = reliability_chart(
            {
                f'fused, {when}\nECE {branches["fused"][key]:.3f}': trust.reliability[source][
                    'fused'
                ][when]
                for when, key in (('before', 'ece_before'), ('after', 'ece'))
            }
        )
    pictures['thresholds'] = threshold_chart(trust.metrics['thresholds'])
    for source, rows in trust.metrics['conditions'].items():
        pictures[f'conditions {source}'] = condition_chart(
            [*rows, *trust.metrics['yaw'][source]], BRANCHES
        )
    for one in trust.clips:
        name = f'{one.track.name}, {one.track.source}'
        pictures[f'clip {name}'] = timeline_chart(
            one.track.times,
            one.track.blendshapes,
            {
                f'{branch}, {way}': one.labels[way, branch, 'seven']
                for branch in BRANCHES
                for way in ('video', 'stills')
            },
            f'{name}: as video, and each frame as a still',
        )
    return pictures


def portrait_pictures(plan: MeasurementPlan) -> dict[str, bytes]:
    """Draw Figures 1 and 2 of Attrah 2025 with the portrait, which may be published."""
    landmarker = _open(plan, None)
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
    plan: MeasurementPlan, material: Material
) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Draw the shipped model's worst errors with their landmarks.

    These pictures show FER2013's faces, which must not be published.

    :returns: rows with ``kind``, ``model``, ``source`` and the fields of :class:`Error`, and a
        picture for each image.
    """
    name = (
        STREAMING
        if STREAMING in material.models.recognizers
        else next(iter(material.models.recognizers))
    )
    source = next(iter(material.features))
    predictions = split_predictions(plan, material, name, source)
    labels = plan.grouping.labels
    missed = 'sad' if 'sad' in labels else labels[-1]
    kinds: dict[str, list[Error]] = {
        'most confident errors': worst_errors(predictions, labels, _ERRORS),
        f'{missed}, most missed': most_missed(predictions, labels, missed, _ERRORS),
    }
    landmarker = _open(plan, source)
    row_of = {int(number): row for row, number in enumerate(material.stills.image_id)}
    rows, pictures = [], {}
    for kind, errors in kinds.items():
        for error in errors:
            rows.append({'kind': kind, 'model': name, 'source': source, **asdict(error)})
            still = material.stills.pixels[row_of[error.image_id]]
            pictures[f'face {error.image_id}'] = jpeg(still_with_landmarks(still, landmarker))
    landmarker.close()
    return rows, pictures


def _around(roi: Roi, image: RgbImage) -> RgbImage:
    rim = round(0.3 * roi.height)
    top, left = max(roi.y - rim, 0), max(roi.x - rim, 0)
    return image[top : roi.y + roi.height + rim, left : roi.x + roi.width + rim]


def _open(plan: MeasurementPlan, source: str | None) -> Landmarker:
    """Open a landmark source for unrelated images; None opens the best available."""
    if plan.places.teacher is not None and source in (None, FaceLandmarker.name):
        return FaceLandmarker(plan.places.teacher, static=True)
    head = BlendshapeHead.load(plan.places.models / 'blendshape_head.json')
    return FaceMesh(head, static=True)


def _strips(material: Material, vectors: Floats, dt: Floats) -> dict[str, list[str]]:
    """Return each model's label in each frame of one face."""
    return {
        name: [
            recognizer.labels[code] for code in recognizer.sequences(vectors, dt)[0].argmax(axis=-1)
        ]
        for name, recognizer in with_moving_averages(material.models.recognizers).items()
    }


def _track_chart(material: Material, one: Track) -> bytes:
    strips = _strips(material, one.sequence.vectors, one.sequence.dt)
    truth = {'truth': list(one.truth)} if one.truth else {}
    return timeline_chart(
        one.times, one.blendshapes, {**truth, **strips}, f'{one.name}, tracked by {one.source}'
    )


def _constructed_chart(plan: MeasurementPlan, material: Material, source: str) -> bytes | None:
    """Draw a neutral face that changes to each other label and back; None if no model follows."""
    recognizers = material.models.recognizers.values()
    changes = draw_changes(material.split(source, plan.split), plan.grouping, plan.pairs)
    changes = changes.where(
        np.logical_and.reduce([can_follow(one, changes) for one in recognizers])
    )
    if not len(changes.label):
        return None
    labels = plan.grouping.labels
    code = int(plan.grouping.to_label[FER_CLASSES.index('neutral')])
    resting = labels[code]
    # If possible a neutral face that all models get right: the example shows time, not errors.
    recognized = np.logical_and.reduce(
        [one.stills(changes.before).argmax(axis=1) == code for one in recognizers]
    )
    first = int(recognized.argmax())
    neutral = changes.before[first : first + 1]
    stations, truth_of = [neutral], [resting]
    starts: list[float] = []
    for code in np.unique(changes.label):
        first = int(np.flatnonzero(changes.label == code)[0])
        stations += [changes.after[first : first + 1], neutral]
        truth_of += [labels[code], resting]
        starts += [2.0 * len(starts) + 2.0, 2.0 * len(starts) + 4.0]
    moving = construct_sequences(stations, starts, source, 30, 2.0 * len(stations), MOVEMENT_SEED)
    middle = np.searchsorted(np.array(starts) + 0.1, moving.times, side='right')
    strips = _strips(material, moving.vectors, moving.dt)
    return timeline_chart(
        moving.times,
        moving.blendshapes[0],
        {'truth': [truth_of[k] for k in middle], **strips},
        f'A face made of stills that changes and stays, {source}, 30 frames per second',
    )
