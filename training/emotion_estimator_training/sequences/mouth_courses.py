"""How mouths move when people speak, and when they do not: made courses with known truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: What moves, in face widths unless stated otherwise: jaw and lower lip down; upper lip up; corners
#: outwards (negative: rounded lips); corners and cheeks up; lips pressed together; jaw to one side;
#: lids closed, 0 to 1; head turned sideways and down, in radians; head rolled, in radians; face
#: nearer, as a factor less 1; face right and down.
MOVEMENTS: tuple[str, ...] = (
    'jaw', 'upper_lip', 'spread', 'smile', 'press', 'aside', 'lids', 'yaw', 'pitch', 'roll',
    'nearer', 'right', 'down',
)  # fmt: skip

#: Silences shorter than this belong to speech.
SHORT_PAUSE = 0.5


@dataclass(frozen=True, eq=False)
class MouthCourse:
    """How one face moves in T frames.

    :param kind: one of ``KINDS``.
    :param times: (T,), seconds from 0.
    :param moves: (T, 13), in the order of ``MOVEMENTS``.
    :param speaking: (T,), whether the person speaks; short pauses count as speech.
    """

    kind: str
    times: Floats
    moves: Floats
    speaking: NDArray[np.bool_]


def draw_course(kind: str, seconds: float, rate: float, rng: np.random.Generator) -> MouthCourse:
    """Draw a course.

    :param kind: one of ``KINDS``.
    :param seconds: its duration.
    :param rate: frames per second.
    :param rng: the only source of randomness.
    """
    times = np.arange(max(round(seconds * rate), 1)) / rate
    moves = {name: np.zeros_like(times) for name in MOVEMENTS}
    _live(times, moves, rng)
    speaking = _DRAW[kind](times, moves, rng)
    rows = np.stack([moves[name] for name in MOVEMENTS], axis=1)
    return MouthCourse(kind, times, rows, speaking)


def smooth_step(x: Floats) -> Floats:
    """Rise smoothly from 0 (x <= 0) to 1 (x >= 1)."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


Moves = dict[str, Floats]


def _sway(times: Floats, size: float, rng: np.random.Generator, fastest: float = 0.7) -> Floats:
    """Return a slow oscillation of about ``size``."""
    waves = sum(
        np.sin(2 * np.pi * (rng.uniform(0.1, fastest) * times + rng.random())) for _ in range(3)
    )
    return np.asarray(size * waves / 2, np.float64)


def _live(times: Floats, moves: Moves, rng: np.random.Generator) -> None:
    """Let the head sway and the lids blink."""
    lively = rng.uniform(0.1, 1.0)
    for name, size in (
        ('yaw', 0.12), ('pitch', 0.08), ('roll', 0.06), ('nearer', 0.03), ('right', 0.04),
        ('down', 0.03),
    ):  # fmt: skip
        moves[name] += _sway(times, size * lively, rng)
    at = rng.uniform(0.0, 3.0)
    while at < times[-1]:
        moves['lids'] = np.maximum(moves['lids'], 1 - smooth_step(np.abs(times - at) / 0.14))
        at += rng.uniform(1.0, 5.0)


def _held(times: Floats, begin: float, end: float, change: float) -> Floats:
    """Return 1 from ``begin`` to ``end`` seconds, with smooth changes around, and 0 elsewhere."""
    rise = smooth_step((times - begin) / change + 0.5)
    return np.asarray(rise * (1 - smooth_step((times - end) / change + 0.5)))


def _phrases(length: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Return begin and end of phrases, with breaths between them, at any time in ``length``."""
    at = rng.choice([0.0, rng.uniform(0.5, 2.5)])
    phrases = []
    while at < length:
        end = at + rng.uniform(0.6, 4.0)
        phrases.append((at, min(end, length)))
        at = end + rng.choice([rng.uniform(0.15, 0.45), rng.uniform(0.7, 2.0)], p=[0.6, 0.4])
    return phrases


def _say(times: Floats, begin: float, end: float, moves: Moves, rng: np.random.Generator) -> None:
    """Add a phrase: syllables with vowels of different shape, consonants that close the lips."""
    rate, open_mouthed = rng.uniform(2.8, 6.5), rng.uniform(0.025, 0.12)
    lively = rng.uniform(0.3, 1.0)
    knots: list[tuple[float, dict[str, float]]] = [(begin - 0.12, {})]
    at = begin
    while at < end:
        beat = float(np.clip(rng.lognormal(np.log(1 / rate), 0.35), 0.08, 0.6))
        stress = rng.uniform(0.25, 1.0)
        kind = rng.choice(['lips', 'teeth', 'other'], p=[0.22, 0.08, 0.7])
        if kind == 'lips':
            knots.append((at, {'press': rng.uniform(0.0, 0.02)}))
        elif kind == 'teeth':
            knots.append((at, {'upper_lip': 0.01 * lively, 'jaw': 0.1 * open_mouthed}))
        else:
            knots.append((at, {'jaw': rng.uniform(0.1, 0.45) * open_mouthed * stress}))
        vowel = rng.choice(['open', 'spread', 'round', 'mid'], p=[0.3, 0.25, 0.2, 0.25])
        jaw, wide = {
            'open': (1.0, 0.0), 'spread': (0.45, 1.0), 'round': (0.4, -1.0), 'mid': (0.65, 0.1),
        }[str(vowel)]  # fmt: skip
        knots.append(
            (
                at + 0.55 * beat,
                {
                    'jaw': jaw * stress * open_mouthed,
                    'upper_lip': 0.25 * jaw * stress * open_mouthed * lively,
                    'spread': wide * stress * lively * rng.uniform(0.01, 0.05),
                },
            )
        )
        at += beat
    knots += [(end + 0.05, {}), (end + 0.2, {})]
    clock = np.array([time for time, _ in knots])
    order = np.argsort(clock, kind='stable')
    for name in ('jaw', 'upper_lip', 'spread', 'press'):
        values = np.array([shape.get(name, 0.0) for _, shape in knots])
        moves[name] += _eased(times, clock[order], values[order])
    # Heads nod along with what is stressed.
    moves['pitch'] += _held(times, begin, end, 0.3) * _sway(times, 0.03 * lively, rng, 2.0)


def _eased(times: Floats, clock: Floats, values: Floats) -> Floats:
    """Interpolate between knots with smooth turns at each of them."""
    after = np.clip(np.searchsorted(clock, times), 1, len(clock) - 1)
    span = np.maximum(clock[after] - clock[after - 1], 1e-3)
    share = smooth_step((times - clock[after - 1]) / span)
    eased = values[after - 1] + share * (values[after] - values[after - 1])
    return np.asarray(np.where((times < clock[0]) | (times > clock[-1]), 0.0, eased))


def _nothing(times: Floats) -> NDArray[np.bool_]:
    return np.zeros(len(times), np.bool_)


def _speech(times: Floats, moves: Moves, rng: np.random.Generator) -> NDArray[np.bool_]:
    speaking = _nothing(times)
    phrases = _phrases(float(times[-1]), rng)
    for number, (begin, end) in enumerate(phrases):
        _say(times, begin, end, moves, rng)
        following = phrases[number + 1][0] if number + 1 < len(phrases) else np.inf
        until = following if following - end < SHORT_PAUSE else end
        speaking |= (times >= begin) & (times <= until)
    return speaking


def _smiling_speech(times: Floats, moves: Moves, rng: np.random.Generator) -> NDArray[np.bool_]:
    moves['smile'] += rng.uniform(0.03, 0.08) + _sway(times, 0.01, rng)
    moves['spread'] += rng.uniform(0.0, 0.04)
    return _speech(times, moves, rng)


def _turning_speech(times: Floats, moves: Moves, rng: np.random.Generator) -> NDArray[np.bool_]:
    _turning(times, moves, rng)
    return _speech(times, moves, rng)


def _rest(times: Floats, moves: Moves, rng: np.random.Generator) -> NDArray[np.bool_]:
    moves['jaw'] += max(rng.uniform(-0.03, 0.03), 0.0)
    return _nothing(times)


def _turning(times: Floats, moves: Moves, rng: np.random.Generator) -> NDArray[np.bool_]:
    at = rng.uniform(0.0, 1.0)
    while at < times[-1]:
        name, size = (('yaw', 0.5), ('pitch', 0.35), ('roll', 0.35), ('right', 0.3))[
            rng.integers(4)
        ]
        stay, change = rng.uniform(0.1, 1.5), rng.uniform(0.2, 0.8)
        turn = rng.uniform(-size, size)
        if rng.random() < 0.25:  # Nodding, or shaking the head.
            turn *= 0.4
            moves[name] += (
                turn
                * _held(times, at, at + 3 * change, change)
                * np.sin(2 * np.pi * rng.uniform(0.8, 2.5) * (times - at))
            )
        else:
            moves[name] += turn * _held(times, at, at + stay, change)
        at += stay + rng.uniform(0.3, 1.5)
    return _nothing(times)


def _chewing(times: Floats, moves: Moves, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Chew with closed lips, once or twice a second, the jaw going round."""
    phase = 2 * np.pi * (np.cumsum(_pace(times, rng.uniform(0.8, 2.2), rng)) + rng.random())
    bouts = _held(times, rng.uniform(-1, 1.5), times[-1] - rng.uniform(-1, 1.5), 0.4)
    down = (1 - np.cos(phase)) / 2
    size, open_lips = rng.uniform(0.015, 0.06), rng.choice([0.0, rng.uniform(0.2, 1.0)])
    uneven = 1 + _sway(times, 0.3, rng, 1.5)
    moves['jaw'] += bouts * size * down * uneven
    # The upper lip follows, so that the lips stay closed, or nearly so.
    moves['upper_lip'] -= bouts * (1 - open_lips) * 0.6 * size * down * uneven
    moves['press'] += bouts * rng.uniform(0.0, 0.02) * down
    moves['aside'] += bouts * rng.uniform(-0.03, 0.03) * np.sin(phase)
    moves['spread'] -= bouts * rng.uniform(0.0, 0.025) * (1 - down)
    return _nothing(times)


def _pace(times: Floats, rate: float, rng: np.random.Generator) -> Floats:
    """Return cycles per frame at about ``rate`` per second, never quite even."""
    step = float(times[1] - times[0]) if len(times) > 1 else 1.0
    return np.asarray(step * rate * np.clip(1 + _sway(times, 0.12, rng, 1.0), 0.5, 1.5))


def _laughing(times: Floats, moves: Moves, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Laugh: a wide smile whose open mouth shakes 4 to 5 times a second (Provine and Yong 1991)."""
    at = rng.uniform(0.0, 1.0)
    smile = np.zeros_like(times)
    while at < times[-1]:
        end = at + rng.uniform(0.8, 3.0)
        shown = _held(times, at, end, 0.35)
        notes = np.sin(2 * np.pi * np.cumsum(_pace(times, rng.uniform(3.8, 5.4), rng)))
        fading = np.exp(-np.clip(times - at, 0, None) / rng.uniform(0.8, 3.0))
        depth = rng.uniform(0.05, 0.35) * fading
        opening = rng.uniform(0.04, 0.14)
        moves['jaw'] += shown * opening * (1 + depth * notes)
        moves['upper_lip'] += shown * rng.uniform(0.005, 0.03)
        moves['pitch'] += shown * rng.uniform(0.0, 0.02) * fading * notes
        moves['down'] += shown * rng.uniform(0.0, 0.012) * fading * notes
        smile = np.maximum(smile, _held(times, at - 0.2, end + rng.uniform(0.2, 1.0), 0.5))
        at = end + rng.uniform(0.5, 2.0)
    moves['smile'] += rng.uniform(0.05, 0.1) * smile
    moves['spread'] += rng.uniform(0.02, 0.06) * smile
    moves['lids'] = np.maximum(moves['lids'], 0.4 * smile)
    return _nothing(times)


def _yawning(times: Floats, moves: Moves, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Yawn: one slow, wide opening of 3 to 6 seconds, the eyes narrowed."""
    length, begin = rng.uniform(2.5, 6.0), rng.uniform(0.0, 1.5)
    share = np.clip((times - begin) / length, 0, 1)
    opening = np.sin(np.pi * share**1.3) ** rng.uniform(0.8, 2.0)
    moves['jaw'] += rng.uniform(0.15, 0.4) * opening
    moves['spread'] -= rng.uniform(0.0, 0.03) * opening
    moves['lids'] = np.maximum(moves['lids'], rng.uniform(0.3, 1.0) * opening**2)
    moves['pitch'] -= rng.uniform(0.0, 0.15) * opening
    return _nothing(times)


def _smiles(times: Floats, moves: Moves, rng: np.random.Generator) -> NDArray[np.bool_]:
    at = rng.uniform(0.0, 1.0)
    while at < times[-1]:
        end = at + rng.uniform(0.4, 3.0)
        shown = _held(times, at, end, rng.uniform(0.2, 0.7))
        moves['smile'] += rng.uniform(0.03, 0.1) * shown
        moves['spread'] += rng.uniform(0.0, 0.06) * shown
        part = rng.choice([0.0, rng.uniform(0.01, 0.06)])
        moves['jaw'] += part * shown
        moves['upper_lip'] += 0.3 * part * shown
        at = end + rng.uniform(0.6, 2.0)
    return _nothing(times)


def _gestures(times: Floats, moves: Moves, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Open the mouth once, press or purse the lips, lick them, swallow; then rest again."""
    at = rng.uniform(0.2, 1.5)
    while at < times[-1]:
        stay, change = (
            rng.choice([rng.uniform(0.1, 0.4), rng.uniform(0.4, 2.0)]),
            rng.uniform(0.12, 0.5),
        )
        shown = _held(times, at, at + stay, change)
        match rng.integers(5):
            case 0:
                moves['jaw'] += rng.uniform(0.04, 0.25) * shown
            case 1:
                moves['press'] += rng.uniform(0.01, 0.035) * shown
                moves['jaw'] -= 0.01 * shown
            case 2:
                moves['spread'] -= rng.uniform(0.02, 0.06) * shown
            case 3:
                moves['aside'] += rng.uniform(-0.04, 0.04) * shown
                moves['jaw'] += rng.uniform(0.0, 0.04) * shown
            case _:
                moves['press'] += rng.uniform(0.005, 0.02) * shown
                moves['jaw'] += rng.uniform(0.0, 0.02) * _held(
                    times, at + stay, at + stay + 0.15, 0.15
                )
        at += stay + rng.uniform(1.0, 2.5)
    return _nothing(times)


_DRAW: dict[str, Callable[[Floats, Moves, np.random.Generator], NDArray[np.bool_]]] = {
    'speech': _speech,
    'smiling speech': _smiling_speech,
    'turning speech': _turning_speech,
    'rest': _rest,
    'turning': _turning,
    'chewing': _chewing,
    'laughing': _laughing,
    'yawning': _yawning,
    'smiles': _smiles,
    'gestures': _gestures,
}

#: Kinds of courses, and whether people speak in them.
KINDS = MappingProxyType({kind: 'speech' in kind for kind in _DRAW})
