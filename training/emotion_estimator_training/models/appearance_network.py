"""The appearance network: its layers, and its training with heads that also read blendshapes.

Batch normalization: Ioffe and Szegedy 2015; label smoothing: Szegedy et al. 2016; AdamW and cosine
schedule: Loshchilov and Hutter 2019 and 2017; averaged weights: Polyak and Juditsky 1992.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES, MIRROR
from emotion_estimator.perception.face_crop import SIDE
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.crops import CropMaker
from emotion_estimator_training.features.feature_set import EMBEDDING
from emotion_estimator_training.models.branches import BranchSettings, front, normalized, spread
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.training_loop import (
    Advance,
    History,
    LoopPlan,
    Metrics,
    prefetched,
    shuffled_batches,
    train_epochs,
)
from emotion_estimator_training.seed import SEED

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
layers = keras.layers

#: Classes of FER+'s annotators.
VOTES = 10


@dataclass(frozen=True)
class AppearanceSettings:
    """The network's sizes.

    :param widths: channels at 24, 12 and 6 pixels.
    :param narrow: channels inside the blocks at 6 pixels.
    :param places: channels that keep their 6x6 positions; the others are averaged.
    :param embedding: length of a face's embedding.
    :param dropout: share of the embedding dropped in training.
    :param branches: how the embedding and the blendshapes are joined.
    """

    widths: tuple[int, int, int] = (24, 64, 96)
    narrow: int = 48
    places: int = 8
    embedding: int = EMBEDDING
    dropout: float = 0.2
    branches: BranchSettings = field(default_factory=BranchSettings)


def network_pixels(crops: NDArray[np.uint8]) -> Floats:
    """Return crops (..., 48, 48) as the network's input: float32 (..., 48, 48, 1), -2 to 2."""
    return ((crops.astype(np.float32) - 128) / 64)[..., None]


def build_appearance(settings: AppearanceSettings) -> Any:
    """Return the untrained Keras model, crops (B, 48, 48, 1) -> embedding (B, E), not negative.

    Residual blocks of plain convolutions (He et al., Deep Residual Learning for Image Recognition,
    2016), with few channels at high resolution.
    """
    crop = keras.Input((SIDE, SIDE, 1), name='crop')
    first, second, third = settings.widths
    values = _block(_convolution(crop, first, side=5, stride=2), first)
    values = _block(_convolution(values, second, stride=2), second)
    values = _convolution(values, third, stride=2)
    for _ in range(2):
        values = _narrow_block(values, third, settings.narrow)
    # Faces are upright and centred: positions are as informative as presence.
    places = layers.Flatten()(_convolution(values, settings.places, 1))
    values = layers.Concatenate()([layers.GlobalAveragePooling2D()(values), places])
    embedding = layers.Dense(settings.embedding, 'relu', name='embedding')(values)
    return keras.Model(crop, embedding, name='appearance')


def build_heads(settings: AppearanceSettings, mean: Floats, scale: Floats) -> Any:
    """Return the untrained Keras model on top of embeddings and blendshapes.

    Inputs: embedding (B, E), blendshapes (B, 52), present (B, 2): 1 if the embedding is known and 1
    if the blendshapes are, else 0. Outputs, all logits: classes by the embedding alone (B, 7),
    annotators' votes by the embedding (B, 10), classes by all that is present (B, 7).

    :param mean: (104,), of the spread blendshapes; ``scale`` (104,), their standard deviation.
    """
    embedding = keras.Input((settings.embedding,), name='embedding')
    scores = keras.Input((len(BLENDSHAPE_NAMES),), name='blendshapes')
    present = keras.Input((2,), name='present')
    seen = layers.Dropout(settings.dropout)(embedding)
    alone = layers.Dense(len(FER_CLASSES), name='classes')(seen)
    votes = layers.Dense(VOTES, name='votes')(seen)
    shapes = normalized(spread(scores, settings.branches.floor), mean, scale)
    joined = layers.Dense(len(FER_CLASSES), name='joined_classes')(
        front(embedding, shapes, present, settings.branches)
    )
    return keras.Model([embedding, scores, present], [alone, votes, joined], name='heads')


def _convolution(
    values: Any, channels: int, side: int = 3, stride: int = 1, active: bool = True
) -> Any:
    values = layers.Conv2D(channels, side, stride, 'same', use_bias=False)(values)
    values = layers.BatchNormalization(momentum=0.98)(values)
    return layers.ReLU()(values) if active else values


def _block(values: Any, channels: int) -> Any:
    inner = _convolution(_convolution(values, channels), channels, active=False)
    return layers.ReLU()(layers.Add()([values, inner]))


def _narrow_block(values: Any, channels: int, narrow: int) -> Any:
    inner = _convolution(_convolution(values, narrow, 1), narrow)
    inner = _convolution(inner, channels, 1, active=False)
    return layers.ReLU()(layers.Add()([values, inner]))


@dataclass(frozen=True)
class AppearanceFit:
    """How the network is trained.

    :param epochs: over all stills; the learning rate falls as a cosine to a hundredth.
    :param decay: weight decay, decoupled (AdamW).
    :param smoothing: of the labels.
    :param votes: weight of the loss on annotators' votes, if the data has them; that on the labels
        has 1.
    :param joined: weight of the loss with blendshapes; that without has 1.
    :param without: share of faces without their embedding, and without their blendshapes, for the
        head that joins both.
    :param average: decay of the exponential average of the weights, which is what is kept.
    :param taught: share of other networks' predictions in a still's target, if any teach (Hinton et
        al., Distilling the Knowledge in a Neural Network, 2015).
    :param calm: further epochs with less varied crops: hard crops teach where to look, at the cost
        of accuracy on easy ones in a small network.
    :param calm_rate: the learning rate of those epochs.
    """

    epochs: int = 60
    batch: int = 128
    learning_rate: float = 2e-3
    decay: float = 0.03
    smoothing: float = 0.1
    votes: float = 0.5
    joined: float = 0.7
    without: tuple[float, float] = (0.15, 0.25)
    average: float = 0.998
    taught: float = 0.0
    calm: int = 5
    calm_rate: float = 3e-4
    seed: int = SEED


@dataclass(frozen=True, eq=False)
class AppearanceData:
    """The training data, one row per still.

    :param maker: makes the stills' crops.
    :param target: (N, 7), class probabilities; ``weight`` (N,), how much each still counts.
    :param votes: (N, 10), shares of the annotators' votes; zeros if there are none.
    :param scores: (N, K, 52), blendshapes by each of K landmark sources.
    :param known: (N, K), whether the source found a face.
    """

    maker: CropMaker
    target: Floats
    weight: Floats
    votes: Floats
    scores: Floats
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of stills."""
        return len(self.target)


def fit(
    network: Any,
    heads: Any,
    data: AppearanceData,
    settings: AppearanceFit,
    validate: Callable[[Any, Any], dict[str, float]],
    folder: Path,
) -> History:
    """Train ``network`` and ``heads`` in place; they end with the averaged weights.

    :param validate: measures both on images held out from training; its metrics go into the
        history.
    :param folder: for checkpoints, from which an interrupted training continues.
    :returns: each epoch's loss and validation metrics.
    """
    keras.utils.set_random_seed(settings.seed)
    steps = -(-len(data) // settings.batch)
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate, settings.epochs * steps, 0.01
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=settings.decay, clipnorm=2.0)
    averages = keras.models.clone_model(network), keras.models.clone_model(heads)
    for average, one in zip(averages, (network, heads)):
        average.set_weights(one.get_weights())
    # Otherwise the first call would create its variables, and the step would be traced twice.
    optimizer.build(network.trainable_variables + heads.trainable_variables)
    step = _training_step(network, heads, averages, optimizer, settings)

    def run_epoch(number: int, advance: Advance) -> Metrics:
        losses = []
        for batch in _batches(data, settings, number):
            losses.append(float(step(*batch)))
            advance()
        loss = round(float(np.mean(losses)), 4)
        return {'epoch': number + 1, 'loss': loss, **validate(*averages)}

    plan = LoopPlan(
        'appearance',
        settings.epochs,
        # The averaged weights of the last epoch are kept, whatever it scores.
        score=lambda metrics: float(metrics['epoch']),
        batches=settings.epochs * steps,
        shown=('loss',),
    )
    tracked = {
        'network': network,
        'heads': heads,
        'network_average': averages[0],
        'heads_average': averages[1],
        'optimizer': optimizer,
    }
    history = train_epochs(plan, run_epoch, tracked, folder)
    for average, one in zip(averages, (network, heads)):
        one.set_weights(average.get_weights())
    return history


def _batches(
    data: AppearanceData, settings: AppearanceFit, epoch: int
) -> Iterator[tuple[Floats, ...]]:
    rows = shuffled_batches(len(data), settings.batch, [settings.seed, epoch])

    def make(number: int) -> tuple[Floats, ...]:
        return _batch(data, rows[number], settings, [settings.seed, epoch, number])

    return prefetched(make, range(len(rows)))


def _batch(
    data: AppearanceData, rows: Ints, settings: AppearanceFit, seed: list[int]
) -> tuple[Floats, ...]:
    """Return pixels, blendshapes, what is present, targets, weights and votes of some stills."""
    crops, mirrored, hidden = data.maker(rows, seed)
    rng = np.random.default_rng([*seed, 1])
    scores, known = _seen(data, rows, rng)
    scores[mirrored] = scores[mirrored][:, list(MIRROR)]
    drawn = rng.random(len(rows))
    first, second = settings.without
    present = np.stack([drawn >= first, (drawn < first) | (drawn >= first + second)], axis=1)
    # Blendshapes were read without the crop's cover: half of the covered faces go without them.
    present[:, 1] &= ~(hidden & (rng.random(len(rows)) < 0.5))
    present[:, 1] &= known
    present[:, 0] |= ~present[:, 1]
    return (
        network_pixels(crops),
        scores,
        present.astype(np.float32),
        data.target[rows],
        data.weight[rows],
        data.votes[rows],
    )


def _seen(
    data: AppearanceData, rows: Ints, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the blendshapes (B, 52) of one source per still that found it, and whether any did."""
    order = rng.random(data.known[rows].shape) + data.known[rows]
    chosen = order.argmax(axis=1)
    return data.scores[rows, chosen].copy(), data.known[rows, chosen]


def cross_entropy(target: Any, logits: Any) -> Any:
    """Return the cross-entropy (B,) of logits (B, C) with targets (B, C).

    Targets need not sum to 1: of zeros, both the loss and its gradient are 0. TensorFlow's own
    ``softmax_cross_entropy_with_logits`` has another gradient then.
    """
    return -tf.reduce_sum(target * tf.nn.log_softmax(logits), axis=-1)


def _training_step(
    network: Any, heads: Any, averages: tuple[Any, Any], optimizer: Any, settings: AppearanceFit
) -> Any:
    variables = network.trainable_variables + heads.trainable_variables
    pairs = list(
        zip(averages[0].variables + averages[1].variables, network.variables + heads.variables)
    )

    def step(pixels: Any, scores: Any, present: Any, target: Any, weight: Any, votes: Any) -> Any:
        with tf.GradientTape() as tape:
            embedding = network(pixels, training=True)
            alone, voted, joined = heads([embedding, scores, present], training=True)
            smooth = target * (1 - settings.smoothing) + settings.smoothing / target.shape[-1]
            loss = tf.reduce_mean(weight * cross_entropy(smooth, alone))
            loss += settings.joined * tf.reduce_mean(weight * cross_entropy(smooth, joined))
            # Zeros in place of votes cost nothing.
            loss += settings.votes * tf.reduce_mean(weight * cross_entropy(votes, voted))
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables))
        # A plain mean of the first steps, or the initial weights would linger. The optimizer counts
        # the steps, also across an interruption.
        count = tf.cast(optimizer.iterations, tf.float32)
        kept = tf.minimum(settings.average, count / (count + 10.0))
        for average, one in pairs:
            average.assign(kept * average + (1 - kept) * one)
        return loss

    return tf.function(step, reduce_retracing=True)
