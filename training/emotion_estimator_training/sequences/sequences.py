"""Makes labelled sequences of faces out of stills: a face that moves, with known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.feature_set import PRESENT, SHAPES, whole
from emotion_estimator_training.sequences.disturbances import Disturbances, disturb, wander

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_NEUTRAL = FER_CLASSES.index('neutral')
#: Most changes in a sequence; what would follow is a longer hold.
_MOST_CHANGES = 6


@dataclass(frozen=True)
class SequenceSettings:
    """Ranges from which sequences are drawn, uniformly unless said otherwise.

    :param steps: frames in a sequence.
    :param rate: frames per second (log-uniform).
    :param onset: seconds from one expression to the next.
    :param hold: seconds an expression stays.
    :param still: share of sequences that hold one expression throughout.
    :param direct: share of changes that go from one expression to another without neutral.
    :param dropped: greatest share of dropped frames.
    :param leaves: share of sequences in which the face is out of sight once.
    :param away: seconds for which it is; whoever stays away longer returns as another face, whose
        state begins anew (``EstimatorSettings.face_timeout``).
    :param branches: shares of sequences in which blendshapes and embedding are known, the
        embedding alone, and the blendshapes alone.
    :param unseen: share of frames without an embedding in the others: of a crop that shows nothing.
    :param moves: how much a face's embedding moves between those of its varied crops.
    """

    steps: int = 64
    rate: tuple[float, float] = (10.0, 60.0)
    onset: tuple[float, float] = (0.1, 1.0)
    hold: tuple[float, float] = (0.3, 2.5)
    still: float = 0.4
    direct: float = 0.2
    dropped: float = 0.15
    leaves: float = 0.15
    away: tuple[float, float] = (0.1, 1.0)
    disturbances: Disturbances = field(default_factory=Disturbances)
    branches: tuple[float, float, float] = (0.5, 0.25, 0.25)
    unseen: float = 0.02
    moves: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Sequences:
    """A batch of B sequences of T frames.

    :param vectors: float32 (B, T, 118), see ``face_vector``.
    :param dt: float32 (B, T, 1), seconds since the frame before.
    :param row: int64 (B, T), the still of the pool that the face shows (or shows most of).
    :param weight: float32 (B, T), how much the label counts: less around a change.
    """

    vectors: Floats
    dt: Floats
    row: Ints
    weight: Floats

    @property
    def blendshapes(self) -> Floats:
        """Return what each face shows, (B, T, 52)."""
        return self.vectors[..., :SHAPES]


class SequenceMaker:
    """Draws sequences from a pool of stills."""

    def __init__(
        self,
        pool: Floats,
        emotion: Ints,
        settings: SequenceSettings,
        varied: Floats | None = None,
    ) -> None:
        """Take the pool.

        :param pool: (N, 52 or 118), see ``face_vector``.
        :param emotion: (N,), index into ``FER_CLASSES``.
        :param varied: (N, K, 64), embeddings of each face cut and seen a little otherwise.
        :raises ValueError: it lacks neutral faces or others.
        """
        self._pool, self._settings = whole(pool), settings
        self._moves = None
        if varied is not None:
            self._moves = varied - self._pool[:, None, SHAPES:-2]
        self._neutral = np.flatnonzero(emotion == _NEUTRAL)
        self._expressive = np.flatnonzero(emotion != _NEUTRAL)
        if not len(self._neutral) or not len(self._expressive):
            raise ValueError('sequences need neutral faces and others')

    def __call__(self, count: int, seed: int | Sequence[int]) -> Sequences:
        """Return ``count`` sequences, the same for the same seed."""
        rng = np.random.default_rng(seed)
        dt = self._intervals(count, rng)
        times = np.cumsum(dt, axis=1)
        stations, begins, onsets = self._plan(count, times, rng)
        vectors, row, weight = self._play(times, stations, begins, onsets)
        shapes, calm = disturb(vectors[..., :SHAPES], times, self._settings.disturbances, rng)
        mirrored = rng.random(count) < 0.5
        shapes[mirrored] = shapes[mirrored][..., list(MIRROR)]
        vectors[..., :SHAPES] = shapes
        vectors[..., SHAPES:-2] = self._embeddings(vectors[..., SHAPES:-2], row, times, calm, rng)
        vectors[..., -2:] = self._known(vectors[..., -2:], rng)
        return Sequences(vectors, dt.astype(np.float32)[..., None], row, weight.astype(np.float32))

    def _embeddings(
        self,
        embeddings: Floats,
        row: Ints,
        times: NDArray[np.float64],
        calm: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> Floats:
        """Let embeddings wander towards those of the face's varied crops, and back."""
        if self._moves is None:
            return embeddings
        count = self._moves.shape[1]
        size = rng.uniform(*self._settings.moves, (len(row), 1, 1)) / np.sqrt(count)
        share = size * wander(times, 0.3, count, rng)
        share[calm] = 0
        moved = np.einsum('btk,btke->bte', share.astype(np.float32), self._moves[row])
        # What the network's last layer tells is not negative.
        return np.maximum(embeddings + moved, 0)

    def _known(self, known: Floats, rng: np.random.Generator) -> Floats:
        """Return which branches are known (B, T, 2): fewer than the pool knows."""
        settings = self._settings
        kinds = np.array([PRESENT[name] for name in ('fused', 'appearance', 'blendshapes')])
        drawn = kinds[rng.choice(3, len(known), p=settings.branches)][:, None]
        left = known * drawn
        unseen = (rng.random(known.shape[:2]) < settings.unseen) & (left[..., 1] > 0)
        left[..., 0] *= ~unseen
        # A face of which nothing else is known keeps its blendshapes.
        left[..., 1] = np.where(left.any(axis=-1), left[..., 1], known[..., 1])
        return left.astype(np.float32)

    def _intervals(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        settings = self._settings
        shape = (count, settings.steps)
        rate = np.exp(rng.uniform(*np.log(settings.rate), (count, 1)))
        frames = 1 + rng.binomial(3, rng.uniform(0, settings.dropped, (count, 1)), shape)
        dt = frames / rate * rng.uniform(0.9, 1.1, shape)
        leaves = np.flatnonzero(rng.random(count) < settings.leaves)
        dt[leaves, rng.integers(1, settings.steps, len(leaves))] = rng.uniform(
            *settings.away, len(leaves)
        )
        return dt

    def _plan(
        self, count: int, times: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[Ints, NDArray[np.float64], NDArray[np.float64]]:
        """Draw what each face shows and when: neutral to apex to neutral, or from apex to apex.

        :returns: stills (B, 1 + changes), and for each change its beginning and length in seconds.
        """
        settings = self._settings
        neutral = rng.choice(self._neutral, count)
        current = np.where(rng.random(count) < 0.6, neutral, rng.choice(self._expressive, count))
        held = rng.random(count) < settings.still
        # Those that hold one expression throughout are drawn as the pool has them.
        current[held] = rng.integers(len(self._pool), size=held.sum())
        onsets = rng.uniform(*settings.onset, (count, _MOST_CHANGES))
        holds = rng.uniform(*settings.hold, (count, _MOST_CHANGES))
        # Starts at any moment of the first hold, so that the first change comes at any time.
        first = times[:, 0] + rng.uniform(0, settings.hold[1], count)
        later = np.cumsum((onsets + holds)[:, :-1], axis=1)
        begins = np.concatenate([first[:, None], first[:, None] + later], axis=1)
        begins[held] = np.inf
        stations = [current]
        for _ in range(_MOST_CHANGES):
            rests = current == neutral
            goes = rests | (rng.random(count) < settings.direct)
            current = np.where(goes, rng.choice(self._expressive, count), neutral)
            stations.append(current)
        return np.stack(stations, axis=1), begins, onsets

    def _play(
        self,
        times: NDArray[np.float64],
        stations: Ints,
        begins: NDArray[np.float64],
        onsets: NDArray[np.float64],
    ) -> tuple[Floats, Ints, NDArray[np.float64]]:
        row = np.repeat(stations[:, :1], times.shape[1], axis=1)
        vectors = np.repeat(self._pool[stations[:, 0]][:, None], times.shape[1], axis=1)
        weight = np.ones(times.shape)
        for change in range(begins.shape[1]):
            progress = np.clip((times - begins[:, change, None]) / onsets[:, change, None], 0, 1)
            share = progress**2 * (3 - 2 * progress)
            target = self._pool[stations[:, change + 1]][:, None]
            vectors += share.astype(np.float32)[..., None] * (target - vectors)
            row = np.where(share > 0.5, stations[:, change + 1, None], row)
            # In the middle of a change nobody can say which of the two the face shows.
            weight = np.where(np.abs(share - 0.5) < 0.35, 0.1, weight)
        # Between two faces of which one lacks an embedding there is none.
        vectors[..., -2:] = vectors[..., -2:] > 0.999
        return vectors, row, weight
