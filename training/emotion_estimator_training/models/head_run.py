"""``blendshapes``: from FER2013 and the Face Landmarker to the shipped blendshape head."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotion_estimator.perception.alignment import ALIGNMENT, INPUT_POINTS
from emotion_estimator.perception.landmarks.blendshape_head import BlendshapeHead
from emotion_estimator_training.data.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING, load_stills
from emotion_estimator_training.evaluation.scores import correlations, moving
from emotion_estimator_training.features.blendshape_agreement import agreement, symmetry
from emotion_estimator_training.features.features import (
    Places,
    head_pairs,
    head_scores,
    mirrored_teacher,
    plain_pass,
    varied_passes,
)
from emotion_estimator_training.models.blendshape_head_fit import HeadSettings, fit_head
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.models.mirror import mirror_partners
from emotion_estimator_training.shipping.quantize import int8_weights, write_model


def run(
    places: Places, passes: int, settings: HeadSettings, processes: int | None = None
) -> dict[str, Any]:
    """Train, convert, measure and write the head; return its metrics on the test images."""
    stills = load_stills(places.data)
    plain = plain_pass(stills, places, processes)
    varied = varied_passes(stills, plain, places, passes, processes)
    pairs = [head_pairs(plain, stills.usage == TRAINING), *(head_pairs(v) for v in varied)]
    inputs, targets = (np.concatenate(column) for column in zip(*pairs))
    print(f'{len(inputs)} pairs of landmarks and blendshapes', flush=True)
    held_inputs, held_targets = head_pairs(plain, stills.usage == PUBLIC_TEST)
    moves = moving(held_targets)

    def validate(model: Any) -> float:
        return float(correlations(np.asarray(model(held_inputs)), held_targets)[moves].mean())

    partners = mirror_partners(inputs.reshape(len(inputs), -1, 3))
    model = fit_head(inputs, targets, partners, validate, settings)
    function = tf.function(
        lambda landmarks: model(landmarks),
        input_signature=[tf.TensorSpec((1, 3 * len(INPUT_POINTS)), tf.float32, 'landmarks')],
    )
    content = int8_weights(function.get_concrete_function())
    card = {
        'name': 'blendshape_head',
        'version': '1.0.0',
        'kind': 'blendshape_head',
        'license': 'Apache-2.0',
        'trained_on': 'FER2013 Training stills, teacher MediaPipe Face Landmarker '
                      '(face_landmarker.task, Apache-2.0)',
        'settings': {'alignment': ALIGNMENT, 'hidden': list(settings.hidden),
                     'passes': passes, 'training_pairs': len(inputs),
                     'mirror_partners': partners.tolist()},
        'metrics': {},
    }
    path = write_model(content, card, places.models)
    head = BlendshapeHead.load(path)
    test = plain.teacher_found & plain.mesh_found & (stills.usage == PRIVATE_TEST)
    scores = head_scores(plain, head)[test]
    metrics = agreement(scores, plain.teacher[test])
    mirrored, found = mirrored_teacher(stills, np.flatnonzero(test), places, processes)
    metrics.update(symmetry(scores[found], plain.teacher[test][found], mirrored[found]))
    shown = plain.mesh_found & (stills.usage == PUBLIC_TEST) & plain.teacher_found
    floats = np.asarray(model(held_inputs))
    metrics['int8_to_float_max_difference'] = round(
        float(np.abs(head_scores(plain, head)[shown] - floats).max()), 4
    )
    write_model(content, {**card, 'metrics': {'fer2013_private_test': metrics}}, places.models)
    return metrics
