"""Losses by name, and how much each label counts in them.

Focal loss: Lin et al. 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError

#: Keras' losses by the names of the command line: categorical cross-entropy (Attrah 2025,
#: equation 2), mean squared error (equation 1) and the categorical focal loss (equation 3).
LOSSES = {
    'cce': 'CategoricalCrossentropy',
    'mse': 'MeanSquaredError',
    'focal': 'CategoricalFocalCrossentropy',
}


def loss_named(name: str) -> Any:
    """Return the Keras loss between one-hot labels (N, L) and probabilities (N, L).

    :param name: ``cce``, ``mse`` or ``focal`` (Keras' defaults, alpha 0.25 and gamma 2).
    :raises InputError: the name is unknown.
    """
    from emotion_estimator_training.models.legacy_keras import keras

    if name not in LOSSES:
        raise InputError(f'unknown loss {name!r}; choose one of {", ".join(LOSSES)}')
    return getattr(keras.losses, LOSSES[name])()


def class_weights(choice: str, label: NDArray[np.int64], labels: int) -> dict[int, float] | None:
    """Return the weight of each label in the loss, or None when all count the same.

    :param choice: ``none``; ``balanced``, which weights labels by the inverse of their frequency;
        or one positive number per label, separated by commas.
    :param label: (N,), labels of the training rows, 0 to ``labels`` - 1.
    :raises InputError: ``choice`` is none of these.
    """
    if choice == 'none':
        return None
    if choice == 'balanced':
        counts = np.maximum(np.bincount(label, minlength=labels), 1)
        return dict(enumerate((len(label) / (labels * counts)).tolist()))
    try:
        weights = [float(part) for part in choice.split(',')]
    except ValueError:
        weights = []
    if len(weights) != labels or not all(0 < weight < np.inf for weight in weights):
        raise InputError(
            f'invalid class weights {choice!r}; give none, balanced, or {labels} numbers over 0 '
            'separated by commas'
        )
    return dict(enumerate(weights))
