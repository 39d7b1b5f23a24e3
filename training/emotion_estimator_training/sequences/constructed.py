"""Sequences whose truth is known, for measuring: faces that hold, and faces that change.

Made apart from the sequences of training, and shared by every model that is measured: the movement
of a held face is that of tracked video (``jitter``), blinks and turns of the head are as described
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator_training.features.feature_set import SHAPES, whole
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
#: Seconds from open to open, and how high lids and gaze score: the blink in smile_onset.mp4.
_BLINK_S, _BLINK_PEAK = 0.27, 0.64
_BLINKING = [
    i
    for i, name in enumerate(BLENDSHAPE_NAMES)
    if name.startswith(('eyeBlink', 'eyeLookDown', 'eyeSquint'))
]
#: A listener's head sways: a fifth of what head_pose.gif's full turns from side to side do to the
#: logits, opposite on both sides (2.5 of the gaze, 0.5 of the others); as smooth as the tremor, and
#: four times slower.
_SWAY_GAZE, _SWAY_OTHERS = 0.5, 0.1
_SWAYING, _SLOWER = Jitter(white=0.0, tremor=1.0, drift=0.0), 4


@dataclass(frozen=True, eq=False)
class ConstructedSequences:
    """What a tracker tells of B faces in T frames.

    :param vectors: float32 (B, T, 118), see ``face_vector``.
    :param dt: float32 (B, T), seconds since the frame before.
    """

    vectors: Floats
    dt: Floats

    @property
    def blendshapes(self) -> Floats:
        """Return what each face shows, (B, T, 52), 0 to 1."""
        return self.vectors[..., :SHAPES]

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds (T,) since the first frame, the same for all faces."""
        elapsed = np.cumsum(self.dt[0], dtype=np.float64)
        return elapsed - elapsed[0]


def course(
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
    """Let faces hold an expression before a camera, and turn smoothly to the next at times.

    :param stations: of each expression its faces (B, 52 or 118), a still's for each face.
    :param starts: seconds at which the second and later ones begin; one fewer than stations.
    :param source: landmark source whose movement is taken; an unknown one takes the mesh's.
    :param rate: frames per second.
    :param onset: seconds from the first movement to the whole expression.
    :param strength: times the measured movement, for asking how much depends on it.
    :param moves: of each station how far the embeddings of its faces' varied crops lie from theirs
        (B, K, 64), or None.
    """
    times = np.arange(round(seconds * rate)) / rate
    known = [whole(each) for each in stations]
    resting = np.repeat(known[0][:, None], len(times), axis=1).astype(np.float32)
    moved = _seen_otherwise(moves[0] if moves else None, times, seed, strength)
    for number, (start, station) in enumerate(zip(starts, known[1:], strict=True), start=1):
        progress = np.clip((times - start) / onset, 0, 1)
        share = (progress**2 * (3 - 2 * progress)).astype(np.float32)[:, None]
        resting += share * (station[:, None] - resting)
        other = _seen_otherwise(moves[number] if moves else None, times, seed + number, strength)
        moved = moved + share * (other - moved)
    # Between two faces of which one lacks an embedding there is none.
    resting[..., -2:] = resting[..., -2:] > 0.999
    resting[..., :SHAPES] = _live(resting[..., :SHAPES], source, times, seed, strength)
    resting[..., SHAPES:-2] = np.maximum(resting[..., SHAPES:-2] + moved, 0)
    steps = np.full(resting.shape[:2], 1 / rate, np.float32)
    return ConstructedSequences(resting, steps)


def _seen_otherwise(
    moves: Floats | None, times: NDArray[np.float64], seed: int, strength: float
) -> Any:
    """Draw how embeddings move from frame to frame (B, T, 64): half noise, half a slow drift."""
    if moves is None:
        return np.float32(0)
    rng = np.random.default_rng([seed, len(times), 1])
    half = strength * float(np.sqrt(0.5 / moves.shape[1]))
    drawn = wander(Jitter(half, half, 0.0), times, moves.shape[:2], rng)
    return np.einsum('btk,bke->bte', drawn.astype(np.float32), moves)


def _live(
    resting: Floats, source: str, times: NDArray[np.float64], seed: int, strength: float
) -> Floats:
    """Add movement, sway and blinks to expressions (B, T, 52)."""
    rng = np.random.default_rng([seed, len(times)])
    jitter = MEASURED.get(source, MEASURED['face_mesh'])
    moved = movement(jitter, times, len(resting), rng)
    # One drift of the head for each face; the sides answer oppositely.
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
        # Both eyes look the same way: inwards with one is outwards with the other.
        return _SWAY_GAZE * side * (1 if name.startswith('eyeLookIn') else -1)
    return _SWAY_OTHERS * side


_SWAY = np.array([_sway_of(name) for name in BLENDSHAPE_NAMES])
