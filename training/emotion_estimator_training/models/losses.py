"""What training minimizes, and how much each label counts in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError

#: Categorical cross-entropy (seed 001, equation 2), mean squared error (1), which the papers
#: began with, and the categorical focal loss (3), which they suggest: Keras' own.
LOSSES = {
    'cce': 'CategoricalCrossentropy',
    'mse': 'MeanSquaredError',
    'focal': 'CategoricalFocalCrossentropy',
}


def loss_named(name: str) -> Any:
    """Return the Keras loss of one-hot truth (N, L) and probabilities (N, L).

    :param name: ``cce``, ``mse`` or ``focal`` (alpha 0.25, gamma 2, as Keras has them).
    :raises InputError: there is no such loss.
    """
    from emotion_estimator_training.models.legacy_keras import keras

    if name not in LOSSES:
        raise InputError(f'there is no loss {name!r}; there are: {", ".join(LOSSES)}')
    return getattr(keras.losses, LOSSES[name])()


def class_weights(choice: str, label: NDArray[np.int64], labels: int) -> dict[int, float] | None:
    """Return how much each label counts, or None where all count alike.

    :param choice: ``none``; ``balanced``, every label as much as any other; or one positive number
        for each label, separated by commas.
    :param label: (N,), the training rows' labels, 0 to ``labels`` - 1.
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
            f'class weights {choice!r}; give none, balanced, or {labels} numbers over 0 '
            'separated by commas'
        )
    return dict(enumerate(weights))
