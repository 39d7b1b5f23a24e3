"""The blendshape head: aligned landmarks to blendshapes, distilled from the Face Landmarker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES, MIRROR
from emotion_estimator.perception.face_crop import INPUT_POINTS
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.training_loop import (
    Advance,
    BestWeights,
    LoopPlan,
    Metrics,
    checksum,
    claim_folder,
    shuffled_batches,
    train_epochs,
)
from emotion_estimator_training.seed import SEED


def mirror_partners(aligned: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return each point's partner on the other half of the face (itself on the middle line).

    The mean of many faces nearly coincides with its mirror image: each mirrored point's partner is
    the point it falls on.

    :param aligned: (N, P, 3), many aligned faces.
    :returns: (P,), an involution.
    :raises ValueError: the mean face is too asymmetric.
    """
    mean = aligned.mean(axis=0).astype(np.float64)
    mirrored = mean * (-1, 1, 1)
    distance = np.linalg.norm(mean[:, None] - mirrored[None], axis=-1) ** 2
    # A symmetric cost makes the best assignment an involution.
    _, assigned = linear_sum_assignment(distance + distance.T)
    partner: NDArray[np.int64] = assigned.astype(np.int64)
    if (partner[partner] != np.arange(len(partner))).any():
        raise ValueError('the mean face is too asymmetric to find which points mirror each other')
    return partner


Floats = NDArray[np.float32]


@dataclass(frozen=True)
class HeadSettings:
    """The head's sizes and training.

    :param noise: standard deviation added to the aligned landmarks in training.
    """

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
    """Return the untrained network, symmetric by construction.

    Before the sigmoid it is ``(f(x) + P f(M x)) / 2``, where M mirrors the points and P the scores.

    :param mean: (438,), subtracted from the aligned landmarks, which ``scale`` (438,) then divides.
    :param start: (52,), the untrained network's scores, between 0 and 1.
    :param partners: (146,), each input point's mirror partner.
    :returns: Keras model (B, 438) -> (B, 52), scores 0 to 1.
    """
    count = 3 * len(INPUT_POINTS)
    dense = [keras.layers.Dense(units, 'relu') for units in settings.hidden]
    # Rarely high scores would never leave the sigmoid's flat end when started at 0.5.
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
    """Return 1 minus Lin's concordance correlation, mean over blendshapes, plus a little MSE.

    Squared error alone shrinks the scores of noisy landmarks towards the mean: strong expressions
    come out weak. Concordance (Lin, Biometrics 45, 1989) also demands the teacher's spread. The
    squared error, weighted by ``1 / variance``, stabilizes blendshapes that hardly move in a batch.
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
    :param validate: mean correlation of a model on images held out; the best epoch is kept.
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
    # Without the incomplete last batch: concordance needs many faces.
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

    def run_epoch(number: int, advance: Advance) -> Metrics:
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
        # Drawn by the number of the step, so that a resumed training draws the same noise.
        seed = tf.stack([tf.constant(settings.seed, tf.int64), optimizer.iterations])
        x = x + settings.noise * tf.random.stateless_normal(tf.shape(x), seed)
        with tf.GradientTape() as tape:
            loss = _discord(model(x, training=True), y, weight)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return tf.function(step)
