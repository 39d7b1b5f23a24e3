"""Sequences with known labels for evaluation: faces that keep or change their expression.

Independent of the training sequences, and the same for every model: a steady face moves as measured
on tracked video (:mod:`~.jitter`), and blinks and sways as described here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator_training.features.feature_set import SHAPES, complete_vectors
from emotion_estimator_training.sequences.jitter import (
    MEASURED,
    Floats,
    Jitter,
    add_in_logits,
    movement,
    wander,
)

#: Blinks per second at rest (17 a minute: Bentivoglio et al., Movement Disorders 12(6), 1997).
_BLINKS = 17 / 60
#: Duration of a blink in seconds and peak score of lids and gaze, as in smile_onset.mp4.
_BLINK_S, _BLINK_PEAK = 0.27, 0.64
_BLINKING = [
    i
    for i, name in enumerate(BLENDSHAPE_NAMES)
    if name.startswith(('eyeBlink', 'eyeLookDown', 'eyeSquint'))
]
#: Sway of a listener's head, in logits, opposite on both sides: a fifth of that of the full turns
#: in head_pose.gif (2.5 of the gaze, 0.5 of the others), smooth like the tremor, four times slower.
_SWAY_GAZE, _SWAY_OTHERS = 0.5, 0.1
_SWAYING, _SLOWER = Jitter(white=0.0, tremor=1.0, drift=0.0), 4


@dataclass(frozen=True, eq=False)
class ConstructedSequences:
    """Tracked faces: B faces in T frames.

    :param vectors: float32 (B, T, 118), see :func:`~.face_vectors`.
    :param dt: float32 (B, T), seconds since the previous frame.
    """

    vectors: Floats
    dt: Floats

    @property
    def blendshapes(self) -> Floats:
        """Blendshapes (B, T, 52), 0 to 1."""
        return self.vectors[..., :SHAPES]

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds (T,) since the first frame, the same for all faces."""
        elapsed = np.cumsum(self.dt[0], dtype=np.float64)
        return np.asarray(elapsed - elapsed[0])


def construct_sequences(
    stations: Sequence[Floats],
    starts: Sequence[float],
    source: str,
    rate: float,
    seconds: float,
    seed: int,
    *,
    onset: float = 0.2,
    strength: float = 1.0,
    moves: Sequence[Floats | None] = (),
) -> ConstructedSequences:
    """Construct sequences of faces that keep an expression and change smoothly to the next.

    :param stations: for each expression, the faces (B, 52 or 118) that show it.
    :param starts: seconds at which the changes start; one fewer than ``stations``.
    :param source: landmark source whose movement is used; an unknown one uses the face mesh's.
    :param rate: frames per second.
    :param seconds: length of the sequences.
    :param onset: duration of a change in seconds.
    :param strength: factor of the measured movement.
    :param moves: for each station, the deviation of the embeddings of varied crops from those of
        its faces (B, K, 64), or None.
    """
    times = np.arange(round(seconds * rate)) / rate
    known = [complete_vectors(each) for each in stations]
    resting = np.repeat(known[0][:, None], len(times), axis=1).astype(np.float32)
    moved = _embedding_moves(moves[0] if moves else None, times, seed, strength)
    for number, (start, station) in enumerate(zip(starts, known[1:], strict=True), start=1):
        progress = np.clip((times - start) / onset, 0, 1)
        share = (progress**2 * (3 - 2 * progress)).astype(np.float32)[:, None]
        resting += share * (station[:, None] - resting)
        other = _embedding_moves(moves[number] if moves else None, times, seed + number, strength)
        moved = moved + share * (other - moved)
    # Between two faces, the embedding is known only if both have one.
    resting[..., -2:] = resting[..., -2:] > 0.999
    resting[..., :SHAPES] = _live(resting[..., :SHAPES], source, times, seed, strength)
    resting[..., SHAPES:-2] = np.maximum(resting[..., SHAPES:-2] + moved, 0)
    steps = np.full(resting.shape[:2], 1 / rate, np.float32)
    return ConstructedSequences(resting, steps)


def _embedding_moves(
    moves: Floats | None, times: NDArray[np.float64], seed: int, strength: float
) -> Any:
    """Draw how embeddings move from frame to frame (B, T, 64): half noise, half slow drift."""
    if moves is None:
        return np.float32(0)
    rng = np.random.default_rng([seed, len(times), 1])
    half = strength * float(np.sqrt(0.5 / moves.shape[1]))
    drawn = wander(Jitter(half, half, 0.0), times, (moves.shape[0], moves.shape[1]), rng)
    return np.einsum('btk,bke->bte', drawn.astype(np.float32), moves)


def _live(
    resting: Floats, source: str, times: NDArray[np.float64], seed: int, strength: float
) -> Floats:
    """Add movement, sway and blinks to expressions (B, T, 52)."""
    rng = np.random.default_rng([seed, len(times)])
    jitter = MEASURED.get(source, MEASURED['face_mesh'])
    moved = movement(jitter, times, len(resting), rng)
    # One sway of the head for each face; its sides move oppositely.
    sway = wander(_SWAYING, times / _SLOWER, (len(resting), 1), rng)
    alive = add_in_logits(resting, strength * (moved + sway * _SWAY))
    lid = np.zeros(resting.shape[:2])
    for face, count in enumerate(rng.poisson(_BLINKS * (times[-1] - times[0]), len(resting))):
        for start in rng.uniform(times[0], times[-1], count):
            lid[face] += np.clip(1 - np.abs((times - start) / (_BLINK_S / 2) - 1), 0, 1)
    peak = (_BLINK_PEAK * np.clip(lid, 0, 1)).astype(np.float32)[..., None]
    alive[..., _BLINKING] = np.maximum(alive[..., _BLINKING], peak)
    return alive


def _sway_of(name: str) -> float:
    side = -1.0 if name.endswith('Left') else 1.0 if name.endswith('Right') else 0.0
    if name.startswith(('eyeLookIn', 'eyeLookOut')):
        # Both eyes turn together: one looks inwards while the other looks outwards.
        return _SWAY_GAZE * side * (1 if name.startswith('eyeLookIn') else -1)
    return _SWAY_OTHERS * side


_SWAY = np.array([_sway_of(name) for name in BLENDSHAPE_NAMES])
