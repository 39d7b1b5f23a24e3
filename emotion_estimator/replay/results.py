"""Load results from a file, a report or a bag, and describe them in numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from emotion_estimator.bags.files import PACKED, STORAGES
from emotion_estimator.frame import FrameResult, Sight, read_glances, read_results, read_sights
from emotion_estimator.replay.alignment import Change, Laps
from emotion_estimator.result_line import Glance
from emotion_estimator.timeline import StretchFinder

#: Name of the results file in a report's folder.
RESULTS = 'results.jsonl'

#: Number of stretches listed as the longest, and held until they are reduced to these.
_LONGEST, _HELD = 5, 100

_Row = TypeVar('_Row')


def load_results(path: Path, topic: str | None = None) -> list[FrameResult]:
    """Load results; see :func:`stream_results`."""
    return list(stream_results(path, topic))


def stream_results(path: Path, topic: str | None = None) -> Iterator[FrameResult]:
    """Yield results in the order in which they are stored, one at a time.

    :param path: JSON Lines of ``replay --json`` or ``video --json``, the folder of a
        ``replay --report``, or a rosbag2 with ``/emotions`` or ``/emotion``.
    :param topic: the bag's topic; None finds it.
    :raises InputError: the results cannot be read; names file and line.
    """
    return _stream(path, topic, read_results)


def stream_glances(path: Path, topic: str | None = None) -> Iterator[Glance | FrameResult]:
    """Yield what a comparison needs of results, as :func:`stream_results` does.

    :raises InputError: the results cannot be read; names file and line.
    """
    return _stream(path, topic, read_glances)


def stream_sights(path: Path, topic: str | None = None) -> Iterator[Sight | FrameResult]:
    """Yield what the dialogue's decisions need of results, as :func:`stream_results` does.

    :raises InputError: the results cannot be read; names file and line.
    """
    return _stream(path, topic, read_sights)


def _stream(
    path: Path, topic: str | None, read: Callable[[Path], Iterator[_Row]]
) -> Iterator[_Row | FrameResult]:
    if is_bag(path):
        # The library for bags is slow to import and not needed for JSON Lines.
        from emotion_estimator.bags.reader import read_emotions

        yield from read_emotions(path, topic)
    else:
        yield from read(path / RESULTS if _is_folder(path) else path)


def is_bag(path: Path) -> bool:
    """Whether ``path`` is a bag's storage file, or any folder other than a report's."""
    if _is_folder(path):
        return not (path / RESULTS).is_file()
    return path.name.removesuffix(PACKED).endswith(STORAGES)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # The name is too long; reading the file says so.
        return False


@dataclass(frozen=True)
class Stretch:
    """A time span with one label; stamps in seconds."""

    label: str
    begin: float
    end: float


@dataclass(frozen=True)
class ResultStatistics:
    """Results in numbers.

    :param begin: the first frame's stamp, in seconds.
    :param seconds: from the first frame to the last, summed over the laps.
    :param frames: number of frames by label, the most frequent first.
    :param flips: number of label changes.
    :param first_change: the first of them; None without any.
    :param most_faces: largest number of faces in one frame.
    :param longest: the longest stretches of one label, the longest first.
    """

    begin: float
    seconds: float
    laps: int
    frames: dict[str, int]
    flips: int
    first_change: Change | None
    most_faces: int
    longest: tuple[Stretch, ...]

    @property
    def count(self) -> int:
        """Number of all frames."""
        return sum(self.frames.values())

    @property
    def flip_rate(self) -> float:
        """Return the label changes per second; 0 for a single frame."""
        return self.flips / self.seconds if self.seconds > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the statistics as JSON objects."""
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


class ResultCounter:
    """Counts results while they are read, lap after lap."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: float | None = None
        self._seconds: list[float] = []
        self._flips = self._most_faces = 0
        self._first_change: Change | None = None
        self._longest: list[Stretch] = []
        #: The lap's first stamp and its last one so far.
        self._begin: float | None = None
        self._end = 0.0
        self._label = ''
        self._stretch = StretchFinder()
        #: The earliest and the latest stamp, in seconds.
        self.earliest, self.latest = math.inf, -math.inf

    def see(self, stamp: float, label: str, faces: int) -> None:
        """Count a frame.

        :param stamp: in seconds, not before the one before in the same lap.
        :param label: the primary face's label, or ``none``.
        :param faces: number of faces.
        """
        self._counts[label] = self._counts.get(label, 0) + 1
        if faces > self._most_faces:
            self._most_faces = faces
        if self._begin is None:
            self._begin = stamp
            self._label = label
        elif label != self._label:
            self._label = label
            self._flips += 1
            if self._first_change is None:
                self._first_change = Change(len(self._seconds), stamp, label)
        self._end = stamp
        ended = self._stretch.see(stamp, label)
        if ended is not None:
            self._keep(*ended)

    def end_lap(self) -> None:
        """Note that the next frame belongs to the next lap, or that there is none."""
        if self._begin is None:
            return
        ended = self._stretch.finish()
        if ended is not None:
            self._keep(*ended)
        if self._first is None:
            self._first = self._begin
        self._seconds.append(self._end - self._begin)
        self.earliest = min(self.earliest, self._begin)
        self.latest = max(self.latest, self._end)
        self._begin = None

    def _keep(self, begin: float, end: float, label: str) -> None:
        self._longest.append(Stretch(label, begin, end))
        if len(self._longest) > _HELD:
            self._longest = self._longest_first()

    def _longest_first(self) -> list[Stretch]:
        return sorted(self._longest, key=lambda s: s.begin - s.end)[:_LONGEST]

    def statistics(self) -> ResultStatistics:
        """Return the counts after the last lap has ended."""
        return ResultStatistics(
            begin=0.0 if self._first is None else self._first,
            seconds=sum(self._seconds),
            laps=len(self._seconds),
            frames=dict(Counter(self._counts).most_common()),
            flips=self._flips,
            first_change=self._first_change,
            most_faces=self._most_faces,
            longest=tuple(self._longest_first()),
        )


def result_statistics(laps: Laps) -> ResultStatistics:
    """Count labels, changes and faces.

    :param laps: see :func:`emotion_estimator.replay.alignment.split_laps`; may be empty.
    """
    counter = ResultCounter()
    for lap in laps:
        for frame in lap:
            counter.see(frame.stamp, frame.label, len(frame.faces))
        counter.end_lap()
    return counter.statistics()
