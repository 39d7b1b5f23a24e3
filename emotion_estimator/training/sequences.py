"""Makes labelled sequences of blendshapes out of stills: a face that moves, with known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES, MIRROR
from emotion_estimator.training.dataset import FER_CLASSES

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_NEUTRAL = FER_CLASSES.index('neutral')
_BLINK = [i for i, name in enumerate(BLENDSHAPE_NAMES) if name.startswith('eyeBlink')]


@dataclass(frozen=True)
class SequenceSettings:
    """Ranges from which sequences are drawn, uniformly unless said otherwise.

    :param steps: frames in a sequence.
    :param rate: frames per second (log-uniform).
    :param onset: seconds from one expression to the next.
    :param hold: seconds an expression stays.
    :param still: share of sequences that hold one expression throughout.
    :param direct: share of changes that go from one expression to another without neutral.
    :param noise: standard deviation of the sensor noise.
    :param gain: standard deviation of the logarithm of each blendshape's gain in a sequence:
        landmark sources, cameras and faces differ in it.
    :param missing: share of blendshapes that stay at nought in a sequence, so that no single one
        decides.
    :param dropped: greatest share of dropped frames.
    :param blinks: blinks per second.
    """

    steps: int = 32
    rate: tuple[float, float] = (10.0, 60.0)
    onset: tuple[float, float] = (0.1, 1.0)
    hold: tuple[float, float] = (0.3, 2.5)
    still: float = 0.5
    direct: float = 0.2
    noise: tuple[float, float] = (0.005, 0.04)
    gain: float = 0.15
    missing: float = 0.02
    dropped: float = 0.15
    blinks: float = 0.3


@dataclass(frozen=True, eq=False)
class Sequences:
    """A batch of B sequences of T frames.

    :param blendshapes: float32 (B, T, 52), 0 to 1.
    :param dt: float32 (B, T, 1), seconds since the frame before.
    :param emotion: int64 (B, T), index into ``FER_CLASSES``.
    :param weight: float32 (B, T), how much the label counts: less around a change.
    """

    blendshapes: Floats
    dt: Floats
    emotion: Ints
    weight: Floats


class SequenceMaker:
    """Draws sequences from a pool of stills' blendshapes."""

    def __init__(
        self, blendshapes: Floats, emotion: Ints, settings: SequenceSettings, seed: int
    ) -> None:
        """Take the pool.

        :param blendshapes: (N, 52); ``emotion`` (N,), index into ``FER_CLASSES``.
        """
        self._pool, self._emotion, self._settings = blendshapes, emotion, settings
        self._neutral = np.flatnonzero(emotion == _NEUTRAL)
        self._expressive = np.flatnonzero(emotion != _NEUTRAL)
        self._rng = np.random.default_rng(seed)

    def __call__(self, count: int) -> Sequences:
        """Return ``count`` new sequences."""
        made = [self._one() for _ in range(count)]
        columns = [np.stack(column) for column in zip(*made)]
        return Sequences(*columns)

    def _one(self) -> tuple[Floats, Floats, Ints, Floats]:
        rng, settings = self._rng, self._settings
        dt = self._intervals()
        times = np.cumsum(dt)
        if rng.random() < settings.still:
            row = rng.integers(len(self._pool))
            scores = np.repeat(self._pool[row][None], settings.steps, axis=0)
            emotion = np.full(settings.steps, self._emotion[row])
            weight = np.ones(settings.steps, np.float32)
        else:
            scores, emotion, weight = self._moving(times)
        scores = self._disturb(scores, times)
        if rng.random() < 0.5:
            scores = scores[:, list(MIRROR)]
        return (
            np.clip(scores, 0, 1).astype(np.float32), dt.astype(np.float32)[:, None],
            emotion.astype(np.int64), weight.astype(np.float32),
        )

    def _intervals(self) -> NDArray[np.float64]:
        rng, settings = self._rng, self._settings
        rate = np.exp(rng.uniform(*np.log(settings.rate)))
        frames = 1 + rng.binomial(3, rng.uniform(0, settings.dropped), settings.steps)
        return frames / rate * rng.uniform(0.9, 1.1, settings.steps)

    def _moving(self, times: NDArray[np.float64]) -> tuple[Floats, Ints, Floats]:
        """Neutral to apex to neutral, or from apex to apex, again and again."""
        rng, settings = self._rng, self._settings
        neutral = rng.choice(self._neutral)
        current = neutral if rng.random() < 0.6 else rng.choice(self._expressive)
        # Starts at any moment of the first hold, so that the first change comes at any time.
        change = times[0] + rng.uniform(0, settings.hold[1])
        scores = np.repeat(self._pool[current][None], len(times), axis=0)
        emotion = np.full(len(times), self._emotion[current])
        weight = np.ones(len(times))
        while change < times[-1]:
            rest = current == neutral
            target = rng.choice(self._expressive) if rest or rng.random() < settings.direct \
                else neutral
            onset = rng.uniform(*settings.onset)
            progress = np.clip((times - change) / onset, 0, 1)
            share = progress**2 * (3 - 2 * progress)
            scores = scores + share[:, None] * (self._pool[target] - scores)
            emotion = np.where(share > 0.5, self._emotion[target], emotion)
            # In the middle of a change nobody can say which of the two the face shows.
            weight = np.where(np.abs(share - 0.5) < 0.35, 0.1, weight)
            current, change = target, change + onset + rng.uniform(*settings.hold)
        return scores.astype(np.float32), emotion, weight.astype(np.float32)

    def _disturb(self, scores: Floats, times: NDArray[np.float64]) -> Floats:
        """Add a blink now and then, and noise that partly lasts from frame to frame."""
        rng, settings = self._rng, self._settings
        scores = scores.copy()
        for start in rng.uniform(times[0], times[-1], rng.poisson(settings.blinks * np.ptp(times))):
            length = rng.uniform(0.1, 0.3)
            lid = np.clip(1 - np.abs((times - start) / (length / 2) - 1), 0, 1)[:, None]
            scores[:, _BLINK] = np.maximum(scores[:, _BLINK], 0.7 * lid)
        count = scores.shape[1]
        gain = np.exp(settings.gain * rng.normal(size=count))
        scores = scores * np.where(rng.random(count) < settings.missing, 0.0, gain)
        amount = rng.uniform(*settings.noise)
        white = rng.normal(size=scores.shape)
        slow = np.repeat(rng.normal(size=(1, count)), len(scores), axis=0)
        # Small scores are also the steady ones.
        return scores + amount * (0.7 * white + 0.7 * slow) * np.sqrt(np.abs(scores) + 0.02) * 1.5
