"""The appearance network: a face crop in, an embedding out; and what joins it to blendshapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.perception.face_crop import SIDE
from emotion_estimator_training.data.dataset import FER_CLASSES
from emotion_estimator_training.features.face_vector import EMBEDDING
from emotion_estimator_training.models.branches import BranchSettings, front, normalized, spread
from emotion_estimator_training.models.legacy_keras import keras

Floats = NDArray[np.float32]
layers = keras.layers

#: Classes of FER+'s annotators.
VOTES = 10


@dataclass(frozen=True)
class AppearanceSettings:
    """The network's shape.

    :param widths: channels at 24, 12 and 6 pixels.
    :param narrow: channels inside the blocks at 6 pixels.
    :param places: channels whose 6x6 places are told apart.
    :param embedding: numbers that stand for a face.
    :param dropout: share of the embedding left out while training.
    :param branches: how both branches are joined.
    """

    widths: tuple[int, int, int] = (24, 64, 96)
    narrow: int = 48
    places: int = 8
    embedding: int = EMBEDDING
    dropout: float = 0.2
    branches: BranchSettings = field(default_factory=BranchSettings)


def network_pixels(crops: NDArray[np.uint8]) -> Floats:
    """Return crops (..., 48, 48) as the network reads them: float32 (..., 48, 48, 1), -2 to 2."""
    return ((crops.astype(np.float32) - 128) / 64)[..., None]


def build_appearance(settings: AppearanceSettings) -> Any:
    """Return the Keras model, crops (B, 48, 48, 1) -> embedding (B, E), not negative.

    Residual blocks of plain convolutions (He et al., Deep Residual Learning for Image Recognition,
    2016), few channels while the picture is large.
    """
    crop = keras.Input((SIDE, SIDE, 1), name='crop')
    first, second, third = settings.widths
    values = _block(_convolution(crop, first, side=5, stride=2), first)
    values = _block(_convolution(values, second, stride=2), second)
    values = _convolution(values, third, stride=2)
    for _ in range(2):
        values = _narrow_block(values, third, settings.narrow)
    # Faces are upright and centred: where a thing is says as much as that it is there.
    places = layers.Flatten()(_convolution(values, settings.places, 1))
    values = layers.Concatenate()([layers.GlobalAveragePooling2D()(values), places])
    embedding = layers.Dense(settings.embedding, 'relu', name='embedding')(values)
    return keras.Model(crop, embedding, name='appearance')


def build_heads(settings: AppearanceSettings, mean: Floats, scale: Floats) -> Any:
    """Return the Keras model that learns from embeddings and blendshapes.

    Inputs: embedding (B, E), blendshapes (B, 52), present (B, 2): 1 where the embedding and where
    the blendshapes are known, else 0. Outputs, all logits: classes by the embedding alone (B, 7),
    annotators' votes by it (B, 10), classes by what is present (B, 7).

    :param mean: (104,), of the blendshapes' spread; ``scale`` alike.
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
