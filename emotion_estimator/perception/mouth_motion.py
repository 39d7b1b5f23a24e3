"""How the mouth of one face moves: a few lengths of it, and their energy in bands of speed.

Mouths open and close two to seven times a second in speech (Chandrasekaran et al. 2009). Time is
the frames' stamps; the filters take any time between two frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import FloatArray

Vector = NDArray[np.float64]

#: Pairs of landmarks whose distance is measured. The last three give the face's size: eye corners,
#: temples, forehead to base of the nose.
_PAIRS = (
    (13, 14), (81, 178), (311, 402),  # inner edges of the lips
    (61, 291),  # corners
    (0, 17),  # outer edges of the lips
    (2, 0),  # base of the nose to the upper lip
    (17, 152),  # lower lip to the tip of the chin
    (2, 152),  # base of the nose to the tip of the chin
    (33, 263), (127, 356), (10, 2),
)  # fmt: skip
_COUNT, _SIZES = len(_PAIRS), 3
_POINTS = np.array([a for a, _ in _PAIRS] + [b for _, b in _PAIRS])
#: From distances to lengths: the mean of the three openings, and the others as they are.
_LENGTHS = np.zeros((6, _COUNT))
_LENGTHS[0, :3] = 1 / 3
_LENGTHS[np.arange(1, 6), np.arange(3, 8)] = 1.0
_EYES, _MIDLINE = 8, 10

#: Blendshapes whose level is measured beside the lengths, in groups that are averaged.
_GROUPS: dict[str, tuple[str, ...]] = {
    'jaw_open': ('jawOpen',),
    'smile': ('mouthSmileLeft', 'mouthSmileRight'),
    'press': ('mouthPressLeft', 'mouthPressRight', 'mouthRollLower', 'mouthRollUpper'),
    'round': ('mouthPucker', 'mouthFunnel'),
}
_MIX = np.array(
    [[(name in group) / len(group) for name in BLENDSHAPE_NAMES] for group in _GROUPS.values()]
)

#: What is measured of a face in each frame: six lengths of the mouth and two of the head's turn,
#: all relative to the face's size, and groups of blendshapes.
MOVING: tuple[str, ...] = ('opening', 'width', 'lips', 'upper_lip', 'chin', 'jaw', 'yaw', 'pitch')
CHANNELS: tuple[str, ...] = (*MOVING, *_GROUPS)
_MOVING = len(MOVING)
_FARTHEST = 4.0

#: Time constants in seconds of the means whose differences are the bands: syllables, slower
#: movements such as chewing, and changes of expression.
_TIMES = (0.04, 0.12, 0.35, 1.0)
#: Seconds over which the energy in a band is averaged.
_ENERGY_TIMES = {'short': 0.18, 'long': 0.45}
#: Seconds in which the least and the greatest opening are forgotten.
_ENVELOPE_TIME = 0.7
#: Movements below this, relative to the face's size, are noise of the landmarks.
_STILL = 5e-3
#: How far a length must pass its mean of the last second to have turned, and the time over which
#: turns are counted.
_TURN, _TURNS_TIME = 0.008, 0.5
#: How far a length must be from its mean of the last tenth of a second to be moving, and for how
#: many seconds at most it is remembered that it is not.
_MOVES, _QUIET = 0.006, 2.0
#: All of them, in the order in which :meth:`MouthMotion.advance` reads them.
_CONSTANTS = np.array([*_TIMES, *_ENERGY_TIMES.values(), _TURNS_TIME, _ENVELOPE_TIME])
_BANDS = ('fast', 'middle', 'slow')
_OPENING = CHANNELS.index('opening')
_FIRST_INTERVAL = 1 / 30

#: Names of the features, in order.
FEATURES: tuple[str, ...] = (
    *(f'{name}_{band}_{span}' for span in _ENERGY_TIMES for band in _BANDS for name in MOVING),
    *(f'{name}_turns' for name in MOVING),
    *(f'{name}_quiet' for name in MOVING),
    *(f'{name}_level' for name in CHANNELS),
    'opening_least', 'opening_most', 'interval',
)  # fmt: skip
_ENERGIES = len(_ENERGY_TIMES) * len(_BANDS) * _MOVING


def mouth_channels(landmarks: FloatArray, blendshapes: FloatArray) -> Vector:
    """Measure the mouth in one frame.

    :param landmarks: (478, 3), in pixels.
    :param blendshapes: (52,), 0 to 1, in ``BLENDSHAPE_NAMES`` order.
    :returns: float64 (12,), in the order of ``CHANNELS``; -4 to 4, or not a number where the
        input is not finite.
    """
    # Once per face and frame: no NumPy functions implemented in Python.
    points = landmarks[_POINTS].astype(np.float64)
    apart = points[_COUNT:] - points[:_COUNT]
    distances = np.sqrt(np.add.reduce(apart * apart, axis=1))
    size = max(float(np.add.reduce(distances[-_SIZES:])) / _SIZES, 1e-9)
    channels = np.empty(len(CHANNELS))
    channels[:6] = (_LENGTHS @ distances) / size
    # How much farther away one end of the line between the eyes, and of the nose's, is.
    channels[6] = apart[_EYES, 2] / size
    channels[7] = apart[_MIDLINE, 2] / size
    channels[_MOVING:] = _MIX @ blendshapes
    return np.minimum(np.maximum(channels, -_FARTHEST), _FARTHEST)


class MouthMotion:
    """Follows the mouth of a face, or of several at once, stacked in the first dimension."""

    def __init__(self, channels: Vector) -> None:
        """Take the first frame.

        :param channels: (..., 12), finite, see :func:`mouth_channels`.
        """
        moving = channels[..., :_MOVING]
        shape = moving.shape[:-1]
        self._means = np.stack([moving] * len(_TIMES), axis=-2)
        self._energy = np.zeros((*shape, len(_ENERGY_TIMES), len(_BANDS), _MOVING))
        self._levels = channels[..., _MOVING:].copy()
        self._side, self._turns = np.ones(moving.shape), np.zeros(moving.shape)
        self._quiet = np.full(moving.shape, _QUIET)
        self._least = self._most = channels[..., _OPENING : _OPENING + 1].copy()
        self._interval = np.full((*shape, 1), _FIRST_INTERVAL)

    def advance(self, channels: Vector, dt: float | Vector) -> None:
        """Take another frame.

        :param channels: as the first.
        :param dt: seconds since the previous frame, above 0; (..., 1) for several faces.
        """
        # How much of each mean the last dt seconds replace.
        new = -np.expm1(-dt / _CONSTANTS)
        moving, opening = channels[..., :_MOVING], channels[..., _OPENING : _OPENING + 1]
        means = self._means
        means += new[..., :4, None] * (moving[..., None, :] - means)
        bands = means[..., :-1, :] - means[..., 1:, :]
        still = np.minimum(self._quiet + dt, _QUIET)
        self._quiet = np.where(np.abs(bands[..., 0, :]) < _MOVES, still, 0.0)
        bands *= bands
        self._energy += new[..., 4:6, None, None] * (bands[..., None, :, :] - self._energy)
        self._levels += new[..., 1:2] * (channels[..., _MOVING:] - self._levels)
        turned = (means[..., 0, :] - means[..., 2, :]) * self._side < -_TURN
        self._side = np.where(turned, -self._side, self._side)
        self._turns *= 1 - new[..., 6:7]
        self._turns += turned
        forget = new[..., 7:8]
        self._least = np.minimum(opening, self._least + forget * (opening - self._least))
        self._most = np.maximum(opening, self._most + forget * (opening - self._most))
        self._interval += forget * (dt - self._interval)

    def features(self) -> Vector:
        """Return the features (..., 79), in the order of ``FEATURES``.

        Logarithms of energies in bands, counts of turns, seconds without movement, levels, least
        and greatest opening, logarithm of the time between frames.
        """
        energy = self._energy.reshape(*self._turns.shape[:-1], _ENERGIES)
        return np.concatenate(
            (
                np.log(energy + _STILL**2),
                self._turns,
                self._quiet,
                self._means[..., 1, :],
                self._levels,
                self._least,
                self._most,
                np.log(self._interval),
            ),
            axis=-1,
        )
