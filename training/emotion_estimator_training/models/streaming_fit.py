"""Trains the streaming network on generated sequences, for right labels that stay steady."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator_training.data.truth import Truth, joined
from emotion_estimator_training.features.feature_set import SHAPES
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.streaming_network import StreamingNetwork
from emotion_estimator_training.models.training_loop import (
    Advance,
    BestWeights,
    History,
    LoopPlan,
    Metrics,
    prefetched,
    train_epochs,
)
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.sequences.sequences import SequenceMaker, Sequences

Floats = NDArray[np.float32]

#: Stills in a batch.
_STILLS = 1024
#: Scores below this are zero in coarsely rounded tables.
_SMALL = 0.05


@dataclass(frozen=True)
class StreamingFitSettings:
    """How the network is trained.

    :param epochs: over the stills, for the layers that read a frame.
    :param steps: batches of sequences, for the LSTM afterwards.
    :param own: share of the first layers' own prediction in a still's target for the LSTM; the rest
        is its label. The prediction averages out noise in the labels.
    :param alone: share of single faces with the embedding alone, and with the blendshapes alone.
    :param steadiness: weight, relative to cross-entropy, of the change of the labels' probabilities
        from frame to frame while a face keeps its expression.
    :param settling: seconds after a change, or after the first frame, without that penalty.
    :param report_every: batches between two validations.
    """

    epochs: int = 20
    steps: int = 2000
    batch: int = 96
    learning_rate: float = 4e-3
    own: float = 0.8
    alone: tuple[float, float] = (0.2, 0.25)
    steadiness: float = 0.3
    settling: float = 0.7
    report_every: int = 250
    seed: int = SEED


def steady_frames(sequences: Sequences, settling: float) -> Floats:
    """Return (B, T - 1): 1 between two frames of a steady expression, else 0.

    :param settling: seconds after a change, or after the first frame, until it counts as steady.
    """
    changing = (sequences.weight < 1) | (
        np.diff(sequences.row, axis=1, prepend=sequences.row[:, :1]) != 0
    )
    changing[:, 0] = True
    times = np.cumsum(sequences.dt[..., 0], axis=1)
    last = np.maximum.accumulate(np.where(changing, times, 0), axis=1)
    steady: NDArray[np.bool_] = times - last > settling
    return steady[:, 1:].astype(np.float32)


def pretrain(
    network: StreamingNetwork, pool: Floats, truth: Truth, settings: StreamingFitSettings
) -> None:
    """Train the first layers on single frames, which is fast, in place.

    :param pool: (N, 118), faces; each is used as it is, mirrored, and without its small scores, and
        some with only one branch.
    :param truth: of each.
    """
    keras.utils.set_random_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    shown = np.concatenate([_shown(pool, way, settings.alone, rng) for way in range(3)])
    wanted = joined(truth, truth, truth)
    steps = settings.epochs * -(-len(shown) // _STILLS)
    schedule = keras.optimizers.schedules.CosineDecay(4e-3, steps, 0.01)
    network.frame_model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=1e-3, clipnorm=1.0),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    network.frame_model.fit(
        shown,
        wanted.target,
        sample_weight=wanted.weight / wanted.weight.mean(),
        batch_size=_STILLS,
        epochs=settings.epochs,
        verbose=0,
        callbacks=[_bar(settings.epochs)],
    )


def _shown(pool: Floats, way: int, alone: tuple[float, float], rng: np.random.Generator) -> Floats:
    shown = pool.copy()
    if way == 1:
        shown[:, :SHAPES] = pool[:, list(MIRROR)]
    elif way == 2:
        # Rounded tables and synthetic faces have zeros where landmark models have small scores.
        shown[:, :SHAPES] = np.where(pool[:, :SHAPES] < _SMALL, 0, pool[:, :SHAPES])
    both, drawn = pool[:, -2:].all(axis=1), rng.random(len(pool))
    shown[both & (drawn < alone[0]), -1] = 0
    shown[both & (drawn > 1 - alone[1]), -2] = 0
    return shown


def _bar(epochs: int) -> Any:
    bar = tqdm(total=epochs, desc='streaming, single frames', unit='epoch')

    def advance(_: int, logs: dict[str, float]) -> None:
        bar.set_postfix(loss=f'{logs["loss"]:.4f}')
        bar.update()

    return keras.callbacks.LambdaCallback(on_epoch_end=advance, on_train_end=lambda _: bar.close())


def fit(
    network: StreamingNetwork,
    maker: SequenceMaker,
    truth: Truth,
    grouping: Floats,
    validate: Callable[[StreamingNetwork], float],
    settings: StreamingFitSettings,
    checkpoints: Path | None = None,
) -> History:
    """Train the LSTM of ``network`` in place; it ends with the weights that validated best.

    The layers before it stay as :func:`pretrain` left them.

    :param maker: makes the sequences.
    :param truth: of each still of the maker's pool.
    :param grouping: (7, L), from classes to the labels that should be steady.
    :param validate: score on images held out from training; higher is better.
    :param checkpoints: folder from which an interrupted training continues; None keeps nothing.
    :returns: for each report its step, loss, unrest (mean change of a steady face's probabilities)
        and validation score.
    """
    keras.utils.set_random_seed(settings.seed)
    for layer in network.model.layers:
        layer.trainable = layer.name != 'fronts'
    schedule = keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.steps, 0.01)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-4, clipnorm=1.0)
    # Otherwise the first call would create its variables, and the step would be traced twice.
    optimizer.build(network.model.trainable_variables)
    step = _training_step(network.model, optimizer, grouping, settings)
    best = BestWeights(network.model, checkpoints)

    def make(number: int) -> Sequences:
        return maker(settings.batch, [settings.seed, number])

    def run_epoch(number: int, advance: Advance) -> Metrics:
        first = number * settings.report_every
        end = min(first + settings.report_every, settings.steps)
        losses = []
        for batch in prefetched(make, range(first, end)):
            steady = steady_frames(batch, settings.settling)
            losses.append(
                np.array(
                    step(
                        batch.vectors,
                        batch.dt,
                        truth.target[batch.row],
                        batch.weight * truth.weight[batch.row],
                        steady,
                    )
                )
            )
            advance()
        loss, unrest = np.mean(losses, axis=0)
        return {
            'step': end,
            'loss': round(float(loss), 4),
            'unrest': round(float(unrest), 5),
            'validation': round(validate(network), 4),
        }

    plan = LoopPlan(
        'streaming',
        -(-settings.steps // settings.report_every),
        score=lambda metrics: float(metrics['validation']),
        batches=settings.steps,
        shown=('loss', 'validation'),
    )
    tracked = {'model': network.model, 'optimizer': optimizer}
    history = train_epochs(plan, run_epoch, tracked, checkpoints, best.keep)
    best.restore()
    return history


def _training_step(
    model: Any, optimizer: Any, grouping: Floats, settings: StreamingFitSettings
) -> Any:
    def step(vectors: Any, dt: Any, target: Any, weight: Any, steady: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model([vectors, dt], training=True)
            losses = tf.nn.softmax_cross_entropy_with_logits(target, logits)
            loss = tf.reduce_sum(weight * losses) / tf.reduce_sum(weight)
            labels = tf.nn.softmax(logits) @ grouping
            moved = tf.reduce_sum(tf.abs(labels[:, 1:] - labels[:, :-1]), axis=-1)
            unrest = tf.reduce_sum(steady * moved) / tf.maximum(tf.reduce_sum(steady), 1.0)
            total = loss + settings.steadiness * unrest
        gradients = tape.gradient(total, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss, unrest

    return tf.function(step, reduce_retracing=True)
