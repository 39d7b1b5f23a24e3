"""Courses whose truth is known, and what a noisy estimator would say of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.errors import InputError

#: How long each label lasts, least and most, in seconds, and what follows it how often.
_LASTS = {'unknown': (4.0, 15.0), 'happy': (1.0, 8.0), 'sad': (1.0, 15.0), NONE: (1.5, 12.0)}
_FOLLOWS = {
    'unknown': {'happy': 0.4, 'sad': 0.35, NONE: 0.25},
    'happy': {'unknown': 0.8, 'sad': 0.1, NONE: 0.1},
    'sad': {'unknown': 0.8, 'happy': 0.1, NONE: 0.1},
    NONE: {'unknown': 0.8, 'happy': 0.1, 'sad': 0.1},
}

#: Mean seconds for which a face stays undetected, or a message lost, once it is.
_OUTAGE = 0.3
_ROI = Roi(0, 0, 100, 100)


@dataclass(frozen=True)
class CourseSegment:
    """What a face shows for a while.

    :param label: one of ``LABELS``, or ``none`` for nobody.
    :param begin: seconds from the beginning of the course.
    :param end: the same, above ``begin``.
    """

    label: str
    begin: float
    end: float


@dataclass(frozen=True)
class Noise:
    """How an estimator errs; shares are of messages in the long run, 0 to 1.

    :param labels: share with a wrong label, while a face is there.
    :param burst: mean seconds for which an error lasts, which then keeps its wrong label, as those
        of estimators with a memory do; 0 draws each message by itself.
    :param undetected: share that misses the face, or sees one where nobody is, 0.3 s at a time.
    :param lost: share that never arrives, 0.3 s at a time.
    :raises InputError: a number is out of range.
    """

    labels: float = 0.0
    burst: float = 0.0
    undetected: float = 0.0
    lost: float = 0.0

    def __post_init__(self) -> None:
        for name in ('labels', 'undetected', 'lost'):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f'noise: {name} must be a share from 0 to below 1')
        if not 0 <= self.burst <= 60:
            raise InputError('noise: burst must be 0 to 60 seconds')


def truth(seconds: float, seed: int) -> tuple[CourseSegment, ...]:
    """Return a course of a conversation, calm most of the time.

    Joy lasts 1 to 8 seconds, sadness 1 to 15, absence 1.5 to 12, calm (``unknown``) 4 to 15.

    :param seconds: its least length; the last segment may go beyond.
    :param seed: the same one gives the same course.
    """
    draw = random.Random(seed)
    segments = [CourseSegment('unknown', 0.0, draw.uniform(*_LASTS['unknown']))]
    while segments[-1].end < seconds:
        before = segments[-1]
        follows = _FOLLOWS[before.label]
        label = draw.choices(list(follows), list(follows.values()))[0]
        segments.append(CourseSegment(label, before.end, before.end + draw.uniform(*_LASTS[label])))
    return tuple(segments)


def observe(
    segments: Sequence[CourseSegment], noise: Noise, rate: float, seed: int
) -> Iterator[tuple[float, FaceEmotion | None]]:
    """Yield stamps in seconds, and the face as an estimator sees it; None where it sees none.

    The confidence says nothing: right and wrong labels draw it alike, 0.8 in the mean. Estimators
    may do better, but few are well calibrated.

    :param segments: what is true, each beginning where the one before it ends.
    :param rate: messages per second, above 0.
    :param seed: the same one gives the same errors.
    """
    # Each kind of error has a sequence of its own, so that more of one leaves the others alone.
    draws = [random.Random(f'{seed} {kind}') for kind in ('labels', 'detection', 'loss', 'trust')]
    period = 1.0 / rate
    mislabelled = _Outages(noise.labels, noise.burst, period, draws[0])
    undetected = _Outages(noise.undetected, _OUTAGE, period, draws[1])
    lost = _Outages(noise.lost, _OUTAGE, period, draws[2])
    wrong, count = '', 0
    for segment in segments:
        while (stamp := count * period) < segment.end:
            count += 1
            new, err = mislabelled()
            if new or wrong == segment.label:
                # An error that the truth has caught up with is none: it takes another label.
                wrong = draws[0].choice([name for name in LABELS if name != segment.label])
            label = wrong if err and segment.label != NONE else segment.label
            if undetected()[1]:
                label = NONE if label != NONE else draws[1].choice(LABELS)
            confidence = draws[3].betavariate(8, 2)
            if not lost()[1]:
                yield stamp, _face(label, round(max(confidence, 0.4), 2))


class _Outages:
    """When something fails: in stretches of random length, or each time by itself."""

    def __init__(self, share: float, mean: float, period: float, draw: random.Random) -> None:
        """:param mean: seconds of a stretch; shorter than a period draws each time by itself."""
        self._draw = draw
        self._ends = min(1.0, period / mean) if mean > 0 else 1.0
        # Begins as often as keeps the share; above that, stretches follow one another.
        self._begins = min(1.0, share * self._ends / (1 - share))
        self._single = share if self._ends == 1.0 else None
        self._on = draw.random() < share

    def __call__(self) -> tuple[bool, bool]:
        """Return whether a failure begins, and whether there is one."""
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
