"""How good interventions were, on a course whose truth is known."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from emotion_estimator.emotion import NONE

from dialogue_baselines import RETURNED
from dialogue_noise import CourseSegment

#: What interventions are about: calm asks for none.
KINDS: tuple[str, ...] = ('happy', 'sad', NONE, RETURNED)

#: Seconds after the truth has changed in which acting on what was is not yet wrong.
GRACE = 1.0

#: Seconds that something must last for an answer to it to be due.
WORTH = 3.0


@dataclass(frozen=True)
class Intervention:
    """Something that was done.

    :param stamp: seconds.
    :param kind: one of ``KINDS``, what it was about.
    """

    stamp: float
    kind: str


@dataclass(frozen=True)
class Episode:
    """A stretch of the truth that asks for an intervention between ``begin`` and ``end``."""

    kind: str
    begin: float
    end: float


def episodes(segments: Sequence[CourseSegment], worth: float = WORTH) -> tuple[Episode, ...]:
    """Return what asks for an answer: joy, sadness, absence, and that somebody came back.

    :param worth: least seconds of an episode.
    """
    found = [Episode(s.label, s.begin, s.end) for s in segments if s.label in KINDS]
    absent = [s for s in segments if s.label == NONE]
    for gone, following in pairwise([*absent, None]):
        end = following.begin if following else segments[-1].end
        if gone is not None and end > gone.end:
            found.append(Episode(RETURNED, gone.end, end))
    return tuple(sorted((e for e in found if e.end - e.begin >= worth), key=lambda e: e.begin))


class Truth:
    """Answers questions on a course."""

    def __init__(self, segments: Sequence[CourseSegment]) -> None:
        """:param segments: each beginning where the one before it ends."""
        self._segments = segments
        self._begins = [segment.begin for segment in segments]

    def shows(self, kind: str, stamp: float, grace: float = GRACE) -> bool:
        """Whether the truth shows ``kind`` now, or did not longer than ``grace`` seconds ago.

        Somebody returned where any face is there.
        """
        first = max(0, bisect_right(self._begins, stamp - grace) - 1)
        last = bisect_right(self._begins, stamp)
        labels = {segment.label for segment in self._segments[first:last]}
        return bool(labels - {NONE}) if kind == RETURNED else kind in labels


@dataclass(frozen=True)
class Score:
    """What a policy did.

    :param minutes: length of the course.
    :param made: interventions.
    :param wrong: those among them about what the truth did not show.
    :param due: episodes that asked for an intervention.
    :param delays: seconds from the beginning of each that got one, in their order.
    """

    minutes: float
    made: int
    wrong: int
    due: int
    delays: tuple[float, ...]

    @property
    def wrong_per_minute(self) -> float:
        """Return wrong interventions per minute."""
        return self.wrong / self.minutes

    @property
    def missed(self) -> float:
        """Return the share of the due episodes without an intervention, 0 to 1."""
        return 1 - len(self.delays) / self.due if self.due else 0.0

    def delay(self, share: float) -> float:
        """Return the delay in seconds within which ``share`` of *all* due episodes were answered.

        :return: infinity where more than the rest was missed; 0 where nothing was due.
        """
        if not self.due:
            return 0.0
        ranked = sorted(self.delays)
        index = math.ceil(share * self.due) - 1
        return ranked[index] if index < len(ranked) else math.inf


def score(
    made: Sequence[Intervention], segments: Sequence[CourseSegment], due: Iterable[Episode]
) -> Score:
    """Compare interventions with the truth.

    :param made: in the order of their stamps.
    :param due: episodes that are to be answered, see :func:`episodes`.
    """
    truth = Truth(segments)
    asked = tuple(due)
    answers = (answer(episode, made) for episode in asked)
    return Score(
        minutes=segments[-1].end / 60,
        made=len(made),
        wrong=sum(not truth.shows(each.kind, each.stamp) for each in made),
        due=len(asked),
        delays=tuple(delay for delay in answers if delay is not None),
    )


def answer(episode: Episode, made: Sequence[Intervention]) -> float | None:
    """Return seconds from an episode's beginning to its first intervention; None without."""
    at = bisect_left(made, episode.begin - 1e-9, key=lambda each: each.stamp)
    while at < len(made) and made[at].stamp <= episode.end + GRACE:
        if made[at].kind == episode.kind:
            return max(0.0, made[at].stamp - episode.begin)
        at += 1
    return None
