"""Training sequences: faces that move, made of labelled stills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.feature_set import PRESENT, SHAPES, complete_vectors
from emotion_estimator_training.sequences.disturbances import Disturbances, disturb, wander

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_NEUTRAL = FER_CLASSES.index('neutral')
#: Maximum number of changes in a sequence; the last expression lasts to its end.
_MOST_CHANGES = 6


@dataclass(frozen=True)
class SequenceSettings:
    """Ranges from which sequences are drawn, uniformly unless stated otherwise.

    :param steps: frames in a sequence.
    :param rate: frames per second (log-uniform).
    :param onset: duration of a change in seconds.
    :param hold: duration of an expression in seconds.
    :param still: share of sequences with one expression throughout.
    :param direct: share of changes from one expression to another without neutral in between.
    :param dropped: maximum share of dropped frames.
    :param leaves: share of sequences in which the face is absent once.
    :param away: duration of the absence in seconds; after a longer one the robot treats it as
        another face with a new state (``EstimatorSettings.face_timeout``).
    :param disturbances: of the blendshapes.
    :param branches: shares of sequences in which both blendshapes and embedding are known, only the
        embedding, and only the blendshapes.
    :param unseen: share of frames whose embedding is unknown although the sequence has one, as if
        the crop did not show the face.
    :param moves: factor of how far a face's embedding moves towards those of its varied crops.
    :param talks: share of sequences in which people talk with the mouths of :class:`Mouths`.
    :param syllable: seconds from one mouth to the next.
    :param mute: share of these mouths that are the face's own, as in the still.
    :param speech: seconds that people talk in a row; ``pause`` seconds until they talk again.
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
    talks: float = 0.3
    syllable: tuple[float, float] = (0.07, 0.3)
    mute: float = 0.25
    speech: tuple[float, float] = (0.8, 5.0)
    pause: tuple[float, float] = (0.2, 1.5)


@dataclass(frozen=True, eq=False)
class Mouths:
    """The same faces with other mouths, as when they talk.

    :param vectors: float32 (V, 118), see :func:`~.face_vectors`.
    :param rows: int64 (N, M), for each face of the pool rows of ``vectors``; -1 where it has fewer.
    """

    vectors: Floats
    rows: Ints


@dataclass(frozen=True, eq=False)
class Sequences:
    """A batch of B sequences of T frames.

    :param vectors: float32 (B, T, 118), see :func:`~.face_vectors`.
    :param dt: float32 (B, T, 1), seconds since the previous frame.
    :param row: int64 (B, T), row of the pool that the face mostly shows.
    :param weight: float32 (B, T), weight of the label: lower during a change.
    """

    vectors: Floats
    dt: Floats
    row: Ints
    weight: Floats

    @property
    def blendshapes(self) -> Floats:
        """Blendshapes (B, T, 52), 0 to 1."""
        return self.vectors[..., :SHAPES]


def _repeated(rows: Ints) -> Ints:
    """Return the rows (N, M) with each face's mouths repeated where it has fewer than M."""
    first = np.take_along_axis(rows, np.argsort(rows < 0, axis=1, kind='stable'), axis=1)
    count = np.maximum((rows >= 0).sum(axis=1, keepdims=True), 1)
    return np.take_along_axis(first, np.arange(rows.shape[1]) % count, axis=1)


class SequenceMaker:
    """Draws sequences from a pool of stills."""

    def __init__(
        self,
        pool: Floats,
        emotion: Ints,
        settings: SequenceSettings,
        varied: Floats | None = None,
        mouths: Mouths | None = None,
    ) -> None:
        """Take the pool.

        :param pool: (N, 52 or 118), see :func:`~.face_vectors`.
        :param emotion: (N,), index into ``FER_CLASSES``.
        :param varied: (N, K, 64), embeddings of varied crops of each face.
        :param mouths: of the pool's faces; without them nobody talks so.
        :raises ValueError: it has no neutral or no expressive faces.
        """
        self._pool, self._settings = complete_vectors(pool), settings
        self._moves = None
        if varied is not None:
            self._moves = varied - self._pool[:, None, SHAPES:-2]
        self._neutral = np.flatnonzero(emotion == _NEUTRAL)
        self._expressive = np.flatnonzero(emotion != _NEUTRAL)
        if not len(self._neutral) or not len(self._expressive):
            raise ValueError('sequences need neutral and expressive faces')
        self._mouths = mouths and Mouths(mouths.vectors, _repeated(mouths.rows))
        able = mouths.rows.max(axis=1) >= 0 if mouths else np.zeros(len(emotion), bool)
        self._talkers = np.flatnonzero(able)
        self._neutral_talkers = np.flatnonzero(able & (emotion == _NEUTRAL))
        self._expressive_talkers = np.flatnonzero(able & (emotion != _NEUTRAL))

    def __call__(self, count: int, seed: int | Sequence[int]) -> Sequences:
        """Return ``count`` sequences, the same for the same seed."""
        rng = np.random.default_rng(seed)
        dt = self._intervals(count, rng)
        times = np.cumsum(dt, axis=1)
        talks = rng.random(count) < (self._settings.talks if len(self._talkers) else 0)
        stations, begins, onsets = self._plan(count, times, talks, rng)
        vectors, row, weight = self._play(times, stations, begins, onsets)
        for number in np.flatnonzero(talks):
            self._talk(vectors[number], row[number], times[number], rng)
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
        """Move embeddings randomly towards those of the face's varied crops and back."""
        if self._moves is None:
            return embeddings
        count = self._moves.shape[1]
        size = rng.uniform(*self._settings.moves, (len(row), 1, 1)) / np.sqrt(count)
        share = size * wander(times, 0.3, count, rng)
        share[calm] = 0
        moved = np.einsum('btk,btke->bte', share.astype(np.float32), self._moves[row])
        # Embeddings are not negative.
        return np.asarray(np.maximum(embeddings + moved, 0))

    def _known(self, known: Floats, rng: np.random.Generator) -> Floats:
        """Return the flags of what is known (B, T, 2), some of the pool's cleared."""
        settings = self._settings
        kinds = np.array(list(PRESENT.values()))
        drawn = kinds[rng.choice(len(kinds), len(known), p=settings.branches)][:, None]
        left = known * drawn
        unseen = (rng.random(known.shape[:2]) < settings.unseen) & (left[..., 1] > 0)
        left[..., 0] *= ~unseen
        # A face with nothing else known keeps its blendshapes.
        left[..., 1] = np.where(left.any(axis=-1), left[..., 1], known[..., 1])
        return np.asarray(left, np.float32)

    def _intervals(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        settings = self._settings
        shape = (count, settings.steps)
        slowest, fastest = np.log(settings.rate)
        rate = np.exp(rng.uniform(slowest, fastest, (count, 1)))
        frames = 1 + rng.binomial(3, rng.uniform(0, settings.dropped, (count, 1)), shape)
        dt = frames / rate * rng.uniform(0.9, 1.1, shape)
        leaves = np.flatnonzero(rng.random(count) < settings.leaves)
        dt[leaves, rng.integers(1, settings.steps, len(leaves))] = rng.uniform(
            *settings.away, len(leaves)
        )
        return np.asarray(dt)

    def _talk(
        self, vectors: Floats, row: Ints, times: NDArray[np.float64], rng: np.random.Generator
    ) -> None:
        """Move the mouth of one sequence (T, 118) from one of the face's mouths to the next."""
        assert self._mouths is not None
        settings, mouths = self._settings, self._mouths.rows[row]
        many = mouths.shape[1]
        length = times[-1] - times[0]
        knots = times[0] + np.cumsum(
            rng.uniform(*settings.syllable, int(length / settings.syllable[0]) + 2)
        )
        shapes = np.zeros((len(knots), many))
        chosen = rng.integers(many, size=len(knots))
        open_ = rng.random(len(knots)) >= settings.mute
        shapes[np.arange(len(knots)), chosen] = open_ * rng.uniform(0.5, 1.0, len(knots))
        shapes *= self._speaks(knots, rng)[:, None]
        share = np.stack([np.interp(times, knots, one) for one in shapes.T], axis=1)
        # A face without mouths, between two that have some, keeps its own.
        differences = self._mouths.vectors[np.maximum(mouths, 0)] - self._pool[row][:, None]
        differences *= (mouths >= 0)[..., None]
        moved = np.einsum('tm,tmv->tv', share.astype(np.float32), differences)
        vectors[:, :-2] = np.maximum(vectors[:, :-2] + moved[:, :-2], 0)
        vectors[:, :SHAPES] = np.minimum(vectors[:, :SHAPES], 1)

    def _speaks(self, times: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draw when a person speaks and when there is a pause."""
        lengths = np.empty(0)
        while lengths.sum() <= times[-1] - times[0]:
            lengths = np.append(
                lengths,
                [rng.uniform(*self._settings.speech), rng.uniform(*self._settings.pause)],
            )
        # Begins anywhere in the first two.
        borders = times[0] + np.cumsum(lengths) - rng.uniform(0, lengths[:2].sum())
        return np.asarray(np.searchsorted(borders, times) % 2 == 0)

    def _plan(
        self,
        count: int,
        times: NDArray[np.float64],
        talks: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> tuple[Ints, NDArray[np.float64], NDArray[np.float64]]:
        """Draw what each face shows and when: neutral to apex to neutral, or apex to apex.

        :returns: rows of the pool (B, 1 + changes), and start and duration of each change in
            seconds (B, changes).
        """
        settings = self._settings

        def drawn(usual: Ints, talkers: Ints) -> Ints:
            faces = rng.choice(usual, count)
            if talks.any() and len(talkers):
                faces[talks] = rng.choice(talkers, int(talks.sum()))
            return faces

        def expressive() -> Ints:
            return drawn(self._expressive, self._expressive_talkers)

        neutral = drawn(self._neutral, self._neutral_talkers)
        current = np.where(rng.random(count) < 0.6, neutral, expressive())
        steady = rng.random(count) < settings.still
        # Faces with one expression throughout have the pool's distribution of classes.
        everyone = drawn(np.arange(len(self._pool)), self._talkers)
        current[steady] = everyone[steady]
        onsets = rng.uniform(*settings.onset, (count, _MOST_CHANGES))
        holds = rng.uniform(*settings.hold, (count, _MOST_CHANGES))
        # Starts at any time within the first hold, so that the first change comes at any time.
        first = times[:, 0] + rng.uniform(0, settings.hold[1], count)
        later = np.cumsum((onsets + holds)[:, :-1], axis=1)
        begins = np.concatenate([first[:, None], first[:, None] + later], axis=1)
        begins[steady] = np.inf
        stations = [current]
        for _ in range(_MOST_CHANGES):
            rests = current == neutral
            goes = rests | (rng.random(count) < settings.direct)
            current = np.where(goes, expressive(), neutral)
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
            # In the middle of a change the label is ambiguous.
            weight = np.where(np.abs(share - 0.5) < 0.35, 0.1, weight)
        # Between two faces, the embedding is known only if both have one.
        vectors[..., -2:] = vectors[..., -2:] > 0.999
        return vectors, row, weight
