"""A course in numbers: how long each label held, how often it changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emotion_estimator.replay.onsets import Change, changes
from emotion_estimator.result import FrameResult
from emotion_estimator.timeline import stretches

#: Stretches named among the longest.
_LONGEST = 5

Laps = Sequence[Sequence[FrameResult]]


@dataclass(frozen=True)
class Stretch:
    """A label that held, from ``begin`` to ``end`` in seconds of the stamps."""

    label: str
    begin: float
    end: float


@dataclass(frozen=True)
class Facts:
    """A course in numbers.

    :param begin: the first frame's stamp, in seconds.
    :param seconds: from the first frame to the last one, summed over the laps.
    :param frames: by label, the most frequent first.
    :param flips: changes of the label.
    :param most_faces: in one frame.
    :param longest: stretches of one label, the longest first.
    """

    begin: float
    seconds: float
    laps: int
    frames: dict[str, int]
    flips: int
    most_faces: int
    longest: tuple[Stretch, ...]

    @property
    def count(self) -> int:
        """All frames."""
        return sum(self.frames.values())

    @property
    def flip_rate(self) -> float:
        """Return the changes of the label per second; 0 for a single frame."""
        return self.flips / self.seconds if self.seconds > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON shows."""
        return {
            'frames': self.count,
            'begin': round(self.begin, 6),
            'seconds': round(self.seconds, 3),
            'laps': self.laps,
            'labels': {
                label: {'frames': n, 'share': round(n / self.count, 4)}
                for label, n in self.frames.items()
            },
            'flips': self.flips,
            'flips_per_second': round(self.flip_rate, 4),
            'most_faces': self.most_faces,
            'longest': [
                {'label': s.label, 'begin': round(s.begin, 6), 'seconds': round(s.end - s.begin, 3)}
                for s in self.longest
            ],
        }


def facts(laps: Laps) -> Facts:
    """Count a course.

    :param laps: see :func:`emotion_estimator.replay.align.laps`; may be none.
    """
    frames = [frame for lap in laps for frame in lap]
    held = [
        Stretch(label, begin, end)
        for lap in laps
        for begin, end, label in stretches([(frame.stamp, frame.label) for frame in lap])
    ]
    return Facts(
        begin=frames[0].stamp if frames else 0.0,
        seconds=sum(lap[-1].stamp - lap[0].stamp for lap in laps),
        laps=len(laps),
        frames=dict(Counter(frame.label for frame in frames).most_common()),
        flips=len(label_changes(laps)),
        most_faces=max((len(frame.faces) for frame in frames), default=0),
        longest=tuple(sorted(held, key=lambda s: s.begin - s.end)[:_LONGEST]),
    )


def label_changes(laps: Laps) -> list[Change]:
    """Return each change of the label."""
    return [
        change
        for number, lap in enumerate(laps)
        for change in changes([(frame.stamp, frame.label) for frame in lap], number)
    ]
