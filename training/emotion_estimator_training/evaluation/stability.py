"""How stable a recognizer's label is: flips on steady faces, and the delay after a change."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.grouping import Grouping, load_grouping
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.evaluation.recognizers import Recognizer
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.sequences.constructed import (
    ConstructedSequences,
    construct_sequences,
)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: Seeds of which faces keep their expression, which change it, and how they move.
STEADY_SEED, CHANGES_SEED, MOVEMENT_SEED = 31, 37, 41
#: Seconds after a face appears in which its label may settle: flips are not counted.
_SETTLING = 1.0
#: A change in seconds: rest before it, its length, and what follows.
_REST, _ONSET, _AFTER = 1.5, 0.2, 2.0
#: Seconds that a label must last to have arrived.
_LASTS = 0.3
#: Frames per second, and factors of the measured movement, at which stability is compared.
RATES = (10, 30, 60)
STRENGTHS = (0.5, 2.0)
#: The network without memory, with which the others are compared, and the seconds over which it is
#: averaged, for a curve of flips against delay.
DENSE = 'dense'
WINDOWS = (0.25, 0.5, 1.0, 2.0)
#: How often the expression changes in known videos: the fewest flips possible.
CHANGES_SHOWN = {
    'generated_happy': 0,
    'generated_sadness': 0,
    'generated_surprise': 0,
    'head_pose': 0,
    'smile_onset': 2,
}


def flips(probabilities: Floats) -> Ints:
    """Return how often the label of each face (B,) changes from one frame to the next.

    :param probabilities: (B, T, L).
    """
    return np.asarray((np.diff(probabilities.argmax(axis=-1), axis=1) != 0).sum(axis=1))


def steady_rows(features: FeatureSet, faces: int = 200, seed: int = STEADY_SEED) -> Ints:
    """Return which faces to keep steady: a random sample, the same for every recognizer.

    :raises InputError: there is no face.
    """
    if not len(features):
        raise InputError('no faces to measure flips on: no face is found in this split of the data')
    return np.random.default_rng(seed).permutation(len(features))[:faces]


def steady_faces(
    features: FeatureSet,
    rate: float = 30.0,
    seconds: float = 5.0,
    faces: int = 200,
    seed: int = STEADY_SEED,
    strength: float = 1.0,
) -> ConstructedSequences:
    """Return faces that keep their expression for ``seconds``, after a second to settle.

    :param features: faces of one source and one test split.
    :param rate: frames per second.
    :param faces: size of the random sample; the same for every recognizer.
    :param strength: factor of the movement measured on tracked video.
    :raises InputError: there is no face.
    """
    rows = steady_rows(features, faces, seed)
    return construct_sequences(
        [features.vectors[rows]],
        [],
        features.source,
        rate,
        _SETTLING + seconds,
        seed,
        strength=strength,
        moves=[None if features.moves is None else features.moves[rows]],
    )


def steady_metrics(
    recognizer: Recognizer, steady: ConstructedSequences, label: Ints
) -> dict[str, float]:
    """Return a recognizer's flips and accuracy on steady faces, after the first second.

    :param steady: of :func:`steady_faces`.
    :param label: (B,), the right label of each face.
    :returns: ``flips_per_s``, and ``right_while_steady``, the share of frames with the right label,
        which being steady must not cost.
    """
    settled = int(np.searchsorted(steady.times, _SETTLING - 1e-6))
    probabilities = recognizer.sequences(steady.vectors, steady.dt)[:, settled:]
    seconds = float(steady.dt[0, settled:].sum(dtype=np.float64))
    return {
        'flips_per_s': float(flips(probabilities).mean() / seconds),
        'right_while_steady': float((probabilities.argmax(axis=-1) == label[:, None]).mean()),
    }


def steady_flips(
    recognizer: Recognizer, features: FeatureSet, rate: float = 30.0, **how: Any
) -> float:
    """Return label flips per second on steady faces.

    :param how: passed to :func:`steady_faces`.
    """
    steady = steady_faces(features, rate, **how)
    return steady_metrics(recognizer, steady, np.zeros(len(steady.dt), np.int64))['flips_per_s']


@dataclass(frozen=True, eq=False)
class Changes:
    """Pairs of faces, of which the first turns into the second.

    :param source: landmark source that found the faces.
    :param before: float32 (P, 118), neutral faces.
    :param after: float32 (P, 118), expressive faces.
    :param label: int64 (P,), the right label of ``after``, which differs from that of ``before``.
    :param moves: of ``before`` and ``after``, as in :class:`~.feature_set.FeatureSet`.
    """

    source: str
    before: Floats
    after: Floats
    label: Ints
    moves: tuple[Floats, Floats] | None = None

    def where(self, rows: NDArray[np.bool_]) -> Changes:
        """Return some of the pairs."""
        moves = self.moves and (self.moves[0][rows], self.moves[1][rows])
        return Changes(self.source, self.before[rows], self.after[rows], self.label[rows], moves)


def draw_changes(
    features: FeatureSet, grouping: Grouping, pairs: int = 300, seed: int = CHANGES_SEED
) -> Changes:
    """Draw random pairs of a neutral face and one of another label, equally many of each label.

    :raises InputError: there is no neutral face, or no face of another label.
    """
    rng = np.random.default_rng(seed)
    neutral = FER_CLASSES.index('neutral')
    label = grouping.to_label[features.emotion]
    resting = np.flatnonzero(features.emotion == neutral)
    others = [
        np.flatnonzero(label == code)
        for code in range(len(grouping.labels))
        if code != grouping.to_label[neutral] and (label == code).any()
    ]
    if not len(resting) or not others:
        raise InputError(
            'changes need neutral and expressive faces; this split of the data lacks one of them'
        )
    after = np.concatenate([rng.choice(rows, pairs // len(others)) for rows in others])
    before = rng.choice(resting, len(after))
    return Changes(
        features.source,
        features.vectors[before],
        features.vectors[after],
        label[after],
        None if features.moves is None else (features.moves[before], features.moves[after]),
    )


def can_follow(recognizer: Recognizer, changes: Changes) -> NDArray[np.bool_]:
    """Return for which pairs (P,) a recognizer gets the second still right and the first different.

    For other pairs there may be no change of label to time.
    """
    first = recognizer.stills(changes.before).argmax(axis=1)
    second = recognizer.stills(changes.after).argmax(axis=1)
    return np.asarray((second == changes.label) & (first != changes.label))


def changing_faces(
    changes: Changes, rate: float = 30.0, seed: int = MOVEMENT_SEED
) -> ConstructedSequences:
    """Return each pair's first face at rest, turning into the second within 0.2 s, for 2 s more."""
    return construct_sequences(
        [changes.before, changes.after],
        [_REST],
        changes.source,
        rate,
        _REST + _ONSET + _AFTER,
        seed,
        onset=_ONSET,
        moves=changes.moves or (),
    )


def delays(
    recognizer: Recognizer, changes: Changes, moving: ConstructedSequences
) -> NDArray[np.float64]:
    """Return the seconds (P,) from the first movement to the right label; infinite if never.

    The right label arrives in the first frame from which it lasts for 0.3 s.

    :param moving: of :func:`changing_faces`.
    """
    if not len(changes.label):
        return np.zeros(0)
    labels = recognizer.sequences(moving.vectors, moving.dt).argmax(axis=-1)
    times = moving.times
    right = (labels == changes.label[:, None]) & (times >= _REST)
    window = max(round(_LASTS / float(moving.dt[0, 0])), 1)
    lasting = np.lib.stride_tricks.sliding_window_view(right, window, axis=1).all(axis=2)
    first = times[lasting.argmax(axis=1)] - _REST
    return np.where(lasting.any(axis=1), first, np.inf)


def summary(waited: NDArray[np.float64]) -> dict[str, Any]:
    """Summarize delays (P,): median, 95th percentile, and the shares that never or soon arrive.

    A label that never arrives counts as later than all others; a percentile that falls on one is
    None.
    """

    def percentile(share: float) -> float | None:
        if not len(waited):
            return None
        value = float(np.quantile(waited, share, method='higher'))
        return round(value, 3) if np.isfinite(value) else None

    return {
        'changes': len(waited),
        'median_s': percentile(0.5),
        'p95_s': percentile(0.95),
        'never': round(float(np.isinf(waited).mean()), 4) if len(waited) else None,
        # From the middle of the change on, the face shows more of the new expression.
        'within_0.25_s_of_the_middle': round(float((waited <= _ONSET / 2 + 0.25).mean()), 4)
        if len(waited)
        else None,
    }


def onset_delay(
    recognizer: Recognizer,
    features: FeatureSet,
    rate: float = 30.0,
    pairs: int = 300,
    seed: int = CHANGES_SEED,
    grouping: Grouping | None = None,
) -> dict[str, Any]:
    """Return :func:`summary` of the delays on the changes that the recognizer can follow.

    :param features: faces of one source and one test split.
    :param rate: frames per second.
    :param grouping: None is the shipped one.
    """
    changes = draw_changes(features, grouping or load_grouping(), pairs, seed)
    changes = changes.where(can_follow(recognizer, changes))
    return summary(delays(recognizer, changes, changing_faces(changes, rate)))


class MovingAverage:
    """Averages another recognizer's probabilities over the last ``seconds``.

    Probabilities are weighted by the time since the previous frame, so that dropped frames and
    varying rates make no difference; after an absence longer than the window the average restarts.
    """

    def __init__(self, recognizer: Recognizer, seconds: float = 0.5) -> None:
        self._recognizer, self._seconds = recognizer, seconds
        self.name = f'{recognizer.name}-average'
        self.labels = recognizer.labels

    def stills(self, vectors: Floats) -> Floats:
        """Return the recognizer's own probabilities (N, L); see :class:`~.Recognizer`."""
        return self._recognizer.stills(vectors)

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the averaged probabilities (B, T, L); see :class:`~.Recognizer`."""
        probabilities = self._recognizer.sequences(vectors, dt).astype(np.float64)
        # The first frame may have dt 0, and still needs a weight.
        spans = np.maximum(dt, 1e-6).astype(np.float64)
        averaged = np.empty_like(probabilities)
        for row, (values, span) in enumerate(zip(probabilities, spans)):
            times = np.concatenate([[0.0], np.cumsum(span)])
            since = np.maximum(times[1:] - self._seconds, 0.0)
            for label in range(values.shape[1]):
                # Piecewise constant probabilities have a piecewise linear integral.
                integral = np.concatenate([[0.0], np.cumsum(values[:, label] * span)])
                part = integral[1:] - np.interp(since, times, integral)
                averaged[row, :, label] = part / (times[1:] - since)
        return averaged.astype(np.float32)


def with_moving_averages(recognizers: Mapping[str, Recognizer]) -> dict[str, Recognizer]:
    """Return the recognizers, with moving averages of the dense network added."""
    chosen = dict(recognizers)
    if DENSE in chosen:
        chosen[DENSE] = dense = _Cached(chosen[DENSE])
        for seconds in WINDOWS:
            chosen[f'{DENSE}, mean of {seconds:g} s'] = MovingAverage(dense, seconds)
    return chosen


class _Cached:
    """A recognizer that runs the same sequences only once, since its averages need them again."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.name, self.labels, self.stills = recognizer.name, recognizer.labels, recognizer.stills
        self._recognizer = recognizer
        # Two entries: steady faces and changing faces.
        self._last: deque[tuple[Floats, Floats]] = deque(maxlen=2)

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        for known, probabilities in self._last:
            if known is vectors:
                return probabilities
        self._last.append((vectors, self._recognizer.sequences(vectors, dt)))
        return self._last[-1][1]


def compare_stability(
    recognizers: Mapping[str, Recognizer],
    features: FeatureSet,
    grouping: Grouping,
    rates: Sequence[int] = RATES,
    faces: int = 200,
    pairs: int = 300,
) -> dict[str, Any]:
    """Return flips on steady faces and delays after a change, on the same faces for all.

    Delays are compared on the changes that every recognizer can follow.

    :param features: faces of one source and one test split.
    :param rates: frames per second.
    :param faces: number of faces that keep their expression.
    :param pairs: number of faces that change their expression.
    :returns: ``steady_faces``, ``changes_drawn``, ``changes_all_can_follow``, and in ``models`` by
        name and frames per second :func:`steady_metrics`, ``flips_to_dense`` (ratio to the dense
        network's, if that is compared) and :func:`summary` of the delays; also, at 30 frames per
        second, ``flips_by_strength`` of the movement.
    """
    changes = draw_changes(features, grouping, pairs)
    common = np.logical_and.reduce([can_follow(one, changes) for one in recognizers.values()])
    label = grouping.to_label[features.emotion[steady_rows(features, faces)]]
    followed = changes.where(common)
    models: dict[str, Any] = {name: {} for name in recognizers}
    for rate in rates:
        steady, moving = steady_faces(features, rate, faces=faces), changing_faces(followed, rate)
        for name, recognizer in recognizers.items():
            models[name][f'{rate}_fps'] = {
                **{
                    key: round(value, 4)
                    for key, value in steady_metrics(recognizer, steady, label).items()
                },
                **summary(delays(recognizer, followed, moving)),
            }
    for metrics in models.values():
        metrics['flips_by_strength'] = {}
    for strength in STRENGTHS:
        steady = steady_faces(features, 30, faces=faces, strength=strength)
        for name, recognizer in recognizers.items():
            models[name]['flips_by_strength'][f'{strength:g}'] = round(
                steady_metrics(recognizer, steady, label)['flips_per_s'], 4
            )
    if DENSE in models:
        for metrics in models.values():
            for rate in rates:
                dense = models[DENSE][f'{rate}_fps']['flips_per_s']
                own = metrics[f'{rate}_fps']['flips_per_s']
                metrics[f'{rate}_fps']['flips_to_dense'] = round(own / dense, 4) if dense else None
    return {
        'steady_faces': min(faces, len(features)),
        'changes_drawn': len(changes.label),
        'changes_all_can_follow': int(common.sum()),
        'models': models,
    }


def video_flips(
    recognizers: Mapping[str, Recognizer], found: Sequence[Track]
) -> list[dict[str, Any]]:
    """Return the label flips of each recognizer on each tracked video.

    :returns: rows with ``video``, ``source``, ``seconds``, ``changes_shown`` (how often the
        expression itself changes; None if unknown) and ``flips`` by recognizer.
    """
    rows = []
    for one in found:
        shown = CHANGES_SHOWN.get(one.name)
        if one.truth:
            shown = int(sum(a != b for a, b in zip(one.truth, one.truth[1:])))
        sequence = one.sequence
        probabilities = {
            name: recognizer.sequences(sequence.vectors, sequence.dt)
            for name, recognizer in recognizers.items()
        }
        rows.append(
            {
                'video': one.name,
                'source': one.source,
                'seconds': round(float(np.ptp(one.times)), 2),
                'changes_shown': shown,
                'flips': {name: int(flips(each)[0]) for name, each in probabilities.items()},
            }
        )
    return rows
