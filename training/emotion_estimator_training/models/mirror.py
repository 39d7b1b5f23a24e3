"""Finds which mesh point is which one's mirror image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


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
