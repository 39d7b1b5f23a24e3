"""How steady and how quick a recognizer's label is: flips on held faces, delay after a change."""

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
from emotion_estimator_training.sequences.constructed import ConstructedSequences, course

Floats = NDArray[np.float32]

#: Which faces change, and how they move.
CHANGES_SEED, MOVEMENT_SEED = 37, 41
#: Seconds that a label must stay to have arrived.
_STAYS = 0.3
_REST, _ONSET, _STAY = 1.5, 0.2, 2.0


@dataclass(frozen=True, eq=False)
class Changes:
    """Pairs of faces of which the first becomes the second.

    :param before: float32 (P, 118), neutral faces; ``after`` (P, 118), others.
    :param label: int64 (P,), the second's true label, never the first's.
    :param moves: of both, as ``FeatureSet`` has them.
    """

    source: str
    before: Floats
    after: Floats
    label: NDArray[np.int64]
    moves: tuple[Floats, Floats] | None = None

    def where(self, rows: NDArray[np.bool_]) -> Changes:
        """Return some of the pairs."""
        moves = self.moves and (self.moves[0][rows], self.moves[1][rows])
        return Changes(self.source, self.before[rows], self.after[rows], self.label[rows], moves)


def draw_changes(
    features: FeatureSet, grouping: Grouping, pairs: int = 300, seed: int = CHANGES_SEED
) -> Changes:
    """Draw pairs of a neutral face and one of another label, as many of each label.

    :raises InputError: there is no neutral face, or none of another label.
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
        raise InputError('changes need neutral faces and others; this split lacks one of them')
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
    """Say of which pairs (P,) a recognizer tells the stills apart, and the second rightly.

    Of others no delay can be asked: what it takes for one face it may never call otherwise.
    """
    first = recognizer.stills(changes.before).argmax(axis=1)
    second = recognizer.stills(changes.after).argmax(axis=1)
    return (second == changes.label) & (first != changes.label)


def changing_faces(
    changes: Changes, rate: float = 30.0, seed: int = MOVEMENT_SEED
) -> ConstructedSequences:
    """Let each pair's first face rest, become the second within 0.2 s, and stay for 2 s."""
    return course(
        [changes.before, changes.after],
        [_REST],
        changes.source,
        rate,
        _REST + _ONSET + _STAY,
        seed,
        onset=_ONSET,
        moves=changes.moves or (),
    )


def delays(
    recognizer: Recognizer, changes: Changes, moving: ConstructedSequences
) -> NDArray[np.float64]:
    """Return the seconds (P,) from the first movement to the right label; infinite if never.

    The right label has come in the first frame from which on it stays for 0.3 s.

    :param moving: of :func:`changing_faces`.
    """
    if not len(changes.label):
        return np.zeros(0)
    answers = recognizer.sequences(moving.vectors, moving.dt).argmax(axis=-1)
    times = moving.times
    right = (answers == changes.label[:, None]) & (times >= _REST)
    window = max(round(_STAYS / float(moving.dt[0, 0])), 1)
    lasting = np.lib.stride_tricks.sliding_window_view(right, window, axis=1).all(axis=2)
    first = times[lasting.argmax(axis=1)] - _REST
    return np.where(lasting.any(axis=1), first, np.inf)


def summary(waited: NDArray[np.float64]) -> dict[str, Any]:
    """Return median and 95th percentile of delays (P,), and what share came at all and in time.

    Who never comes counts as later than all others: a percentile that falls on one is null.
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
        # The middle of the change is where the expression begins to be the new one.
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

    :param features: faces of one source and of a test split.
    :param grouping: None takes the shipped one.
    """
    changes = draw_changes(features, grouping or load_grouping(), pairs, seed)
    changes = changes.where(can_follow(recognizer, changes))
    return summary(delays(recognizer, changes, changing_faces(changes, rate)))


class MovingAverage:
    """Averages another recognizer's probabilities over a window that ends now.

    Each answer counts by the time since the frame before it, so that dropped frames and changing
    rates change nothing; a face that was away for longer than the window begins anew.
    """

    def __init__(self, recognizer: Recognizer, seconds: float = 0.5) -> None:
        self._recognizer, self._seconds = recognizer, seconds
        self.name = f'{recognizer.name}-average'
        self.labels = recognizer.labels

    def stills(self, blendshapes: Floats) -> Floats:
        """Return what the recognizer itself says of unrelated faces: (N, 52) -> (N, L)."""
        return self._recognizer.stills(blendshapes)

    def sequences(self, blendshapes: Floats, dt: Floats) -> Floats:
        """Return the averaged probabilities (B, T, L); see :class:`Recognizer`."""
        answers = self._recognizer.sequences(blendshapes, dt).astype(np.float64)
        # A first frame has no time of its own yet, but is all there is.
        spans = np.maximum(dt, 1e-6).astype(np.float64)
        averaged = np.empty_like(answers)
        for row, (values, span) in enumerate(zip(answers, spans)):
            times = np.concatenate([[0.0], np.cumsum(span)])
            since = np.maximum(times[1:] - self._seconds, 0.0)
            for label in range(values.shape[1]):
                # Answers are constant between frames, so their integral is straight there.
                whole = np.concatenate([[0.0], np.cumsum(values[:, label] * span)])
                part = whole[1:] - np.interp(since, times, whole)
                averaged[row, :, label] = part / (times[1:] - since)
        return averaged.astype(np.float32)


#: Which faces are held.
HELD_SEED = 31
#: Seconds after a face appeared, in which a label may still settle and flips do not count.
_SETTLING = 1.0


def flips(answers: Floats) -> NDArray[np.int64]:
    """Return how often the label of each face changes from one frame to the next.

    :param answers: (B, T, L), probabilities.
    :returns: (B,).
    """
    return (np.diff(answers.argmax(axis=-1), axis=1) != 0).sum(axis=1)


def held_rows(features: FeatureSet, faces: int = 200, seed: int = HELD_SEED) -> NDArray[np.int64]:
    """Return which faces are held: random ones, the same for every recognizer.

    :raises InputError: there is none.
    """
    if not len(features):
        raise InputError('no faces to hold: this split of the data has none; choose another')
    return np.random.default_rng(seed).permutation(len(features))[:faces]


def held_faces(
    features: FeatureSet,
    rate: float = 30.0,
    seconds: float = 5.0,
    faces: int = 200,
    seed: int = HELD_SEED,
    strength: float = 1.0,
) -> ConstructedSequences:
    """Let faces hold their expressions for ``seconds``, after a second to settle.

    :param features: faces of one source and of a test split, of which ``faces`` are taken at
        random; the same for every recognizer.
    :param rate: frames per second.
    :param strength: times the movement measured on tracked video.
    :raises InputError: there is no face.
    """
    rows = held_rows(features, faces, seed)
    return course(
        [features.vectors[rows]],
        [],
        features.source,
        rate,
        _SETTLING + seconds,
        seed,
        strength=strength,
        moves=[None if features.moves is None else features.moves[rows]],
    )


def held_figures(
    recognizer: Recognizer, held: ConstructedSequences, label: NDArray[np.int64]
) -> dict[str, float]:
    """Return what a recognizer says of held faces, once a second has passed.

    :param held: of :func:`held_faces`; ``label`` (B,), the true label of each.
    :returns: ``flips_per_s``, and ``right_while_held``, the share of frames with the true label,
        which steadiness may not cost.
    """
    settled = int(np.searchsorted(held.times, _SETTLING - 1e-6))
    answers = recognizer.sequences(held.vectors, held.dt)[:, settled:]
    seconds = float(held.dt[0, settled:].sum(dtype=np.float64))
    return {
        'flips_per_s': float(flips(answers).mean() / seconds),
        'right_while_held': float((answers.argmax(axis=-1) == label[:, None]).mean()),
    }


def held_flips(
    recognizer: Recognizer, features: FeatureSet, rate: float = 30.0, **how: Any
) -> float:
    """Return label flips per second on expressions that are held; see :func:`held_faces`."""
    held = held_faces(features, rate, **how)
    return held_figures(recognizer, held, np.zeros(len(held.dt), np.int64))['flips_per_s']


RATES = (10, 30, 60)
#: Of the movement measured on tracked video, beside the measured one itself.
STRENGTHS = (0.5, 2.0)
#: Seconds over which the dense network is averaged, for a curve of flips against delay.
WINDOWS = (0.25, 0.5, 1.0, 2.0)
#: The network without memory, which the others are compared with.
DENSE = 'dense'
#: How often the expression itself changes in videos that are known; the least number of flips.
CHANGES_SHOWN = {
    'generated_happy': 0,
    'generated_sadness': 0,
    'generated_surprise': 0,
    'head_pose': 0,
    'smile_onset': 2,
}


def in_time(recognizers: Mapping[str, Recognizer]) -> dict[str, Recognizer]:
    """Return those that stability compares: the dense network's moving averages added."""
    chosen = dict(recognizers)
    if DENSE in chosen:
        chosen[DENSE] = dense = _Remembering(chosen[DENSE])
        for seconds in WINDOWS:
            chosen[f'{DENSE}, mean of {seconds:g} s'] = MovingAverage(dense, seconds)
    return chosen


class _Remembering:
    """A recognizer that answers the same sequences only once: its averages ask for them again."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.name, self.labels, self.stills = recognizer.name, recognizer.labels, recognizer.stills
        self._recognizer = recognizer
        # Two at a time: faces that hold, and faces that change.
        self._last: deque[tuple[Floats, Floats]] = deque(maxlen=2)

    def sequences(self, blendshapes: Floats, dt: Floats) -> Floats:
        for known, answers in self._last:
            if known is blendshapes:
                return answers
        self._last.append((blendshapes, self._recognizer.sequences(blendshapes, dt)))
        return self._last[-1][1]


def compare(
    recognizers: Mapping[str, Recognizer],
    features: FeatureSet,
    grouping: Grouping,
    rates: Sequence[int] = RATES,
    faces: int = 200,
    pairs: int = 300,
) -> dict[str, Any]:
    """Return flips on held faces and delay after a change, all on the same faces.

    Delays are compared on the changes that every recognizer can follow.

    :param features: faces of one source and of a test split.
    :returns: by name and frames per second :func:`~.held.held_figures`, ``flips_to_dense`` (their
        ratio to the dense network's, where it is among them) and :func:`~.stability.summary` of
        the delays; at 30 frames per second ``flips_by_strength`` of the movement too.
    """
    changes = draw_changes(features, grouping, pairs)
    common = np.logical_and.reduce([can_follow(one, changes) for one in recognizers.values()])
    label = grouping.to_label[features.emotion[held_rows(features, faces)]]
    followed = changes.where(common)
    models: dict[str, Any] = {name: {} for name in recognizers}
    for rate in rates:
        held, moving = held_faces(features, rate, faces=faces), changing_faces(followed, rate)
        for name, recognizer in recognizers.items():
            models[name][f'{rate}_fps'] = {
                **{
                    key: round(value, 4)
                    for key, value in held_figures(recognizer, held, label).items()
                },
                **summary(delays(recognizer, followed, moving)),
            }
    for figures in models.values():
        figures['flips_by_strength'] = {}
    for strength in STRENGTHS:
        held = held_faces(features, 30, faces=faces, strength=strength)
        for name, recognizer in recognizers.items():
            models[name]['flips_by_strength'][f'{strength:g}'] = round(
                held_figures(recognizer, held, label)['flips_per_s'], 4
            )
    if DENSE in models:
        for figures in models.values():
            for rate in rates:
                dense = models[DENSE][f'{rate}_fps']['flips_per_s']
                mine = figures[f'{rate}_fps']['flips_per_s']
                figures[f'{rate}_fps']['flips_to_dense'] = round(mine / dense, 4) if dense else None
    return {
        'faces_held': min(faces, len(features)),
        'changes_drawn': len(changes.label),
        'changes_all_can_follow': int(common.sum()),
        'models': models,
    }


def on_video(recognizers: Mapping[str, Recognizer], found: Sequence[Track]) -> list[dict[str, Any]]:
    """Return label flips of each recognizer on each tracked video.

    :returns: rows with the video, the source, the seconds, how often the expression itself
        changes (null where unknown) and by recognizer the flips.
    """
    rows = []
    for one in found:
        shown = CHANGES_SHOWN.get(one.name)
        if one.truth:
            shown = int(sum(a != b for a, b in zip(one.truth, one.truth[1:])))
        answers = {
            name: recognizer.sequences(one.course.vectors, one.course.dt)
            for name, recognizer in recognizers.items()
        }
        rows.append(
            {
                'video': one.name,
                'source': one.source,
                'seconds': round(float(np.ptp(one.times)), 2),
                'changes_shown': shown,
                'flips': {name: int(flips(each)[0]) for name, each in answers.items()},
            }
        )
    return rows
