"""A course of results: read from wherever it lies, aligned, and in numbers."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

from emotion_estimator.bags.files import PACKED, STORAGES
from emotion_estimator.bags.stamp_order import WINDOW
from emotion_estimator.frame import FrameResult, read_results
from emotion_estimator.timeline import stretches

#: What a report's folder calls its results.
RESULTS = 'results.jsonl'


def read_course(path: Path, topic: str | None = None) -> list[FrameResult]:
    """Read results; see :func:`stream_course`."""
    return list(stream_course(path, topic))


def stream_course(path: Path, topic: str | None = None) -> Iterator[FrameResult]:
    """Yield results in the order in which they lie there, none kept.

    :param path: a file of JSON lines as ``replay --json`` and ``video --json`` write it, the folder
        of a ``replay --report``, or a rosbag2 that holds ``/emotions`` or ``/emotion``.
    :param topic: the bag's topic; None finds it.
    :raises InputError: it cannot be read, or is none of these; names file and line.
    """
    if is_bag(path):
        # The library for bags is slow to import, and JSON lines need none.
        from emotion_estimator.bags.reader import read_emotions

        yield from read_emotions(path, topic)
    else:
        yield from read_results(path / RESULTS if path.is_dir() else path)


def is_bag(path: Path) -> bool:
    """Whether ``path`` is to be read as a bag: any folder but a report's, and a bag's own file."""
    if path.is_dir():
        return not (path / RESULTS).is_file()
    return path.name.removesuffix(PACKED).endswith(STORAGES)


#: Seconds by which rounding (six decimals in files, floats since 1970) may move a stamp.
ROUNDING = 1e-6


def laps(course: Sequence[FrameResult]) -> list[tuple[FrameResult, ...]]:
    """Split a course where its stamps jump back, as those of a looped bag do.

    Stamps that go back by no more than ``WINDOW`` are of frames that came late: they are put where
    they belong, as a bag's images are.

    :return: stamps ascend within each lap; none for an empty course.
    """
    split: list[list[FrameResult]] = []
    newest = math.inf
    for frame in course:
        if not split or frame.stamp < newest - WINDOW * 1e-9:
            split.append([])
            newest = frame.stamp
        newest = max(newest, frame.stamp)
        split[-1].append(frame)
    return [tuple(sorted(lap, key=lambda frame: frame.stamp)) for lap in split]


def align(
    expected: Sequence[float], actual: Sequence[float], tolerance: float
) -> list[tuple[int, int]]:
    """Pair stamps that are the same within the tolerance.

    Each stamp is in one pair at most, and pairs do not cross. Where several lie within the
    tolerance the nearest are paired; so a tolerance above half the distance between two frames
    still pairs each frame with itself. The order of the two makes no difference.

    :param expected: stamps in seconds, ascending; equal ones are paired in their order.
    :param actual: the same of the other.
    :param tolerance: greatest difference of a pair, in seconds.
    :return: indices into both, ascending.
    """
    pairs = []
    i = j = 0
    while i < len(expected) and j < len(actual):
        apart = abs(expected[i] - actual[j])
        if apart > tolerance + ROUNDING:
            ahead = expected[i] > actual[j]
            i, j = (i, j + 1) if ahead else (i + 1, j)
        elif _better(expected, i, actual, j):
            i += 1
        elif _better(actual, j, expected, i):
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def _better(these: Sequence[float], i: int, others: Sequence[float], j: int) -> bool:
    """Whether ``others[j]`` goes better with the one after ``these[i]``, and that with no later."""
    if i + 1 == len(these):
        return False
    apart = abs(these[i + 1] - others[j])
    if apart >= abs(these[i] - others[j]):
        return False
    return j + 1 == len(others) or apart <= abs(these[i + 1] - others[j + 1])


#: Stamp in seconds and label, in order of time.
Labels = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Change:
    """A label that began.

    :param lap: of the course, from 0; a new one begins where stamps jump back.
    :param stamp: of the first frame with the label, in seconds.
    """

    lap: int
    stamp: float
    label: str


@dataclass(frozen=True)
class Onset:
    """A change of the expected label, and the actual one's to the same label.

    :param shift: seconds by which the actual is later, negative where it is earlier; None where
        it has no such change.
    """

    change: Change
    shift: float | None


def changes(labels: Labels, lap: int = 0) -> list[Change]:
    """Return the changes of a label; the first frame is none."""
    return [
        Change(lap, stamp, label)
        for (_, before), (stamp, label) in pairwise(labels)
        if label != before
    ]


def follow(
    expected: Sequence[Change], actual: Sequence[Change]
) -> tuple[list[Onset], list[Change]]:
    """Find each expected change in the actual ones, all of one lap.

    It is the nearest to the same label, not before the expected label's previous change and not
    after its next: what comes later answers no longer. Each actual change is found once.

    :return: an onset for each expected change, and the actual changes that answer none.
    """
    found: list[Onset] = []
    free: dict[str, list[float]] = {}
    for change in sorted(actual, key=lambda each: each.stamp):
        free.setdefault(change.label, []).append(change.stamp)
    taken: set[tuple[str, int]] = set()
    for i, change in enumerate(expected):
        since = expected[i - 1].stamp if i else -math.inf
        until = expected[i + 1].stamp if i + 1 < len(expected) else math.inf
        stamps = free.get(change.label, [])
        candidates = [
            (abs(stamps[k] - change.stamp), k)
            for k in range(bisect_left(stamps, since), bisect_right(stamps, until))
            if (change.label, k) not in taken
        ]
        if candidates:
            _, k = min(candidates)
            taken.add((change.label, k))
            found.append(Onset(change, stamps[k] - change.stamp))
        else:
            found.append(Onset(change, None))
    lap = actual[0].lap if actual else 0
    left = [
        Change(lap, stamp, label)
        for label, stamps in free.items()
        for k, stamp in enumerate(stamps)
        if (label, k) not in taken
    ]
    return found, sorted(left, key=lambda change: change.stamp)


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

    :param laps: see :func:`emotion_estimator.replay.course.laps`; may be none.
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


#: Seconds between two laps, enough to interrupt curves and bands.
_BREAK = 1.0


class TimeAxis:
    """Turns a stamp and its lap into seconds since the first frame.

    :ivar begins: where each lap begins, in those seconds.
    :ivar end: of the last lap, in those seconds.
    """

    def __init__(self, *courses: Laps) -> None:
        """:param courses: of one recording; laps of the same number go to the same place."""
        self._offsets: list[float] = []
        self.begins: list[float] = []
        end = -_BREAK
        for laps in zip_longest(*courses, fillvalue=()):
            stamps = [stamp for lap in laps if lap for stamp in (lap[0].stamp, lap[-1].stamp)]
            self.begins.append(end + _BREAK)
            self._offsets.append(self.begins[-1] - min(stamps))
            end = self._offsets[-1] + max(stamps)
        self.end = max(end, 0.1)

    def __call__(self, lap: int, stamp: float) -> float:
        """Return the seconds since the first frame."""
        return self._offsets[lap] + stamp

    def of_stamp(self, stamp: float, course: Laps) -> float:
        """Return the same where the lap is not known: that of the first one that holds it."""
        return next(
            (self(n, stamp) for n, lap in enumerate(course) if _holds(lap, stamp)),
            self(0, stamp),
        )


def _holds(lap: Sequence[FrameResult], stamp: float) -> bool:
    return lap[0].stamp <= stamp <= lap[-1].stamp
