"""The blendshape head from stills to the shipped file: trained, converted, measured, written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.perception.face_crop import ALIGNMENT, INPUT_POINTS
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator_training.data.stills import PRIVATE_TEST, PUBLIC_TEST, TRAINING, load_stills
from emotion_estimator_training.evaluation.agreement import agreement, symmetry
from emotion_estimator_training.evaluation.scores import correlations, moving
from emotion_estimator_training.features.features import (
    Places,
    head_pairs,
    head_scores,
    mirrored_teacher,
    plain_pass,
    varied_passes,
)
from emotion_estimator_training.models.blendshape_head import (
    HeadSettings,
    fit_head,
    mirror_partners,
)
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.shipping.cards import write_model
from emotion_estimator_training.shipping.identity import LOCAL, ModelIdentity
from emotion_estimator_training.shipping.quantize import int8_weights


def ship_head(
    places: Places,
    passes: int,
    settings: HeadSettings,
    folder: Path,
    processes: int | None = None,
    identity: ModelIdentity = LOCAL,
) -> dict[str, Any]:
    """Train, convert, measure and write the head; return its metrics on the test images.

    :param passes: varied passes over the stills, on top of the plain one.
    :param folder: checkpoints, from which an interrupted training continues.
    :param identity: whose the model is.
    """
    stills = load_stills(places.data)
    plain = plain_pass(stills, places, processes)
    varied = varied_passes(stills, plain, places, passes, processes)
    pairs = [head_pairs(plain, stills.usage == TRAINING), *(head_pairs(v) for v in varied)]
    inputs, targets = (np.concatenate(column) for column in zip(*pairs))
    print(f'{len(inputs)} pairs of landmarks and blendshapes', flush=True)
    public_inputs, public_targets = head_pairs(plain, stills.usage == PUBLIC_TEST)
    moves = moving(public_targets)

    def validate(model: Any) -> float:
        return float(correlations(np.asarray(model(public_inputs)), public_targets)[moves].mean())

    partners = mirror_partners(inputs.reshape(len(inputs), -1, 3))
    model = fit_head(inputs, targets, partners, validate, settings, folder)
    function = tf.function(
        lambda landmarks: model(landmarks),
        input_signature=[tf.TensorSpec((1, 3 * len(INPUT_POINTS)), tf.float32, 'landmarks')],
    )
    content = int8_weights(function.get_concrete_function())
    card = {
        'kind': 'blendshape_head',
        'trained_on': 'the Training stills, teacher MediaPipe Face Landmarker '
        '(face_landmarker.task, Apache-2.0)',
        'settings': {
            'alignment': ALIGNMENT,
            'hidden': list(settings.hidden),
            'passes': passes,
            'seed': settings.seed,
            'training_pairs': len(inputs),
            'mirror_partners': partners.tolist(),
        },
        'metrics': {},
    }
    path = write_model(content, card, places.models, identity)
    head = BlendshapeHead.load(path)
    test = plain.teacher_found & plain.mesh_found & (stills.usage == PRIVATE_TEST)
    scores = head_scores(plain, head)[test]
    metrics = agreement(scores, plain.teacher[test])
    mirrored, found = mirrored_teacher(stills, np.flatnonzero(test), places, processes)
    metrics.update(symmetry(scores[found], plain.teacher[test][found], mirrored[found]))
    shown = plain.mesh_found & (stills.usage == PUBLIC_TEST) & plain.teacher_found
    floats = np.asarray(model(public_inputs))
    metrics['int8_to_float_max_difference'] = round(
        float(np.abs(head_scores(plain, head)[shown] - floats).max()), 4
    )
    complete = {**card, 'metrics': {'fer2013_private_test': metrics}}
    write_model(content, complete, places.models, identity)
    return metrics
