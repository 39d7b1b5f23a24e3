"""Scores of interventions against the ground truth."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from emotion_estimator.emotion import NONE

from dialogue_baselines import RETURNED
from dialogue_noise import Segment

#: What interventions are about; calm requires none.
KINDS: tuple[str, ...] = ('happy', 'sad', NONE, RETURNED)

#: Seconds after a change during which acting on the previous label is not yet wrong.
GRACE = 1.0

#: Minimum seconds of an episode for an answer to be due.
MIN_EPISODE = 3.0


@dataclass(frozen=True)
class Intervention:
    """An action of a policy.

    :param stamp: seconds.
    :param kind: what it was about, one of ``KINDS``.
    """

    stamp: float
    kind: str


@dataclass(frozen=True)
class Episode:
    """A period, in seconds, in which the ground truth calls for an intervention."""

    kind: str
    begin: float
    end: float


def episodes(segments: Sequence[Segment], shortest: float = MIN_EPISODE) -> tuple[Episode, ...]:
    """Return what calls for an answer: joy, sadness, absence, and somebody's return.

    :param shortest: minimum seconds of an episode.
    """
    found = [Episode(s.label, s.begin, s.end) for s in segments if s.label in KINDS]
    absent = [s for s in segments if s.label == NONE]
    for gone, following in pairwise([*absent, None]):
        end = following.begin if following else segments[-1].end
        if gone is not None and end > gone.end:
            found.append(Episode(RETURNED, gone.end, end))
    return tuple(sorted((e for e in found if e.end - e.begin >= shortest), key=lambda e: e.begin))


class GroundTruth:
    """Looks up what the ground truth shows."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        """:param segments: each beginning where the previous one ends."""
        self._segments = segments
        self._begins = [segment.begin for segment in segments]

    def shows(self, kind: str, stamp: float, grace: float = GRACE) -> bool:
        """Return whether ``kind`` is true now, or was within the last ``grace`` seconds.

        ``returned`` is true whenever a face is in view.
        """
        first = max(0, bisect_right(self._begins, stamp - grace) - 1)
        last = bisect_right(self._begins, stamp)
        labels = {segment.label for segment in self._segments[first:last]}
        return bool(labels - {NONE}) if kind == RETURNED else kind in labels


@dataclass(frozen=True)
class Score:
    """How well a policy did.

    :param minutes: length of the conversation.
    :param made: number of interventions.
    :param wrong: number of interventions about something that was not true.
    :param due: number of episodes that called for an intervention.
    :param delays: seconds from the beginning of each answered episode to its answer.
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

        :return: infinity when too many were missed; 0 when nothing was due.
        """
        if not self.due:
            return 0.0
        ranked = sorted(self.delays)
        index = math.ceil(share * self.due) - 1
        return ranked[index] if index < len(ranked) else math.inf


def score(
    made: Sequence[Intervention], segments: Sequence[Segment], due: Iterable[Episode]
) -> Score:
    """Compare interventions with the ground truth.

    :param made: in the order of their stamps.
    :param segments: the ground truth.
    :param due: episodes that call for an answer, see :func:`episodes`.
    """
    truth = GroundTruth(segments)
    awaited = tuple(due)
    answers = (answer_delay(episode, made) for episode in awaited)
    return Score(
        minutes=segments[-1].end / 60,
        made=len(made),
        wrong=sum(not truth.shows(each.kind, each.stamp) for each in made),
        due=len(awaited),
        delays=tuple(delay for delay in answers if delay is not None),
    )


def answer_delay(episode: Episode, made: Sequence[Intervention]) -> float | None:
    """Return the seconds from an episode's beginning to its first intervention, or None."""
    at = bisect_left(made, episode.begin - 1e-9, key=lambda each: each.stamp)
    while at < len(made) and made[at].stamp <= episode.end + GRACE:
        if made[at].kind == episode.kind:
            return max(0.0, made[at].stamp - episode.begin)
        at += 1
    return None
