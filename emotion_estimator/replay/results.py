"""Load results from a file, a report or a bag, and describe them in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_estimator.bags.files import PACKED, STORAGES
from emotion_estimator.frame import FrameResult, read_results
from emotion_estimator.replay.alignment import Laps, changes_in_laps
from emotion_estimator.timeline import stretches

#: Name of the results file in a report's folder.
RESULTS = 'results.jsonl'

#: Number of stretches listed as the longest.
_LONGEST = 5


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
    if is_bag(path):
        # The library for bags is slow to import and not needed for JSON Lines.
        from emotion_estimator.bags.reader import read_emotions

        yield from read_emotions(path, topic)
    else:
        yield from read_results(path / RESULTS if _is_folder(path) else path)


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
    :param most_faces: largest number of faces in one frame.
    :param longest: the longest stretches of one label, the longest first.
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


def result_statistics(laps: Laps) -> ResultStatistics:
    """Count labels, changes and faces.

    :param laps: see :func:`emotion_estimator.replay.alignment.split_laps`; may be empty.
    """
    frames = [frame for lap in laps for frame in lap]
    steady = [
        Stretch(label, begin, end)
        for lap in laps
        for begin, end, label in stretches([(frame.stamp, frame.label) for frame in lap])
    ]
    return ResultStatistics(
        begin=frames[0].stamp if frames else 0.0,
        seconds=sum(lap[-1].stamp - lap[0].stamp for lap in laps),
        laps=len(laps),
        frames=dict(Counter(frame.label for frame in frames).most_common()),
        flips=len(changes_in_laps(laps)),
        most_faces=max((len(frame.faces) for frame in frames), default=0),
        longest=tuple(sorted(steady, key=lambda s: s.begin - s.end)[:_LONGEST]),
    )
