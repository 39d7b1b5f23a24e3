"""Sets of frames as matrices: covariance, leading eigenvectors, Gaussian (Liu et al. 2014).

All three are ``B^T h(B B^T) B`` of a matrix B with a row for each frame, so that only a matrix as
small as the window is decomposed, by operations that TFLite has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.models.legacy_keras import tf

#: Added to the diagonal before the logarithm, where encodings vary by 1 over the training set: a
#: face that does not move has a covariance of zero, which has no logarithm.
SHRINKAGE = 0.01
#: Leading eigenvectors that span the subspace of a window.
DIRECTIONS = 4
#: Eigenvalues below this share of the greatest one are no directions: rounding would turn them.
_LEAST_SHARE = 1e-3
#: Rotations of all pairs of rows; float32 needs no more, for windows of up to 32 frames.
_SWEEPS = 7
#: Eigenvalue below which the logarithm is taken for linear.
_LEAST = 1e-6
#: Keeps 0 / 0 out of the rotation of two rows that do not vary.
_TINY = 1e-20


def covariance(values: Any) -> Any:
    """Return the logarithm of each window's covariance matrix, a point of a flat space.

    :param values: encodings (N, L, E), standardized.
    :returns: its upper triangle (N, E (E + 1) / 2), without the constant ``log(SHRINKAGE)`` of the
        diagonal.
    """
    return _triangle(_spectral(_centred(values), _logarithm))


def eigenvector(values: Any) -> Any:
    """Return the projection onto the ``DIRECTIONS`` leading eigenvectors of each window's frames.

    The projection is the same whatever the signs of the eigenvectors are. Its inner products are
    those of Liu et al.'s kernel on linear subspaces.

    :param values: encodings (N, L, E), standardized.
    :returns: its upper triangle (N, E (E + 1) / 2).
    """
    return _triangle(_spectral(values, _leading))


def gaussian(values: Any) -> Any:
    """Return the logarithm of the matrix that stands for each window's Gaussian distribution.

    The matrix is ``[[C + m m^T, m], [m^T, 1]]`` with the mean m and the covariance C, scaled to
    determinant 1; ``SHRINKAGE`` is added to its diagonal.

    :param values: encodings (N, L, E), standardized.
    :returns: its upper triangle (N, (E + 1) (E + 2) / 2).
    """
    mean = tf.reduce_mean(values, axis=1, keepdims=True)
    spread = tf.pad(_centred(values), ((0, 0), (0, 0), (0, 1)))
    rows = tf.concat([spread, tf.concat([mean, tf.ones_like(mean[..., :1])], axis=-1)], axis=1)
    found = _spectral(rows, _logarithm)
    size = int(found.shape[-1])
    # The logarithm of a matrix of determinant 1 has the trace 0.
    trace = tf.reduce_sum(found * np.eye(size, dtype=np.float32), axis=(1, 2), keepdims=True)
    return _triangle(found - trace / size * np.eye(size, dtype=np.float32))


def symmetric_eigen(matrix: Any) -> tuple[Any, Any]:
    """Return eigenvalues (N, n) and eigenvectors (N, n, n), in columns, by Jacobi's rotations.

    TensorFlow's own decomposition cannot be converted to TFLite.

    :param matrix: symmetric (N, n, n), n even.
    """
    values, vectors = _rotated(matrix, int(matrix.shape[-1]))
    return values, vectors


# In a graph: step by step, the thousand small operations take several times as long.
@tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]
def _rotated(matrix: Any, size: int) -> tuple[Any, Any]:
    unit = np.eye(size, dtype=np.float32)
    above = np.sign(np.triu(np.ones_like(unit)) - 0.5)
    swaps = tf.constant(unit[_partners(size)])

    def rotate(number: Any, turned: Any, vectors: Any) -> tuple[Any, Any, Any]:
        """Make the elements of one round's pairs zero."""
        swap = swaps[number % (size - 1)]
        # 1 in the first row of a pair, -1 in the second.
        first = tf.reduce_sum(swap * above, axis=-1)
        diagonal = tf.reduce_sum(turned * unit, axis=-1)
        beside = tf.reduce_sum(turned * swap, axis=-1)
        # Rounding makes the matrix slightly unsymmetric; both rows of a pair must turn alike.
        beside = 0.5 * (beside + tf.matmul(beside, swap))
        gap = tf.matmul(diagonal, swap) - diagonal
        tangent = tf.where(gap * first >= 0.0, first, -first) * 2.0 * beside
        tangent /= tf.abs(gap) + tf.sqrt(gap * gap + 4.0 * beside * beside) + _TINY
        cosine = 1.0 / tf.sqrt(1.0 + tangent * tangent)
        rotation = cosine[..., None] * unit + (tangent * cosine)[..., None] * swap
        turned = tf.matmul(tf.matmul(rotation, turned, transpose_a=True), rotation)
        return number + 1, turned, tf.matmul(vectors, rotation)

    _, _, vectors = tf.while_loop(
        lambda number, *_: number < _SWEEPS * (size - 1),
        rotate,
        (0, matrix, tf.zeros_like(matrix) + unit),
    )
    # Many rotations, each rounded, are not quite a rotation: a step of Newton's makes them one.
    vectors = tf.matmul(vectors, 1.5 * unit - 0.5 * tf.matmul(vectors, vectors, transpose_a=True))
    return tf.reduce_sum(vectors * tf.matmul(matrix, vectors), axis=1), vectors


def _partners(size: int) -> NDArray[np.int64]:
    """Return the partner (n - 1, n) of each row in each round of a tournament of all pairs."""
    rounds, circle = [], list(range(1, size))
    for _ in range(size - 1):
        partner = np.zeros(size, np.int64)
        order = [0, *circle]
        for one, other in zip(order[: size // 2], reversed(order[size // 2 :])):
            partner[one], partner[other] = other, one
        rounds.append(partner)
        circle = [circle[-1], *circle[:-1]]
    return np.stack(rounds)


def _centred(values: Any) -> Any:
    """Return rows whose product with themselves is the covariance."""
    steps = int(values.shape[1])
    spread = values - tf.reduce_mean(values, axis=1, keepdims=True)
    return spread / float(np.sqrt(max(steps - 1, 1)))


def _spectral(rows: Any, weigh: Callable[[Any], Any]) -> Any:
    """Return ``B^T h(B B^T) B``, (N, E, E).

    :param rows: B, (N, L, E).
    :param weigh: h of the eigenvalues (N, L), at least 0.
    """
    if int(rows.shape[1]) % 2:
        # A row of zeros changes nothing, and makes the number of rows even.
        rows = tf.pad(rows, ((0, 0), (0, 1), (0, 0)))
    values, vectors = symmetric_eigen(tf.matmul(rows, rows, transpose_b=True))
    weights = tf.sqrt(weigh(tf.maximum(values, 0.0)))
    turned = tf.matmul(tf.transpose(vectors, (0, 2, 1)), rows) * weights[..., None]
    return tf.matmul(tf.transpose(turned, (0, 2, 1)), turned)


def _logarithm(values: Any) -> Any:
    """Return h for which ``B^T h(B B^T) B`` is ``log(B^T B + SHRINKAGE) - log(SHRINKAGE)``."""
    # The smallest value keeps the limit, 1 / SHRINKAGE at 0, within what float32 can divide.
    values = tf.maximum(values, _LEAST)
    return tf.math.log1p(values / SHRINKAGE) / values


def _leading(values: Any) -> Any:
    """Return h for which ``B^T h(B B^T) B`` projects onto the leading eigenvectors."""
    greater = tf.cast(values[:, None, :] > values[:, :, None], tf.float32)
    greatest = tf.reduce_max(values, axis=-1, keepdims=True)
    kept = tf.logical_and(
        tf.reduce_sum(greater, axis=-1) < float(DIRECTIONS), values > _LEAST_SHARE * greatest
    )
    return tf.cast(kept, tf.float32) / tf.maximum(values, _TINY)


def _triangle(matrix: Any) -> Any:
    """Return the upper triangles (N, E (E + 1) / 2) of symmetric matrices (N, E, E)."""
    size = int(matrix.shape[-1])
    row, column = np.triu_indices(size)
    return tf.gather(tf.reshape(matrix, (-1, size * size)), row * size + column, axis=1)
