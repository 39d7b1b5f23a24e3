"""A recording of ROS 2 without ROS: its files as one, its topics and messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from emotion_estimator.bags.bags import storage_files
from emotion_estimator.bags.storage import BagMessage, StorageFile
from emotion_estimator.errors import InputError


class Bag:
    """A bag's files as one.

    :param path: a folder with rosbag2's files, or a single one of them.
    :raises InputError: nothing can be read; one line says why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open = ExitStack()
        paths, self._problems = storage_files(path)
        self._files: list[StorageFile] = []
        for file in paths:
            try:
                storage = StorageFile(file)
            except InputError as error:
                self._problems.append(str(error))
            else:
                self._open.callback(storage.close)
                self._files.append(storage)
        if not self._files:
            raise InputError(self._problems[-1])
        summaries = [file.summary for file in self._files]
        #: Name and type of every topic.
        self.topics = {c.topic: c.msgtype for s in summaries for c in s.connections}
        #: Messages by topic.
        self.counts: Counter[str] = sum((s.counts for s in summaries), Counter())
        self._times = [t for s in summaries for t in (s.first, s.last) if t is not None]

    @property
    def duration(self) -> float:
        """Seconds from the first message recorded to the last, of all topics."""
        return (max(self._times) - min(self._times)) * 1e-9 if self._times else 0.0

    @property
    def problems(self) -> list[str]:
        """Lines on what is wrong, as far as it has been read."""
        return [*self._problems, *(file.problem for file in self._files if file.problem)]

    def messages(self, *topics: str) -> Iterator[BagMessage]:
        """Yield the messages of some topics, or of all, in the order of recording."""
        for file in self._files:
            yield from file.messages(topics or self.topics.keys())

    def close(self) -> None:
        """Free the files; more than once does no harm."""
        self._open.close()

    def __enter__(self) -> Bag:
        """Return the open bag."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()
