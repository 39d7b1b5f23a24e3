"""The layers that join the two branches: a crop's embedding and the blendshapes.

Swish: Ramachandran et al. 2017; dropout: Srivastava et al. 2014.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.models.legacy_keras import keras, tf

Floats = NDArray[np.float32]

#: Names of the layers, in order.
FRONT = ('front_embedding', 'front_blendshapes', 'front_joined')


@dataclass(frozen=True)
class BranchSettings:
    """The sizes of the layers.

    :param embedding: units that read the embedding; ``blendshapes`` those that read blendshapes.
    :param joined: units that read both.
    :param floor: added to a score before its logarithm; much smaller scores are noise.
    :param dropout: share of each layer's outputs dropped in training.
    """

    embedding: int = 64
    blendshapes: int = 96
    joined: int = 64
    floor: float = 1e-3
    dropout: float = 0.3


def spread(blendshapes: Any, floor: float) -> Any:
    """Return scores (..., 52) as (..., 104): their logarithms, and themselves.

    The scores are skewed: most are near zero, where their order of magnitude is informative.
    Networks do far worse on plain scores than trees, which see only their order.
    """
    scores = tf.maximum(blendshapes, 0.0)
    return tf.concat([tf.math.log(scores + floor), scores], axis=-1)


def normalized(values: Any, mean: Any, scale: Any) -> Any:
    """Return ``(values - mean) / scale``, clipped to -4 to 4.

    Clipping keeps outliers from coarsening the int8 steps of all other values.
    """
    return tf.clip_by_value((values - mean) / scale, -4.0, 4.0)


def front(embedding: Any, shapes: Any, present: Any, settings: BranchSettings) -> Any:
    """Return both branches joined, (..., joined), as Keras layers.

    :param embedding: (..., E).
    :param shapes: (..., 104), blendshapes after :func:`spread` and :func:`normalized`.
    :param present: (..., 2), 1 if the embedding is known and 1 if the blendshapes are, else 0.
    """
    layers = keras.layers
    left = layers.Dense(settings.embedding, 'swish', name='front_embedding')(embedding)
    right = layers.Dense(settings.blendshapes, 'swish', name='front_blendshapes')(shapes)
    left = layers.Dropout(settings.dropout)(left * present[..., :1])
    right = layers.Dropout(settings.dropout)(right * present[..., 1:])
    both = layers.Concatenate()([left, right, present])
    both = layers.Dense(settings.joined, 'swish', name='front_joined')(both)
    return layers.Dropout(settings.dropout)(both)


def front_step(embedding: Any, shapes: Any, present: Any, weights: dict[str, list[Any]]) -> Any:
    """Compute :func:`front` at inference, with the ``weights`` of its layers by name."""
    left, right, both = (weights[name] for name in FRONT)
    seen = [_swish(embedding, left) * present[..., :1], _swish(shapes, right) * present[..., 1:]]
    return _swish(tf.concat([*seen, present], axis=-1), both)


def _swish(values: Any, weights: list[Any]) -> Any:
    values = values @ weights[0] + weights[1]
    return values * tf.sigmoid(values)
