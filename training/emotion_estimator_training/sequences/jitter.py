"""Jitter: how the blendshapes of a steady face move from frame to frame, as measured on video.

Scores hardly move near 0 and 1, but their logits move equally at every level, so the movement is
modelled in logits. It is the sum of white noise, a tremor that is smooth over a third of a second
(a Matern 3/2 process, caused by MediaPipe's own filter), and a drift (an Ornstein-Uhlenbeck
process). Time is in seconds, so that the same face can be sampled at any rate.

Matern process: Rasmussen and Williams 2006; drift: Uhlenbeck and Ornstein 1930.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.errors import InputError

Floats = NDArray[np.float32]

#: Scores are limited to this distance from 0 and 1 before taking logits.
_EDGE = 1e-3
#: Correlation times of tremor and drift in seconds.
_TREMOR_S, _DRIFT_S = 0.3, 2.0
#: A face is steady while no score moves by more than this within so many seconds.
_STEADY, _WITHIN_S = 0.08, 0.5
#: Time differences over which movement is measured.
_LAGS_S = (1 / 30, 2 / 30, 0.1, 1 / 6, 0.25, 1 / 3, 0.5, 2 / 3, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Jitter:
    """Standard deviations of the three components of the movement, in logits."""

    white: float
    tremor: float
    drift: float


#: Measured by ``emotion-estimator training stability --clips FOLDER`` on the steady parts of three
#: generated clips and smile_onset.mp4.
MEASURED = {
    'face_landmarker': Jitter(white=0.0, tremor=0.119, drift=0.15),
    'face_mesh': Jitter(white=0.076, tremor=0.088, drift=0.177),
}
#: Correlation of the movement of a blendshape's two sides, measured likewise (0.5 to 0.57 for both
#: sources).
SIDES_TOGETHER = 0.5


def logits(scores: Floats) -> NDArray[np.float64]:
    """Return the logits of scores of any shape, limited at the edges."""
    inner = np.clip(np.asarray(scores, np.float64), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inner / (1 - inner)))


def add_in_logits(scores: Floats, movement: NDArray[np.float64]) -> Floats:
    """Return scores with a movement added to their logits; zero movement changes nothing."""
    resting = logits(scores)
    change = 1 / (1 + np.exp(-resting - movement)) - 1 / (1 + np.exp(-resting))
    return np.asarray(np.clip(scores + change, 0, 1), np.float32)


def movement(
    jitter: Jitter, times: NDArray[np.float64], faces: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the movement of steady faces, in logits.

    :param times: (T,), seconds, increasing.
    :returns: float64 (faces, T, 52), correlated between both sides of the face.
    """
    drawn = wander(jitter, times, (faces, len(MIRROR)), rng)
    angle = np.arcsin(SIDES_TOGETHER) / 2
    mirror = np.array(MIRROR)
    mixed = np.cos(angle) * drawn + np.sin(angle) * drawn[..., mirror]
    # A blendshape of the middle has no other side.
    return np.where(mirror == np.arange(len(mirror)), drawn, mixed)


def wander(
    jitter: Jitter, times: NDArray[np.float64], shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw independent sums of the three components: float64 (shape[0], T, shape[1])."""
    lags = np.abs(times[:, None] - times[None])
    covariance = np.tensordot(np.square(astuple(jitter)), _kernels(lags), axes=1)
    root = np.linalg.cholesky(covariance + 1e-10 * np.eye(len(times)))
    return np.asarray(root @ rng.normal(size=(shape[0], len(times), shape[1])))


def measure_jitter(clips: Sequence[tuple[NDArray[np.float64], Floats]]) -> Jitter:
    """Fit the three components to tracked faces while these are steady.

    The variogram is half the mean square of how far logits move within a time. Each component's is
    known up to a non-negative factor. Scores with a median under 0.02 or over 0.98 carry no
    information and are left out.

    :param clips: times (T,) in seconds and blendshapes (T, 52) of each clip.
    :raises InputError: no face is steady for half a second in any clip.
    """
    squares, counts = np.zeros(len(_LAGS_S)), np.zeros(len(_LAGS_S))
    for times, scores in clips:
        steady = steady_frames(times, scores)
        if steady.sum() < 2:
            continue
        level = np.median(scores[steady], axis=0)
        z = logits(scores[:, (level > 0.02) & (level < 0.98)])
        # Within a stretch only: between two of them the expression may have changed.
        stretch = np.cumsum(~steady)
        for k, lag in enumerate(_LAGS_S):
            late = np.searchsorted(times, times + lag - 1e-3)
            early = np.flatnonzero(late < len(times))
            late = late[early]
            same = steady[early] & steady[late] & (stretch[early] == stretch[late])
            squares[k] += np.square(z[late[same]] - z[early[same]]).sum() / 2
            counts[k] += same.sum() * z.shape[1]
    known = counts > 0
    if known.sum() < 3:
        raise InputError('no face is steady for long enough in these clips; give longer ones')
    from scipy.optimize import nnls

    variogram = squares[known] / counts[known]
    parts = 1 - _kernels(np.array(_LAGS_S)[known]).T
    # Relative errors, so that the shortest times count as much as the longest.
    sizes, _ = nnls(parts / variogram[:, None], np.ones(len(variogram)))
    return Jitter(*(round(float(size), 3) for size in np.sqrt(sizes)))


def steady_frames(times: NDArray[np.float64], scores: Floats) -> NDArray[np.bool_]:
    """Return the frames (T,) in which a face is steady.

    Never the first and last quarter of a second, where trackers settle and windows are incomplete.

    :param times: (T,), seconds, increasing.
    :param scores: (T, 52).
    """
    smooth = np.stack(
        [scores[np.abs(times - time) <= _WITHIN_S / 6].mean(axis=0) for time in times]
    )
    half = _WITHIN_S / 2
    before = np.searchsorted(times, times - half).clip(0, len(times) - 1)
    after = np.searchsorted(times, times + half).clip(0, len(times) - 1)
    calm = np.abs(smooth[after] - smooth[before]).max(axis=1) < _STEADY
    return np.asarray(calm & (times - times[0] >= half) & (times[-1] - times >= half))


def _kernels(lags: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlations (3, ...) of the three components at time differences ``lags``."""
    scaled = np.sqrt(3) * lags / _TREMOR_S
    return np.stack([lags == 0, (1 + scaled) * np.exp(-scaled), np.exp(-lags / _DRIFT_S)])
