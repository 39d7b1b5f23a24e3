"""Disturbances of a face's blendshapes: blinks, speech, head movement and sensor noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES, MIRROR

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_BLINKING = [
    i
    for i, name in enumerate(BLENDSHAPE_NAMES)
    if name.startswith(('eyeBlink', 'eyeLookDown', 'eyeSquint'))
]
#: Maximum that speech adds to a blendshape, while the jaw is open (1) or closed (-1).
_SPEAKING = {
    'jawOpen': (0.35, 1),
    'mouthLowerDownLeft': (0.3, 1),
    'mouthLowerDownRight': (0.3, 1),
    'mouthUpperUpLeft': (0.2, 1),
    'mouthUpperUpRight': (0.2, 1),
    'mouthFunnel': (0.25, 1),
    'mouthStretchLeft': (0.15, 1),
    'mouthStretchRight': (0.15, 1),
    'mouthPucker': (0.4, -1),
    'mouthRollLower': (0.2, -1),
    'mouthRollUpper': (0.1, -1),
    'mouthPressLeft': (0.2, -1),
    'mouthPressRight': (0.2, -1),
    'mouthShrugLower': (0.2, -1),
    'mouthClose': (0.1, -1),
}
#: Scores are limited to this distance from 0 and 1 before taking logits.
_EDGE = 1e-3
#: Correlation of the movement of the two sides of the face.
_SIDES_TOGETHER = 0.5


@dataclass(frozen=True)
class Disturbances:
    """Ranges from which disturbances are drawn, uniformly unless stated otherwise.

    :param white: white noise, standard deviation in logits.
    :param tremor: noise with a correlation time of 0.2 s, standard deviation in logits.
    :param drift: noise with a correlation time of 2 s, standard deviation in logits.
    :param turn: drift of the head from side to side, in logits, opposite on both sides; five times
        as strong for the gaze.
    :param blinks: blinks per second (Poisson).
    :param speaks: share of sequences in which syllables are added to the blendshapes alone.
    :param calm: share of sequences without disturbances.
    :param gain: standard deviation of the logarithm of each blendshape's gain in a sequence, as
        landmark sources, cameras and faces differ.
    :param missing: share of blendshapes that are zero throughout a sequence, so that no single one
        decides.
    """

    white: tuple[float, float] = (0.0, 0.15)
    tremor: tuple[float, float] = (0.0, 0.2)
    drift: tuple[float, float] = (0.0, 0.3)
    turn: tuple[float, float] = (0.0, 0.15)
    blinks: float = 0.35
    speaks: float = 0.1
    calm: float = 0.35
    gain: float = 0.05
    missing: float = 0.002


def disturb(
    scores: Floats, times: Doubles, settings: Disturbances, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return disturbed scores (B, T, 52), and which sequences (B,) are calm and unchanged.

    :param scores: (B, T, 52), 0 to 1.
    :param times: (B, T), seconds, increasing.
    """
    count, _, width = scores.shape
    undisturbed = scores
    gain = np.exp(settings.gain * rng.normal(size=(count, 1, width)))
    gain[rng.random(gain.shape) < settings.missing] = 0
    scores = scores * gain.astype(np.float32)
    scores = _speech(scores, times, settings.speaks, rng)
    scores = _move(scores, _movement(times, settings, rng, width))
    disturbed = _blinks(scores, times, settings.blinks, rng)
    calm = rng.random(count) < settings.calm
    return np.where(calm[:, None, None], undisturbed, disturbed), calm


def _movement(
    times: Doubles, settings: Disturbances, rng: np.random.Generator, width: int
) -> Floats:
    """Draw the movement in logits (B, T, 52)."""
    shape = (*times.shape, width)
    size = [
        rng.uniform(*span, (len(times), 1, 1)).astype(np.float32)
        for span in (settings.white, settings.tremor, settings.drift, settings.turn)
    ]
    moved = size[0] * rng.standard_normal(shape, np.float32)
    moved += size[1] * wander(times, 0.2, width, rng) + size[2] * wander(times, 2.0, width, rng)
    mirror, angle = np.array(MIRROR), np.arcsin(_SIDES_TOGETHER) / 2
    mixed = moved * float(np.cos(angle)) + moved[..., mirror] * float(np.sin(angle))
    # A blendshape of the middle has no other side.
    moved = np.where(mirror == np.arange(width), moved, mixed)
    return np.asarray(moved + size[3] * wander(times, 1.0, 1, rng) * _TURNING)


def wander(times: Doubles, memory: float, width: int, rng: np.random.Generator) -> Floats:
    """Draw Ornstein-Uhlenbeck processes (B, T, width) of variance 1.

    :param memory: correlation time in seconds.
    """
    kept = np.exp(-np.diff(times, axis=1) / memory).astype(np.float32)[..., None]
    drawn = rng.standard_normal((*times.shape, width), np.float32)
    for step in range(1, times.shape[1]):
        keep = kept[:, step - 1]
        drawn[:, step] = keep * drawn[:, step - 1] + np.sqrt(1 - keep**2) * drawn[:, step]
    return drawn


def _move(scores: Floats, movement: Floats) -> Floats:
    inner = np.clip(scores, _EDGE, 1 - _EDGE)
    resting = np.log(inner / (1 - inner))
    change = 1 / (1 + np.exp(-resting - movement)) - inner
    return np.asarray(np.clip(scores + change, 0, 1), np.float32)


def _blinks(scores: Floats, times: Doubles, rate: float, rng: np.random.Generator) -> Floats:
    begin, end = times[:, :1], times[:, -1:]
    lid = np.zeros_like(times)
    blinks = rng.poisson(rate * (end - begin)[:, 0])
    for number in range(blinks.max(initial=0)):
        start, length = rng.uniform(begin, end), rng.uniform(0.1, 0.4, begin.shape)
        closed = np.clip(1 - np.abs((times - start) / (length / 2) - 1), 0, 1)
        lid = np.maximum(
            lid, closed * rng.uniform(0.5, 1.0, begin.shape) * (number < blinks)[:, None]
        )
    raised = np.maximum(scores[..., _BLINKING], lid[..., None]).astype(np.float32)
    scores[..., _BLINKING] = np.where(lid[..., None] > 0, raised, scores[..., _BLINKING])
    return scores


def _speech(scores: Floats, times: Doubles, share: float, rng: np.random.Generator) -> Floats:
    """Add speech to some sequences: syllables of jaw and lips, with pauses."""
    speaks = np.flatnonzero(rng.random(len(times)) < share)
    clock, shape = times[speaks], (len(speaks), 1)
    rate = 2 * np.pi * rng.uniform(2.0, 5.0, shape)
    phase = rate * clock + 2 * np.sin(clock * rng.uniform(1, 4, shape)) + rng.uniform(0, 6, shape)
    breath = np.sin(clock * rng.uniform(0.8, 3.0, shape) + rng.uniform(0, 6, shape)) > -0.5
    opening = (1 + np.sin(phase)) / 2
    for name, (most, sign) in _SPEAKING.items():
        syllable = opening if sign > 0 else 1 - opening
        added = breath * syllable * rng.uniform(0, most, shape)
        column = BLENDSHAPE_NAMES.index(name)
        scores[speaks, :, column] = np.clip(scores[speaks, :, column] + added, 0, 1)
    return scores


def _turning(name: str) -> float:
    side = -1.0 if name.endswith('Left') else 1.0 if name.endswith('Right') else 0.0
    if name.startswith(('eyeLookIn', 'eyeLookOut')):
        # Both eyes turn together: one looks inwards while the other looks outwards.
        return 5 * side * (1 if name.startswith('eyeLookIn') else -1)
    return side


_TURNING = np.array([_turning(name) for name in BLENDSHAPE_NAMES], np.float32)
