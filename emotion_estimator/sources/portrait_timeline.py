"""The portrait's script: which expression is shown when, and what the truth is.

One course takes 26 seconds::

    0     3       7      10       15      18     21      24    26
    | neutral | happy | neutral | sad | neutral | absent | happy | neutral |

Expressions change within 0.3 s and the person comes and goes within 0.4 s; the truth switches in
the middle of each change. Everything is a function of time alone, so every frame rate gives the
same course.
"""

from __future__ import annotations

from dataclasses import dataclass

from emotion_estimator.emotion import NONE

#: Seconds that a change of expression takes, and that it takes to come or to leave.
CHANGE = 0.3
SLIDE = 0.4


@dataclass(frozen=True)
class Segment:
    """A stretch of the script.

    :param seconds: its length.
    :param expression: ``neutral``, ``happy`` or ``sad``.
    :param present: whether the person is in the picture.
    """

    seconds: float
    expression: str
    present: bool = True

    @property
    def truth(self) -> str:
        """Label of the estimator's vocabulary that is right in this stretch."""
        if not self.present:
            return NONE
        return 'unknown' if self.expression == 'neutral' else self.expression


#: The absence is two stretches, so that the face changes while nobody sees it.
SCRIPT: tuple[Segment, ...] = (
    Segment(3.0, 'neutral'),
    Segment(4.0, 'happy'),
    Segment(3.0, 'neutral'),
    Segment(5.0, 'sad'),
    Segment(3.0, 'neutral'),
    Segment(1.5, 'neutral', present=False),
    Segment(1.5, 'happy', present=False),
    Segment(3.0, 'happy'),
    Segment(2.0, 'neutral'),
)


def smoothstep(x: float) -> float:
    """Go from 0 (x <= 0) to 1 (x >= 1) without a kink."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


class Timeline:
    """A script read at any time; times in seconds from 0, the script repeats after its end."""

    def __init__(self, script: tuple[Segment, ...] = SCRIPT) -> None:
        self._script = script
        ends: list[float] = []
        for segment in script:
            ends.append((ends[-1] if ends else 0.0) + segment.seconds)
        self._ends = tuple(ends)
        self.duration = ends[-1]

    def truth_at(self, t: float) -> str:
        """Return ``happy``, ``unknown`` (neutral), ``sad`` or ``none`` (nobody) at time ``t``."""
        return self._script[self._index(t)].truth

    def changes(self) -> tuple[float, ...]:
        """Return the times within one course at which the truth changes.

        The seam between two courses is one of them (time 0) if last and first truth differ.
        """
        starts = (0.0, *self._ends[:-1])
        return tuple(
            start
            for start, before, after in zip(
                starts, (self._script[-1], *self._script[:-1]), self._script
            )
            if before.truth != after.truth
        )

    def expression_at(self, t: float) -> dict[str, float]:
        """Return the share of each expression at time ``t``; the shares sum to 1."""
        before, after, share = self._blend(t, CHANGE)
        mix = {before.expression: 1.0 - share}
        mix[after.expression] = mix.get(after.expression, 0.0) + share
        return mix

    def presence_at(self, t: float) -> float:
        """Return 1 where the person is in the picture, 0 where absent, between while moving."""
        before, after, share = self._blend(t, SLIDE)
        return (1.0 - share) * before.present + share * after.present

    def _index(self, t: float) -> int:
        within = t % self.duration
        return next((i for i, end in enumerate(self._ends) if within < end), 0)

    def _blend(self, t: float, width: float) -> tuple[Segment, Segment, float]:
        """Return the segments on both sides of the nearest change and the later one's share."""
        i = self._index(t)
        within = t % self.duration
        start, end = self._ends[i] - self._script[i].seconds, self._ends[i]
        if within - start < end - within:
            before, after = self._script[i - 1], self._script[i]
            since = within - start
        else:
            before, after = self._script[i], self._script[(i + 1) % len(self._script)]
            since = within - end
        return before, after, smoothstep(since / width + 0.5)
