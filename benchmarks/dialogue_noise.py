"""Synthetic conversations: the true labels over time, and what a noisy estimator makes of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.errors import InputError

#: Minimum and maximum duration of each label in seconds, and the probabilities of what follows.
_LASTS = {'unknown': (4.0, 15.0), 'happy': (1.0, 8.0), 'sad': (1.0, 15.0), NONE: (1.5, 12.0)}
_FOLLOWS = {
    'unknown': {'happy': 0.4, 'sad': 0.35, NONE: 0.25},
    'happy': {'unknown': 0.8, 'sad': 0.1, NONE: 0.1},
    'sad': {'unknown': 0.8, 'happy': 0.1, NONE: 0.1},
    NONE: {'unknown': 0.8, 'happy': 0.1, 'sad': 0.1},
}

#: Mean seconds for which a face stays undetected, or messages stay lost.
_OUTAGE = 0.3
_ROI = Roi(0, 0, 100, 100)


@dataclass(frozen=True)
class Segment:
    """A period with one true label.

    :param label: one of ``LABELS``, or ``none`` for nobody.
    :param begin: seconds from the beginning of the conversation.
    :param end: likewise, above ``begin``.
    """

    label: str
    begin: float
    end: float


@dataclass(frozen=True)
class Noise:
    """An estimator's errors; shares are long-run fractions of the messages, 0 to 1.

    :param labels: share of wrong labels while a face is in view.
    :param burst: mean seconds for which an error lasts and keeps its wrong label, as with
        estimators that have a memory; 0 draws the error of each message independently.
    :param undetected: share that misses the face, or sees one in an empty room, 0.3 s at a time.
    :param lost: share that does not arrive, 0.3 s at a time.
    :raises InputError: a number is out of range.
    """

    labels: float = 0.0
    burst: float = 0.0
    undetected: float = 0.0
    lost: float = 0.0

    def __post_init__(self) -> None:
        for name in ('labels', 'undetected', 'lost'):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f'noise: {name} must be from 0 to below 1')
        if not 0 <= self.burst <= 60:
            raise InputError('noise: burst must be from 0 to 60 seconds')


def ground_truth(seconds: float, seed: int) -> tuple[Segment, ...]:
    """Return the true labels of a conversation, which is calm most of the time.

    Joy lasts 1 to 8 seconds, sadness 1 to 15, absence 1.5 to 12, calm (``unknown``) 4 to 15.

    :param seconds: minimum length; the last segment may exceed it.
    :param seed: the same seed gives the same conversation.
    """
    draw = random.Random(seed)
    segments = [Segment('unknown', 0.0, draw.uniform(*_LASTS['unknown']))]
    while segments[-1].end < seconds:
        before = segments[-1]
        follows = _FOLLOWS[before.label]
        label = draw.choices(list(follows), list(follows.values()))[0]
        segments.append(Segment(label, before.end, before.end + draw.uniform(*_LASTS[label])))
    return tuple(segments)


def observe(
    segments: Sequence[Segment], noise: Noise, rate: float, seed: int
) -> Iterator[tuple[float, FaceEmotion | None]]:
    """Yield stamps in seconds with the face that a noisy estimator reports; None for no face.

    The confidence carries no information: right and wrong labels draw it from one distribution
    with mean 0.8. Estimators may do better, but few are well calibrated.

    :param segments: the true labels, each segment beginning where the previous one ends.
    :param rate: messages per second, above 0.
    :param seed: the same seed gives the same errors.
    """
    # A random sequence for each kind of error, so that more of one does not change the others.
    draws = [random.Random(f'{seed} {kind}') for kind in ('labels', 'detection', 'loss', 'trust')]
    period = 1.0 / rate
    mislabelled = _Failures(noise.labels, noise.burst, period, draws[0])
    undetected = _Failures(noise.undetected, _OUTAGE, period, draws[1])
    lost = _Failures(noise.lost, _OUTAGE, period, draws[2])
    wrong, count = '', 0
    for segment in segments:
        while (stamp := count * period) < segment.end:
            count += 1
            new, err = mislabelled()
            if new or wrong == segment.label:
                # A wrong label that has become the true one would be no error: draw another.
                wrong = draws[0].choice([name for name in LABELS if name != segment.label])
            label = wrong if err and segment.label != NONE else segment.label
            if undetected()[1]:
                label = NONE if label != NONE else draws[1].choice(LABELS)
            confidence = draws[3].betavariate(8, 2)
            if not lost()[1]:
                yield stamp, _face(label, round(max(confidence, 0.4), 2))


class _Failures:
    """Whether something fails: in bursts of random length, or independently each time."""

    def __init__(self, share: float, mean: float, period: float, draw: random.Random) -> None:
        """:param mean: seconds of a burst; below a period, failures are independent."""
        self._draw = draw
        self._ends = min(1.0, period / mean) if mean > 0 else 1.0
        # Probability of a beginning that yields the share; at 1, bursts follow each other.
        self._begins = min(1.0, share * self._ends / (1 - share))
        self._single = share if self._ends == 1.0 else None
        self._on = draw.random() < share

    def __call__(self) -> tuple[bool, bool]:
        """Return whether a failure begins now, and whether one is in progress."""
        if self._single is not None:
            failed = self._draw.random() < self._single
            return failed, failed
        was = self._on
        chance = 1 - self._ends if was else self._begins
        self._on = self._draw.random() < chance
        return self._on and not was, self._on


@lru_cache(maxsize=4096)
def _face(label: str, confidence: float) -> FaceEmotion | None:
    if label == NONE:
        return None
    rest = (1 - confidence) / (len(LABELS) - 1)
    values = np.array([confidence if name == label else rest for name in LABELS], np.float32)
    return FaceEmotion('face_1', label, confidence, LABELS, values, _ROI)
