"""The blendshape head, distilled from the Face Landmarker's blendshapes over aligned landmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES, MIRROR
from emotion_estimator.perception.face_crop import ALIGNMENT, INPUT_POINTS
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator_training.data.stills import PRIVATE_TEST, PUBLIC_TEST, TRAINING, load_stills
from emotion_estimator_training.evaluation.scores import correlations, moving
from emotion_estimator_training.features.clips import agreement, symmetry
from emotion_estimator_training.features.features import (
    Places,
    head_pairs,
    head_scores,
    mirrored_teacher,
    plain_pass,
    varied_passes,
)
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.training_loop import (
    BestWeights,
    LoopPlan,
    Metrics,
    checksum,
    claim_folder,
    shuffled_batches,
    train_epochs,
)
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.shipping.cards import write_model
from emotion_estimator_training.shipping.identity import LOCAL, ModelIdentity
from emotion_estimator_training.shipping.quantize import int8_weights


def mirror_partners(aligned: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return each point's partner on the other half of the face (itself on the middle line).

    The mean of many faces is nearly symmetric, so that its mirror image lies on itself: each
    mirrored point belongs to the point it falls on.

    :param aligned: (N, P, 3), many aligned faces.
    :returns: (P,), an involution.
    """
    mean = aligned.mean(axis=0).astype(np.float64)
    mirrored = mean * (-1, 1, 1)
    distance = np.linalg.norm(mean[:, None] - mirrored[None], axis=-1) ** 2
    # The sum with its transpose is symmetric, which makes the best assignment an involution.
    _, partner = linear_sum_assignment(distance + distance.T)
    partner = partner.astype(np.int64)
    if (partner[partner] != np.arange(len(partner))).any():
        raise ValueError('the mean face is too skewed to tell which points mirror each other')
    return partner


Floats = NDArray[np.float32]


@dataclass(frozen=True)
class HeadSettings:
    """What decides the head's weights, beside the data."""

    hidden: tuple[int, ...] = (384, 192)
    epochs: int = 40
    batch: int = 256
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-5
    noise: float = 0.004
    seed: int = SEED


def build_head(
    mean: Floats,
    scale: Floats,
    start: Floats,
    partners: NDArray[np.int64],
    settings: HeadSettings,
) -> Any:
    """Build the network, its mirror symmetry built in: ``(f(x) + P f(M x)) / 2`` before sigmoid.

    :param mean: (438,), subtracted from the aligned landmarks; ``scale`` divides them.
    :param start: (52,), scores that the untrained network answers with, within 0 to 1.
    :param partners: (146,), each input point's mirror partner.
    :returns: Keras model (B, 438) -> (B, 52), scores 0 to 1.
    """
    count = 3 * len(INPUT_POINTS)
    dense = [keras.layers.Dense(units, 'relu') for units in settings.hidden]
    # Scores that are seldom high would never leave the sigmoid's flat end from a start at 0.5.
    usual = keras.initializers.Constant(np.log(start / (1 - start)))
    dense.append(keras.layers.Dense(len(BLENDSHAPE_NAMES), bias_initializer=usual))
    columns = (3 * np.asarray(partners)[:, None] + np.arange(3)).ravel()
    sign = np.tile(np.array([-1, 1, 1], np.float32), len(INPUT_POINTS))

    def half(values: Any) -> Any:
        for layer in dense:
            values = layer(values)
        return values

    inputs = keras.Input((count,))
    mirrored = tf.gather(inputs, columns, axis=1) * sign
    plain = half((inputs - mean) / scale)
    other = tf.gather(half((mirrored - mean) / scale), list(MIRROR), axis=1)
    return keras.Model(inputs, tf.sigmoid((plain + other) / 2))


def _discord(guess: Any, truth: Any, weight: Floats) -> Any:
    """Return 1 minus Lin's concordance correlation, mean over blendshapes, and a little MSE.

    Squared error alone answers noisy landmarks with scores drawn towards the mean: strong
    expressions come out weak. Concordance (Lin, Biometrics 45, 1989) also asks for the teacher's
    spread. The squared error, weighted by ``1 / variance``, steadies blendshapes that a batch
    hardly moves.
    """
    guess_mean, guess_variance = tf.nn.moments(guess, 0)
    truth_mean, truth_variance = tf.nn.moments(truth, 0)
    covariance = tf.reduce_mean((guess - guess_mean) * (truth - truth_mean), 0)
    gap = tf.square(guess_mean - truth_mean)
    concordance = 2 * covariance / (guess_variance + truth_variance + gap + 1e-5)
    error = tf.reduce_mean(weight * tf.square(guess - truth))
    return tf.reduce_mean(1 - concordance) + 0.1 * error


def fit_head(
    inputs: Floats,
    targets: Floats,
    partners: NDArray[np.int64],
    validate: Callable[[Any], float],
    settings: HeadSettings,
    folder: Path | None = None,
) -> Any:
    """Train the head.

    :param inputs: (N, 438), aligned landmarks; ``targets`` (N, 52), the teacher's scores.
    :param partners: (146,), each input point's mirror partner.
    :param validate: mean correlation of a model on images held back; the best epoch is kept.
    :param folder: checkpoints; an interrupted training of these settings and data continues. None
        keeps nothing.
    :returns: the Keras model (B, 438) -> (B, 52).
    """
    keras.utils.set_random_seed(settings.seed)
    if folder:
        data = checksum(inputs, targets, partners)
        claim_folder(folder, {'settings': asdict(settings), 'data': data})
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-3
    usual = np.clip(targets.mean(axis=0), 1e-3, 0.999)
    model = build_head(mean, scale, usual, partners, settings)
    weight = (1 / (targets.var(axis=0) + 1e-4)).astype(np.float32)
    # Batches that are not full are left out: concordance needs many faces.
    steps = len(inputs) // settings.batch
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-5,
        settings.epochs * steps,
        alpha=0.01,
        warmup_target=settings.learning_rate,
        warmup_steps=settings.epochs * steps // 20,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay)
    optimizer.build(model.trainable_variables)
    step = _head_step(model, optimizer, weight, settings)
    best = BestWeights(model, folder)

    def run_epoch(number: int, advance: Callable[[], None]) -> Metrics:
        losses = []
        for rows in shuffled_batches(len(inputs), settings.batch, [settings.seed, number])[:steps]:
            losses.append(step(tf.constant(inputs[rows]), tf.constant(targets[rows])))
            advance()
        loss = round(float(np.mean(losses)), 5)
        return {'epoch': number + 1, 'loss': loss, 'correlation': round(validate(model), 6)}

    plan = LoopPlan(
        'blendshape head',
        settings.epochs,
        score=lambda metrics: float(metrics['correlation']),
        batches=settings.epochs * steps,
        shown=('loss', 'correlation'),
    )
    train_epochs(plan, run_epoch, {'model': model, 'optimizer': optimizer}, folder, best.keep)
    best.restore()
    return model


def _head_step(model: Any, optimizer: Any, weight: Floats, settings: HeadSettings) -> Any:
    def step(x: Any, y: Any) -> Any:
        # Noise by the number of the step, so that a resumed training draws the same.
        seed = tf.stack([tf.constant(settings.seed, tf.int64), optimizer.iterations])
        x = x + settings.noise * tf.random.stateless_normal(tf.shape(x), seed)
        with tf.GradientTape() as tape:
            loss = _discord(model(x, training=True), y, weight)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return tf.function(step)


def run_head(
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
    held_inputs, held_targets = head_pairs(plain, stills.usage == PUBLIC_TEST)
    moves = moving(held_targets)

    def validate(model: Any) -> float:
        return float(correlations(np.asarray(model(held_inputs)), held_targets)[moves].mean())

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
    floats = np.asarray(model(held_inputs))
    metrics['int8_to_float_max_difference'] = round(
        float(np.abs(head_scores(plain, head)[shown] - floats).max()), 4
    )
    complete = {**card, 'metrics': {'fer2013_private_test': metrics}}
    write_model(content, complete, places.models, identity)
    return metrics
