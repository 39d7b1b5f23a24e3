"""A recorded course from wherever it lies: JSON lines, a report's folder, a bag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emotion_estimator.bags.bags import PACKED, STORAGES
from emotion_estimator.result import FrameResult, read_results

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
        from emotion_estimator.bags.bag_reader import read_emotions

        yield from read_emotions(path, topic)
    else:
        yield from read_results(path / RESULTS if path.is_dir() else path)


def is_bag(path: Path) -> bool:
    """Whether ``path`` is to be read as a bag: any folder but a report's, and a bag's own file."""
    if path.is_dir():
        return not (path / RESULTS).is_file()
    return path.name.removesuffix(PACKED).endswith(STORAGES)
