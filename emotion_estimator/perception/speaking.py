"""Whether a person is speaking, from the movement of their mouth: a probability and a flag.

Nothing is heard: the landmarks of the last second are all that is used (Guy et al. 2021 do so with
a recurrent network).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.mouth_motion import FEATURES, MouthMotion, mouth_channels
from emotion_estimator.trial import announce
from emotion_estimator.untrusted import quote
from emotion_estimator.weights import read_arrays

#: A face unseen for longer starts again.
_FORGOTTEN = 1.0
#: Between two frames with the same stamp, in seconds.
_LEAST_STEP = 1 / 240


@dataclass(frozen=True)
class SpeechTimes:
    """When the flag rises and falls.

    :param rises: probability from which the person may have begun to speak.
    :param falls: probability below which they may have stopped.
    :param rises_after: seconds above ``rises`` after which the flag is set.
    :param falls_after: seconds below ``falls`` after which it is cleared; pauses between words are
        shorter.
    """

    rises: float = 0.7
    falls: float = 0.5
    rises_after: float = 0.25
    falls_after: float = 0.3


class SpeechModel:
    """The network that reads the features of a mouth's movement: one small hidden layer."""

    def __init__(self, card: ModelCard) -> None:
        """Open the weights of ``card``; see :meth:`load`."""
        self.title, self.sha256 = card.title, card.sha256
        self.times = SpeechTimes(
            **{name: _number(card, name) for name in SpeechTimes.__dataclass_fields__}
        )
        if card.names('features') != FEATURES:
            raise ModelError(
                f'{card.title} reads other features, or in another order, than this code; restore '
                'models/speaking.json, or fit it with "emotion-estimator training speaking"'
            )
        try:
            arrays = read_arrays(card.weights)
            weights = [arrays[name].astype(np.float64) for name in ('w1', 'b1', 'w2', 'b2')]
        except KeyError as error:
            raise ModelError(
                f'{quote(card.path)} is not a model of speech ({first_line(error)}); restore it '
                'and its card'
            ) from error
        hidden = len(weights[1]) if weights[1].ndim == 1 else 0
        shapes = [(len(FEATURES), hidden), (hidden,), (hidden,), ()]
        if not hidden or [each.shape for each in weights] != shapes:
            raise ModelError(
                f'{quote(card.path)} is not a model of speech; restore it and its card'
            )
        if not all(np.isfinite(each).all() for each in weights):
            raise ModelError(f'{quote(card.path)} has weights that are not numbers; restore it')
        announce(card.weights)
        self._w1, self._b1, self._w2 = weights[:3]
        self._b2 = float(weights[3])

    @classmethod
    def load(cls, card: Path | None = None) -> SpeechModel:
        """Load a model.

        :param card: its JSON card; None is the shipped one.
        :raises ModelError: card, weights and code do not match.
        """
        return cls(ModelCard.load(card or models_dir() / 'speaking.json', 'speaking'))

    def __call__(self, features: NDArray[np.float64]) -> float:
        """Return the probability of speech, 0 to 1.

        :param features: float64 (79,), in the order of ``FEATURES``.
        """
        hidden = np.tanh(features @ self._w1 + self._b1)
        return _logistic(float(hidden @ self._w2) + self._b2)


def _logistic(x: float) -> float:
    # Beyond this the exponential overflows.
    return 1.0 / (1.0 + math.exp(-min(max(x, -60.0), 60.0)))


def _number(card: ModelCard, name: str) -> float:
    value: Any = card.settings.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 10:
        raise ModelError(
            f'card of {card.title} has a missing or invalid setting {name!r}: it must be a number '
            'from 0 to 10; restore the card'
        )
    return float(value)


class SpeechFlag:
    """Turns probabilities into a flag that does not flicker."""

    def __init__(self, times: SpeechTimes) -> None:
        self._times = times
        self._since = 0.0
        #: Whether the person is speaking.
        self.speaking = False

    def __call__(self, probability: float, dt: float) -> bool:
        """Take one frame and return the flag.

        :param probability: of speech, 0 to 1.
        :param dt: seconds since the previous frame.
        """
        times = self._times
        against = probability < times.falls if self.speaking else probability >= times.rises
        self._since = self._since + dt if against else 0.0
        if self._since >= (times.falls_after if self.speaking else times.rises_after):
            self.speaking, self._since = not self.speaking, 0.0
        return self.speaking


class SpeechDetector:
    """Watches the mouth of one face."""

    def __init__(self, model: SpeechModel) -> None:
        self._model = model
        #: Probability that the person is speaking, 0 to 1, and the same debounced.
        self.probability, self.speaking = 0.0, False
        self._flag = SpeechFlag(self._model.times)
        self._motion: MouthMotion | None = None
        self._stamp = 0.0

    def __call__(self, landmarks: FloatArray, blendshapes: FloatArray, stamp: float) -> None:
        """Take one frame of the face; the results are in the attributes.

        A face that was not seen for a second, or whose time has gone backwards, starts again. A
        frame whose values are not finite is ignored.

        :param landmarks: (478, 3), in pixels.
        :param blendshapes: (52,), 0 to 1, in ``BLENDSHAPE_NAMES`` order.
        :param stamp: seconds.
        """
        channels = mouth_channels(landmarks, blendshapes)
        if not math.isfinite(float(channels.sum())):
            return
        step = stamp - self._stamp
        self._stamp = stamp
        if self._motion is None or not 0 <= step <= _FORGOTTEN:
            self._motion, self._flag = MouthMotion(channels), SpeechFlag(self._model.times)
            self.probability, self.speaking = 0.0, False
            return
        dt = max(step, _LEAST_STEP)
        self._motion.advance(channels, dt)
        self.probability = self._model(self._motion.features())
        self.speaking = self._flag(self.probability, dt)
