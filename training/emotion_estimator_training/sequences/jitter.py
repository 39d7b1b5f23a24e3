"""How blendshapes of a face that holds still move from frame to frame, measured on tracked video.

Scores are probabilities of a kind: near 0 and 1 they hardly move. Their logits move alike at every
level, so the movement is described there, by three parts that add up: white noise from frame to
frame, a tremor that is smooth over a third of a second (a Matern 3/2 process: MediaPipe's own
filter makes it), and a drift (an Ornstein-Uhlenbeck process). Time is in seconds, so that the same
face can be filmed at any rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.errors import InputError

Floats = NDArray[np.float32]

#: Scores nearer to 0 or 1 count as this near, in logits.
_EDGE = 1e-3
#: Seconds over which the tremor and the drift forget.
_TREMOR_S, _DRIFT_S = 0.3, 2.0
#: A face holds still where no score moves by more than this within half a second.
_STILL, _WITHIN_S = 0.08, 0.5
#: Times over which movement is measured.
_LAGS_S = (1 / 30, 2 / 30, 0.1, 1 / 6, 0.25, 1 / 3, 0.5, 2 / 3, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Jitter:
    """Standard deviations of the three parts of the movement, in logits."""

    white: float
    tremor: float
    drift: float


#: Measured by ``emotion-estimator training stability --clips FOLDER`` on the still
#: parts of three generated clips and smile_onset.mp4.
MEASURED = {
    'face_landmarker': Jitter(white=0.0, tremor=0.119, drift=0.15),
    'face_mesh': Jitter(white=0.076, tremor=0.088, drift=0.177),
}
#: Correlation of a blendshape's movement with that of its other side, measured alike (0.5 to 0.57
#: at both sources).
SIDES_TOGETHER = 0.5


def logits(scores: Floats) -> NDArray[np.float64]:
    """Return the logits of scores of any shape, the edges cut off."""
    inner = np.clip(np.asarray(scores, np.float64), _EDGE, 1 - _EDGE)
    return np.log(inner / (1 - inner))


def add_in_logits(scores: Floats, movement: NDArray[np.float64]) -> Floats:
    """Return scores whose logits are moved; those at the edges stay there without movement."""
    resting = logits(scores)
    change = 1 / (1 + np.exp(-resting - movement)) - 1 / (1 + np.exp(-resting))
    return np.clip(scores + change, 0, 1).astype(np.float32)


def movement(
    jitter: Jitter, times: NDArray[np.float64], faces: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the movement of faces that hold still, in logits.

    :param times: (T,), seconds, increasing.
    :returns: float64 (faces, T, 52); both sides of the face move partly together.
    """
    drawn = wander(jitter, times, (faces, len(MIRROR)), rng)
    angle = np.arcsin(SIDES_TOGETHER) / 2
    mirror = np.array(MIRROR)
    mixed = np.cos(angle) * drawn + np.sin(angle) * drawn[..., mirror]
    # A blendshape of the middle is its own other side.
    return np.where(mirror == np.arange(len(mirror)), drawn, mixed)


def wander(
    jitter: Jitter, times: NDArray[np.float64], shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw independent courses of the three parts together: float64 (shape[0], T, shape[1])."""
    lags = np.abs(times[:, None] - times[None])
    covariance = np.tensordot(np.square(astuple(jitter)), _kernels(lags), axes=1)
    root = np.linalg.cholesky(covariance + 1e-10 * np.eye(len(times)))
    return root @ rng.normal(size=(shape[0], len(times), shape[1]))


def measure_jitter(clips: Sequence[tuple[NDArray[np.float64], Floats]]) -> Jitter:
    """Fit the three parts to tracked faces while these hold still.

    Half the mean square of how far logits move within a time is the variogram; each part's is
    known but for its size, and sizes are not negative. Scores that rest under 0.02 or over 0.98
    say nothing and are left out.

    :param clips: of each its times (T,) in seconds and blendshapes (T, 52).
    :raises InputError: no face holds still for half a second in any of them.
    """
    squares, counts = np.zeros(len(_LAGS_S)), np.zeros(len(_LAGS_S))
    for times, scores in clips:
        still = held_still(times, scores)
        if still.sum() < 2:
            continue
        level = np.median(scores[still], axis=0)
        z = logits(scores[:, (level > 0.02) & (level < 0.98)])
        # Unbroken stretches only: between two of them the expression may have changed.
        stretch = np.cumsum(~still)
        for k, lag in enumerate(_LAGS_S):
            late = np.searchsorted(times, times + lag - 1e-3)
            early = np.flatnonzero(late < len(times))
            late = late[early]
            same = still[early] & still[late] & (stretch[early] == stretch[late])
            squares[k] += np.square(z[late[same]] - z[early[same]]).sum() / 2
            counts[k] += same.sum() * z.shape[1]
    known = counts > 0
    if known.sum() < 3:
        raise InputError('no face holds still for long enough in these clips; give longer ones')
    from scipy.optimize import nnls

    variogram = squares[known] / counts[known]
    parts = 1 - _kernels(np.array(_LAGS_S)[known]).T
    # Divided by what is fitted, so that the shortest times count as much as the longest.
    sizes, _ = nnls(parts / variogram[:, None], np.ones(len(variogram)))
    return Jitter(*(round(float(size), 3) for size in np.sqrt(sizes)))


def held_still(times: NDArray[np.float64], scores: Floats) -> NDArray[np.bool_]:
    """Say in which frames a face holds still; trackers settle first, so the ends never do.

    :param times: (T,), seconds; ``scores`` (T, 52).
    """
    smooth = np.stack(
        [scores[np.abs(times - time) <= _WITHIN_S / 6].mean(axis=0) for time in times]
    )
    half = _WITHIN_S / 2
    before = np.searchsorted(times, times - half).clip(0, len(times) - 1)
    after = np.searchsorted(times, times + half).clip(0, len(times) - 1)
    calm = np.abs(smooth[after] - smooth[before]).max(axis=1) < _STILL
    return calm & (times - times[0] >= half) & (times[-1] - times >= half)


def _kernels(lags: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the three parts' correlations (3, ...) at these distances in time."""
    scaled = np.sqrt(3) * lags / _TREMOR_S
    return np.stack([lags == 0, (1 + scaled) * np.exp(-scaled), np.exp(-lags / _DRIFT_S)])
