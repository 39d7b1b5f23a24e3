"""An estimator that errs: what it reports of a face, given what the face truly shows."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.errors import InputError

#: Mean seconds for which a face stays undetected, or messages stay lost.
_OUTAGE = 0.3
_ROI = Roi(0, 0, 100, 100)


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


@dataclass(frozen=True, eq=False)
class NoisyMessage:
    """What a noisy estimator reports of one frame.

    :param face: None for no face.
    :param arrives: whether the message reaches the dialogue manager.
    """

    face: FaceEmotion | None
    arrives: bool


class NoisyEstimator:
    """Reports a face with the errors of an estimator, one message a call.

    The confidence carries no information: right and wrong labels draw it from one distribution
    with mean 0.8. Estimators may do better, but few are well calibrated.
    """

    def __init__(self, noise: Noise, rate: float, seed: int) -> None:
        """Start at the first message.

        :param rate: messages per second, above 0.
        :param seed: the same seed gives the same errors.
        """
        # A random sequence for each kind of error, so that more of one does not change the others.
        kinds = ('labels', 'detection', 'loss', 'trust')
        self._labels, self._detection, loss, self._trust = (
            random.Random(f'{seed} {kind}') for kind in kinds
        )
        period = 1.0 / rate
        self._mislabelled = _Failures(noise.labels, noise.burst, period, self._labels)
        self._undetected = _Failures(noise.undetected, _OUTAGE, period, self._detection)
        self._lost = _Failures(noise.lost, _OUTAGE, period, loss)
        self._wrong = ''

    def __call__(self, label: str) -> NoisyMessage:
        """Return the message about the next frame.

        :param label: what is true: one of ``LABELS``, or ``none`` for nobody in view.
        """
        new, err = self._mislabelled()
        if new or self._wrong == label:
            # A wrong label that has become the true one would be no error: draw another.
            self._wrong = self._labels.choice([name for name in LABELS if name != label])
        seen = self._wrong if err and label != NONE else label
        if self._undetected()[1]:
            seen = NONE if seen != NONE else self._detection.choice(LABELS)
        confidence = self._trust.betavariate(8, 2)
        return NoisyMessage(_face(seen, round(max(confidence, 0.4), 2)), not self._lost()[1])


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
