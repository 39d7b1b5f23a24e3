"""How closely a quantized network matches the float network, and which of several ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import ModelError

Floats = NDArray[np.float32]

#: The least share of frames in which the label must be the float network's.
LEAST_AGREEMENT = 0.99
#: Smaller ratios of step times are within the noise of measuring them.
_NOISE = 1.1
RULE = (
    f"of those whose label is the float network's in at least {LEAST_AGREEMENT:.0%} of frames in "
    'every runtime, the fastest in the slowest runtime; within 10 % of it, the smallest'
)


class ParityError(ModelError):
    """A quantized network differs from the float network and must not ship."""


@dataclass(frozen=True)
class Parity:
    """How two networks' probabilities compare, frame by frame.

    :param frames: how many were compared.
    :param agreement: share of frames with the same most likely label.
    :param greatest: greatest difference between probabilities; ``mean`` the mean difference.
    """

    frames: int
    agreement: float
    greatest: float
    mean: float


def parity(answers: Floats, reference: Floats) -> Parity:
    """Compare probabilities (..., L) with those of the float network.

    :raises ParityError: some are not finite.
    """
    if not np.isfinite(answers).all():
        raise ParityError('its probabilities are not finite; train again or quantize otherwise')
    difference = np.abs(answers - reference)
    same = answers.argmax(axis=-1) == reference.argmax(axis=-1)
    return Parity(
        same.size,
        round(float(same.mean()), 5),
        # Rounded alike: a mean never exceeds the greatest.
        round(float(difference.max()), 6),
        round(float(difference.mean()), 6),
    )


@dataclass(frozen=True)
class Candidate:
    """A quantized network, measured.

    :param size: bytes of the file.
    :param parity: by runtime, for each that can run it; ``failures``, why the others cannot.
    :param step_us: median microseconds of a complete step, by runtime.
    """

    name: str
    size: int
    parity: Mapping[str, Parity]
    failures: Mapping[str, str]
    step_us: Mapping[str, float]

    @property
    def refused(self) -> str:
        """Return why it must not ship; empty if it may."""
        reasons = []
        for runtime, one in self.parity.items():
            if one.agreement < LEAST_AGREEMENT:
                reasons.append(
                    f"the float network's label in {one.agreement:.2%} of {one.frames} frames in "
                    f'{runtime}, below {LEAST_AGREEMENT:.0%}; greatest difference '
                    f'{one.greatest:.3f}'
                )
        reasons += [f'{runtime} cannot run it: {why}' for runtime, why in self.failures.items()]
        if not self.parity and not reasons:
            reasons.append('no runtime ran it')
        return '; '.join(reasons)

    def summary(self) -> dict[str, Any]:
        """Return its entry in a card."""
        return {
            'bytes': self.size,
            'parity': {runtime: asdict(one) for runtime, one in self.parity.items()},
            'refused': self.refused,
        }


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate that ships, by ``RULE``.

    :raises ParityError: all are refused; the message names each and why.
    """
    fit = [one for one in candidates if not one.refused]
    if not fit:
        raise ParityError(
            'no quantized network may ship; '
            + '; '.join(f'{one.name}: {one.refused}' for one in candidates)
        )
    slowest = {one.name: max(one.step_us.values()) for one in fit}
    limit = _NOISE * min(slowest.values())
    return min((one for one in fit if slowest[one.name] <= limit), key=lambda one: one.size)


def parity_table(metrics: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return header and rows of a card's ``quantization``; the worse runtime's values."""
    rows = []
    for name, one in metrics['candidates'].items():
        found = list(one['parity'].values())
        worst = min(found, key=lambda each: each['agreement']) if found else {}
        outcome = 'shipped' if name == metrics['chosen'] else one['refused'] or 'passes, not chosen'
        rows.append(
            [
                name,
                one['bytes'],
                _in_words(one['float_operators']),
                *(worst.get(key, '-') for key in ('agreement', 'greatest', 'mean')),
                outcome,
            ]
        )
    return [
        'conversion',
        'bytes',
        'float operators',
        'same label',
        'greatest difference',
        'mean difference',
        'outcome',
    ], rows


def _in_words(float_operators: Sequence[str]) -> str:
    # Products with float activations mean that nothing is computed in integers.
    if 'FULLY_CONNECTED' in float_operators:
        return 'all'
    return ', '.join(float_operators).lower() or 'none'
